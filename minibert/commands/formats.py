"""Write vectors to open files: a row of FORMATS for each format."""

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

    texts: Sequence[str]  # n of them
    vectors: Array  # (n, D)
    ids: Sequence[str | None] = ()  # of each text, or of none


class Format(NamedTuple):
    """A row of FORMATS: the writer of a format, and its description."""

    write: Callable[[Iterable[Batch], BinaryIO], None]  # writes all batches to a file
    holds: str  # the content of a file, for --help
    is_text: bool = True  # whether a terminal can show it


def write_jsonl(batches: Iterable[Batch], file: BinaryIO) -> None:
    """Write {"text": ..., "vector": [...]}, one object on each line, as the batches come.

    A text with an id has "id" before it.
    """
    for texts, vectors, ids in batches:
        for id, text, vector in zip(
            ids or [None] * len(texts), texts, vectors.tolist(), strict=True
        ):
            # Nine digits tell each float32 from its neighbours.
            numbers = ", ".join(f"{number:.9g}" for number in vector)
            named = "" if id is None else f'"id": {json_line(id)}, '
            file.write(f'{{{named}"text": {json_line(text)}, "vector": [{numbers}]}}\n'.encode())
        file.flush()


def write_npy(batches: Iterable[Batch], file: BinaryIO) -> None:
    """Write one matrix (n, D) in NumPy's format, after all batches are in memory."""
    for chunk in npy_chunks(np.concatenate([batch.vectors for batch in batches])):
        file.write(chunk)


# Name of a format, which is also the suffix of its files -> its row.
FORMATS: dict[str, Format] = {
    "jsonl": Format(write_jsonl, "on each line a text, its id if it has one, and its vector"),
    "npy": Format(write_npy, "one matrix", is_text=False),
}
