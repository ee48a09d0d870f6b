"""Vectors -> scores. Higher is closer. No texts, no ids, no files."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike

from minibert.arrays import Array
from minibert.kernels import normalize_

__all__ = ["SIMILARITIES", "cos_sim", "dot_score"]


def dot_score(a: ArrayLike, b: ArrayLike) -> Array:
    """The dot product of every vector of a with every one of b: (n, D), (m, D) -> (n, m).

    A single vector (D,) counts as one row. Whole numbers and half precision are computed as
    float32, so codes of int8 do not overflow. Raises ValueError if the widths differ.
    """
    left, right = rows_of(a, b)
    return left @ right.T


def cos_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """The cosine of every vector of a with every one of b: (n, D), (m, D) -> (n, m).

    A vector of zeros has the cosine 0 with everything. Otherwise as dot_score.
    """
    left, right = (rows.copy() for rows in rows_of(a, b))
    normalize_(left)
    normalize_(right)
    return left @ right.T


# similarity_fn_name -> the function. The second names are what some folders write.
SIMILARITIES: dict[str, Callable[[ArrayLike, ArrayLike], Array]] = {
    "cosine": cos_sim,
    "dot": dot_score,
}


def rows_of(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Both as float matrices of one width."""
    left, right = as_rows(a), as_rows(b)
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            f"The vectors have {left.shape[1]} and {right.shape[1]} dimensions; "
            "only vectors of one model can be compared."
        )
    return left, right


def as_rows(vectors: ArrayLike) -> Array:
    """Vectors as a matrix (n, D) of float32, or of float64 if they were."""
    rows = np.asarray(vectors)
    if rows.dtype != np.float64:
        rows = rows.astype(np.float32, copy=False)
    if rows.ndim == 1:
        rows = rows[None]
    if rows.ndim != 2:
        raise ValueError(f"The vectors have the shape {rows.shape}; expected (D,) or (n, D).")
    return rows
