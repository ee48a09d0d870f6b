"""Training data: a file or Python's rows -> examples on disk, read in any order.

    with read_examples("triples.jsonl.gz") as examples:
        batch = examples.batch(order.batch(step))   # batch.texts, batch.labels

The data is read once, as a stream, and every row is checked before training begins. Texts lie in a
temporary file without a name; memory holds one number for each example. Start at read_examples.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from array import array
from collections.abc import Iterable, Iterator, Mapping
from typing import BinaryIO, cast

import numpy as np

from minibert.common.arguments import type_of
from minibert.common.arrays import IntArray
from minibert.documents import Record, read_records
from minibert.errors import TrainingError
from minibert.training.columns import Batch, Columns, Row, batch_of_rows, values_of

__all__ = ["Data", "Examples", "read_examples"]

# A file, rows (each a dict, a tuple, or an InputExample), or columns by name.
Data = str | os.PathLike[str] | Iterable[object] | Mapping[str, Iterable[object]]

LENGTH = np.dtype("<i8")  # of a text on disk, in bytes
NUMBER = np.dtype("<f8")  # of a label on disk


def read_examples(
    data: Data,
    form: str | None = None,
    *,
    folder: str | os.PathLike[str] | None = None,
    labels: bool = True,
) -> Examples:
    """Read and check all examples of training data, and keep them on disk.

    `data` is a file, an iterable of rows, or a dict of columns. A file is JSONL, CSV, TSV or
    Parquet by its suffix, or of the `form` given, as for `minibert.documents.read_records`; all but
    Parquet may be gzipped. A row is a dict by column, an InputExample, or a tuple of texts with or
    without a label behind them. Columns are found by their names (see Columns). A label is a
    number or a list of numbers; without `labels` it is left unread. `folder` holds the temporary
    file; by default it is the system's.

    Raises TrainingError, with the place of the row, for data that cannot be trained on.
    Raises FileNotFoundError for a file or a folder that is not there, MissingLibraryError for
    Parquet without pyarrow, TypeError for data that is none of these.
    """
    return Examples(records_of(data, form), folder, labels=labels)


def records_of(data: Data, form: str | None) -> Iterator[Record]:
    """Yield the rows of data by column, each with its place."""
    if isinstance(data, str | os.PathLike):
        return file_records(data, form)
    if isinstance(data, Mapping):
        return column_records(data)
    if not isinstance(data, Iterable):
        raise TypeError(
            f"data is {type_of(data)}; expected a file, an iterable of rows, or a dict of columns."
        )
    places = ((f"data[{number}]", row) for number, row in enumerate(data))
    return (Record(dict(values_of(row, origin)), origin) for origin, row in places)


def file_records(file: str | os.PathLike[str], form: str | None) -> Iterator[Record]:
    """Yield the rows of a file. Raises TrainingError for a folder, or content of another form."""
    if os.path.isdir(file):
        raise TrainingError(f"{os.fspath(file)!r} is a folder; expected a file of examples.")
    try:
        yield from read_records(file, form)
    except ValueError as error:
        raise TrainingError(str(error)) from error


def column_records(columns: Mapping[str, Iterable[object]]) -> Iterator[Record]:
    """Yield the rows of columns. Raises TrainingError if one is shorter than another."""
    for name, column in columns.items():
        if isinstance(column, str) or not isinstance(column, Iterable):
            raise TrainingError(f"data[{name!r}] is {column!r:.60}; expected a list, a row each.")
    number = 0
    try:
        for number, row in enumerate(zip(*columns.values(), strict=True)):
            yield Record(dict(zip(columns, row, strict=True)), f"row {number} of the columns")
    except ValueError as error:
        raise TrainingError(
            f"The columns {', '.join(columns):.200} differ in length: one of them ends after row "
            f"{number}. Expected equally many rows."
        ) from error


class Examples:
    """Checked examples in a temporary file, in the order of the data; a context manager.

    `len` is their number. The file has no name, and ends with the process or at `close`.
    """

    def __init__(
        self,
        records: Iterable[Record],
        folder: str | os.PathLike[str] | None = None,
        *,
        labels: bool = True,
    ) -> None:
        """Read all records into a file in `folder`. Raises as `read_examples` does."""
        self._file = cast(BinaryIO, tempfile.TemporaryFile(dir=folder))  # noqa: SIM115
        try:
            self._read(records, labels)
        except BaseException:
            self.close()
            raise

    def _read(self, records: Iterable[Record], labels: bool) -> None:
        columns, ends, end = None, array("q", [0]), 0
        digest = hashlib.sha256()
        for values, origin in records:
            if columns is None:
                columns = Columns(values, origin, has_labels=labels)
            row = columns.row(values, origin)
            content = packed(row)
            digest.update(content)
            # The place is for messages only: equal rows of another file are the same data.
            end += self._file.write(content + origin.encode("utf-8", "surrogateescape"))
            ends.append(end)
        if columns is None:
            raise TrainingError("The data has no rows; expected one for each example.")
        self._file.flush()
        digest.update(f"{len(columns.texts)} {columns.label_shape}".encode())
        self.columns = columns.texts  # names of the columns of texts, in the order of a loss
        self.label_shape = columns.label_shape  # of a label: (), (n,), or None without labels
        self.fingerprint = digest.hexdigest()  # SHA-256 of all texts and labels, in their order
        self._ends: IntArray = np.frombuffer(ends, np.int64)

    def __len__(self) -> int:
        """Return the number of examples."""
        return len(self._ends) - 1

    def __enter__(self) -> Examples:
        """Return the examples themselves."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file."""
        self.close()

    def close(self) -> None:
        """Close the temporary file, which ends with that."""
        self._file.close()

    def batch(self, numbers: Iterable[int]) -> Batch:
        """Read the examples of a batch by their numbers in the data, which count from 0."""
        rows, origins = zip(*map(self._example, numbers), strict=True)
        return batch_of_rows(rows, list(origins))

    def _example(self, number: int) -> tuple[Row, str]:
        start, end = self._ends[number : number + 2].tolist()
        self._file.seek(start)
        return unpacked(self._file.read(end - start), len(self.columns), self.label_shape)


def packed(row: Row) -> bytes:
    """Write a row as bytes: lengths of its texts, the texts in UTF-8, the numbers of its label."""
    texts = [text.encode() for text in row.texts]
    lengths = np.array([len(text) for text in texts], LENGTH)
    label = b"" if row.label is None else row.label.astype(NUMBER).tobytes()
    return b"".join([lengths.tobytes(), *texts, label])


def unpacked(content: bytes, columns: int, label_shape: tuple[int, ...] | None) -> tuple[Row, str]:
    """Read the row that `packed` wrote, and the place behind it."""
    at = columns * LENGTH.itemsize
    texts = []
    for length in np.frombuffer(content[:at], LENGTH).tolist():
        texts.append(content[at : at + length].decode())
        at += length
    label = None
    if label_shape is not None:
        start, at = at, at + int(np.prod(label_shape, dtype=int)) * NUMBER.itemsize
        label = np.frombuffer(content[start:at], NUMBER).reshape(label_shape)
    return Row(texts, label), content[at:].decode("utf-8", "surrogateescape")
