"""Scores, block by block -> the best of each row. No vectors, no files. Start at `TopK`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.segments import places_of

__all__ = ["Rescore", "TopK", "top_k"]

# With more candidates than so many and twice the answer, those that will not stay are dropped.
CANDIDATES = 1 << 17

# Rows and numbers of pairs, and their estimates -> the scores to rank them by: (p,), thrice -> (p,)
Rescore: TypeAlias = Callable[[IntArray, IntArray, Array], Array]


def top_k(scores: Array, k: int) -> tuple[IntArray, Array]:
    """Find the k highest scores of each row, best first: (Q, N) -> (Q, k), (Q, k).

    Equal scores come in the order of their columns. With fewer than k columns, all are returned.

    Raises ValueError for NaN, which has no place in an order.
    """
    shape = len(scores), min(k, scores.shape[1])
    if 0 in shape:
        return np.empty(shape, dtype=np.int64), np.empty(shape, dtype=scores.dtype)
    top = TopK(*shape, scores.dtype)
    top.offer(scores, np.arange(scores.shape[1]))
    return top.ranking()


class TopK:
    """The best of some rows so far. Several threads may offer blocks of scores, in any order.

    The scores may be estimates that are off by a known error. Then those are kept that the error
    leaves a chance, and what `rescore` makes of these decides.
    """

    def __init__(self, rows: int, k: int, dtype: Any, rescore: Rescore | None = None) -> None:
        self.k = k
        self.rescore = rescore
        self.highest = np.full((rows, k), -np.inf, dtype=dtype)  # estimates, the lowest first
        self.error = np.zeros(rows, dtype=dtype)
        none = np.empty(0, dtype=np.int64)
        self.kept: list[tuple[IntArray, IntArray, Array]] = [(none, none, np.empty(0, dtype))]
        self.candidate_count = 0
        self.lock = threading.Lock()

    def floor(self) -> Array:
        """Below this, k others of the row are better, whatever the errors: -> (rows,)."""
        floor: Array = self.highest[:, 0] - 2 * self.error
        return floor

    def offer(
        self,
        estimates: Array,
        numbers: IntArray,
        error: Array | None = None,
        excluded: IntArray | None = None,
    ) -> None:
        """Take what may be among the best: (rows, n), the numbers of its columns (n,) -> nothing.

        Each estimate is off by `error` (rows,) at most; `excluded` numbers are left out. Raises
        ValueError for NaN.
        """
        with self.lock:
            if error is not None:
                np.maximum(self.error, error, out=self.error)
            floor = self.floor()
        # Most rows of most blocks end here, after one look at the block. NaN is not below.
        rows = np.flatnonzero(~(estimates.max(axis=1) < floor))
        if not len(rows):
            return
        some = estimates[rows]
        places = np.flatnonzero(~(some < floor[rows, None]))
        row, column = np.divmod(places, len(numbers))
        row, number, value = rows[row], numbers[column], some.ravel()[places]
        if excluded is not None and len(excluded):
            left = ~np.isin(number, excluded)
            row, number, value = row[left], number[left], value[left]
        if np.isnan(value).any():
            bad = int(np.flatnonzero(np.isnan(value))[0])
            raise ValueError(
                f"Row {row[bad]} of the scores holds NaN, at {number[bad]}; its vectors are no "
                "numbers."
            )
        if len(row):
            with self.lock:
                self._keep(row, number, value)

    def _keep(self, row: IntArray, number: IntArray, value: Array) -> None:
        """Add candidates (p,), sorted by row."""
        counts = np.bincount(row)
        rows = np.flatnonzero(counts)
        counts = counts[rows]
        most = int(counts.max())
        # The highest so far and the new ones; rows with fewer new ones are filled with -inf.
        contenders = np.full((len(rows), most + self.k), -np.inf, dtype=self.highest.dtype)
        contenders[:, most:] = self.highest[rows]
        contenders[np.repeat(np.arange(len(rows)), counts), places_of(counts)] = value
        contenders.partition(most, axis=1)
        self.highest[rows] = contenders[:, most:]
        left = value >= self.floor()[row]
        self.kept.append((row[left], number[left], value[left]))
        self.candidate_count += int(left.sum())
        if self.candidate_count > CANDIDATES + 2 * self.highest.size:
            row, number, value = self._candidates()
            if len(row) > CANDIDATES // 2 + 2 * self.highest.size:  # there are many as good
                winners, _ = self._rank(row, number, value)
                row, number, value = row[winners], number[winners], value[winners]
            self.kept, self.candidate_count = [(row, number, value)], len(row)

    def _candidates(self) -> tuple[IntArray, IntArray, Array]:
        """Rows, numbers and estimates of those with a chance now."""
        row, number, value = map(np.concatenate, zip(*self.kept, strict=True))
        left = value >= self.floor()[row]
        return row[left], number[left], value[left]

    def _rank(self, row: IntArray, number: IntArray, value: Array) -> tuple[IntArray, Array]:
        """Which candidates are the k best of their rows, in order; and the scores of all."""
        scores = value if self.rescore is None else self.rescore(row, number, value)
        order = np.lexsort((number, -scores, row))
        counts = np.bincount(row, minlength=len(self.highest))
        return order[places_of(counts) < self.k], scores

    def ranking(self) -> tuple[IntArray, Array]:
        """The numbers and scores of the best: (rows, k) twice, equal scores by number.

        At least k numbers have to have been offered, and not excluded.
        """
        row, number, value = self._candidates()
        winners, scores = self._rank(row, number, value)
        shape = self.highest.shape
        return number[winners].reshape(shape), scores[winners].reshape(shape)
