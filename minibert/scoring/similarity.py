"""Vectors -> scores. Higher is closer, so distances are negative. No texts, no files."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import wraps
from typing import Any, TypeAlias, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike

from minibert.common.arrays import Array, are_tensors, as_array
from minibert.kernels.cpu import normalize_

__all__ = [
    "ScoreFunction",
    "SimilarityFunction",
    "cos_sim",
    "dot_score",
    "euclidean_sim",
    "manhattan_sim",
    "normalize_embeddings",
    "pairwise_angle_sim",
    "pairwise_cos_sim",
    "pairwise_dot_score",
    "pairwise_euclidean_sim",
    "pairwise_manhattan_sim",
]

# (n, D), (m, D) -> (n, m)
ScoreFunction: TypeAlias = Callable[[Any, Any], Array]

Scored = TypeVar("Scored", bound=Callable[..., Array])

# Numbers of one temporary, by default: 64 MB of float32.
BLOCK_FLOATS = 1 << 24


def tensors_for_tensors(score: Scored) -> Scored:
    """Let a function of two lists of vectors return a tensor of torch where it is given one.

    So programs go on with functions of torch, which is imported already: there is a tensor.
    """

    @wraps(score)
    def scored(*vectors: Any, **named: Any) -> Array:
        found: Any = score(*vectors, **named)
        if are_tensors(*vectors, *named.values()):
            found = sys.modules["torch"].from_numpy(np.asarray(found))
        return cast("Array", found)

    return cast("Scored", scored)


class SimilarityFunction(StrEnum):
    """Names of the metrics, as in sentence-transformers; each is a str."""

    COSINE = "cosine"  # the cosine of the angle
    DOT_PRODUCT = "dot"  # the dot product
    DOT = "dot"  # another name of DOT_PRODUCT
    EUCLIDEAN = "euclidean"  # the Euclidean distance, negated
    MANHATTAN = "manhattan"  # the Manhattan distance, negated


@tensors_for_tensors
def dot_score(a: ArrayLike, b: ArrayLike) -> Array:
    """Compute the dot product of every vector of `a` with every one of `b`: -> (n, m).

    Both are (n, D) and (m, D); a single vector (D,) counts as one row. Whole numbers and half
    precision are computed as float32, so codes of int8 do not overflow. Raises ValueError if the
    dimensions differ.
    """
    left, right = rows_of(a, b)
    return left @ right.T


@tensors_for_tensors
def cos_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Compute the cosine of every vector of `a` with every one of `b`: (n, D), (m, D) -> (n, m).

    A vector of zeros has the cosine 0 with every vector. All else is as for dot_score.
    """
    left, right = map(normalize_embeddings, rows_of(a, b))
    return left @ right.T


@tensors_for_tensors
def euclidean_sim(a: ArrayLike, b: ArrayLike, *, block_floats: int = BLOCK_FLOATS) -> Array:
    """Compute minus the Euclidean distance of every vector of `a` from every one of `b`: (n, m).

    A temporary has at most `block_floats` numbers, or one row.
    """
    left, right = rows_of(a, b)
    # |x - y|^2 = |x|^2 - 2 xy + |y|^2 cancels for neighbours; in float64 enough digits are left.
    wide = right.astype(np.float64)
    squares = np.vecdot(wide, wide)  # (m,)
    scores = np.empty((len(left), len(right)), dtype=left.dtype)
    for rows in blocks(len(left), len(right), block_floats):
        block = left[rows].astype(np.float64)
        distances = squares - 2 * (block @ wide.T) + np.vecdot(block, block)[:, None]
        scores[rows] = -np.sqrt(np.maximum(distances, 0))
    return scores


@tensors_for_tensors
def manhattan_sim(a: ArrayLike, b: ArrayLike, *, block_floats: int = BLOCK_FLOATS) -> Array:
    """Compute minus the sum of absolute differences of every `a` with every `b`: -> (n, m).

    `block_floats` is that of euclidean_sim.
    """
    left, right = rows_of(a, b)
    scores = np.empty((len(left), len(right)), dtype=left.dtype)
    for rows in blocks(len(left), right.size, block_floats):
        scores[rows] = -np.abs(left[rows, None] - right).sum(axis=2)
    return scores


@tensors_for_tensors
def pairwise_dot_score(a: ArrayLike, b: ArrayLike) -> Array:
    """Compute the dot products of the rows of `a` and `b`, in pairs: (n, D), (n, D) -> (n,).

    Two single vectors give one number, (). Raises ValueError if the shapes differ.
    """
    left, right = pairs_of(a, b)
    products: Array = np.vecdot(left, right)
    return products


@tensors_for_tensors
def pairwise_cos_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Compute the cosines of the rows of `a` and `b`, in pairs: -> (n,)."""
    return pairwise_dot_score(*map(normalize_embeddings, pairs_of(a, b)))


@tensors_for_tensors
def pairwise_euclidean_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Compute minus the Euclidean distances of the rows of `a` and `b`, in pairs: -> (n,)."""
    left, right = pairs_of(a, b)
    difference = left - right
    distances: Array = np.sqrt(np.vecdot(difference, difference))
    return -distances


@tensors_for_tensors
def pairwise_manhattan_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Compute minus the sums of absolute differences of the rows, in pairs: -> (n,)."""
    left, right = pairs_of(a, b)
    distances: Array = np.abs(left - right).sum(axis=-1)
    return -distances


@tensors_for_tensors
def pairwise_angle_sim(x: ArrayLike, y: ArrayLike) -> Array:
    """Compute |cos + sin| of the angles between the rows, in pairs: (n, D), (n, D) -> (n,).

    The first half of the dimensions are the real parts of complex numbers, the second half their
    imaginary parts: Li and Li, "AnglE-optimized Text Embeddings" (2023), section 3.4. An odd
    dimension gets a zero.
    """
    left, right = map(as_rows, pairs_of(x, y))
    if left.shape[1] % 2:
        left, right = (np.pad(rows, ((0, 0), (0, 1))) for rows in (left, right))
    left, right = normalize_embeddings(left), normalize_embeddings(right)
    half = left.shape[1] // 2
    sines = np.vecdot(left[:, half:], right[:, :half]) - np.vecdot(left[:, :half], right[:, half:])
    angles: Array = np.abs(np.vecdot(left, right) + sines)
    return angles


def normalize_embeddings(embeddings: ArrayLike) -> Array:
    """Return a copy with each vector divided by its Euclidean length; zeros stay. Any shape."""
    vectors = as_floats(embeddings).copy()
    normalize_(vectors)
    return vectors


def rows_of(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Convert both to float matrices of one dimension. Raises ValueError for two dimensions."""
    left, right = as_rows(a), as_rows(b)
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            f"The vectors have {left.shape[1]} and {right.shape[1]} dimensions; "
            "only vectors of one model can be compared."
        )
    return left, right


def pairs_of(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Convert both to floats of one shape; one of them may be a single vector.

    Raises ValueError for other shapes.
    """
    left, right = as_floats(a), as_floats(b)
    if left.shape != right.shape and (
        left.shape[-1:] != right.shape[-1:] or 1 not in (left.ndim, right.ndim)
    ):
        raise ValueError(
            f"The vectors have the shapes {left.shape} and {right.shape}; "
            "a score of each pair needs two of one shape."
        )
    return left, right


def as_rows(vectors: ArrayLike, name: str = "vectors") -> Array:
    """Convert vectors to a matrix (n, D) of float32; float64 stays."""
    rows = as_floats(vectors)
    if rows.ndim == 1:
        rows = rows[None] if rows.size else rows.reshape(0, 0)
    if rows.ndim != 2:
        raise ValueError(f"The {name} have the shape {rows.shape}; expected (D,) or (n, D).")
    return rows


def as_floats(vectors: ArrayLike) -> Array:
    """Convert numbers to float32; float64 stays. A column of a table may hold a vector a row.

    Raises TypeError for texts and None, ValueError for vectors of several lengths in a column and
    for a tensor of torch that requires a gradient.
    """
    array = as_array(vectors)
    is_column = array.ndim == 1 and array.dtype == object and len(array)
    if is_column and all(isinstance(row, np.ndarray) for row in array):
        array = np.stack(list(array))
    if array.dtype.kind not in "fiub":
        raise TypeError(
            f"Expected vectors, got {vectors!r:.60}. encode() turns texts into vectors."
        )
    # Lists of Python's floats have 64 bits, but nobody asked for float64.
    written = isinstance(vectors, list | tuple) and not any(hasattr(v, "dtype") for v in vectors)
    is_wide = array.dtype == np.float64 and not written
    return array if is_wide else array.astype(np.float32, copy=False)


def blocks(rows: int, floats_per_row: int, block_floats: int = BLOCK_FLOATS) -> Iterator[slice]:
    """Yield slices of rows, so that a temporary has at most `block_floats` numbers, or one row."""
    step = max(1, block_floats // max(1, floats_per_row))
    for start in range(0, rows, step):
        yield slice(start, start + step)
