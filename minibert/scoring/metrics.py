"""Metrics, one row of METRICS each: its scores, and the estimates that `nearest` uses.

    METRICS["manhattan"] = Metric(manhattan_sim, pairwise_manhattan_sim)

A new metric needs such a row and nothing else. From then on its name is known everywhere. Some
uses need more, such as an explanation or a map by UMAP; they are refused until the row gives it. No
vectors are read and nothing is ranked here. Start at Metric.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import cached_property
from typing import TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.activations import name_in_torch
from minibert.kernels.protocol import NORM_FLOOR
from minibert.scoring.similarity import (
    ScoreFunction,
    cos_sim,
    dot_score,
    euclidean_sim,
    manhattan_sim,
    pairwise_cos_sim,
    pairwise_dot_score,
    pairwise_euclidean_sim,
    pairwise_manhattan_sim,
)

__all__ = [
    "METRICS",
    "Block",
    "Metric",
    "find_metric",
    "product_metrics",
    "squared_lengths",
    "title_of",
    "underflow_of",
]

CHUNK_ROWS = 1024

# Functions of sentence-transformers, as programs pass them -> the metric.
NAMES_OF_FUNCTIONS = {
    "cos_sim": "cosine",
    "pytorch_cos_sim": "cosine",
    "dot_score": "dot",
    "euclidean_sim": "euclidean",
    "manhattan_sim": "manhattan",
}


# Queries (q, D) and some vectors -> (q, n), in the same order as each query's scores, in any scale.
Estimate: TypeAlias = "Callable[[Array, Block], Array]"
# The lengths of queries (q,) and some vectors -> (q,), the factors of the rounding error.
Bound: TypeAlias = "Callable[[Array, Block], Array]"


@dataclass(frozen=True)
class Metric:
    """Score vectors by a metric; higher is closer.

    `nearest` takes the scores of `all_pairs` as they are, unless there is an `estimate`, which is
    quicker. The estimate of a pair may be off by `bound` * (D + 8) * epsilon. Pairs whose order
    this leaves open are scored by `pairwise` in float64.

    A product is a sum over pairs of parts, so `explain` can split it. A metric without a name in
    usearch has no graph, and one without a name in UMAP no map by UMAP.

    Raises ValueError for an estimate without a bound, and for a bound without an estimate.
    """

    all_pairs: ScoreFunction  # (n, D), (m, D) -> (n, m)
    pairwise: ScoreFunction  # (n, D), (n, D) -> (n,)
    estimate: Estimate | None = None  # quick, in the order of the scores up to rounding
    bound: Bound | None = None  # of the error of the estimate
    is_product: bool = False  # the score is the product of the two vectors
    ignores_length: bool = False  # vectors are divided by their lengths before all else
    title: str = ""  # for people, where the name is not enough
    usearch_name: str | None = None  # its name in usearch
    umap_name: str | None = None  # its name in UMAP

    def __post_init__(self) -> None:
        if (self.estimate is None) != (self.bound is None):
            raise ValueError("A metric has an estimate and the bound of its error, or neither.")


class Block:
    """Some vectors (n, D), converted to floats, and their numbers (n,)."""

    def __init__(self, numbers: IntArray, vectors: Array) -> None:
        self.numbers = numbers
        self.vectors = vectors

    @cached_property
    def squares(self) -> Array:
        """Squared lengths of the vectors: (n,)."""
        return squared_lengths(self.vectors)

    @cached_property
    def longest(self) -> float:
        """Length of the longest vector, looking at every 128th.

        Computing all lengths would cost as much as a product with one query. A longer vector in
        between is covered by the bound on rounding: the errors met are tens of times smaller.
        """
        squares = squared_lengths(self.vectors[::128])
        return float(np.sqrt(squares.max() + underflow_of(self.vectors)))


def dot(queries: Array, block: Block) -> Array:
    """Compute the dot product: (q, D) -> (q, n)."""
    return queries @ block.vectors.T


def cosine(queries: Array, block: Block) -> Array:
    """Compute the cosine times the length of the query: (q, D) -> (q, n)."""
    estimates, squares = products_and_squares(queries, block)
    estimates /= np.maximum(np.sqrt(squares), NORM_FLOOR)  # as normalize_ has it
    estimates[:, np.isinf(squares)] = np.nan  # and not 0, which could be a cosine
    return estimates


def euclidean(queries: Array, block: Block) -> Array:
    """Compute xy - |y|^2 / 2, which is (|x|^2 - |x - y|^2) / 2: (q, D) -> (q, n)."""
    estimates, block.squares = products_and_squares(queries, block)
    estimates -= block.squares / 2
    return estimates


def products_and_squares(queries: Array, block: Block) -> tuple[Array, Array]:
    """Compute products, and squared lengths of the vectors: (q, D) -> (q, n), (n,).

    CHUNK_ROWS vectors at a time, so that the second reading finds them in the cache.
    """
    count = len(block.vectors)
    products = np.empty((len(queries), count), dtype=queries.dtype)
    squares = np.empty(count, dtype=queries.dtype)
    for start in range(0, count, CHUNK_ROWS):
        chunk = block.vectors[start : start + CHUNK_ROWS]
        squares[start : start + CHUNK_ROWS] = squared_lengths(chunk)
        np.matmul(queries, chunk.T, out=products[:, start : start + CHUNK_ROWS])
    return products, squares


def manhattan(queries: Array, block: Block) -> Array:
    """Compute minus the distance: (q, D) -> (q, n)."""
    return manhattan_sim(queries, block.vectors)


def in_squares(lengths: Array, block: Block) -> Array:
    """Bound the squared distances: lengths of queries (q,) -> (q,)."""
    longest = float(block.squares.max()) ** 0.5
    squares: Array = (lengths + longest) ** 2
    return squares


def in_steps(lengths: Array, block: Block) -> Array:
    """Bound the sums of absolute differences: lengths of queries (q,) -> (q,)."""
    longest = float(block.squares.max()) ** 0.5
    steps: Array = block.vectors.shape[1] ** 0.5 * (lengths + longest)
    return steps


# A metric's name, as in similarity_fn_name -> the metric. Rows may be added.
METRICS = {
    "cosine": Metric(
        cos_sim,
        pairwise_cos_sim,
        cosine,
        lambda lengths, block: lengths,
        is_product=True,
        ignores_length=True,
        usearch_name="cos",
        umap_name="cosine",
    ),
    "dot": Metric(
        dot_score,
        pairwise_dot_score,
        dot,
        lambda lengths, block: lengths * block.longest,
        is_product=True,
        title="dot product",
        usearch_name="ip",
        umap_name="cosine",  # the dot product is no distance
    ),
    "euclidean": Metric(
        euclidean_sim,
        pairwise_euclidean_sim,
        euclidean,
        in_squares,
        usearch_name="l2sq",
        umap_name="euclidean",
    ),
    "manhattan": Metric(
        manhattan_sim,
        pairwise_manhattan_sim,
        manhattan,
        in_steps,
        umap_name="manhattan",  # usearch has none
    ),
}


def product_metrics() -> list[str]:
    """Return the names of the metrics that are a product, those that normalize last."""
    found = [name for name, metric in METRICS.items() if metric.is_product]
    return sorted(found, key=lambda name: METRICS[name].ignores_length)


def title_of(name: str) -> str:
    """Return the title of a metric, by its name."""
    return METRICS[name].title or name


def find_metric(given: Metric | ScoreFunction | str) -> Metric | ScoreFunction:
    """Find the metric of a name or a function; any other function is returned as it is.

    A name may be a member of an enumeration. Functions of sentence-transformers stand for the
    metric of their name. Raises ValueError for an unknown name, and for functions of torch, which
    take no arrays; TypeError for anything else.
    """
    if isinstance(given, Metric):
        return given
    given = given.value if isinstance(given, Enum) else given
    if callable(given) and is_the_reference_s(given):
        given = NAMES_OF_FUNCTIONS.get(given.__name__, given)
    if isinstance(given, str) and given in METRICS:
        return METRICS[given]
    expected = f"expected a function or one of {', '.join(METRICS)}"
    if isinstance(given, str) or name_in_torch(given):
        raise ValueError(
            f"score_function is {given!r:.80}; {expected}. A function is given NumPy arrays."
        )
    if not callable(given):
        raise TypeError(f"score_function is {given!r:.80}; {expected}.")
    return next((metric for metric in METRICS.values() if metric.all_pairs is given), given)


def is_the_reference_s(function: object) -> bool:
    """Return whether a function is defined in sentence-transformers."""
    return str(getattr(function, "__module__", "")).startswith("sentence_transformers.")


def squared_lengths(vectors: Array) -> Array:
    """Compute |x|^2 of each row: (n, D) -> (n,), infinite or NaN for a row with such numbers."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares: Array = np.vecdot(vectors, vectors)
    return squares


def underflow_of(vectors: Array) -> float:
    """Bound the loss of a sum of D products that are below the smallest number: (n, D) -> ()."""
    smallest = float(np.finfo(vectors.dtype).tiny)
    return smallest * int(vectors.shape[1])
