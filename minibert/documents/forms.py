"""Forms of files: a table with a row each, found by its name or by a suffix.

A new form is a function, in a file of its own, and a row of FORMS. Start at Form.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import BinaryIO

from minibert.documents.document import Document, Fields, Record
from minibert.documents.jsonl import jsonl_records, read_jsonl
from minibert.documents.lines import count_lines
from minibert.documents.parquet import count_rows, parquet_records, read_parquet
from minibert.documents.sources import STDIN, suffix_of
from minibert.documents.tables import (
    csv_records,
    quoted_tsv_records,
    read_csv,
    read_quoted_tsv,
    read_tsv,
    tsv_records,
)
from minibert.documents.text import read_text

__all__ = ["FORMS", "Form", "form_by_suffix", "form_of"]


@dataclass(frozen=True)
class Form:
    """A form of files: its reader and its properties."""

    # (file, its name, fields) -> documents
    read: Callable[[BinaryIO, str, Fields], Iterator[Document]]
    suffixes: tuple[str, ...] = ()  # of the files that are read in this form by default
    count: Callable[[str], int | None] | None = None  # counts the documents of a path, if quickly
    may_be_gzipped: bool = True  # a file with .gz behind its suffix is then unpacked
    note: str = ""  # for --help, if the name alone does not say enough
    # (file, its name) -> records, in a form with named fields
    records: Callable[[BinaryIO, str], Iterator[Record]] | None = None


# Name of a form, as --input-format takes it -> its row.
FORMS: dict[str, Form] = {
    "text": Form(read_text, ("", ".txt"), count_lines, note="one document on each line"),
    "jsonl": Form(read_jsonl, (".jsonl", ".ndjson"), count_lines, records=jsonl_records),
    "csv": Form(read_csv, (".csv",), records=csv_records),
    "tsv": Form(read_tsv, (".tsv",), note="no quotes", records=tsv_records),
    "tsv-quoted": Form(read_quoted_tsv, records=quoted_tsv_records),
    "parquet": Form(
        read_parquet, (".parquet",), count_rows, may_be_gzipped=False, records=parquet_records
    ),
}


def form_of(path: str) -> str:
    """Find the form of a file by its name. Raises ValueError for an unknown suffix."""
    form = "text" if path == STDIN else form_by_suffix(path)
    if form is None:
        raise ValueError(
            f"{path!r} has no suffix of a known format. Give --input-format: {', '.join(FORMS)}."
        )
    return form


def form_by_suffix(path: str) -> str | None:
    """Find the form of a file by its suffix; None for an unknown one."""
    suffix = suffix_of(path)
    return next((name for name, form in FORMS.items() if suffix in form.suffixes), None)
