"""Fields of documents: values -> codes, and the values back. Start at Column.

Each value of a field is kept once, and the values stand in order: null, false and true, numbers,
texts. A code is a value's place in this order. So the values that a condition asks for are a range
of codes, which a binary search finds without reading the others. No files are known here.
"""

from __future__ import annotations

import json
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minibert.common.arrays import IntArray
from minibert.documents import Scalar
from minibert.errors import CorpusError

__all__ = [
    "FLAGS",
    "KINDS",
    "NUMBERS",
    "TEXTS",
    "Column",
    "check_kinds",
    "coded_fields",
    "json_of",
    "kind_of",
    "order_of",
]

KINDS = ("null", "true or false", "numbers", "texts")  # in the order of the values
NULL, FLAGS, NUMBERS, TEXTS = range(len(KINDS))

Values = Sequence[Scalar]  # of one document, in the order of the corpus's fields


class Column:
    """One field of a shard's documents. Its length is the number of its different values."""

    codes: NDArray[np.int32]  # of the documents' values: (n,)

    def __init__(
        self, codes: NDArray[np.int32], content: NDArray[np.uint8], ends: IntArray, place: str
    ) -> None:
        """Take codes (n,), the bytes of a shard's values, and the ends of this field's values.

        `ends` begins with the end of the value before: (m + 1,). `place` is the file of the values,
        for messages.
        """
        self.codes = codes
        self._content = content
        self._ends = ends
        self._place = place

    def __len__(self) -> int:
        return len(self._ends) - 1

    def value(self, code: int) -> Scalar:
        """Read the value of a code. Raises CorpusError for bytes that are no value."""
        try:
            content = self._content[self._ends[code] : self._ends[code + 1]].tobytes().decode()
            value: Scalar = json.loads(content)
            kind_of(value)
        except (ValueError, RecursionError, TypeError) as error:
            raise CorpusError(f"{self._place} was damaged: {error}.") from error
        return value

    @property
    def kind(self) -> int:
        """Kind of the values, a place in KINDS; that of null if there is no other value."""
        return kind_of(self.value(len(self) - 1)) if len(self) else NULL

    def range_of(self, value: Scalar) -> tuple[int, int]:
        """Return the first code of the values that are equal to `value`, and the end of them."""
        key = order_of(value)
        codes = range(len(self))
        first = bisect_left(codes, key, key=self._order)
        return first, bisect_right(codes, key, first, key=self._order)

    def range_of_kind(self, kind: int) -> tuple[int, int]:
        """Return the first code of the values of a kind, and the end of them."""
        codes = range(len(self))
        first = bisect_left(codes, (kind,), key=self._order)
        return first, bisect_left(codes, (kind + 1,), first, key=self._order)

    def _order(self, code: int) -> tuple[Any, ...]:
        return order_of(self.value(code))


def coded_fields(rows: Sequence[Values]) -> tuple[NDArray[np.int32], list[bytes]]:
    """Code the values of documents: n rows of F values -> codes (F, n), and values as JSON.

    The values of the first field stand first, then those of the second, and so on. The codes of a
    field go from 0 to its number of different values, so they tell where the next field begins.
    """
    codes, values = [], []
    for column in zip(*rows, strict=True):
        texts = [json_of(value) for value in column]
        different = dict(zip(texts, column, strict=True))
        # Two of equal order, as 1 and 1.0, are told apart by their JSON.
        ordered = sorted(different, key=lambda text: (*order_of(different[text]), text))
        places = {text: place for place, text in enumerate(ordered)}
        codes.append([places[text] for text in texts])
        values += [text.encode() for text in ordered]
    return np.array(codes, dtype=np.int32).reshape(len(codes), len(rows)), values


def kind_of(value: object) -> int:
    """Return the kind of a value, a place in KINDS. Raises TypeError for no value of a field."""
    if value is None:
        return NULL
    if isinstance(value, bool):
        return FLAGS
    if isinstance(value, int | float):
        return NUMBERS
    if isinstance(value, str):
        return TEXTS
    raise TypeError(f"{value!r:.60} is no value of a field")


def order_of(value: Scalar) -> tuple[Any, ...]:
    """Return a key that sorts values: by kind, then numbers by size and texts by code points."""
    return kind_of(value), 0 if value is None else value


def json_of(value: Scalar | Values) -> str:
    """Write a value, or those of a document, as JSON: the same value gives the same text."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def check_kinds(kinds: dict[str, int], names: Sequence[str], values: Values, origin: str) -> None:
    """Raise ValueError for a value of another kind than the values of its field before it.

    `kinds`, by the names of the fields, is completed.
    """
    for name, value in zip(names, values, strict=True):
        kind = kind_of(value)
        if kind and kind != kinds.setdefault(name, kind):
            hint = ""
            if {kind, kinds[name]} == {NUMBERS, TEXTS}:
                hint = (
                    f" `--fields {name}:number` of `minibert index build`, in Python `numbers` of "
                    "Fields, reads texts as numbers."
                )
            raise ValueError(
                f"{origin}: the field {name!r} is {value!r:.60}, and has {KINDS[kinds[name]]} in "
                f"the corpus. Give all of a field's values one kind, or null.{hint}"
            )
