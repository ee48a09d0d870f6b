"""One base class for all errors of the package, and the tree in the docstring of errors.py."""

import ast
import builtins
import copy
import errno
import importlib
import pickle
import re

import pytest
from package_sources import PACKAGE, tree_of

import minibert
from minibert import MinibertError, errors

# It runs in a Python without minibert, and tells its errors as JSON.
RUNS_ALONE = PACKAGE / "checkpoint" / "unpickling.py"
# NAME (PARENT)  a sentence, at the end of a branch of the tree
BRANCH = re.compile(r"^    (?:[├└]── )?(\w+) \((\w+)\)", re.MULTILINE)


def named_parents(node):
    """The names of a class's parents, as they stand in the source."""
    return [ast.unparse(base).rpartition(".")[2] for base in node.bases]


def is_error(name, classes):
    """Whether a class of this name is an exception: a builtin one, or one of the classes."""
    known = getattr(builtins, name, None)
    if isinstance(known, type):
        return issubclass(known, BaseException)
    return any(is_error(parent, classes) for parent in classes.get(name, []))


def exception_classes():
    """Every exception class of the package's source: (its module's name, its own, its parents)."""
    found = {
        (path, node.name): named_parents(node)
        for path in sorted(PACKAGE.rglob("*.py"))
        if path != RUNS_ALONE
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ClassDef)
    }
    parents = {name: bases for (_, name), bases in found.items()}
    for (path, name), bases in found.items():
        if is_error(name, parents):
            parts = path.relative_to(PACKAGE.parent).with_suffix("").parts
            yield ".".join(parts).removesuffix(".__init__"), name, bases


def tree():
    """The tree of the docstring: an error -> the builtin one in brackets."""
    return dict(BRANCH.findall(errors.__doc__))


CLASSES = list(exception_classes())
NAMES = [name for _, name, _ in CLASSES]


def test_the_walk_finds_public_and_private_errors():
    assert {"MinibertError", "CheckpointError", "NoSumError", "StoppedError"} <= set(NAMES)


@pytest.mark.parametrize(("module", "name", "parents"), CLASSES, ids=NAMES)
def test_an_error_derives_from_minibert_error_first(module, name, parents):
    if name != "MinibertError":
        assert parents[0] == "MinibertError", f"{module}.{name}"
        assert issubclass(getattr(importlib.import_module(module), name), MinibertError)


def test_the_docstring_s_tree_has_every_error_and_its_parent():
    drawn = {}
    for _, name, parents in CLASSES:
        others = [parent for parent in parents if parent != "MinibertError"]
        drawn[name] = others[0] if others else "Exception"
    assert tree() == drawn


def test_the_branches_of_the_tree_are_sorted():
    root, *branches = tree()
    assert root == "MinibertError"
    assert branches == sorted(branches)


def test_errors_of_the_errors_module_are_exported_at_the_top():
    here = [name for module, name, _ in CLASSES if module == "minibert.errors"]
    assert sorted(here) == errors.__all__
    assert set(here) <= set(minibert.__all__)
    assert all(getattr(minibert, name) is getattr(errors, name) for name in here)


def test_the_tree_names_the_folder_of_every_other_error():
    from minibert import explain

    named = dict(re.findall(r"(\w+Error) \(\w+\) +of (minibert\.\w+):", errors.__doc__))
    elsewhere = {name: module for module, name, _ in CLASSES if module != "minibert.errors"}
    assert set(named) == set(elsewhere)
    assert all(elsewhere[name].startswith(folder) for name, folder in named.items())
    assert "NoSumError" in explain.__all__


@pytest.mark.parametrize("name", errors.__all__)
def test_an_error_is_copied_and_pickled_with_its_message(name):
    error = getattr(minibert, name)("x.json: no")
    for again in (pickle.loads(pickle.dumps(error)), copy.copy(error)):
        assert type(again) is type(error)
        assert str(again) == "x.json: no"


def test_an_error_is_caught_as_its_builtin_parent_too():
    for name, parent in tree().items():
        if name in errors.__all__:
            with pytest.raises(getattr(builtins, parent)):
                raise getattr(minibert, name)("no")


def test_an_os_error_of_ours_keeps_its_number_and_its_file():
    error = minibert.OutputError(errno.ENOSPC, "full", "out.npy")
    assert (error.errno, error.filename) == (errno.ENOSPC, "out.npy")


def test_an_import_error_of_ours_keeps_the_library_s_name():
    assert minibert.MissingLibraryError("no", name="usearch").name == "usearch"
