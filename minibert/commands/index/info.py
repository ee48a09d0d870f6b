"""minibert index info: a corpus -> its facts."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.index.report import facts_of
from minibert.commands.options import add_corpus
from minibert.commands.output import print_facts

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_corpus(command)


def info(options: argparse.Namespace) -> None:
    """minibert index info: print the facts of the corpus."""
    from minibert.corpus.corpus import Corpus

    print_facts(facts_of(Corpus(options.folder).manifest), options.json)


COMMAND = Command(
    info,
    add_options,
    "Print the facts of a corpus: its model, settings and counts.",
    (
        "minibert index info my-corpus",
        "minibert index info my-corpus --json",
    ),
)
