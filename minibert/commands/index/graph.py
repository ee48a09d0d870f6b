"""minibert index graph: a corpus -> the graph for approximate search, beside it."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.opening import corpus_model
from minibert.commands.options import (
    add_built_corpus,
    add_corpus_model,
    add_model_options,
    shows_progress,
)
from minibert.common.progress import progress

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_built_corpus(command)
    add_corpus_model(command)


def graph(options: argparse.Namespace) -> None:
    """minibert index graph: build the graph, and print its recall against an exact search."""
    from minibert.corpus.graph import build_graph, recall_of
    from minibert.corpus.search import Index

    index = Index(options.folder, corpus_model(options), threads=options.threads)
    with progress(len(index.corpus), shows_progress(options), "vector") as advance:
        built = build_graph(index.corpus, index.vectors, advance, threads=index.threads)
    recall = recall_of(built, threads=index.threads)
    print(f"recall@10 {recall:.4f}, of vectors of the corpus against exact search")


COMMAND = Command(
    graph,
    add_options,
    "Build the graph of a corpus for `minibert search --approximate`, with usearch.",
    ("minibert index graph my-corpus",),
)
