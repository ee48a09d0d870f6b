"""What imports what: the layers of docs/architecture.md, and what may load at import."""

import ast
import json
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest
from package_sources import PACKAGE, tree_of

import minibert

FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}

# A folder imports itself, `errors`, and only folders that stand above it.
FOLDERS = [
    "common",
    "documents",
    "kernels",
    "tokens",
    "bert",
    "pooling",
    "scoring",
    "explain",
    "checkpoint",
    "training",
    "models",
    "evaluation",
    "corpus",
    "pictures",
    "server",
    "integrations",
    "commands",
]
# Of ours, what imports the package's own public names.
IMPORT_THE_ROOT = {"integrations", "commands"}
# What runs, what needs a library or a model that is not there, and what changes later imports.
NOT_IMPORTED = {
    "__main__",
    "integrations.asgi",
    "integrations.chroma",
    "integrations.duckdb",
    "integrations.haystack",
    "integrations.lancedb",
    "integrations.langchain",
    "integrations.llama_index",
    "integrations.llm",
    "integrations.llm_model",
    "integrations.mteb",
    "integrations.ray",
    "integrations.sklearn",
    "integrations.spark",
    "integrations.stand_in.sentence_transformers",
    "integrations.topics",
    "kernels.cuda",
    "kernels.cuda_draws",
    "kernels.cuda_gradients",
    "kernels.cuda_updates",
    "checkpoint.unpickling",
}


def imported_by(path):
    """The modules of ours that a file imports, "" for the root: at its top, late and for types."""
    for node in ast.walk(tree_of(path)):
        names = []
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minibert":
            inside = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name[9:] in FILES else node.module for name in inside]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names if alias.name.split(".")[0] == "minibert"]
        yield from (name[9:] for name in names)  # without "minibert."


def room_of(module):
    """The folder of a module; what stands in none is the root, but for the errors."""
    first = module.partition(".")[0]
    return first if first in (*FOLDERS, "errors") else "the root"


def test_no_import_is_relative():
    """It would name no folder, and be seen by none of the tests of who imports whom."""
    relative = {
        name
        for name, path in FILES.items()
        for node in ast.walk(tree_of(path))
        if isinstance(node, ast.ImportFrom) and node.level
    }
    assert relative == set()


def test_every_folder_has_a_row():
    assert {path.parent.name for path in PACKAGE.glob("*/__init__.py")} == set(FOLDERS)


@pytest.mark.parametrize("folder", FOLDERS)
def test_a_folder_imports_only_those_above_it(folder):
    above = {"errors", folder, *FOLDERS[: FOLDERS.index(folder)]}
    above |= {"the root"} if folder in IMPORT_THE_ROOT else set()
    upwards = {
        (f"{folder}/{path.name}", name)
        for path in (PACKAGE / folder).rglob("*.py")
        for name in imported_by(path)
        if room_of(name) not in above
    }
    assert upwards == set()


def test_no_module_imports_in_a_circle():
    """The root is left out: its names are for users, and loaded when they are asked for."""
    graph = {
        name: {*imported_by(path)} - {name, ""}
        for name, path in FILES.items()
        if name != "__init__"
    }
    TopologicalSorter(graph).prepare()  # raises CycleError, with the circle


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        ("import minibert", {"minibert"}),
        ("from minibert import SentenceTransformer, dot_score", {"minibert", "numpy"}),
    ],
)
def test_importing_loads_only_the_standard_library_and_numpy(statement, expected):
    program = f"{statement}; import sys, json; print(json.dumps(sorted(sys.modules)))"
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    heads = {name.partition(".")[0] for name in json.loads(result.stdout)}
    # Whatever an interpreter loads before the first statement (an editable install's finder, say).
    before = subprocess.run(
        [sys.executable, "-c", "import sys, json; print(json.dumps(sorted(sys.modules)))"],
        capture_output=True,
        text=True,
        check=True,
    )
    heads -= {name.partition(".")[0] for name in json.loads(before.stdout)}
    assert heads - set(sys.stdlib_module_names) == expected


def test_everything_in_all_is_there_and_documented():
    assert sorted(minibert.__all__) == minibert.__all__
    for name in minibert.__all__:
        assert getattr(minibert, name).__doc__, name
    assert set(minibert.__all__) <= set(dir(minibert))


@pytest.mark.parametrize("module", sorted(FILES.keys() - NOT_IMPORTED))
def test_every_name_in_every_all_exists(module):
    name = "minibert" if module == "__init__" else f"minibert.{module}".removesuffix(".__init__")
    loaded = __import__(name, fromlist=["__all__"])
    assert all(hasattr(loaded, public) for public in getattr(loaded, "__all__", ()))


def test_no_module_can_run_code_from_a_file():
    for name, path in FILES.items():
        forbidden = {"pickle", "marshal", "importlib", "shelve", "joblib"}
        if name in ("__init__", "evaluation", "models", "training"):
            forbidden -= {"importlib"}  # for the literal table of lazy names
        if name.startswith("integrations.") and name.endswith("sentence_transformers"):
            forbidden -= {"importlib"}  # for a literal table of modules, and their finder
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import):
                assert not forbidden & {alias.name.split(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                if node.module != "importlib.metadata":  # it reads which version is installed
                    assert (node.module or "").split(".")[0] not in forbidden, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, path
