"""The pages of recipes, section by section, beside the libraries that they are about."""

import pytest
from recipe_pages import RECIPES, run_section, sections

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SECTIONS = {
    f"{path.stem}: {heading}": blocks
    for path in sorted(RECIPES.glob("*.md"))
    for heading, blocks in sections(path.name).items()
}


@pytest.mark.parametrize("section", SECTIONS)
def test_a_section_runs_as_it_stands(section, cache, minilm_folder, monkeypatch, tmp_path, capsys):
    cache(MINILM, minilm_folder)
    monkeypatch.chdir(tmp_path)
    run_section(SECTIONS[section], capsys)
