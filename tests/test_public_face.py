"""What users see: its names, read out of the source without importing it."""

import ast
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from package_sources import PACKAGE, source_of, tree_of

ROOT = PACKAGE.parent
DOCUMENTED = re.compile(r"^::: (minibert[\w.]*)$", re.MULTILINE)


class Found(NamedTuple):
    """A class or a function of the package, where it is defined."""

    path: Path
    name: str
    node: ast.ClassDef | ast.FunctionDef


def is_public(name):
    return not name.startswith("_")


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
    """Whether a comment for people stands on a line, or alone on the one before."""
    lines = source_of(path).splitlines()
    beside, above = lines[line - 1].rpartition("  # "), lines[line - 2].strip()
    comment = beside[2] if beside[1] else above.removeprefix("# ") if above[:2] == "# " else ""
    return bool(comment) and not comment.startswith(("type:", "noqa", "fmt:", "pragma:"))


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


def field_comments():
    """The function by which the site takes a comment for a field's documentation."""
    names: dict[str, object] = {}
    nodes = [  # griffe is installed for the site alone
        node
        for node in tree_of(ROOT / "tools" / "field_comments.py").body
        if not isinstance(node, ast.ClassDef) and ast.unparse(node) != "import griffe"
    ]
    exec(compile(ast.Module(nodes, []), "field_comments.py", "exec"), names)
    return names["comment_of"]


comment_of = field_comments()


def own_attributes(found):
    """(name, line, documented) of a class's public fields, constants and attributes of self."""
    lines, body = source_of(found.path).splitlines(), found.node.body
    for node, following in zip(body, [*body[1:], None], strict=True):
        targets = getattr(node, "targets", [getattr(node, "target", None)])
        if isinstance(node, ast.Assign | ast.AnnAssign) and isinstance(targets[0], ast.Name):
            described = isinstance(following, ast.Expr) and isinstance(
                following.value, ast.Constant
            )
            comment = comment_of(lines, node.lineno)
            # Of an alias the method is documented.
            alias = isinstance(node, ast.Assign) and isinstance(
                node.value, ast.Name | ast.Attribute
            )
            yield targets[0].id, node.lineno, described or bool(comment) or alias
    for function in (node for node in body if isinstance(node, ast.FunctionDef)):
        for node in ast.walk(function):
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            for target in targets if isinstance(node, ast.Assign | ast.AnnAssign) else []:
                for part in getattr(target, "elts", [target]):
                    if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self":
                        yield part.attr, node.lineno, bool(comment_of(lines, node.lineno))


def set_by_constructor(found):
    """The names of the attributes that `__init__` sets."""
    return {
        part.attr
        for function in found.node.body
        if isinstance(function, ast.FunctionDef) and function.name == "__init__"
        for node in ast.walk(function)
        if isinstance(node, ast.Assign)
        for target in node.targets
        for part in getattr(target, "elts", [target])
        if isinstance(part, ast.Attribute) and ast.unparse(part.value) == "self"
    }


def undocumented(found, inherited):
    """What is public of a class and has no text: "Class.name" with its place."""
    # What a constructor sets hides the text of a parent's attribute on the site.
    documented, places = set(inherited) - set_by_constructor(found), {}
    for function in (node for node in found.node.body if isinstance(node, ast.FunctionDef)):
        overload = any(
            ast.unparse(d).endswith(("overload", "setter")) for d in function.decorator_list
        )
        if ast.get_docstring(function):
            documented.add(function.name)
        elif not overload:
            places.setdefault(function.name, function.lineno)
    for name, line, is_documented in own_attributes(found):
        if is_documented:
            documented.add(name)
        else:
            places.setdefault(name, line)
    for name, line in places.items():
        if is_public(name) and name not in documented:
            yield f"{found.path.relative_to(ROOT)}:{line} {found.name}.{name}"


def documented_names(found, classes):
    """The names that the parents of a class have documented."""
    names = set()
    for base in found.node.bases:
        parent = classes.get(ast.unparse(base))
        if parent:
            names |= documented_names(parent, classes)
            names |= {name for name, _, is_documented in own_attributes(parent) if is_documented}
            names |= {
                node.name
                for node in parent.node.body
                if isinstance(node, ast.FunctionDef) and ast.get_docstring(node)
            }
    return names


def test_every_public_attribute_of_a_public_class_is_documented():
    classes = classes_of_the_package()
    # A Protocol says what others bring.
    kinds = [
        found
        for found in DEFINITIONS
        if isinstance(found.node, ast.ClassDef)
        and "Protocol" not in map(ast.unparse, found.node.bases)
    ]
    missing = [
        place for kind in kinds for place in undocumented(kind, documented_names(kind, classes))
    ]
    assert missing == []


def test_every_public_class_and_function_has_a_docstring():
    texts = {found.name: False for found in DEFINITIONS}
    for found in DEFINITIONS:  # of overloads the last has it
        texts[found.name] |= ast.get_docstring(found.node) is not None
    assert [name for name, is_documented in texts.items() if not is_documented] == []


def listed_arguments(function):
    """The names of the list under "Args:" in a docstring, which the site shows as a table."""
    _, _, after = (ast.get_docstring(function) or "").partition("\nArgs:\n")
    return re.findall(r"^    (\w+): ", after.partition("\n\n")[0], re.MULTILINE)


TABLES = [
    ("minibert.models.sentence_transformer", "SentenceTransformer", "__init__"),
    ("minibert.models.sentence_transformer", "SentenceTransformer", "encode"),
    ("minibert.models.sentence_names", "SentenceNames", "fit"),
    ("minibert.models.reference_names", "ReferenceNames", "push_to_hub"),
    ("minibert.training.loop", "fit", "fit"),
    ("minibert.training.hard_negatives", "mine_hard_negatives", "mine_hard_negatives"),
    ("minibert.models.cross_encoder", "CrossEncoder", "__init__"),
    ("minibert.corpus.building", "build", "build"),
    ("minibert.corpus.search", "Index", "search"),
]


@pytest.mark.parametrize(("module", "name", "function"), TABLES)
def test_a_list_of_arguments_has_all_of_the_signature(module, name, function):
    (definition,) = defined(module, name)
    *_, node = [
        node
        for node in ast.walk(definition.node)
        if isinstance(node, ast.FunctionDef) and node.name == function
    ]
    arguments = [given.arg for given in (*node.args.args, *node.args.kwonlyargs)]
    assert listed_arguments(node) == [given for given in arguments if given != "self"]


# Their arguments have the order that sentence-transformers, transformers and torch have, or, of
# pictures, the order in which they are drawn.
IN_ORDER = {
    *("SentenceTransformer.__init__", "SentenceTransformer.encode"),
    "SentenceTransformer.encode_query",
    *("SentenceTransformer.encode_document", "CrossEncoder.__init__", "CrossEncoder.predict"),
    *("CrossEncoder.rank", "BertModel.__call__", "quantize_embeddings", "semantic_search"),
    *("InputExample.__init__", "RetrievalEvaluator.__call__", "SentenceNames.fit"),
    *("CachedMultipleNegativesRankingLoss.__init__", "CoSENTLoss.__init__"),
    *("ContrastiveLoss.__init__", "CosineSimilarityLoss.__init__", "MatryoshkaLoss.__init__"),
    *("MultipleNegativesRankingLoss.__init__", "MultipleNegativesSymmetricRankingLoss.__init__"),
    *("TripletLoss.__init__", "DataLoader.__init__"),
    *("community_detection", "paraphrase_mining", "paraphrase_mining_embeddings"),
    *("mine_hard_negatives", "maxsim", "maxsim_pairwise", "mean_maxsim", "mean_maxsim_pairwise"),
    "semantic_search_usearch",
    *("is_sentence_transformer_model", "load_dir_path", "load_file_path"),
    *("Tokenizer.pad", "Tokenizer.tokenize", "Tokenizer.decode", "Tokenizer.batch_decode"),
    *("BatchEncoding.char_to_token", "BatchEncoding.char_to_word"),
    *("BatchEncoding.word_to_tokens", "BatchEncoding.word_to_chars"),
    *("TextEmbedding.__init__", "TextEmbedding.embed"),  # fastembed's
    # LangChain's, LlamaIndex's and Haystack's
    *("MinibertReranker.compress_documents", "MinibertEmbedding.similarity", "MinibertRanker.run"),
    *("ReferenceNames.save", "ReferenceNames.save_pretrained"),
    *("ReferenceNames.push_to_hub", "ReferenceNames.save_to_hub"),
    "SentenceNames.encode_multi_process",
    *(
        f"{kind}Evaluator.{method}"
        for method in ("__init__", "__call__")
        for kind in (
            *("BinaryClassification", "CrossEncoderCorrelation", "CrossEncoderNanoBEIR"),
            *("CrossEncoderReranking", "EmbeddingSimilarity", "InformationRetrieval", "MSE"),
            *("NanoBEIR", "ParaphraseMining", "Reranking", "Translation", "Triplet"),
        )
    ),
    *("CrossEncoderClassificationEvaluator.__call__", "MSEEvaluatorFromDataFrame.__call__"),
    *("MSEEvaluatorFromDataFrame.__init__", "SentenceEvaluator.__call__"),
    *("SentenceEvaluator.store_metrics_in_model_card_data", "SequentialEvaluator.__call__"),
    *("InformationRetrievalEvaluator.compute_all_metrics", "SentenceEvaluator.embed_inputs"),
    *("attention_svg", "curves_svg", "matrix_svg"),
}


def test_an_optional_argument_after_two_is_given_by_name():
    found = set()
    for function in (f for d in DEFINITIONS for f in public_functions(d)):
        arguments = function.node.args
        given = [a.arg for a in (*arguments.posonlyargs, *arguments.args)]
        needed = len(given) - len(arguments.defaults)
        if len(given) > max(2 + (given[:1] in (["self"], ["cls"])), needed):
            found.add(function.name)
    assert found - IN_ORDER == set()
    assert not IN_ORDER - found
