"""Several matrices of vectors -> blocks of rows, for threads to work on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minibert.common.arrays import Array, IntArray

__all__ = ["Stack", "numbers_of"]

# Rows of the first block; see Stack.blocks.
FIRST_ROWS = 128


class Stack:
    """Matrices of one dimension, in memory or mapped; one numbering of rows runs through all.

    The matrices may hold codes. Then `decode` turns rows into vectors, (n, W) -> (n, D), whenever
    they are read.
    """

    matrices: list[NDArray[Any]]  # as stored, each (n, W)
    names: Sequence[str]  # of the matrices, for messages
    firsts: IntArray  # the number of each matrix's first row, then the number of all rows
    decode: Callable[[NDArray[Any]], Array] | None  # (n, W) -> (n, D); None if vectors are stored
    dimension: int  # of a vector: D

    def __init__(
        self,
        matrices: Sequence[NDArray[Any]],  # floats, or codes for `decode`
        names: Sequence[str] | None = None,
        *,
        decode: Callable[[NDArray[Any]], Array] | None = None,  # of codes of any kind
    ) -> None:
        """Take matrices (n, W) and their names in messages.

        Raises ValueError for matrices whose rows differ in length.
        """
        # Without the class memmap, a slice of which costs more than a small product.
        self.matrices = [np.asarray(matrix) for matrix in matrices]
        self.names = names or [f"matrix {number}" for number in range(len(self.matrices))]
        stored = self.matrices[0].shape[-1] if self.matrices else 0
        for name, matrix in zip(self.names, self.matrices, strict=True):
            if matrix.ndim != 2 or matrix.shape[1] != stored:
                raise ValueError(
                    f"{name} has the shape {matrix.shape}; expected (n, {stored}), as "
                    f"{self.names[0]} has it."
                )
        self.firsts = np.cumsum([0, *map(len, self.matrices)])  # and the end
        self.decode = decode
        self.dimension = self.vectors(self.matrices[0][:0]).shape[1] if self.matrices else 0

    def __len__(self) -> int:
        return int(self.firsts[-1])

    # Any: floats or codes, as stored.
    def vectors(self, stored: NDArray[Any]) -> NDArray[Any]:
        """Decode stored rows: (n, W) -> (n, D), of any dtype."""
        return stored if self.decode is None else self.decode(stored)

    def dtype(self, queries: Array) -> np.dtype[Any]:  # float32 or float64
        """Return the dtype to compute in: float64 if queries or a matrix have it, else float32."""
        wide = [matrix.dtype for matrix in self.matrices if matrix.dtype == np.float64]
        return np.result_type(queries.dtype, *wide)

    def blocks(
        self,
        rows: int,
        allowed: IntArray | None,
    ) -> Iterator[tuple[IntArray, NDArray[Any]]]:  # floats or codes, as stored
        """Yield blocks of at most `rows` rows: their numbers (n,), and the rows as stored, (n, W).

        With `allowed`, rising numbers, only these rows are yielded. The first blocks are smaller:
        nearly all of their rows are among the k nearest so far.
        """
        step = min(rows, FIRST_ROWS)
        for begin, matrix in zip(self.firsts.tolist(), self.matrices, strict=False):
            start = 0
            while start < len(matrix):
                block = matrix[start : start + step]
                first = begin + start
                numbers: IntArray = np.arange(first, first + len(block))
                if allowed is not None:
                    numbers = allowed[slice(*np.searchsorted(allowed, (first, first + len(block))))]
                    block = block if len(numbers) == len(block) else block[numbers - first]
                if len(numbers):
                    yield numbers, block
                start, step = start + step, min(rows, 2 * step)

    def take(self, numbers: IntArray) -> NDArray[Any]:  # floats or codes
        """Read and decode vectors by their numbers: (p,) -> (p, D)."""
        owners = self.owners(numbers)
        kind = np.result_type(*self.matrices)
        taken = np.empty((len(numbers), self.matrices[0].shape[1]), dtype=kind)
        for owner in np.unique(owners):
            mine = owners == owner
            taken[mine] = self.matrices[owner][numbers[mine] - self.firsts[owner]]
        return self.vectors(taken)

    def owners(self, numbers: IntArray) -> IntArray:
        """Return the index of the matrix that holds each row: (p,) -> (p,)."""
        owners: IntArray = np.searchsorted(self.firsts, numbers, side="right") - 1
        return owners

    def place(self, number: int) -> str:
        """Name the place of a row for a message."""
        owner = int(self.owners(np.array([number]))[0])
        return f"Row {number - self.firsts[owner]} of {self.names[owner]}"


def numbers_of(
    count: int, allowed: ArrayLike | None, excluded: ArrayLike | None
) -> tuple[IntArray | None, IntArray]:
    """Return the numbers to look at, None for all, and the numbers to leave out of these."""
    left_out = checked_numbers([] if excluded is None else excluded, count, "excluded")
    if allowed is None:
        return None, left_out
    wanted = checked_numbers(allowed, count, "allowed")
    return np.setdiff1d(wanted, left_out, assume_unique=True), left_out[:0]


def checked_numbers(numbers: ArrayLike, count: int, name: str) -> IntArray:
    """Sort numbers and drop repeated ones. Raises ValueError for a number that no vector has."""
    given = np.asarray(numbers)
    if given.size and (given.dtype.kind not in "iu" or given.min() < 0 or given.max() >= count):
        raise ValueError(
            f"{name} is {numbers!r:.80}; expected whole numbers from 0 to {count - 1}."
        )
    return np.unique(given.astype(np.int64))
