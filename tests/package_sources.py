"""The source of the package, parsed: for tests that read it without importing it."""

import ast
from functools import cache
from pathlib import Path

import minibert

PACKAGE = Path(minibert.__file__).parent


@cache
def source_of(path):
    """The text of a file."""
    return path.read_text(encoding="utf-8")


@cache
def tree_of(path):
    """The tree of a file, parsed once for all tests; who gets it leaves it as it is."""
    return ast.parse(source_of(path))
