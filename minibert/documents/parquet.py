"""Parquet -> records, documents: one from each row, with pyarrow. Start at rows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import BinaryIO

from minibert.common.advice import needing
from minibert.documents.document import Document, Fields, Maker, Record

__all__ = ["count_rows", "parquet_records", "read_parquet"]

BATCH_ROWS = 1024  # held in memory at a time


def read_parquet(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read one document from each row of a Parquet file, which must not be a pipe.

    Raises MissingLibraryError without pyarrow, ValueError for a broken file or a missing column.
    """
    make = Maker(fields)
    yield from map(make.document, rows(stream, name, make.names))


def parquet_records(stream: BinaryIO, name: str) -> Iterator[Record]:
    """Read all columns of each row of a Parquet file. Raises as `read_parquet` does."""
    return rows(stream, name, all_names)


def all_names(columns: list[str], name: str) -> list[str]:
    """Names of all columns of a file. Raises ValueError for one that is there twice."""
    twice = next((one for one in columns if columns.count(one) > 1), None)
    if twice is not None:
        raise ValueError(f"{name} has two columns {twice!r}; expected one.")
    return columns


def rows(
    stream: BinaryIO, name: str, names: Callable[[list[str], str], list[str]]
) -> Iterator[Record]:
    """Read the columns that `names` takes from a file's columns, row after row."""
    with needing("pyarrow", f"{name}: reading Parquet", "parquet"):
        import pyarrow
        import pyarrow.parquet
    if not stream.seekable():
        raise ValueError(f"{name}: Parquet is read from its end; give a file, not a pipe.")
    number = 0
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        columns = names(file.schema_arrow.names, name)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield Record(row, f"{name}, row {number}")
    except pyarrow.ArrowException as error:
        raise ValueError(f"{name} is no Parquet file that can be read: {error}.") from error


def count_rows(path: str) -> int | None:
    """Count the rows of a Parquet file by its metadata; None if that fails."""
    try:
        import pyarrow.parquet

        return int(pyarrow.parquet.read_metadata(path).num_rows)
    except (ImportError, ValueError, OSError):
        return None  # reading the file will raise the error
