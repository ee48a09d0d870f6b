"""The forms of files: a row each. Start at FORMS."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from minibert.documents.document import Document, Fields
from minibert.documents.jsonl import read_jsonl
from minibert.documents.parquet import read_parquet
from minibert.documents.sources import STDIN, suffix_of
from minibert.documents.tables import read_csv, read_quoted_tsv, read_tsv
from minibert.documents.text import read_text

__all__ = ["FORMS", "SUFFIXES", "form_of"]

# A form's name -> what reads it.
FORMS: dict[str, Callable[[BinaryIO, str, Fields], Iterator[Document]]] = {
    "text": read_text,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "tsv-quoted": read_quoted_tsv,
    "parquet": read_parquet,
}
SUFFIXES = {
    "": "text",
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


def form_of(path: str) -> str:
    """The form that a file's name tells. Raises ValueError if it tells none."""
    if path == STDIN:
        return "text"
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path!r} tells no format by its suffix. Give --input-format: {', '.join(FORMS)}."
        )
    return SUFFIXES[suffix]
