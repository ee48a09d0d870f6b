"""Factors of dropout, drawn on a GPU with the bits of NumPy's Philox: see bert/dropout.py.

A text's random numbers have its number and a place in the model for their counter. So each warp
begins wherever its row of the text does. Start at draw_rows.
"""

from __future__ import annotations

import cupy as cp
import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.cuda import launch_warps
from minibert.kernels.protocol import Bucket, Draw
from minibert.kernels.segments import firsts

__all__ = ["draw_rows", "draw_weights", "streams"]


def streams(texts: IntArray, lengths: IntArray) -> IntArray:
    """Bring texts of a pack to the GPU: numbers, first rows and lengths, (S,) each -> (3, S)."""
    found: IntArray = cp.asarray(np.stack([texts, firsts(lengths), lengths]).astype(np.int32))
    return found


def draw_rows(streams: IntArray, lengths: IntArray, columns: int, draw: Draw) -> Array:
    """Draw factors for rows of texts that lie end to end: (3, S), (S,) -> (N, columns).

    `lengths` are on the host.
    """
    factors: Array = cp.empty((int(lengths.sum()), columns), dtype=cp.float32)
    longest = int(lengths.max(initial=0))
    rows = len(lengths) * longest
    launch_warps(
        "draw_rows", factors, rows, *(streams[number] for number in range(3)),
        np.int32(rows), np.int32(longest), np.int32(columns), *numbers_of(draw),
    )  # fmt: skip
    return factors


def draw_weights(streams: IntArray, bucket: Bucket, heads: int, draw: Draw) -> Array:
    """Draw factors for the attention weights of a bucket: (3, S) of the pack -> (S, H, T, T).

    Those beyond a text's end are 0.
    """
    texts, longest = streams[0, bucket.texts], bucket.longest
    factors: Array = cp.empty((len(texts), heads, longest, longest), dtype=cp.float32)
    rows = len(texts) * heads * longest
    launch_warps(
        "draw_weights", factors, rows, texts, streams[2, bucket.texts],
        np.int32(rows), np.int32(longest), np.int32(heads), *numbers_of(draw),
    )  # fmt: skip
    return factors


def numbers_of(draw: Draw) -> tuple[np.generic, ...]:
    """Return the last arguments of a kernel that draws."""
    seed, step = np.array([draw.seed, draw.step], dtype=np.uint64).view(np.int64)
    threshold = round(draw.rate * 65536)  # of 16 bits
    counter = np.int32(draw.layer), np.int32(draw.place)
    return seed, step, *counter, np.int32(threshold), np.float32(1 / (1 - draw.rate))
