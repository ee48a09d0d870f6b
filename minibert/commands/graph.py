"""minibert index graph: a corpus -> the graph for approximate search, beside it."""

from __future__ import annotations

import argparse
from typing import Any

from minibert.commands.options import add_command, add_corpus_model, shows_progress
from minibert.commands.search import model_of
from minibert.common.progress import progress

__all__ = ["add"]


def add(commands: Any) -> None:
    command = add_command(
        commands,
        graph,
        "Make the graph of a corpus's vectors for `minibert search --approximate`, by usearch.",
        "minibert index graph my-corpus",
    )
    command.add_argument("folder", metavar="DIR", help="made by `minibert index build`")
    add_corpus_model(command)


def graph(options: argparse.Namespace) -> None:
    """minibert index graph: make it, and tell how much it finds of what an exact search does."""
    from minibert.corpus.graph import build_graph, recall_of
    from minibert.corpus.search import Index

    index = Index(options.folder, model_of(options), threads=options.threads)
    with progress(len(index.corpus), shows_progress(options), "vector") as advance:
        made = build_graph(index.corpus, index.vectors, advance, threads=index.threads)
    recall = recall_of(made, threads=index.threads)
    print(f"recall@10 {recall:.4f}, of vectors of the corpus against exact search")
