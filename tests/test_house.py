"""How the package is cut: small modules, short functions, and names that hide no module."""

import ast
from pathlib import Path

import pytest

import minibert

PACKAGE = Path(minibert.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}
MOST_LINES_OF_A_MODULE, MOST_LINES_OF_A_FUNCTION, MOST_MODULES_AT_THE_ROOT = 420, 60, 14


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
    text = FILES[module].read_text(encoding="utf-8")
    described = ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef
    docstrings = [docstring_lines(n) for n in ast.walk(ast.parse(text)) if isinstance(n, described)]
    assert len(text.splitlines()) - sum(docstrings) <= MOST_LINES_OF_A_MODULE


@pytest.mark.parametrize("module", FILES)
def test_a_function_does_one_thing(module):
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    functions = ast.FunctionDef, ast.AsyncFunctionDef
    lengths = [
        (node.name, length_of(node)) for node in ast.walk(tree) if isinstance(node, functions)
    ]
    assert [entry for entry in lengths if entry[1] > MOST_LINES_OF_A_FUNCTION] == []


def test_few_modules_stand_at_the_root():
    assert len(list(PACKAGE.glob("*.py"))) <= MOST_MODULES_AT_THE_ROOT


def names_in(package):
    """The names that a folder's `__init__` imports, defines or lists, but for its own modules."""
    for node in ast.walk(ast.parse(FILES[package].read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom):
            for alias in node.names:
                name = alias.asname or alias.name
                if f"{node.module}.{alias.name}" != f"{package}.{name}":
                    yield name
        elif isinstance(node, ast.FunctionDef | ast.ClassDef):
            yield node.name
        elif isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            yield from set(ast.literal_eval(node.value)) - {"util"}  # which is a module


@pytest.mark.parametrize("package", [name for name in FILES if FILES[name].stem == "__init__"])
def test_no_name_of_a_folder_hides_a_module(package):
    """Where both have one name, `import folder.name` gives whichever was bound last."""
    modules = {name.rpartition(".")[2] for name in FILES if name.rpartition(".")[0] == package}
    assert modules & set(names_in(package)) == set()


def test_every_folder_says_what_it_holds_and_in_which_order():
    """Its files are named in its docstring, each in a line of its own that says more."""
    for path in PACKAGE.glob("*/__init__.py"):
        docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8")))
        files = {file.stem for file in path.parent.glob("*.py")} - {"__init__"}
        unnamed = {name for name in files if name not in docstring}
        assert unnamed == set(), path
