"""The texts that a command is given: its arguments, and the documents of its files."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Iterable, Iterator
from itertools import chain

from minibert.documents import (
    Document,
    Fields,
    form_by_suffix,
    lines_in,
    read_documents,
    standard_input,
)

__all__ = [
    "documents_in",
    "fields_of",
    "is_typed",
    "names_of",
    "read_ids",
    "read_texts",
    "read_whole",
    "warn_of_file",
]


def read_texts(options: argparse.Namespace) -> Iterator[Document]:
    """The texts of the arguments, then the documents of each file.

    Without either, those of standard input. Raises FileNotFoundError at once for a file that is
    not there.
    """
    files = names_of(options)
    return chain(arguments_of(options.texts), documents_in(files, options) if files else ())


def names_of(options: argparse.Namespace) -> list[str]:
    """The files that texts are read from."""
    return options.file or ([] if options.texts else ["-"])


def arguments_of(texts: Iterable[str]) -> Iterator[Document]:
    """Texts as they were typed."""
    for number, text in enumerate(texts, start=1):
        warn_of_file(text)
        yield Document(None, text, f"argument {number}")


def documents_in(files: list[str], options: argparse.Namespace) -> Iterator[Document]:
    """The documents of files, by the options of add_input_format."""
    documents = read_documents(files, options.input_format, fields_of(options))
    return telling(files, documents)


def telling(files: list[str], documents: Iterator[Document]) -> Iterator[Document]:
    """Documents, and before the first a word if they are typed."""
    tell_if_typed(files)
    yield from documents


def fields_of(options: argparse.Namespace) -> Fields:
    """Which fields the options name."""
    return Fields(options.id_field, tuple(options.text_field))


def read_ids(ids: Iterable[str], files: list[str]) -> list[str]:
    """Ids as they were given, and those of files, one a line but for blank lines; each once."""
    for name in files:
        refuse_records(name, "ids are read from a text file, one a line")
    tell_if_typed(files)
    lines = (line for name in files for line in lines_in(name) if line.strip())
    return list(dict.fromkeys(chain(ids, lines)))


def read_whole(name: str) -> str:
    """All of a file, gzipped or not, or of standard input for "-", as one text."""
    refuse_records(name, "all of a text file is read here, as one text")
    if name == "-" and is_terminal():
        logging.getLogger(__name__).warning("reading what is typed here; Ctrl-D ends the text.")
    return "\n".join(lines_in(name))


def refuse_records(name: str, expected: str) -> None:
    """Raise ValueError for a file whose name says that it holds records and no plain text."""
    form = form_by_suffix(name) or "text"
    if form != "text":
        raise ValueError(f"{name!r} holds {form} by its name; {expected}.")


def warn_of_file(text: str) -> None:
    """Say so if a text is the name of a file, which may have been meant."""
    if os.path.exists(text):
        logging.getLogger(__name__).warning(
            "%r is taken as a text; for the file of that name, use --file.", text
        )


def is_typed(names: list[str]) -> bool:
    """Whether standard input is read, and is a terminal."""
    return "-" in names and is_terminal()


def tell_if_typed(names: list[str]) -> None:
    """Say that what is typed is read, so that the command does not look stuck."""
    if is_typed(names):
        logging.getLogger(__name__).warning("reading what is typed here, a line each; Ctrl-D ends.")


def is_terminal() -> bool:
    """Whether standard input is a terminal. Raises FileNotFoundError if it is closed."""
    return standard_input().isatty()
