"""What users see: its names, read out of the source without importing it."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import minibert

PACKAGE = Path(minibert.__file__).parent
ROOT = PACKAGE.parent
DOCUMENTED = re.compile(r"^::: (minibert[\w.]*)$", re.MULTILINE)


class Found(NamedTuple):
    """A class or a function of the package, where it is defined."""

    path: Path
    name: str
    node: ast.ClassDef | ast.FunctionDef


def is_public(name):
    return not name.startswith("_")


def tree_of(path, trees={}):  # noqa: B006  # each file is parsed once
    if path not in trees:
        trees[path] = ast.parse(path.read_text(encoding="utf-8"))
    return trees[path]


def lines_of(path, lines={}):  # noqa: B006  # each file is read once
    if path not in lines:
        lines[path] = path.read_text(encoding="utf-8").splitlines()
    return lines[path]


def path_of(module):
    """The file of a module of ours; None if this is no module."""
    place = ROOT.joinpath(*module.split("."))
    return next((p for p in (place.with_suffix(".py"), place / "__init__.py") if p.is_file()), None)


def names_in(module):
    """`__all__` of a module, or nothing."""
    for node in tree_of(path_of(module)).body:
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) == "__all__":
            return ast.literal_eval(node.value)
    return []


def defined(module, name):
    """Where a name of a module is defined: all its definitions, of an overload several."""
    tree = tree_of(path_of(module))
    nodes = [node for node in tree.body if getattr(node, "name", None) == name]
    if nodes:
        return [Found(path_of(module), name, node) for node in nodes]
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("minibert"):
            for alias in node.names:
                if (alias.asname or alias.name) == name:
                    return [] if path_of(f"{node.module}.{name}") else defined(
                        node.module, alias.name
                    )  # fmt: skip
    return []  # a constant or a module


def public_names():
    """(module, name) of all that is exported by the root and the folders, or in the reference."""
    modules = ["minibert", "minibert.util", "minibert.errors"]
    modules += [f"minibert.{path.parent.name}" for path in PACKAGE.glob("*/__init__.py")]
    found = {(module, name) for module in modules for name in names_in(module)}
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        for name in DOCUMENTED.findall(page.read_text(encoding="utf-8")):
            module, _, last = name.rpartition(".")
            if not path_of(name):
                found.add((module, last))
            else:
                found |= {(name, inside) for inside in names_in(name)}
    return sorted(found)


def classes_of_the_package():
    return {
        node.name: Found(path, node.name, node)
        for path in sorted(PACKAGE.rglob("*.py"))
        for node in tree_of(path).body
        if isinstance(node, ast.ClassDef)
    }


def public_functions(found):
    """The public functions of a definition: itself, or its methods and its constructor."""
    if isinstance(found.node, ast.FunctionDef):
        return [found]
    return [
        Found(found.path, f"{found.name}.{node.name}", node)
        for node in found.node.body
        if isinstance(node, ast.FunctionDef)
        and (is_public(node.name) or node.name in ("__init__", "__call__", "__getitem__"))
    ]


def public_definitions():
    """Every public class and function: those named, their parents, and what they return."""
    classes = classes_of_the_package()
    queue = [found for module, name in public_names() for found in defined(module, name)]
    seen = []
    while queue:
        found = queue.pop()
        if found in seen:
            continue
        seen.append(found)
        named = [ast.unparse(base) for base in getattr(found.node, "bases", [])]
        named += [ast.unparse(f.node.returns) for f in public_functions(found) if f.node.returns]
        for name in {word for text in named for word in re.findall(r"\b[A-Za-z]\w+", text)}:
            if name in classes:
                queue.append(classes[name])
    return sorted(seen, key=lambda found: (found.path, found.node.lineno))


DEFINITIONS = public_definitions()


def has_comment(path, line):
    """Whether a comment stands on a line, or alone on the one before."""
    lines = lines_of(path)
    return "  # " in lines[line - 1] or lines[line - 2].lstrip().startswith("# ")


def anys_of(found):
    """The lines of a function's signature that have an Any without a reason."""
    arguments = found.node.args
    every = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    every += [given for given in (arguments.vararg, arguments.kwarg) if given]
    annotations = [given.annotation for given in every if given.annotation]
    for annotation in (*annotations, *([found.node.returns] if found.node.returns else [])):
        for node in ast.walk(annotation):
            is_any = isinstance(node, ast.Name) and node.id == "Any"
            if is_any and not has_comment(found.path, node.lineno):
                yield f"{found.path.relative_to(ROOT)}:{node.lineno} {found.name}"


def test_the_walk_finds_functions_methods_parents_and_results():
    names = {function.name for found in DEFINITIONS for function in public_functions(found)}
    assert {"dot_score", "SentenceTransformer.encode", "Model.to", "Explanation.by_word"} <= names
    assert {"Trace", "Tokens", "Hit", "BertOutput"} <= {found.name for found in DEFINITIONS}


def test_no_signature_has_any_without_a_reason_beside_it():
    functions = [function for found in DEFINITIONS for function in public_functions(found)]
    assert [line for function in functions for line in anys_of(function)] == []
