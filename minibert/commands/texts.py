"""The texts that a command is given: its arguments, or a text a line of files."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from collections.abc import Iterator

from minibert.reading import lines_of

__all__ = ["is_typed", "read_texts", "read_whole", "warn_of_file"]


def read_texts(options: argparse.Namespace) -> Iterator[str]:
    """The texts of the arguments, then a text a line of each file."""
    for text in options.texts:
        warn_of_file(text)
        yield text
    for name in options.file or ([] if options.texts else ["-"]):
        if name == "-":
            is_typed([name])
        yield from lines_in(name)


def read_whole(name: str) -> str:
    """All of a file, or of standard input for "-", as one text."""
    if name == "-" and sys.stdin.isatty():
        logging.getLogger(__name__).warning("reading what is typed here; Ctrl-D ends the text.")
    return "\n".join(lines_in(name))


def lines_in(name: str) -> Iterator[str]:
    """The lines of a file, or of standard input for "-"."""
    if name == "-":
        yield from lines_of(sys.stdin.buffer, "standard input")
    else:
        with open(name, "rb") as file:
            yield from lines_of(file, name)


def warn_of_file(text: str) -> None:
    """Say so if a text is the name of a file, which whoever typed it may have meant."""
    if os.path.exists(text):
        logging.getLogger(__name__).warning(
            "%r is taken as a text; for the file of that name, use --file.", text
        )


def is_typed(names: list[str]) -> bool:
    """Whether standard input is read, and is a terminal; then that is said, lest it look stuck."""
    typed = "-" in names and sys.stdin.isatty()
    if typed:
        logging.getLogger(__name__).warning("reading what is typed here, a line each; Ctrl-D ends.")
    return typed
