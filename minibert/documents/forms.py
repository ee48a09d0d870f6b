"""The forms of files: a row each, by which a command names it and a suffix finds it.

A new form is a function, in a file of its own, and a row of FORMS. Start at Form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from minibert.documents.document import Document, Fields
from minibert.documents.jsonl import read_jsonl
from minibert.documents.lines import count_lines
from minibert.documents.parquet import count_rows, read_parquet
from minibert.documents.sources import STDIN, suffix_of
from minibert.documents.tables import read_csv, read_quoted_tsv, read_tsv
from minibert.documents.text import read_text

__all__ = ["FORMS", "Form", "form_by_suffix", "form_of"]


@dataclass(frozen=True)
class Form:
    """A form of files: its reader, and all that is asked of it elsewhere."""

    read: Callable[[BinaryIO, str, Fields], Iterator[Document]]  # of a file, and its name
    suffixes: tuple[str, ...] = ()  # of the files that are read so unless told otherwise
    count: Callable[[str], int | None] | None = None  # the documents of a path, if soon told
    may_be_gzipped: bool = True  # so that .gz behind its suffix is unpacked
    note: str = ""  # for --help, where the name alone does not say it


FORMS: dict[str, Form] = {
    "text": Form(read_text, ("", ".txt"), count_lines, note="a document a line"),
    "jsonl": Form(read_jsonl, (".jsonl", ".ndjson"), count_lines),
    "csv": Form(read_csv, (".csv",)),
    "tsv": Form(read_tsv, (".tsv",), note="no quotes"),
    "tsv-quoted": Form(read_quoted_tsv),
    "parquet": Form(read_parquet, (".parquet",), count_rows, may_be_gzipped=False),
}


def form_of(path: str) -> str:
    """The form that a file's name tells. Raises ValueError if it tells none."""
    form = "text" if path == STDIN else form_by_suffix(path)
    if form is None:
        raise ValueError(
            f"{path!r} tells no format by its suffix. Give --input-format: {', '.join(FORMS)}."
        )
    return form


def form_by_suffix(path: str) -> str | None:
    """The form of a file's suffix; None for one that no form has."""
    suffix = suffix_of(path)
    return next((name for name, form in FORMS.items() if suffix in form.suffixes), None)
