"""Programs of a page of recipes: each section of the page is one, run as it stands.

A `text` block after a program is what it prints. Commands in `sh` are run if they are minibert's.
"""

import re
import shlex
from pathlib import Path

from minibert.commands import cli

RECIPES = Path(__file__).parent.parent / "docs" / "recipes"
INTEGRATIONS = RECIPES.parent / "integrations.md"
# Sections of that page that run in tests/frameworks/light; most others run in heavy.
LIGHT = ["Haystack", "LangChain", "LlamaIndex", "llm", "scikit-learn"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def sections(page):
    """Blocks of a page of docs/recipes, or of a path, by heading: -> [(language, text), ...]."""
    text = (RECIPES / page).read_text(encoding="utf-8")
    _, *parts = re.split(r"^## ", text, flags=re.MULTILINE)
    found = {part.partition("\n")[0]: BLOCK.findall(part) for part in parts}
    return {heading: blocks for heading, blocks in found.items() if blocks}


def run_section(blocks, capsys):
    """Run the programs of a section one after another, and hold them to what it says they print."""
    names = {"__name__": "__main__"}
    for number, (language, text) in enumerate(blocks):
        if language == "python":
            capsys.readouterr()
            exec(compile(text, f"block {number}", "exec"), names)
        elif language == "sh":
            capsys.readouterr()
            for line in text.splitlines():
                if line.startswith("minibert "):
                    assert cli.main(shlex.split(line)[1:]) == 0, line
        elif language == "text":
            assert capsys.readouterr().out == text
        else:
            raise AssertionError(f"A block in {language} is never run.")
