"""Vectors in files: a row a format. Where the files go is the caller's to say."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import BinaryIO, NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.common.escapes import json_line
from minibert.common.files import npy_chunks

__all__ = ["FORMATS", "Batch", "Format", "write_jsonl", "write_npy"]


class Batch(NamedTuple):
    """Some texts and their vectors."""

    texts: Sequence[str]
    vectors: Array  # (n, D)
    ids: Sequence[str | None] = ()  # of each text, or none at all


class Format(NamedTuple):
    """A row of FORMATS: what `minibert embed` has to know of a format."""

    write: Callable[[Iterable[Batch], BinaryIO], None]
    holds: str  # for --help
    is_text: bool = True  # so that a terminal can show it


def write_jsonl(batches: Iterable[Batch], file: BinaryIO) -> None:
    """Write {"text": ..., "vector": [...]}, one object a line, as the batches come.

    Where a text has an id, "id" stands before it.
    """
    for texts, vectors, ids in batches:
        for id, text, vector in zip(
            ids or [None] * len(texts), texts, vectors.tolist(), strict=True
        ):
            # Nine digits tell every float32 from its neighbours.
            numbers = ", ".join(f"{number:.9g}" for number in vector)
            named = "" if id is None else f'"id": {json_line(id)}, '
            file.write(f'{{{named}"text": {json_line(text)}, "vector": [{numbers}]}}\n'.encode())
        file.flush()


def write_npy(batches: Iterable[Batch], file: BinaryIO) -> None:
    """Write one matrix (n, D) in NumPy's own format; it is gathered in memory first."""
    for chunk in npy_chunks(np.concatenate([batch.vectors for batch in batches])):
        file.write(chunk)


# The name of a format, which is also its files' suffix -> the writer.
FORMATS: dict[str, Format] = {
    "jsonl": Format(write_jsonl, "a text, its id if it has one, and its vector a line"),
    "npy": Format(write_npy, "one matrix", is_text=False),
}
