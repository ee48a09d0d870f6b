"""Queries and vectors -> the nearest vectors, exactly, block by block. Start at `nearest`.

A product of matrices in float32 is quick, but its last bits depend on the sizes of its blocks. So
here it is an estimate. Pairs that rounding could bring among the k nearest are scored again in
float64, each pair by itself. Such a score is rounded once, and the ranking does not depend on
blocks, threads or the number of queries. Without an estimate, a metric's scores are taken as they
are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minibert.common.arrays import Array, IntArray
from minibert.kernels.cores import in_threads
from minibert.scoring.matrices import Stack, numbers_of
from minibert.scoring.metrics import (
    METRICS,
    Block,
    Metric,
    find_metric,
    squared_lengths,
    underflow_of,
)
from minibert.scoring.similarity import ScoreFunction, as_rows
from minibert.scoring.top_k import TopK

__all__ = ["nearest", "rescored", "scores_of_pairs"]

# A block of vectors, 8 MB of float32, and its scores, 4 MB, stay in a cache.
BLOCK_FLOATS = 1 << 21
SCORE_FLOATS = 1 << 20
QUERY_ROWS = 1024
# Numbers of one temporary where pairs are scored in float64: 16 MB.
EXACT_FLOATS = 1 << 21


def nearest(
    queries: ArrayLike,
    vectors: Stack | Sequence[Any],
    k: int,
    metric: Metric | ScoreFunction | str,
    *,
    threads: int | None = None,
    allowed: ArrayLike | None = None,
    excluded: ArrayLike | None = None,
    query_rows: int = QUERY_ROWS,
    block_rows: int = BLOCK_FLOATS,
) -> tuple[IntArray, Array]:
    """Find the k nearest vectors of each query: (Q, D), matrices (n, D) -> (Q, k), (Q, k).

    Return their numbers, counted through all matrices, and their scores, best first, equal scores
    by number. With fewer than k vectors, all are returned. Only `allowed` numbers are looked at, if
    given, and no `excluded` ones. `threads` work at the same time, by default one per core, each on
    a block of at most `block_rows` vectors and `query_rows` queries. Vectors of any dtype are
    converted when they are read.

    `metric` is a row of METRICS, its name, or a function. For a row with an estimate, scores are
    computed in float64 and rounded to float32, unless a vector is float64. Other scores are taken
    as they are, in float64; several threads call the function at the same time.

    Raises ValueError for NaN and infinity, with the row, for vectors of two dimensions, and for
    numbers that no vector has.
    """
    stack = vectors if isinstance(vectors, Stack) else Stack(vectors)
    asked = as_rows(queries, "queries")
    asked = asked.astype(stack.dtype(asked), copy=False)
    wanted, left_out = numbers_of(len(stack), allowed, excluded)
    k = min(k, len(stack) - len(left_out) if wanted is None else len(wanted))
    if k == 0 or len(asked) == 0:
        return np.empty((len(asked), k), dtype=np.int64), np.empty((len(asked), k), asked.dtype)
    if asked.shape[1] != stack.dimension:
        raise ValueError(
            f"The vectors have {asked.shape[1]} and {stack.dimension} dimensions; only vectors of "
            "one model can be compared."
        )
    parts = parts_of(asked, min(query_rows, QUERY_ROWS), stack, k, find_metric(metric))

    def look_at(numbers: IntArray, stored: NDArray[Any]) -> None:
        block = Block(numbers, stack.vectors(stored).astype(asked.dtype, copy=False))
        for part in parts:
            part.compare(block, left_out)

    rows = min(BLOCK_FLOATS // max(1, stack.dimension), SCORE_FLOATS // len(parts[0].queries))
    rows = max(1, min(block_rows, rows))
    in_threads(look_at, stack.blocks(rows, wanted), -(-len(stack) // rows), threads)
    ids, scores = zip(*(part.top.ranking() for part in parts), strict=True)
    return np.concatenate(ids), np.concatenate(scores)


def parts_of(
    queries: Array, rows: int, stack: Stack, k: int, metric: Metric | ScoreFunction
) -> Sequence[Part]:
    """Split the queries into parts of `rows` rows.

    Raises ValueError for a query with NaN, infinity or too large numbers.
    """
    split = [queries[start : start + rows] for start in range(0, len(queries), rows)]
    if not isinstance(metric, Metric):
        return [Scored(part, k, metric) for part in split]
    if metric.estimate is None:
        return [Scored(part, k, metric.all_pairs) for part in split]
    check_finite(squared_lengths(queries), lambda row: f"Query {row}")
    return [Estimated(part, stack, k, metric) for part in split]


class Scored:
    """Some of the queries, and their k nearest vectors so far, by scores."""

    def __init__(self, queries: Array, k: int, score: ScoreFunction) -> None:
        self.queries = queries
        self.score = score
        self.top = TopK(len(queries), k, np.float64)  # for scores of any dtype

    def compare(self, block: Block, excluded: IntArray) -> None:
        """Offer a block's scores. Raises ValueError for NaN."""
        scores = np.asarray(self.score(self.queries, block.vectors))
        self.top.offer(scores, block.numbers, None, excluded)


class Estimated:
    """Some of the queries, and their k nearest vectors so far, by estimates."""

    def __init__(self, queries: Array, stack: Stack, k: int, metric: Metric) -> None:
        assert metric.estimate is not None  # such a metric is Scored
        assert metric.bound is not None
        self.queries = queries
        self.stack = stack
        self.estimate, self.bound, self.pairwise = metric.estimate, metric.bound, metric.pairwise
        self.underflow = underflow_of(queries)
        self.lengths = np.sqrt(squared_lengths(queries) + self.underflow)
        # A sum of D products x_i y_i, in any order, is off by at most D u |x| |y| with u half an
        # epsilon (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). A whole
        # epsilon also covers the rounding of lengths; 8 more cover the steps after the product.
        self.epsilons = (queries.shape[1] + 8) * float(np.finfo(queries.dtype).eps)
        self.top = TopK(len(queries), k, queries.dtype, self.rescore)

    def compare(self, block: Block, excluded: IntArray) -> None:
        """Offer a block's estimates. Raises ValueError for a vector with NaN or infinity."""
        with np.errstate(over="ignore", invalid="ignore"):
            estimates = self.estimate(self.queries, block)
        # A vector with NaN or infinity has no finite score with any query, so one row is enough.
        check_finite(estimates[0], lambda row: self.stack.place(block.numbers[row]))
        error = self.epsilons * self.bound(self.lengths, block) + self.underflow
        self.top.offer(estimates, block.numbers, error, excluded)

    def rescore(self, row: IntArray, numbers: IntArray, estimates: Array) -> Array:
        """Compute the exact scores of pairs, in the dtype of the estimates: (p,) -> (p,)."""
        return scores_of_pairs(self.queries, row, self.stack, numbers, self.pairwise)


Part: TypeAlias = Scored | Estimated


def rescored(
    queries: Array, numbers: IntArray, stack: Stack, k: int, metric: str
) -> tuple[IntArray, Array]:
    """Find the k nearest of some candidates, exactly: (Q, D), (Q, c) -> (Q, k), (Q, k)."""
    row = np.repeat(np.arange(len(numbers)), numbers.shape[1])
    scores = scores_of_pairs(queries, row, stack, numbers.ravel(), METRICS[metric].pairwise)
    scores = scores.reshape(numbers.shape)
    order = np.lexsort((numbers, -scores), axis=1)[:, :k]
    return np.take_along_axis(numbers, order, axis=1), np.take_along_axis(scores, order, axis=1)


def scores_of_pairs(
    queries: Array, row: IntArray, stack: Stack, numbers: IntArray, pairwise: ScoreFunction
) -> Array:
    """Score pairs of a query's row and a vector's number, exactly: (p,), (p,) -> (p,)."""
    scores = np.empty(len(row), dtype=queries.dtype)
    step = max(1, EXACT_FLOATS // max(1, stack.dimension))
    for start in range(0, len(row), step):
        pairs = slice(start, start + step)
        scores[pairs] = exact_scores(queries[row[pairs]], stack.take(numbers[pairs]), pairwise)
    return scores


def exact_scores(queries: Array, vectors: NDArray[Any], pairwise: ScoreFunction) -> Array:
    """Compute the scores of pairs in float64: (p, D), (p, D) -> (p,)."""
    wide = (pairs.astype(np.float64, copy=False) for pairs in (queries, vectors))
    return pairwise(*wide)


def check_finite(numbers: Array, place: Callable[[int], str]) -> None:
    """Raise ValueError if a number, a length or a score, is not finite."""
    finite = np.isfinite(numbers)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise ValueError(f"{place(row)} holds NaN, infinity or numbers too large to be multiplied.")
