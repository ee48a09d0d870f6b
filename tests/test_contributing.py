"""CONTRIBUTING.md, "Where a new thing goes": each row names what is there, and a test that is."""

import ast
import importlib
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGE = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
ROW = re.compile(
    r"^\| an? ([^|]+) \| ([^|]+) \| `(\w+)` in `([\w/.]+)` \| `([^`]+)::(\w+)` \|$", re.M
)
ROWS = {thing: rest for thing, *rest in ROW.findall(PAGE)}


def test_the_table_has_a_row_for_each_kind():
    kinds = ["metric", "module", "family", "pooling", "activation", "measure", "command", "tensor"]
    kinds += [
        "form of documents",
        "output format",
        "format of mined rows",
        "loss",
        "optimizer",
        "schedule",
    ]
    assert set(kinds) == ROWS.keys()


@pytest.mark.parametrize("thing", ROWS)
def test_what_a_row_names_is_there(thing):
    code, registry, module, test, name = ROWS[thing]
    assert hasattr(importlib.import_module(f"minibert.{module[:-3].replace('/', '.')}"), registry)
    for place in re.findall(r"`([\w/.]+)`", code):
        assert (ROOT / "minibert" / place).exists(), place
    tests = ast.parse((ROOT / "tests" / test).read_text(encoding="utf-8")).body
    assert name in {node.name for node in tests if isinstance(node, ast.FunctionDef)}


def test_every_file_that_the_page_names_is_there():
    for place in re.findall(r"`((?:\w+/)+\w*(?:\.py)?)`", PAGE):
        homes = ROOT, ROOT / "minibert"
        assert any((home / place).exists() for home in homes), place
