"""Parquet -> documents: one from each row, with pyarrow. Start at read_parquet."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

from minibert.common.advice import needing
from minibert.documents.document import Document, Fields, Maker

__all__ = ["count_rows", "read_parquet"]

BATCH_ROWS = 1024  # held in memory at a time


def read_parquet(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read one document from each row of a Parquet file, which must not be a pipe.

    Raises MissingLibraryError without pyarrow, ValueError for a broken file or a missing column.
    """
    with needing("pyarrow", f"{name}: reading Parquet", "parquet"):
        import pyarrow
        import pyarrow.parquet
    if not stream.seekable():
        raise ValueError(f"{name}: Parquet is read from its end; give a file, not a pipe.")
    make, number = Maker(fields), 0
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        columns = make.names(file.schema_arrow.names, name)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield make.document(row, f"{name}, row {number}")
    except pyarrow.ArrowException as error:
        raise ValueError(f"{name} is no Parquet file that can be read: {error}.") from error


def count_rows(path: str) -> int | None:
    """Count the rows of a Parquet file by its metadata; None if that fails."""
    try:
        import pyarrow.parquet

        return int(pyarrow.parquet.read_metadata(path).num_rows)
    except (ImportError, ValueError, OSError):
        return None  # reading the file will raise the error
