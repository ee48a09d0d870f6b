"""What imports what: the layers of docs/architecture.md, and what may load at import."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import minibert

PACKAGE = Path(minibert.__file__).parent
FILES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__"): path
    for path in PACKAGE.rglob("*.py")
}

MAY_IMPORT = {
    "arrays": "",
    "errors": "",
    "escapes": "",
    "extras": "errors",
    "files": "",
    "progress": "",
    "activations": "arrays",
    "kernels": "arrays packing",
    "kernels_cupy": "arrays packing",
    "packing": "arrays",
    "quantization": "arrays",
    "formats": "arrays escapes",
    "json_files": "errors",
    "arguments": "json_files",
    "tokens": "arrays errors",
    "parameters": "arrays",
    "families": "arrays errors json_files parameters",
    "supported": "families",
    "rotary": "activations arrays bert packing parameters",
    "finite": "arrays errors tensors",
    "forward": "arrays bert errors families packing parameters rotary",
    "bert": "activations arrays packing parameters",
    "pooling": "activations arrays packing",
    "scores": "arrays kernels",
    "best": "arrays",
    "stack": "arrays",
    "ranking": "activations arguments arrays best json_files scores stack",
    "hamming": "arrays best stack",
    "metrics": "errors scores",
    "mining": "arguments arrays progress ranking scores stack",
    "modules": "activations errors json_files pooling",
    "folder": "errors json_files modules",
    "shell": "",
    "hub": "errors json_files modules progress shell",
    "tensors": "arrays errors json_files shell",
    "tokenizer_classes": "errors json_files shell",
    "conversion_plan": "errors json_files",
    "converting": "conversion_plan errors files hub json_files shell",
    "unpickling": "",
    "vocabulary": "errors json_files modules tokenizer_classes tokens",
    "checkpoint": "activations arrays errors families json_files parameters tensors",
    "devices": "arrays errors extras json_files kernels packing parameters",
    "shares": "arrays bert devices families forward packing parameters",
    "transformer": "arrays bert checkpoint devices errors families finite forward json_files "
    "modules packing parameters pooling shares tensors tokens vocabulary",
    "model_output": "arrays",
    "padded": "arguments arrays bert checkpoint devices errors families finite forward hub "
    "json_files model_output modules packing parameters shares tensors tokenizer_classes tokens "
    "vocabulary",
    "pipeline": "arrays bert errors folder modules pooling tensors",
    "vectors": "arrays bert finite packing padded pipeline pooling tokens transformer",
    "processes": "arguments devices",
    "saving": "files folder json_files modules tensors",
    "model": "errors tokens",
    "cross_encoder": "activations arguments arrays bert checkpoint errors families folder hub "
    "json_files kernels model packing pooling progress tokens transformer",
    "masked_lm": "activations arguments arrays bert best checkpoint errors hub kernels modules "
    "packing tokens transformer",
    "encoder": "arguments arrays metrics model progress quantization scores tokens",
    "trace": "arrays parameters tokens vectors",
    "explain": "arrays kernels pipeline pooling scores tokens",
    "nearest": "arguments best devices scores",
    "pictures.terminal": "escapes explain",
    "util": "mining quantization ranking scores",
    "__init__": "encoder errors quantization ranking scores",
    "reading": "arguments extras",
    "fingerprint": "",
    "manifest": "errors files",
    "shards": "arrays errors files formats",
    "corpus": "arguments arrays errors fingerprint manifest quantization shards stack",
    "writing": "arrays corpus errors files manifest quantization reading shards tokens",
    "indexing": "arguments corpus errors files fingerprint formats manifest reading tokens writing",
    "verifying": "approximate arrays corpus errors manifest shards",
    "collection": "arrays escapes reading",
    "measures": "arrays",
    "evaluation": "arrays best collection measures progress scores",
    "search": "arguments arrays corpus errors hamming quantization ranking tokens",
    "approximate": "arrays errors extras files ranking",
    "pictures": "",
    "pictures.colours": "",
    "pictures.svg": "pictures.colours",
    "pictures.page": "escapes pictures.colours",
    "pictures.grid": "arrays pictures.svg",
    "pictures.matrix": "pictures.svg",
    "pictures.heat_map": "arrays explain pictures.grid pictures.svg",
    "pictures.attention": "arrays pictures.grid trace",
    "pictures.shaded_words": "arrays explain pictures.svg",
    "pictures.xray": "arrays nearest pictures.attention",
    "pictures.explanation_page": "arrays explain pictures.heat_map pictures.page pictures.svg "
    "pictures.xray",
    "pictures.projection": "arrays extras stack",
    "pictures.corpus_map": "arguments arrays corpus errors kernels pictures.projection stack",
    "pictures.map_page": "arrays pictures.corpus_map pictures.page pictures.projection",
    "commands": "",
    "commands.options": "__init__ devices encoder progress reading",
    "commands.texts": "reading",
    "commands.output": "errors escapes files",
    "commands.embed": "commands.options commands.output commands.texts formats progress reading",
    "commands.score": "commands.options commands.output commands.texts encoder",
    "commands.explain": "commands.options commands.output commands.texts escapes",
    "commands.info": "commands.options commands.output parameters",
    "commands.convert": "commands.options commands.output",
    "commands.index": "commands.graph commands.info commands.options commands.output "
    "commands.texts escapes progress",
    "commands.graph": "commands.options commands.search progress",
    "commands.search": "commands.options commands.output commands.texts",
    "commands.map": "commands.options commands.output commands.search escapes progress",
    "commands.demo": "commands.options commands.output commands.score",
    "commands.evaluate": "collection commands.options commands.output escapes evaluation",
    "cli": "__init__ commands.convert commands.demo commands.embed commands.evaluate "
    "commands.explain commands.index commands.info commands.map commands.options commands.score "
    "commands.search errors escapes",
    "__main__": "cli",
    "integrations": "",
    "integrations.mteb": "__init__ extras",
    "integrations.arrow": "__init__ extras",
    "integrations.ray": "extras integrations.arrow",
    "integrations.spark": "extras integrations.arrow",
}
# What runs, what holds nothing, and what needs a library that is not there.
NOT_IMPORTED = [
    "__main__",
    "commands",
    "pictures",
    "integrations",
    "integrations.mteb",
    "integrations.ray",
    "integrations.spark",
    "kernels_cupy",
    "unpickling",
]
# Imported inside a function: CuPy's kernels need CuPy, the transformers-shaped view is an answer to
# whoever asks model[0] for it, and importing the class should not wait for what opens a model.
LATE = {
    "devices": "kernels_cupy",
    "stack": "devices",
    "transformer": "padded",
    "model": "devices processes",
    "encoder": "explain folder hub padded pipeline saving trace transformer vectors",
    "__init__": "converting corpus cross_encoder masked_lm padded util",
    "fingerprint": "hub saving",
    "writing": "devices",
    "indexing": "hub",
    "commands.options": "corpus",
    "commands.convert": "converting",
    "commands.explain": "explain pictures.explanation_page pictures.heat_map pictures.terminal "
    "scores",
    "commands.index": "corpus errors indexing manifest reading verifying",
    "search": "approximate encoder",
    "commands.info": "supported",
    "approximate": "devices writing",
    "commands.graph": "approximate search",
    "commands.search": "collection cross_encoder manifest search",
    "pictures.projection": "devices",
    "commands.map": "corpus pictures.corpus_map pictures.map_page search",
}
# What a type needs is not imported when the program runs.
FOR_TYPES = {
    "pictures.xray": "encoder tokens",
    "pictures.explanation_page": "encoder",
    "transformer": "padded",
    "model": "folder padded processes transformer",
    "cross_encoder": "processes",
    "encoder": "explain modules pipeline processes trace transformer",
    "explain": "encoder trace",
    "nearest": "encoder",
    "fingerprint": "encoder",
    "corpus": "encoder",
    "indexing": "encoder",
    "writing": "encoder",
    "commands.options": "manifest",
    "commands.explain": "encoder explain",
    "commands.index": "manifest reading",
    "search": "approximate cross_encoder encoder",
    "approximate": "search",
    "commands.search": "search",
    "pictures.corpus_map": "search",
    "commands.map": "corpus pictures.corpus_map",
    "__init__": "converting corpus cross_encoder masked_lm padded util",
}


def imports_of(module):
    """The modules of minibert that a module imports: at its top, in functions, and for types."""
    tree = ast.parse(FILES[module].read_text(encoding="utf-8"))
    top, late, typed = set(), set(), set()
    for_types = {
        node
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in block.body
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "minibert":
            package = node.module.partition(".")[2]
            inside = [f"{package}.{alias.name}".lstrip(".") for alias in node.names]
            names = [name if name in FILES else package or "__init__" for name in inside]
            (top if node in tree.body else typed if node in for_types else late).update(names)
    return top, late, typed


def test_every_module_stands_in_the_table():
    assert set(FILES) == set(MAY_IMPORT)


@pytest.mark.parametrize("module", MAY_IMPORT)
def test_modules_import_only_what_the_table_allows(module):
    top, late, typed = imports_of(module)
    assert top <= set(MAY_IMPORT[module].split())
    assert late <= set(LATE.get(module, "").split())
    assert typed <= set(FOR_TYPES.get(module, "").split())


def test_the_table_has_no_cycle():
    left = {module: set(allowed.split()) for module, allowed in MAY_IMPORT.items()}
    while left:
        ready = [module for module, needs in left.items() if not needs & left.keys()]
        assert ready, f"a cycle among {sorted(left)}"
        for module in ready:
            del left[module]


@pytest.mark.parametrize(
    "statement", ["import minibert", "from minibert import SentenceTransformer, dot_score"]
)
def test_importing_loads_only_the_standard_library_and_numpy(statement):
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
    assert heads - set(sys.stdlib_module_names) == {"minibert", "numpy"}


def test_everything_in_all_is_there_and_documented():
    assert sorted(minibert.__all__) == minibert.__all__
    for name in minibert.__all__:
        assert getattr(minibert, name).__doc__, name
    assert set(minibert.__all__) <= set(dir(minibert))


@pytest.mark.parametrize("module", [m for m in MAY_IMPORT if m not in NOT_IMPORTED])
def test_every_name_in_every_all_exists(module):
    name = "minibert" if module == "__init__" else f"minibert.{module}"
    loaded = __import__(name, fromlist=["__all__"])
    assert all(hasattr(loaded, public) for public in loaded.__all__)


def test_no_module_can_run_code_from_a_file():
    forbidden = {"pickle", "marshal", "importlib", "shelve", "joblib"}
    for path in FILES.values():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Import):
                assert not forbidden & {alias.name.split(".")[0] for alias in node.names}, path
            elif isinstance(node, ast.ImportFrom):
                assert (node.module or "").split(".")[0] not in forbidden, path
            elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile", "__import__"}, path
