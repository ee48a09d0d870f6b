"""Plain text -> documents: one from each line. Start at read_text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from minibert.documents.document import Document, Fields
from minibert.documents.lines import lines_of

__all__ = ["read_text"]


def read_text(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read one document from each line, also an empty one. Raises ValueError for named fields."""
    if fields != Fields():
        raise ValueError(f"{name}: text has no fields; name them for jsonl, csv, tsv or parquet.")
    for number, line in enumerate(lines_of(stream, name), start=1):
        yield Document(None, line, f"{name}, line {number}")
