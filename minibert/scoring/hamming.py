"""Packed bits -> the codes with the smallest Hamming distance, a quick pass before exact scores."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from minibert.common.arrays import Array, IntArray
from minibert.kernels.cores import in_threads
from minibert.scoring.matrices import Stack, numbers_of
from minibert.scoring.top_k import TopK

__all__ = ["hamming_distances", "nearest_bits"]

BLOCK_BYTES = 1 << 20  # of the codes of a block
SCORES = 1 << 20  # of a block


def hamming_distances(a: NDArray[Any], b: NDArray[Any]) -> NDArray[Any]:
    """Count the bits in which codes differ, for all pairs: (n, W), (m, W) bytes -> (n, m) int64."""
    left, right = as_uint64(a), np.ascontiguousarray(as_uint64(b).T)  # (n, W / 8), (W / 8, m)
    distances = np.empty((len(left), right.shape[1]), dtype=np.int64)
    for code, row in zip(left, distances, strict=True):
        np.bitwise_count(right ^ code[:, None]).sum(axis=0, dtype=np.int64, out=row)
    return distances


def as_uint64(codes: NDArray[Any]) -> NDArray[np.uint64]:
    """View bytes as uint64, padded with zeros: (n, W) -> (n, W / 8 rounded up)."""
    padded = np.pad(codes.view(np.uint8), ((0, 0), (0, -codes.shape[1] % 8)))
    return np.ascontiguousarray(padded).view(np.uint64)


def nearest_bits(
    queries: NDArray[Any],
    stack: Stack,
    k: int,
    *,
    threads: int | None = None,
    allowed: ArrayLike | None = None,
    excluded: ArrayLike | None = None,
    block_bytes: int = BLOCK_BYTES,
) -> tuple[IntArray, Array]:
    """Find the k codes nearest to each query by Hamming distance: (Q, W) bytes -> (Q, k), (Q, k).

    Return the numbers of the codes and minus the distances; equal distances come by number. At
    most `block_bytes` of codes are compared at a time, or one code. All other arguments are those
    of nearest.nearest.
    """
    wanted, left_out = numbers_of(len(stack), allowed, excluded)
    k = min(k, len(stack) - len(left_out) if wanted is None else len(wanted))
    top = TopK(len(queries), k, np.float32)
    if k == 0 or len(queries) == 0:
        return np.empty((len(queries), k), dtype=np.int64), top.highest

    def look_at(numbers: IntArray, codes: NDArray[Any]) -> None:
        top.offer(-hamming_distances(queries, codes).astype(np.float32), numbers, None, left_out)

    rows = max(1, min(block_bytes // queries.shape[1], SCORES // len(queries)))
    in_threads(look_at, stack.blocks(rows, wanted), -(-len(stack) // rows), threads)
    return top.ranking()
