"""The pages of recipes, section by section, beside the libraries that they are about."""

import pytest
from recipe_pages import RECIPES, run_section, sections

SECTIONS = {
    f"{path.stem}: {heading}": blocks
    for path in sorted(RECIPES.glob("*.md"))
    for heading, blocks in sections(path.name).items()
}


@pytest.mark.usefixtures("minilm_by_name")
@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_runs_as_it_stands(section, capsys):
    run_section(SECTIONS[section], capsys)
