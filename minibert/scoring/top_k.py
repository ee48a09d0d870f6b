"""Scores, block by block -> the k highest of each row. No vectors, no files. Start at `TopK`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.segments import places_of

__all__ = ["Rescore", "TopK", "top_k"]

# With more candidates than these and twice the answer, those without a chance are dropped.
CANDIDATE_LIMIT = 1 << 17

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
    """The k highest scores of each row so far. Threads may offer blocks of scores, in any order.

    The scores may be estimates with a known error. Then all candidates within the error are kept,
    and the scores that `rescore` computes for them decide. About `candidate_limit` candidates are
    kept, beside twice the answer.
    """

    def __init__(
        self,
        rows: int,
        k: int,
        dtype: Any,
        rescore: Rescore | None = None,
        *,
        candidate_limit: int = CANDIDATE_LIMIT,
    ) -> None:
        self.k = k
        self.rescore = rescore
        self.candidate_limit = candidate_limit
        self.highest = np.full((rows, k), -np.inf, dtype=dtype)  # estimates, the lowest first
        self.error = np.zeros(rows, dtype=dtype)
        none = np.empty(0, dtype=np.int64)
        self.kept: list[tuple[IntArray, IntArray, Array]] = [(none, none, np.empty(0, dtype))]
        self.candidate_count = 0
        self.lock = threading.Lock()

    def floor(self) -> Array:
        """Return the limit below which a row has k higher scores, for all errors: -> (rows,)."""
        floor: Array = self.highest[:, 0] - 2 * self.error
        return floor

    def offer(
        self,
        estimates: Array,
        numbers: IntArray,
        error: Array | None = None,
        excluded: IntArray | None = None,
    ) -> None:
        """Keep the candidates of a block: estimates (rows, n), numbers of the columns (n,).

        Each estimate is off by `error` (rows,) at most; `excluded` numbers are left out. Raises
        ValueError for NaN.
        """
        with self.lock:
            if error is not None:
                np.maximum(self.error, error, out=self.error)
            floor = self.floor()
        # Most rows of most blocks end here. NaN is not below the floor, so it goes on.
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
                f"Row {row[bad]} of the scores holds NaN, at {number[bad]}; its vectors hold "
                "NaN or infinity."
            )
        if len(row):
            with self.lock:
                self._keep(row, number, value)

    def _keep(self, row: IntArray, number: IntArray, value: Array) -> None:
        """Add candidates (p,), sorted by row."""
        counts = np.bincount(row)
        rows = np.flatnonzero(counts)
        counts = counts[rows]
        longest = int(counts.max())
        # The highest so far and the new ones; rows with fewer new ones are filled with -inf.
        contenders = np.full((len(rows), longest + self.k), -np.inf, dtype=self.highest.dtype)
        contenders[:, longest:] = self.highest[rows]
        contenders[np.repeat(np.arange(len(rows)), counts), places_of(counts)] = value
        contenders.partition(longest, axis=1)
        self.highest[rows] = contenders[:, longest:]
        left = value >= self.floor()[row]
        self.kept.append((row[left], number[left], value[left]))
        self.candidate_count += int(left.sum())
        if self.candidate_count > self.candidate_limit + 2 * self.highest.size:
            row, number, value = self._candidates()
            if len(row) > self.candidate_limit // 2 + 2 * self.highest.size:  # many equal scores
                winners, _ = self._rank(row, number, value)
                row, number, value = row[winners], number[winners], value[winners]
            self.kept, self.candidate_count = [(row, number, value)], len(row)

    def _candidates(self) -> tuple[IntArray, IntArray, Array]:
        """Return rows, numbers and estimates of the candidates that still have a chance."""
        row, number, value = map(np.concatenate, zip(*self.kept, strict=True))
        left = value >= self.floor()[row]
        return row[left], number[left], value[left]

    def _rank(self, row: IntArray, number: IntArray, value: Array) -> tuple[IntArray, Array]:
        """Return the places of the k highest candidates of each row, in order; and all scores."""
        scores = value if self.rescore is None else self.rescore(row, number, value)
        order = np.lexsort((number, -scores, row))
        counts = np.bincount(row, minlength=len(self.highest))
        return order[places_of(counts) < self.k], scores

    def ranking(self) -> tuple[IntArray, Array]:
        """Return numbers and scores of the k highest: (rows, k), (rows, k), equal ones by number.

        At least k numbers that are not excluded must have been offered.
        """
        row, number, value = self._candidates()
        winners, scores = self._rank(row, number, value)
        shape = self.highest.shape
        return number[winners].reshape(shape), scores[winners].reshape(shape)
