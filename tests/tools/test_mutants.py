"""tools/mutants.py: each fault of its table can be planted, and its test is there."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def mutants(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "tools"))
    from mutants import MUTANTS

    return MUTANTS


def test_what_a_fault_replaces_stands_once_in_its_file(mutants):
    """A row that quotes a line of yesterday would plant nothing."""
    files = {name: (ROOT / "minibert" / name).read_text() for name in {row.file for row in mutants}}
    counts = {(row.file, row.old): files[row.file].count(row.old) for row in mutants}
    assert {place: count for place, count in counts.items() if count != 1} == {}


def test_the_test_that_notices_a_fault_is_there(mutants):
    named = {tuple(row.test.partition("[")[0].split("::")) for row in mutants}
    tests = {
        (name, function.name)
        for name in {name for name, _ in named}
        for function in ast.parse((ROOT / "tests" / name).read_text()).body
        if isinstance(function, ast.FunctionDef)
    }
    assert named - tests == set()
