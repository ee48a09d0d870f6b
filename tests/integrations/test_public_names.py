"""Integrations import what any program may, and of our own rooms those that hold no model.

The server is one of them: nothing but its command and an integration is made to use it.
"""

import ast
from pathlib import Path

import pytest

import minibert

FILES = sorted((Path(minibert.__file__).parent / "integrations").glob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=[path.stem for path in FILES])
def test_an_integration_imports_only_public_names(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        assert not isinstance(node, ast.Import) or "minibert" not in ast.unparse(node)
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minibert":
            names = {alias.name for alias in node.names}
            rooms = ("minibert.integrations.", "minibert.common.", "minibert.server.")
            allowed = node.module.startswith(rooms)
            assert allowed or names <= {*minibert.__all__, "__version__"}, ast.unparse(node)
