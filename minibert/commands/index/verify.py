"""minibert index verify: a corpus -> a line for each fault in it."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.options import add_corpus
from minibert.commands.output import print_json, say

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_corpus(command)


def verify(options: argparse.Namespace) -> None:
    """minibert index verify: print each fault of the corpus. Raises CorpusError for any."""
    from minibert.corpus.verifying import verify
    from minibert.errors import CorpusError

    wrong = []
    for sentence in verify(options.folder):
        wrong.append(sentence)
        if not options.json:
            say(sentence)
    if options.json:
        print_json({"folder": options.folder, "wrong": wrong})
    if wrong:
        raise CorpusError(
            f"{options.folder}: {len(wrong)} fault{'' if len(wrong) == 1 else 's'} found."
        )
    if not options.json:
        say(f"{options.folder}: every byte is as it was written")


COMMAND = Command(
    verify,
    add_options,
    "Read every byte of a corpus, and print each fault.",
    (
        "minibert index verify my-corpus",
        "minibert index verify my-corpus --json",
    ),
)
