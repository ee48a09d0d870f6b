"""Many vectors -> their places on a plane. No texts, no files. Start at principal_components.

The plane is the one that lies closest to the vectors (Pearson, "On lines and planes of closest fit
to systems of points in space", 1901). It goes through their mean, along the two eigenvectors of
their covariance with the largest eigenvalues; these are the variances along them (Jolliffe,
"Principal Component Analysis", 2nd edition, section 1.1).

UMAP, from an extra, is not linear: it keeps neighbours together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from minibert.common.advice import needing
from minibert.common.arrays import Array, IntArray
from minibert.kernels.cores import one_blas_thread
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS

__all__ = [
    "METHODS",
    "NEIGHBOURS",
    "SEED",
    "Projection",
    "principal_components",
    "project",
    "umap_places",
]

METHODS = ("pca", "umap")  # principal_components and project, or umap_places after them
SEED = 0
BLOCK_FLOATS = 1 << 20  # of a block: 8 MB of float64
# A variance below this part of the square of the mean is the rounding of equal vectors in float32:
# the bits of a text differ beside other texts. So vectors are equal within 1e-6.
NO_VARIANCE = 1e-12

NEIGHBOURS = 15  # UMAP's own default


class Projection(NamedTuple):
    """A plane through the mean of some vectors."""

    mean: Array  # (D,) float64
    components: Array  # (2, D) float64, orthonormal; a row is 0 without variance or beyond D
    shares: tuple[float, float]  # portions of the variance along the two components


def principal_components(
    stack: Stack,
    excluded: IntArray,
    *,
    advance: Callable[[int], object] = lambda done: None,
    block_floats: int = BLOCK_FLOATS,
) -> Projection:
    """Compute the plane along which vectors vary most: (n, D) -> a projection.

    Each vector is read once. `excluded` are the numbers of vectors to leave out, rising. Memory is
    one block of `block_floats` numbers and the covariance, (D, D), for any n; `advance` is called
    with the number of vectors read since the last call. The sign of a component makes its largest
    number positive, the first of equal ones, so that no picture is mirrored on another machine.
    Raises ValueError for no vector, and for NaN or infinity.
    """
    with one_blas_thread():  # the same bits on any number of cores
        mean, covariance = moments(stack, excluded, advance, block_floats)
        if np.trace(covariance) <= NO_VARIANCE * (mean @ mean):
            covariance[:] = 0
        return Projection(mean, *axes_of(covariance))


def moments(
    stack: Stack, excluded: IntArray, advance: Callable[[int], object], block_floats: int
) -> tuple[Array, Array]:
    """Compute the mean (D,) and the covariance (D, D) of all vectors but the excluded."""
    origin, products = np.zeros(stack.dimension), np.zeros((stack.dimension, stack.dimension))
    sums, count = np.zeros(stack.dimension), 0
    for block in blocks(stack, excluded, advance, block_floats):
        # Products of numbers far from 0 are large, and lose digits when the mean is subtracted.
        # Products of differences from any one vector are small (Chan, Golub and LeVeque,
        # "Algorithms for computing the sample variance", 1983: shifted data).
        if not count:
            origin = block[0].copy()
        block -= origin
        # In float64, as sums over all documents lose digits. With two variances that are nearly
        # equal, the rounding of float32 would rotate the plane.
        sums += block.sum(axis=0)
        products += block.T @ block
        count += len(block)
    if not count:
        raise ValueError("There is no vector to project.")
    offset = sums / count
    covariance = products / count - np.outer(offset, offset)
    return origin + offset, covariance


def project(projection: Projection, vectors: Array) -> Array:
    """Place vectors on the plane, with the mean at 0: (n, D) -> (n, 2) float64."""
    with one_blas_thread():
        places: Array = (vectors.astype(np.float64) - projection.mean) @ projection.components.T
    return places


def blocks(
    stack: Stack, excluded: IntArray, advance: Callable[[int], object], block_floats: int
) -> Iterator[NDArray[np.float64]]:
    """Yield all vectors but the excluded in blocks (b, D) float64, which may be written to."""
    rows = max(1, block_floats // max(1, stack.dimension))
    for numbers, stored in stack.blocks(rows, None):
        gone = excluded[slice(*np.searchsorted(excluded, (numbers[0], numbers[-1] + 1)))]
        left = np.delete(stored, gone - numbers[0], axis=0) if len(gone) else stored
        if len(left):
            block = stack.vectors(left).astype(np.float64)
            if not np.isfinite(block).all():
                row = int(np.flatnonzero(~np.isfinite(block).all(axis=1))[0])
                place = stack.place(int(np.setdiff1d(numbers, gone)[row]))
                raise ValueError(f"{place} holds NaN or infinity, which have no place on a map.")
            yield block
        advance(len(numbers))


def axes_of(covariance: Array) -> tuple[Array, tuple[float, float]]:
    """Return the first two eigenvectors, as rows (2, D), and their portions of the variance."""
    components, shares = np.zeros((2, len(covariance))), np.zeros(2)
    if total := float(np.trace(covariance)):
        variances, vectors = np.linalg.eigh(covariance)  # rising; vectors are columns
        found = min(2, len(covariance))
        components[:found] = with_signs(vectors[:, ::-1].T[:found])
        shares[:found] = np.maximum(variances[::-1][:found], 0) / total  # rounding may be below 0
    return components, (float(shares[0]), float(shares[1]))


def with_signs(components: Array) -> Array:
    """Change the sign of each row whose number of largest size is negative: -> (2, D)."""
    largest = np.abs(components).argmax(axis=1)[:, None]
    signed: Array = components * np.where(np.take_along_axis(components, largest, 1) < 0, -1, 1)
    return signed


def umap_places(vectors: Array, start: Array, metric: str, others: Array) -> tuple[Array, Array]:
    """Lay out vectors by UMAP (McInnes, Healy and Melville, 2018): (n, D) -> (n, 2), (m, 2).

    The layout begins with the places `start`, (n, 2). With principal components, distant groups may
    stay distant (Kobak and Linderman, "Initialization is critical for preserving global data
    structure in both t-SNE and UMAP", 2021). `others`, (m, D), are placed among them afterwards.
    The seed is fixed. Raises ValueError for too few vectors, for equal ones and for a metric that
    UMAP lacks; MissingLibraryError if umap-learn is not installed.
    """
    if len(vectors) <= NEIGHBOURS:
        raise ValueError(
            f"UMAP needs {NEIGHBOURS} neighbours of each document, and there are {len(vectors)} "
            "documents. Principal components (--method pca) need no neighbours."
        )
    distance = umap_name(metric)
    spread = float(np.ptp(start, axis=0).max())
    if not spread:
        raise ValueError("All vectors are the same; UMAP needs different ones. Use --method pca.")
    with needing("umap-learn", "The method umap", "umap"):
        from umap import UMAP
    # Without a small random shift, points in one place would stay there, and a line stay a line.
    trembling = np.random.default_rng(SEED).normal(scale=1e-4 * spread, size=start.shape)
    layout = UMAP(
        n_neighbors=NEIGHBOURS,
        metric=distance,
        init=start + trembling,
        random_state=SEED,
        n_jobs=1,  # several threads do not keep to a seed
    )
    places = layout.fit_transform(vectors)
    return places, layout.transform(others) if len(others) else np.empty((0, 2))


def umap_name(metric: str) -> str:
    """Return UMAP's name for the distance of a metric. Raises ValueError if UMAP has none."""
    names = {name: row.umap_name for name, row in METRICS.items() if row.umap_name}
    if metric not in names:
        raise ValueError(
            f"UMAP has no {metric} distance; expected one of {', '.join(names)}. Principal "
            "components (--method pca) need none."
        )
    return names[metric]
