"""minibert map: a corpus on disk -> a page that shows its documents on a plane."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from minibert.commands.command import Command
from minibert.commands.opening import corpus_model
from minibert.commands.options import (
    add_built_corpus,
    add_corpus_model,
    add_model_options,
    add_output,
    positive,
    shows_progress,
)
from minibert.commands.output import output
from minibert.common.escapes import json_line
from minibert.common.progress import progress

if TYPE_CHECKING:
    from minibert.corpus.corpus import Corpus
    from minibert.pictures.corpus_map import Question

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_built_corpus(command)
    add_output(command)
    command.add_argument(
        "--method",
        type=method,
        default="pca",
        metavar="NAME",
        help="pca, the principal components of all vectors, or umap, which lays out those that are "
        "drawn and needs the extra umap (default pca)",
    )
    command.add_argument(
        "--points",
        type=positive,
        default=5000,
        metavar="N",
        help="draw a random sample of N documents if there are more (default 5000)",
    )
    command.add_argument(
        "--query", metavar="TEXT", help="mark a question, and the documents nearest to it"
    )
    add_corpus_model(command)
    command.add_argument(
        "--json", action="store_true", help="write one JSON object with all places, no page"
    )


def draw(options: argparse.Namespace) -> None:
    """minibert map: write the map of a corpus as a page, or as a JSON object."""
    from minibert.pictures.corpus_map import corpus_map
    from minibert.pictures.map_page import map_page

    corpus, question = opened(options)
    with progress(len(corpus), shows_progress(options), "vector") as advance:
        shown = corpus_map(
            corpus, options.method, points=options.points, question=question, advance=advance
        )
    content = json_line(shown.as_dict()) + "\n" if options.json else map_page(shown)
    with output(options.output) as file:
        file.write(content.encode())


COMMAND = Command(
    draw,
    add_options,
    "Draw a corpus as a map: an HTML page that needs no network, with its texts and a search.",
    (
        "minibert map my-corpus -o map.html",
        'minibert map my-corpus -o map.html --query "How many people live in London?"',
        "minibert map my-corpus --json",
    ),
)


def method(name: str) -> str:
    """Return the name of a method, for argparse."""
    from minibert.pictures.projection import METHODS

    if name not in METHODS:
        raise argparse.ArgumentTypeError(f"{name!r} is none of {', '.join(METHODS)}")
    return name


def opened(options: argparse.Namespace) -> tuple[Corpus, Question | None]:
    """Return the corpus, and the question with its vector; without one, no model is opened."""
    if options.query is None:
        from minibert.corpus.corpus import Corpus

        return Corpus(options.folder), None
    from minibert.corpus.search import Index
    from minibert.pictures.corpus_map import ask

    index = Index(options.folder, corpus_model(options), threads=options.threads)
    return index.corpus, ask(index, options.query)
