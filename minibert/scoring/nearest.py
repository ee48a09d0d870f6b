"""Queries and vectors -> the nearest vectors, exactly, block by block. Start at `nearest`.

A product of matrices in float32 is quick, but its last bits depend on how the matrices are cut. So
here it is an estimate: what its rounding leaves a chance is scored again in float64, each pair by
itself. A score is then float64's, rounded once, and the ranking has nothing to do with blocks,
threads or the number of queries.

`semantic_search` scores by the cosine unless it is told otherwise, like sentence-transformers': for
a model trained for the dot product that is the wrong ranking. Give it the model, or the function.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minibert.common.arguments import check_given_counts, is_count
from minibert.common.arrays import Array, IntArray
from minibert.kernels.activations import name_in_torch
from minibert.scoring.matrices import Stack, in_threads, numbers_of
from minibert.scoring.similarity import (
    PAIRWISE_SIMILARITIES,
    SIMILARITIES,
    ScoreFunction,
    as_rows,
    cos_sim,
    manhattan_sim,
)
from minibert.scoring.top_k import Best

__all__ = ["exact_scores", "nearest", "rescored", "score_function_of", "semantic_search"]

# A block of vectors, 8 MB of float32, and its scores, 4 MB, stay in a cache.
BLOCK_FLOATS = 1 << 21
SCORE_FLOATS = 1 << 20
QUERY_ROWS = PIECE_ROWS = 1024
# Numbers of one temporary where pairs are scored in float64: 16 MB.
EXACT_FLOATS = 1 << 21


# Functions of sentence-transformers, as programs pass them -> the metric.
NAMES_OF_FUNCTIONS = {
    "cos_sim": "cosine",
    "pytorch_cos_sim": "cosine",
    "dot_score": "dot",
    "euclidean_sim": "euclidean",
    "manhattan_sim": "manhattan",
}


class Similar(Protocol):
    """What semantic_search needs of a model."""

    @property
    def similarity_fn_name(self) -> str: ...


class Block:
    """Some vectors (n, D), converted, and their numbers (n,)."""

    def __init__(self, numbers: IntArray, vectors: Array) -> None:
        self.numbers = numbers
        self.vectors = vectors

    @cached_property
    def squares(self) -> Array:
        """The squares of their lengths: (n,)."""
        return squared_lengths(self.vectors)

    @cached_property
    def longest(self) -> float:
        """The length of the longest of every 128th vector.

        All lengths would cost as much again as a product with one query. A longer one in between
        is covered by the bound on rounding, a worst case that is tens of times what is met.
        """
        squares = squared_lengths(self.vectors[::128])
        return float(np.sqrt(squares.max() + underflow_of(self.vectors)))


class Metric(NamedTuple):
    """How a metric is estimated for a block, and in what measure estimates may be off.

    Estimates are in the order of the scores of one query; they need not be in their scale.
    """

    estimate: Callable[[Array, Block], Array]  # queries (q, D) -> (q, n)
    size: Callable[[Array, Block], Array]  # lengths of the queries (q,) -> (q,): see error_of


def dot(queries: Array, block: Block) -> Array:
    """The product."""
    return queries @ block.vectors.T


def cosine(queries: Array, block: Block) -> Array:
    """The cosine times the query's length."""
    estimates, squares = products_and_squares(queries, block)
    estimates /= np.maximum(np.sqrt(squares), 1e-12)  # as normalize_ has it
    estimates[:, np.isinf(squares)] = np.nan  # and not 0, which could be a cosine
    return estimates


def euclidean(queries: Array, block: Block) -> Array:
    """xy - |y|^2 / 2, which is (|x|^2 - |x - y|^2) / 2."""
    estimates, block.squares = products_and_squares(queries, block)
    estimates -= block.squares / 2
    return estimates


def products_and_squares(queries: Array, block: Block) -> tuple[Array, Array]:
    """Products, and the squares of the vectors' lengths: (q, D) -> (q, n), (n,).

    Some vectors at a time, so that these are in a near cache when they are read again.
    """
    count = len(block.vectors)
    products = np.empty((len(queries), count), dtype=queries.dtype)
    squares = np.empty(count, dtype=queries.dtype)
    for start in range(0, count, PIECE_ROWS):
        piece = block.vectors[start : start + PIECE_ROWS]
        squares[start : start + PIECE_ROWS] = squared_lengths(piece)
        np.matmul(queries, piece.T, out=products[:, start : start + PIECE_ROWS])
    return products, squares


def manhattan(queries: Array, block: Block) -> Array:
    """Minus the distance."""
    return manhattan_sim(queries, block.vectors)


def in_squares(lengths: Array, block: Block) -> Array:
    """The square of the greatest distance that there can be."""
    longest = float(block.squares.max()) ** 0.5
    squares: Array = (lengths + longest) ** 2
    return squares


def in_steps(lengths: Array, block: Block) -> Array:
    """The greatest sum of differences that there can be."""
    longest = float(block.squares.max()) ** 0.5
    steps: Array = block.vectors.shape[1] ** 0.5 * (lengths + longest)
    return steps


METRICS = {
    "cosine": Metric(cosine, lambda lengths, block: lengths),
    "dot": Metric(dot, lambda lengths, block: lengths * block.longest),
    "euclidean": Metric(euclidean, in_squares),
    "manhattan": Metric(manhattan, in_steps),
}


class Part:
    """Some of the queries, and the best of what they have been compared with."""

    def __init__(self, queries: Array, stack: Stack, k: int, metric: ScoreFunction | str) -> None:
        self.queries = queries
        self.stack = stack
        self.metric = metric
        self.underflow = underflow_of(queries)
        self.lengths = np.sqrt(squared_lengths(queries) + self.underflow)
        # Of a sum of D products x_i y_i, in whatever order, rounding is at most D u |x| |y| with u
        # half an epsilon (Higham, Accuracy and Stability of Numerical Algorithms, section 3.1). A
        # whole one covers lengths that are rounded too, 8 more what follows the product.
        self.epsilons = (queries.shape[1] + 8) * float(np.finfo(queries.dtype).eps)
        if isinstance(metric, str):
            self.best = Best(len(queries), k, queries.dtype, self.rescore)
        else:
            self.best = Best(len(queries), k, np.float64)  # which holds what a function may give

    def compare(self, block: Block, excluded: IntArray) -> None:
        """Offer a block's scores. Raises ValueError for a vector that is none."""
        if not isinstance(self.metric, str):
            scores = np.asarray(self.metric(self.queries, block.vectors))
            self.best.offer(scores, block.numbers, None, excluded)
            return
        metric = METRICS[self.metric]
        with np.errstate(over="ignore", invalid="ignore"):
            estimates = metric.estimate(self.queries, block)
        # NaN or infinity in a vector leaves no query a finite score, so one row tells.
        check_finite(estimates[0], lambda row: self.stack.place(block.numbers[row]))
        error = self.epsilons * metric.size(self.lengths, block) + self.underflow
        self.best.offer(estimates, block.numbers, error, excluded)

    def rescore(self, row: IntArray, numbers: IntArray, estimates: Array) -> Array:
        """The exact scores of pairs, as numbers of the estimates' kind: (p,) -> (p,)."""
        return scores_of_pairs(self.queries, row, self.stack, numbers, str(self.metric))


def scores_of_pairs(
    queries: Array, row: IntArray, stack: Stack, numbers: IntArray, metric: str
) -> Array:
    """The exact scores of pairs of a query's row and a vector's number: (p,), (p,) -> (p,)."""
    scores = np.empty(len(row), dtype=queries.dtype)
    step = max(1, EXACT_FLOATS // max(1, stack.width))
    for start in range(0, len(row), step):
        pairs = slice(start, start + step)
        scores[pairs] = exact_scores(queries[row[pairs]], stack.take(numbers[pairs]), metric)
    return scores


def exact_scores(queries: Array, vectors: NDArray[Any], metric: str) -> Array:
    """The scores of pairs in float64: (p, D), (p, D) -> (p,)."""
    wide = (pairs.astype(np.float64, copy=False) for pairs in (queries, vectors))
    return PAIRWISE_SIMILARITIES[metric](*wide)


def squared_lengths(vectors: Array) -> Array:
    """|x|^2 of each row: (n, D) -> (n,), infinite or NaN where a row is."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares: Array = np.vecdot(vectors, vectors)
    return squares


def underflow_of(vectors: Array) -> float:
    """What a sum of D products may lose where they are too small for a number: (n, D) -> ()."""
    smallest = float(np.finfo(vectors.dtype).tiny)
    return smallest * int(vectors.shape[1])


def nearest(
    queries: ArrayLike,
    vectors: Stack | Sequence[Any],
    k: int,
    metric: ScoreFunction | str,
    *,
    threads: int | None = None,
    allowed: ArrayLike | None = None,
    excluded: ArrayLike | None = None,
    query_rows: int = QUERY_ROWS,
    block_rows: int = BLOCK_FLOATS,
) -> tuple[IntArray, Array]:
    """Find the k nearest vectors of each query: (Q, D), matrices (n, D) -> (Q, k), (Q, k).

    That is, their numbers, counted through all matrices, and their scores, best first and equal
    scores by number; all there are if these are fewer than k. `allowed` numbers alone are looked
    at, `excluded` ones are not. `threads` work at a time, by default one a core, each on a block of
    at most `block_rows` vectors and `query_rows` queries, whose vectors are converted when they are
    read, whatever kind of number is stored.

    Of a metric by name (one of SIMILARITIES), scores are those of float64, rounded to float32
    unless there is float64 among the vectors. A function's scores are taken as they are, and come
    in float64; threads call it at the same time.

    Raises ValueError for NaN and infinity, with the row, for two widths, and for numbers that no
    vector has.
    """
    stack = vectors if isinstance(vectors, Stack) else Stack(vectors)
    asked = as_rows(queries, "queries")
    asked = asked.astype(stack.dtype(asked), copy=False)
    among, but = numbers_of(len(stack), allowed, excluded)
    k = min(k, len(stack) - len(but) if among is None else len(among))
    if k == 0 or len(asked) == 0:
        return np.empty((len(asked), k), dtype=np.int64), np.empty((len(asked), k), asked.dtype)
    if asked.shape[1] != stack.width:
        raise ValueError(
            f"The vectors have {asked.shape[1]} and {stack.width} dimensions; only vectors of one "
            "model can be compared."
        )
    named = metric_name(metric)
    if isinstance(named, str):
        check_finite(squared_lengths(asked), lambda row: f"Query {row}")
    step = min(query_rows, QUERY_ROWS)
    parts = [
        Part(asked[start : start + step], stack, k, named) for start in range(0, len(asked), step)
    ]

    def look_at(numbers: IntArray, stored: NDArray[Any]) -> None:
        block = Block(numbers, stack.vectors(stored).astype(asked.dtype, copy=False))
        for part in parts:
            part.compare(block, but)

    rows = min(BLOCK_FLOATS // max(1, stack.width), SCORE_FLOATS // len(parts[0].queries))
    rows = max(1, min(block_rows, rows))
    in_threads(look_at, stack.blocks(rows, among), -(-len(stack) // rows), threads)
    ids, scores = zip(*(part.best.ranking() for part in parts), strict=True)
    return np.concatenate(ids), np.concatenate(scores)


def rescored(
    queries: Array, numbers: IntArray, stack: Stack, k: int, metric: str
) -> tuple[IntArray, Array]:
    """The k best of some candidates by their exact scores: (Q, D), (Q, c) -> (Q, k), (Q, k)."""
    row = np.repeat(np.arange(len(numbers)), numbers.shape[1])
    scores = scores_of_pairs(queries, row, stack, numbers.ravel(), metric).reshape(numbers.shape)
    order = np.lexsort((numbers, -scores), axis=1)[:, :k]
    return np.take_along_axis(numbers, order, axis=1), np.take_along_axis(scores, order, axis=1)


def metric_name(metric: ScoreFunction | str) -> ScoreFunction | str:
    """The name of a metric that has one. Raises ValueError for a name that is none."""
    score = score_function_of(metric)
    return next((name for name, known in SIMILARITIES.items() if known is score), score)


def check_finite(numbers: Array, place: Callable[[int], str]) -> None:
    """Raise ValueError where a vector's length or score is no number."""
    finite = np.isfinite(numbers)
    if not finite.all():
        row = int(np.flatnonzero(~finite)[0])
        raise ValueError(f"{place(row)} holds NaN, infinity or numbers too large to be multiplied.")


def semantic_search(
    query_embeddings: ArrayLike,
    corpus_embeddings: ArrayLike,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500_000,
    top_k: int = 10,
    score_function: ScoreFunction | str | None = None,
    *,
    model: Similar | None = None,
) -> list[list[dict[str, int | float]]]:
    """Find the corpus vectors that score highest for each query: (Q, D), (N, D) -> Q lists.

    Each list holds {"corpus_id": ..., "score": ...}, best first, equal scores by the smaller id:
    `top_k` of them, or all there are. The chunk sizes bound the memory and change no result.

    The scores are those of `score_function`, a function or a metric's name; without one the own
    metric's of `model`, the model that made the vectors; without either the cosine, which is wrong
    for a model trained for the dot product.

    Raises TypeError for texts, ValueError for vectors of two widths, for NaN, and for a number that
    cannot be meant.
    """
    score = score_function_of(score_function, model)
    check_given_counts(query_chunk_size=query_chunk_size, corpus_chunk_size=corpus_chunk_size)
    if top_k != 0 and not is_count(top_k):
        raise ValueError(f"top_k is {top_k!r}; expected a whole number from 0 up.")
    ids, scores = nearest(
        as_rows(query_embeddings, "query_embeddings"),
        Stack([as_rows(corpus_embeddings, "corpus_embeddings")], ["corpus_embeddings"]),
        top_k,
        score,
        query_rows=query_chunk_size,
        block_rows=corpus_chunk_size,
    )
    return [
        [{"corpus_id": id, "score": s} for id, s in zip(*row, strict=True)]
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def score_function_of(
    score_function: ScoreFunction | str | None, model: Similar | None = None
) -> ScoreFunction:
    """The function that semantic_search scores by.

    A name may be held by a member of an enumeration, and the reference's own functions are known by
    theirs. Raises ValueError for a name that is none, and for torch's functions, which take
    no arrays; TypeError for what is no function.
    """
    if score_function is None:
        return cos_sim if model is None else SIMILARITIES[model.similarity_fn_name]
    given = score_function.value if isinstance(score_function, Enum) else score_function
    if callable(given) and is_the_reference_s(given):
        given = NAMES_OF_FUNCTIONS.get(given.__name__, given)
    if isinstance(given, str) and given in SIMILARITIES:
        return SIMILARITIES[given]
    expected = f"expected a function or one of {', '.join(SIMILARITIES)}"
    if isinstance(given, str) or name_in_torch(given):
        raise ValueError(
            f"score_function is {given!r:.80}; {expected}. A function is given NumPy arrays."
        )
    if not callable(given):
        raise TypeError(f"score_function is {given!r:.80}; {expected}.")
    return given


def is_the_reference_s(function: object) -> bool:
    """Whether a function is of sentence-transformers."""
    return str(getattr(function, "__module__", "")).startswith("sentence_transformers.")
