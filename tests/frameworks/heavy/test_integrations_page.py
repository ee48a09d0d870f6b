"""docs/integrations.md: its sections about the larger frameworks."""

import pytest
from recipe_pages import run_section, sections

MINILM = "sentence-transformers/all-MiniLM-L6-v2"
SECTIONS = sections("../integrations.md")


@pytest.mark.parametrize(
    "heading", ["BERTopic and KeyBERT", "Chroma", "DuckDB", "fastembed", "LanceDB"]
)
def test_a_section_runs(heading, cache, minilm_folder, monkeypatch, tmp_path, capsys):
    cache(MINILM, minilm_folder)
    monkeypatch.chdir(tmp_path)
    run_section(SECTIONS[heading], capsys)
