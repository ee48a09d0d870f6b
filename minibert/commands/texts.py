"""Options -> the texts of a command: its arguments, and the documents of its files."""

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
    "documents_for_corpus",
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
    """Read the texts of the arguments, then the documents of each file.

    Without either, read standard input. Raises FileNotFoundError at once for a file that does not
    exist.
    """
    files = names_of(options)
    return chain(arguments_of(options.texts), documents_in(files, options) if files else ())


def names_of(options: argparse.Namespace) -> list[str]:
    """Return the files to read texts from; "-", standard input, without texts and files."""
    return options.file or ([] if options.texts else ["-"])


def arguments_of(texts: Iterable[str]) -> Iterator[Document]:
    """Yield texts of the command line as documents."""
    for number, text in enumerate(texts, start=1):
        warn_of_file(text)
        yield Document(None, text, f"argument {number}")


def documents_in(
    files: list[str],
    options: argparse.Namespace,
    kept: Fields | None = None,
) -> Iterator[Document]:
    """Read the documents of files, by the options of add_input_format.

    `kept` names the fields to keep beside the text, and their kinds.
    """
    id, text, *_ = fields_of(options)
    fields = (kept or Fields())._replace(id=id, text=text)
    return telling(files, read_documents(files, options.input_format, fields=fields))


def documents_for_corpus(options: argparse.Namespace) -> Iterator[Document]:
    """Read the documents of the files of `add_corpus_and_files`, with the corpus's fields.

    Texts are read as numbers, or as true or false, where the corpus has these.
    """
    from minibert.corpus.corpus import Corpus  # late: it loads what other commands do not need

    return documents_in(options.files or ["-"], options, Corpus(options.folder).record_fields())


def telling(files: list[str], documents: Iterator[Document]) -> Iterator[Document]:
    """Yield documents, after a message if they are typed."""
    tell_if_typed(files)
    yield from documents


def fields_of(options: argparse.Namespace) -> Fields:
    """Return the fields that the options name."""
    return Fields(options.id_field, tuple(options.text_field))


def read_ids(ids: Iterable[str], files: list[str]) -> list[str]:
    """Return ids as given, and those of files, one on each line that is not blank; each once."""
    for name in files:
        refuse_records(name, "expected a text file with one id on each line")
    tell_if_typed(files)
    lines = (line for name in files for line in lines_in(name) if line.strip())
    return list(dict.fromkeys(chain(ids, lines)))


def read_whole(name: str) -> str:
    """Read all of a file, gzipped or not, or of standard input for "-", as one text."""
    refuse_records(name, "expected a text file, which is read as one text")
    if name == "-" and is_terminal():
        logging.getLogger(__name__).warning("reading what you type; Ctrl-D ends the text.")
    return "\n".join(lines_in(name))


def refuse_records(name: str, expected: str) -> None:
    """Raise ValueError for a file that by its name holds records and no plain text."""
    form = form_by_suffix(name) or "text"
    if form != "text":
        raise ValueError(f"{name!r} holds {form} by its name; {expected}.")


def warn_of_file(text: str) -> None:
    """Warn of a text that is also the name of a file, which may be meant."""
    if os.path.exists(text):
        logging.getLogger(__name__).warning(
            "%r is taken as a text; to read the file of that name, use --file.", text
        )


def is_typed(names: list[str]) -> bool:
    """Return whether standard input is read, and is a terminal."""
    return "-" in names and is_terminal()


def tell_if_typed(names: list[str]) -> None:
    """Log that typed lines are read, so that the command does not look stuck."""
    if is_typed(names):
        logging.getLogger(__name__).warning("reading what you type, line by line; Ctrl-D ends.")


def is_terminal() -> bool:
    """Return whether standard input is a terminal. Raises FileNotFoundError if it is closed."""
    return standard_input().isatty()
