"""minibert index add: the documents of files -> a corpus that exists."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.index.further import add_options, documents_and_model
from minibert.commands.index.report import report, reporting

__all__ = ["COMMAND"]


def add_documents(options: argparse.Namespace) -> None:
    """minibert index add: add the documents, and print the facts of the corpus."""
    from minibert.corpus.building import add

    documents, model = documents_and_model(options)
    with reporting(options) as advance:
        written = add(options.folder, documents, model, on_long=options.on_long, advance=advance)
    report(options, *written)


COMMAND = Command(
    add_documents,
    add_options,
    "Add the documents of files to a corpus, by the model, settings and fields that built it.",
    (
        "minibert index add my-corpus more.jsonl",
        "minibert index add my-corpus - --format jsonl < more.jsonl",
    ),
)
