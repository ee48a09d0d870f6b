"""Options, documents and model of the commands that encode further documents: add and replace."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from minibert.commands.opening import load_for_corpus
from minibert.commands.options import add_corpus_and_files, add_corpus_model, add_model_options
from minibert.commands.texts import documents_for_corpus
from minibert.documents import Document
from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["add_options", "documents_and_model"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_corpus_model(command)
    add_corpus_and_files(command)
    command.add_argument("--fields", type=refused, help=argparse.SUPPRESS)


def refused(fields: str) -> None:
    """Refuse --fields, which `minibert index build` has, for argparse."""
    raise argparse.ArgumentTypeError(
        "the fields are those that the corpus was built with; leave the option out"
    )


def documents_and_model(
    options: argparse.Namespace,
) -> tuple[Iterator[Document], SentenceTransformer]:
    """Open the documents of the files, and the model of the corpus with its settings."""
    from minibert.corpus.manifest import read_manifest

    documents = documents_for_corpus(options)
    settings = read_manifest(Path(options.folder)).settings
    options.reproducible = options.reproducible or settings.reproducible
    options.revision = options.revision or settings.revision
    return documents, load_for_corpus(options, settings)
