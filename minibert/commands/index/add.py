"""minibert index add: the documents of files -> a corpus that exists."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from minibert.commands.command import Command
from minibert.commands.index.report import report, reporting
from minibert.commands.opening import load_for_corpus
from minibert.commands.options import add_corpus_and_files, add_corpus_model, add_model_options
from minibert.commands.texts import documents_for_corpus
from minibert.documents import Document
from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["COMMAND", "add_options", "given"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_corpus_model(command)
    add_corpus_and_files(command)


def add_documents(options: argparse.Namespace) -> None:
    """minibert index add: add the documents, and print the facts of the corpus."""
    from minibert.corpus.building import add

    documents, model = given(options)
    with reporting(options) as advance:
        written = add(options.folder, documents, model, on_long=options.on_long, advance=advance)
    report(options, *written)


def given(options: argparse.Namespace) -> tuple[Iterator[Document], SentenceTransformer]:
    """Open the documents and the model of the corpus, for a command that encodes more documents."""
    from minibert.corpus.manifest import read_manifest

    documents = documents_for_corpus(options)
    settings = read_manifest(Path(options.folder)).settings
    options.reproducible = options.reproducible or settings.reproducible
    options.revision = options.revision or settings.revision
    return documents, load_for_corpus(options, settings)


COMMAND = Command(
    add_documents,
    add_options,
    "Add the documents of files to a corpus, by the model and the settings that built it.",
    (
        "minibert index add my-corpus more.jsonl",
        "minibert index add my-corpus - --format jsonl < more.jsonl",
    ),
)
