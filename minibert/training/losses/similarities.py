"""Scores of pairs of vectors, each with its gradient: the pairwise functions of scoring/.

Each takes two of (B, D). It returns the scores (B,), and a function that goes back: the gradient
by the scores (B,) -> the gradients by both, (B, D). Start at dot.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Literal, TypeAlias

import numpy as np

from minibert.common.arrays import Array
from minibert.kernels.protocol import NORM_FLOOR
from minibert.scoring.metrics import METRICS, is_the_reference_s
from minibert.scoring.similarity import ScoreFunction

__all__ = [
    "FACTORS",
    "SIMILARITIES",
    "TORCH_NORM_FLOOR",
    "Backward",
    "Similarity",
    "cosine",
    "dot",
    "euclidean",
    "find_similarity",
    "manhattan",
    "unit_vectors",
]

Backward: TypeAlias = Callable[[Array], tuple[Array, Array]]
Similarity: TypeAlias = Callable[[Array, Array], tuple[Array, Backward]]

# That of torch.cosine_similarity; its normalize, and so pairwise_cos_sim, has NORM_FLOOR.
TORCH_NORM_FLOOR = 1e-8


def dot(left: Array, right: Array) -> tuple[Array, Backward]:
    """Compute dot products. s = x y: dx = ds y, dy = ds x."""

    def backward(gradient: Array) -> tuple[Array, Array]:
        return gradient[:, None] * right, gradient[:, None] * left

    return np.vecdot(left, right), backward


def cosine(left: Array, right: Array, floor: float = NORM_FLOOR) -> tuple[Array, Backward]:
    """Compute cosines: dot products of the normalised vectors."""
    unit_left, left_backward = unit_vectors(left, floor)
    unit_right, right_backward = unit_vectors(right, floor)
    scores, dot_backward = dot(unit_left, unit_right)

    def backward(gradient: Array) -> tuple[Array, Array]:
        by_left, by_right = dot_backward(gradient)
        return left_backward(by_left), right_backward(by_right)

    return scores, backward


def euclidean(left: Array, right: Array, shift: float = 0.0) -> tuple[Array, Backward]:
    """Compute minus the Euclidean distances. d = |x - y|: dx = (x - y) / d, dy = -dx.

    At distance 0, where there is no direction, the gradient is 0. `shift` is added to each
    difference.
    """
    difference = left - right + shift
    distances = np.sqrt(np.vecdot(difference, difference))

    def backward(gradient: Array) -> tuple[Array, Array]:
        slopes = gradient / np.where(distances > 0, distances, 1)
        by_right = slopes[:, None] * difference
        return -by_right, by_right

    return -distances, backward


def manhattan(left: Array, right: Array, shift: float = 0.0) -> tuple[Array, Backward]:
    """Compute minus the sums of absolute differences, with the gradient 0 at a difference of 0.

    `shift` is added to each difference.
    """
    difference = left - right + shift

    def backward(gradient: Array) -> tuple[Array, Array]:
        by_right = gradient[:, None] * np.sign(difference)
        return -by_right, by_right

    return -np.abs(difference).sum(axis=1), backward


def unit_vectors(
    vectors: Array, floor: float = NORM_FLOOR
) -> tuple[Array, Callable[[Array], Array]]:
    """Divide vectors by their lengths: (B, D) -> (B, D), and a function that goes back.

    y = x / |x|: dx = (dy - y (y dy)) / |x|. A vector shorter than `floor` is divided by `floor`,
    a constant: dx = dy / floor.
    """
    lengths = np.sqrt(np.vecdot(vectors, vectors))[:, None]  # (B, 1)
    divisors = np.maximum(lengths, floor)
    unit = vectors / divisors

    def backward(gradient: Array) -> Array:
        along = np.where(lengths < floor, 0, np.vecdot(unit, gradient)[:, None])
        by_vectors: Array = (gradient - along * unit) / divisors
        return by_vectors

    return unit, backward


def unchanged(vectors: Array) -> tuple[Array, Callable[[Array], Array]]:
    """Return the vectors, and a function that returns the gradient."""
    return vectors, lambda gradient: gradient


# By the names of METRICS.
SIMILARITIES: dict[str, Similarity] = {
    "dot": dot,
    "cosine": cosine,
    "euclidean": euclidean,
    "manhattan": manhattan,
}

# Of those that are products: what is done to the vectors first.
FACTORS: dict[str, Callable[[Array], tuple[Array, Callable[[Array], Array]]]] = {
    "cosine": unit_vectors,
    "dot": unchanged,
}


def find_similarity(
    given: ScoreFunction | str, kind: Literal["pairwise", "all_pairs"], names: Iterable[str]
) -> str:
    """Find the name in METRICS of a function of minibert.util, or of a name of either.

    Functions of sentence-transformers stand for those of their name. Raises ValueError for
    whatever is not among the metrics `names`.
    """
    functions: dict[str, ScoreFunction] = {name: getattr(METRICS[name], kind) for name in names}
    spelling = getattr(given, "__name__", given) if is_the_reference_s(given) else given
    for name, function in functions.items():
        if spelling in (name, function.__name__) or given is function:
            return name
    expected = ", ".join(function.__name__ for function in functions.values())
    raise ValueError(
        f"similarity_fct is {given!r:.80}; expected one of these functions of minibert.util, or "
        f"its name: {expected}. Only their gradients are known."
    )
