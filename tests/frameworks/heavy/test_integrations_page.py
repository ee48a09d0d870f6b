"""docs/integrations.md: its sections about the larger frameworks."""

import pytest
from recipe_pages import INTEGRATIONS, LIGHT, run_section, sections

SECTIONS = sections(INTEGRATIONS)
# Each of the others runs in another test.
ELSEWHERE = [*LIGHT, "sentence-transformers"]


@pytest.mark.usefixtures("minilm_by_name")
@pytest.mark.parametrize("heading", [name for name in SECTIONS if name not in ELSEWHERE])
def test_a_section_runs(heading, capsys):
    run_section(SECTIONS[heading], capsys)
