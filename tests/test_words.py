"""The package says the field's word for a thing, and not another: docs/architecture.md has them."""

import ast
import io
import re
import tokenize
from collections import defaultdict
from functools import cache
from pathlib import Path
from typing import NamedTuple

import pytest

PACKAGE = Path(__file__).parents[1] / "minibert"
SOURCES = {
    path.relative_to(PACKAGE).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(PACKAGE.rglob("*.py"))
}
EVERYWHERE = ("",)
COMPUTING = ("kernels/", "bert/", "pooling/", "models/")
FOLDERS = {path.parent.name + "/" for path in PACKAGE.glob("*/__init__.py")}
# Pictures have a width; models, attention and its pictures have heads.
WITHOUT_PICTURES = tuple(sorted(FOLDERS - {"pictures/"}))
WITHOUT_HEADS = tuple(sorted(FOLDERS - {"kernels/", "bert/", "models/", "pictures/"}))


class Row(NamedTuple):
    """A thing, its word, and the parts of identifiers that must not name it."""

    say: str
    not_: str  # a pattern of one part of an identifier: of `near_runs`, "near" or "runs"
    where: tuple[str, ...] = EVERYWHERE  # the folders that the thing is met in
    prose: str = ""  # a pattern that no comment and no docstring there may have
    other_things: tuple[str, ...] = ()  # identifiers in which the word names another thing


ROWS = [
    Row("tokenizer, word_embeddings or word_ids", "words", ("tokens/", *COMPUTING),
        r"\bword table\b", ("between_words", "is_split_into_words")),
    Row("tokens, blocks or chunks", "pieces?", EVERYWHERE, r"(?<!sentence)(?<!word)\bpieces?\b",
        ("WordPiece", "word_piece", "word_piece_model")),
    Row("tensor parallel, shard, rank, all-reduce", "shares?|together|meetings?", COMPUTING,
        r"\bshares\b|\bmeetings?\b|\b(a|its|of the|the) share\b"),
    Row("bucket", "runs?", COMPUTING, r"\b(a|the|each|any|one) run\b|\bruns of\b",
        ("run", "run_ranks")),
    Row("epilogue", "then", EVERYWHERE, r"`then`"),
    Row("rotary_angles, apply_rotary, sliding_window_mask, residual",
        "turns?|beside|every|near", COMPUTING, r"`(turns|beside|every|near)`",
        ("in_turn", "near_buckets")),
    Row("attention_bias", "relativebias", EVERYWHERE, r"\brelative[ _]bias"),
    Row("hook", "watch(ed|er)?|shown", COMPUTING, r"\bwatch(es|ed|er)?\b"),
    Row("to_device, to_host, to_host_async", "put|take", COMPUTING,
        r"\b(put|take)_\w+|begin_to_take", ("take", "take_or_zeros", "_take_prompts")),
    Row("query_rows or pooled token", "chosen|reads", EVERYWHERE, r"`(chosen|reads)`"),
    Row("outputs", "made", EVERYWHERE, r"`made`", ("connection_made",)),
    # In quotes it is the key on disk.
    Row("truncation", "cuts?", EVERYWHERE, r"(?<!\")\bcuts?\b(?!\")"),
    Row("top_k or k", "best|most|depth", EVERYWHERE, r"`(best|most|depth)`",
        ("best_record", "best_score", "best_step", "is_best", "save_best_model", "save_best")),
    Row("top_k or k", "count", ("scoring/nearest", "scoring/top_k", "scoring/mining", "explain/"),
        other_things=("candidate_count",)),
    Row("dimension", "width|ndim", WITHOUT_PICTURES, r"\bwidths?\b"),
    Row("allowed or excluded", "among|but", EVERYWHERE, r"`(among|but)`"),
    Row("prefix", "heads?", WITHOUT_HEADS, r"`heads?`"),
]  # fmt: skip


@cache
def identifiers_of(source):
    """The names that a module gives: functions, classes, arguments, variables, attributes."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
        elif isinstance(node, ast.alias) and node.asname:
            found.add(node.asname)
    return found


@cache
def parts_of(identifier):
    """The words of an identifier, in small letters, and all of them together."""
    words = re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+(?![a-z])", identifier)
    return {word.lower() for word in words} | {"".join(words).lower()}


@cache
def prose_of(source):
    """The comments, docstrings and messages of a module."""
    tokens = tokenize.generate_tokens(io.StringIO(source).readline)
    found = [token.string for token in tokens if token.type == tokenize.COMMENT]
    for node in ast.walk(ast.parse(source)):
        is_text = isinstance(node, ast.Constant) and isinstance(node.value, str)
        if is_text and " " in node.value:  # a docstring, a message or a part of one, no key
            found.append(node.value)
    return found


def faults(row, sources):
    """What in the sources a row forbids: file -> identifiers and pieces of prose."""
    found = defaultdict(set)
    for file, source in sources.items():
        if not file.startswith(row.where):
            continue
        for name in identifiers_of(source):
            if any(re.fullmatch(row.not_, part) for part in parts_of(name)):
                found[file] |= {name} - set(row.other_things)
        for text in prose_of(source) if row.prose else ():
            found[file] |= {match.group() for match in re.finditer(row.prose, text)}
    return {file: sorted(names) for file, names in found.items() if names}


@pytest.mark.parametrize("row", ROWS, ids=[row.say for row in ROWS])
def test_a_thing_has_the_field_s_word(row):
    assert faults(row, SOURCES) == {}


def test_a_forbidden_word_is_found_in_names_and_in_prose():
    row = Row("bucket", "runs?", ("bert/",), r"\ba run\b", ("run_ranks",))
    source = "def near_runs(Run, x):\n    # a run\n    x.run, run_ranks = 1, 2\n"
    assert faults(row, {"bert/a.py": source, "corpus/a.py": source}) == {
        "bert/a.py": ["Run", "a run", "near_runs", "run"]
    }


# How docstrings begin: with a verb, or with the noun of the result.
QUESTIONS = {"What", "Who", "Where", "How", "Which", "Whether"}
MAX_ARTICLES = 100


def first_words():
    """The first word of each docstring: file, name, word."""
    for file, source in SOURCES.items():
        for node in ast.walk(ast.parse(source)):
            is_documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
            if is_documented and (docstring := ast.get_docstring(node)):
                yield file, getattr(node, "name", ""), docstring.split()[0]


def test_docstrings_begin_with_a_verb_or_a_noun():
    asked = [place for place in first_words() if place[2] in QUESTIONS]
    assert asked == []
    assert sum(word == "The" for *_, word in first_words()) <= MAX_ARTICLES


def test_prose_has_no_riddles():
    """Words that a reader whose first language is another has to look up."""
    texts = {file: " ".join(prose_of(source)) for file, source in SOURCES.items()}
    riddles = re.compile(r"\b(said aloud|lest|whoever)\b", re.IGNORECASE)
    assert {file for file, text in texts.items() if riddles.search(text)} == set()
