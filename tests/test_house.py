"""How the package and its tests are cut: small modules, short functions, names, fixtures."""

import ast
import re
from collections import Counter
from pathlib import Path

import pytest
from package_sources import PACKAGE, source_of, tree_of

FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
TESTS = {
    path.relative_to(Path(__file__).parent).as_posix(): tree_of(path)
    for path in Path(__file__).parent.rglob("*.py")
}
CONSTANT = re.compile("[A-Z][A-Z0-9_]*")
MAX_LINES_OF_A_MODULE, MAX_LINES_OF_A_FUNCTION, MAX_MODULES_AT_THE_ROOT = 420, 60, 14


def lines_of(node):
    """The lines of a function or of a docstring."""
    return node.end_lineno - node.lineno + 1


def length_of(function):
    """The lines of a function but for its docstring."""
    # So lengths of functions are usually measured; and no description is cut or moved to fit.
    return lines_of(function) - docstring_lines(function)


def docstring_lines(node):
    """The lines of the docstring of a module, a class or a function."""
    described = ast.get_docstring(node, clean=False) is not None
    return lines_of(node.body[0]) if described else 0


@pytest.mark.parametrize("module", FILES)
def test_a_module_is_read_in_one_sitting(module):
    described = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    docstrings = [
        docstring_lines(n) for n in ast.walk(tree_of(FILES[module])) if isinstance(n, described)
    ]
    assert len(source_of(FILES[module]).splitlines()) - sum(docstrings) <= MAX_LINES_OF_A_MODULE


@pytest.mark.parametrize("module", FILES)
def test_a_function_does_one_thing(module):
    tree = tree_of(FILES[module])
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    lengths = [
        (node.name, length_of(node)) for node in ast.walk(tree) if isinstance(node, functions)
    ]
    assert [entry for entry in lengths if entry[1] > MAX_LINES_OF_A_FUNCTION] == []


def test_few_modules_stand_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= MAX_MODULES_AT_THE_ROOT


def names_in(package):
    """The names that a folder's `__init__` imports, defines or lists, but for its own modules."""
    for node in ast.walk(tree_of(FILES[package])):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                if f"{node.module}.{alias.name}" != f"{package}.{name}":
                    yield name
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield from set(ast.literal_eval(node.value)) - {"losses", "util"}  # modules


@pytest.mark.parametrize("package", [name for name in FILES if FILES[name].stem == "__init__"])
def test_no_name_of_a_folder_hides_a_module(package):
    """Where both have one name, `import folder.name` gives whichever was bound last."""
    modules = {name.rpartition(".")[2] for name in FILES if name.rpartition(".")[0] == package}
    assert modules & set(names_in(package)) == set()


def test_every_folder_says_what_it_holds_and_in_which_order():
    """Its files are named in its docstring, each in a line of its own that says more."""
    for path in PACKAGE.glob("*/__init__.py"):
        docstring = ast.get_docstring(tree_of(path))
        files = {file.stem for file in path.parent.glob("*.py")} - {"__init__"}
        unnamed = {name for name in files if name not in docstring}
        assert unnamed == set(), path


def functions_of(tree):
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]


def test_no_test_has_a_name_above_60_characters():
    names = {node.name for tree in TESTS.values() for node in functions_of(tree)}
    assert [name for name in names if name.startswith("test_") and len(name) > 60] == []


def fixtures():
    """Every fixture: its file, its definition."""
    for file, tree in TESTS.items():
        for node in functions_of(tree):
            if any("fixture" in ast.unparse(decorator) for decorator in node.decorator_list):
                yield file, node


def body_of(function):
    """The statements of a function but for its docstring, as text."""
    described = ast.get_docstring(function, clean=False) is not None
    return ast.unparse(function.body[described:])


def test_every_fixture_has_a_name_of_its_own():
    counts = Counter(node.name for _, node in fixtures())
    assert [name for name, count in counts.items() if count > 1] == []


def test_no_two_fixtures_do_the_same():
    counts = Counter(body_of(node) for _, node in fixtures())
    assert [body for body, count in counts.items() if count > 1] == []


def constant_of(owner, name=None):
    """The constant that `owner` and `name`, two expressions, lead to; None where they do not.

    What is within a constant, as `CORES._free`, counts as well.
    """
    parts = owner.value if isinstance(owner, ast.Constant) else ast.unparse(owner)
    if isinstance(name, ast.Constant):
        parts = f"{parts}.{name.value}"
    *_, outer, inner = ["", *parts.split(".")]
    if CONSTANT.fullmatch(inner):
        return inner
    return f"{outer}.{inner}" if CONSTANT.fullmatch(outer) and inner.startswith("_") else None


def patched_in(tree):
    """The constants of modules that a file changes, by monkeypatch or by assignment."""
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom)]
    imported = {alias.asname or alias.name for node in imports for alias in node.names}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called, code = ast.unparse(node.func).rpartition(".")[2], ast.unparse(node)
            of_globals = called == "setitem" and ("__globals__" in code or "__dict__" in code)
            if called == "setattr" or of_globals:
                yield constant_of(*node.args[: 1 if len(node.args) == 2 else 2])
        is_set = isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store)
        if is_set and ast.unparse(node).partition(".")[0] in imported:
            yield constant_of(node)


def test_no_test_patches_a_constant_of_a_module():
    """What a test must be able to change is a parameter."""
    found = {(file, name) for file, tree in TESTS.items() for name in patched_in(tree) if name}
    assert found == set()
