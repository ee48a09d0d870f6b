"""minibert search: questions -> the nearest documents of a corpus on disk."""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from itertools import islice
from typing import TYPE_CHECKING

import numpy as np

from minibert.commands.command import Command
from minibert.commands.conditions import add_where, where_of
from minibert.commands.opening import corpus_model, load_cross_encoder
from minibert.commands.options import (
    add_built_corpus,
    add_corpus_model,
    add_input_format,
    add_model_options,
    add_texts,
    add_top_k,
    positive,
)
from minibert.commands.output import output, print_json, say
from minibert.commands.texts import is_typed, names_of, read_ids, read_texts

if TYPE_CHECKING:
    from minibert.corpus.search import Hit, Index

__all__ = ["COMMAND"]

DEFAULT_K = 10
CHUNK_QUERIES = 1024  # questions that are read and answered at a time
SHOWN = 100  # characters of a text in the table


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_built_corpus(command)
    add_texts(
        command,
        "QUESTION",
        "a question",
        "read a question from each line, or from each record of JSONL (as BEIR's "
        "queries.jsonl), CSV, TSV or Parquet, gzipped or not; - is standard input, which is read "
        "if there is no QUESTION and no FILE",
    )
    add_input_format(command, "--input-format")
    add_top_k(command, None, "find the N nearest documents of each question (default 10, or all)")
    add_corpus_model(command)
    command.add_argument(
        "--ids", metavar="FILE", help="search only the documents whose ids are lines of FILE"
    )
    add_where(command)
    command.add_argument(
        "--rescore",
        type=positive,
        metavar="N",
        help="in a binary corpus, find N times as many documents by Hamming distance, and score "
        "only these",
    )
    command.add_argument(
        "--rerank",
        metavar="MODEL",
        help="score the first documents of each question again with this cross-encoder",
    )
    command.add_argument(
        "--candidates",
        type=positive,
        default=100,
        metavar="N",
        help="with --rerank: score the first N documents of each question (default 100)",
    )
    command.add_argument(
        "--approximate",
        action="store_true",
        help="search the graph of `minibert index graph`: quick, but it may miss some documents",
    )
    command.add_argument("--allow-empty", action="store_true", help="answer an empty question, too")
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object for each question, with its documents",
    )
    form.add_argument(
        "--run",
        dest="run_file",
        metavar="FILE",
        help="write the documents as a TREC run; - is standard output",
    )


def search(options: argparse.Namespace) -> None:
    """minibert search: print or write the nearest documents of each question."""
    from minibert.corpus.search import Index

    if options.ids == "-" and "-" in names_of(options):  # the second would find nothing there
        raise ValueError("Questions and --ids are both read from standard input. Give a file.")
    ids = None if options.ids is None else read_ids([], [options.ids])
    queries = read_queries(options)
    index = Index(
        options.folder,
        corpus_model(options),
        threads=options.threads,
        approximate=options.approximate,
    )
    where = where_of(options.where, index.corpus.kinds()) if options.where else None
    allowed = index.allowed(ids=ids, where=where)
    there = len(index) if allowed is None else len(allowed)
    k = options.top_k or max(1, min(DEFAULT_K, there))
    rerank = load_cross_encoder(options.rerank, options)

    def answers() -> Iterator[tuple[str, str, list[Hit]]]:
        """Yield the id, the text and the hits of each question."""
        # A question that is typed is answered at once.
        at_a_time = 1 if is_typed(names_of(options)) else CHUNK_QUERIES
        while chunk := list(islice(queries, at_a_time)):
            found = index.search(
                [text for _, text in chunk],
                k,
                ids=ids,
                where=where,
                rescore=options.rescore,
                rerank=rerank,
                candidates=options.candidates,
                allow_empty=options.allow_empty,
            )
            for (id, text), hits in zip(chunk, found, strict=True):
                yield id, text, hits

    if options.run_file:
        write_answers(options.run_file, answers())
        return
    for id, text, hits in answers():
        show(options, index, id, text, hits)


COMMAND = Command(
    search,
    add_options,
    "Find the documents of a corpus that are nearest to a question, or to each of many.",
    (
        'minibert search my-corpus "How many people live in London?"',
        "minibert search my-corpus --file queries.jsonl -k 100 --run run.trec",
        "minibert search my-corpus \"Who barks?\" --where lang=de --where 'year>=2000'",
        'minibert search my-corpus "Who barks?" --rerank cross-encoder/ms-marco-MiniLM-L6-v2',
    ),
)


def write_answers(name: str, answers: Iterator[tuple[str, str, list[Hit]]]) -> None:
    """Write the hits of all questions as a TREC run."""
    from minibert.evaluation import Ranking, write_run

    rankings = (
        (id, Ranking([hit.id for hit in hits], np.array([hit.score for hit in hits])))
        for id, _, hits in answers
    )
    with output(name) as run:
        for _ in write_run(rankings, run):
            pass


def show(options: argparse.Namespace, index: Index, id: str, text: str, hits: list[Hit]) -> None:
    """Print the hits of one question, as JSON or as a table."""
    if options.json:
        print_json(
            {
                "id": id,
                "query": text,
                "prompt": index.prompt,
                "hits": [hit.as_dict() for hit in hits],
            }
        )
    else:
        say(text)
        for hit in hits:
            # As --where takes them: true, not Python's True.
            kept = [
                f"{name}={value if isinstance(value, str) else json.dumps(value)}"
                for name, value in hit.fields.items()
                if value is not None
            ]
            described = "  ".join(map(beginning, [*kept, hit.text or ""]))
            say(f"{hit.rank:4} {hit.score:10.4f}  {hit.id}  {described}")


def beginning(text: str) -> str:
    """Shorten a text to one line, with an ellipsis for the rest."""
    line = " ".join(text.split())
    return line if len(line) <= SHOWN else f"{line[: SHOWN - 1].rstrip()}…"


def read_queries(options: argparse.Namespace) -> Iterator[tuple[str, str]]:
    """Read questions with their ids, or numbers from 1 for those without."""
    numbered = enumerate(read_texts(options), start=1)
    return ((str(number) if one.id is None else one.id, one.text) for number, one in numbered)
