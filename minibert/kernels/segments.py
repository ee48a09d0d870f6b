"""The rows of texts that lie end to end: where each begins, and which attention takes together.

Knows lengths alone, no tokens and no arrays of a device.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import Bucket

__all__ = ["equal_buckets", "firsts", "near_buckets", "places_of", "split_rows"]


def places_of(lengths: IntArray) -> IntArray:
    """Where each token stands in its text, from 0: (S,) -> (N,)."""
    return np.arange(int(lengths.sum())) - np.repeat(firsts(lengths), lengths)


def firsts(lengths: IntArray) -> IntArray:
    """The number of each text's first token: (S,) -> (S,)."""
    return np.cumsum(lengths) - lengths


def split_rows(rows: Array, lengths: IntArray) -> list[Array]:
    """See the rows of each text by themselves: (N, D), (S,) on the host -> S of (T, D)."""
    return np.split(rows, np.cumsum(lengths)[:-1])


def equal_buckets(lengths: IntArray) -> Iterator[Bucket]:
    """Equally long texts side by side: (S,) -> runs.

    Packs are sorted by length, so short texts come in long runs, which attention takes as one.
    """
    first, start = 0, 0
    for index, length in enumerate(lengths.tolist()):
        if index + 1 == len(lengths) or lengths[index + 1] != length:
            end = start + (index + 1 - first) * length
            yield Bucket(slice(first, index + 1), slice(start, end), length)
            first, start = index + 1, end


def near_buckets(lengths: IntArray) -> Iterator[Bucket]:
    """Texts side by side whose lengths differ by an eighth or by 8 tokens: (S,) -> runs.

    `longest` is a multiple of 8, as a GPU's matrix units want it. Lengths from 512 down to 1
    make 27 runs.
    """
    first, start, end, longest = 0, 0, 0, 0
    for index, length in enumerate(lengths.tolist()):
        if not longest - max(8, longest // 8) < length <= longest:
            if index:
                yield Bucket(slice(first, index), slice(start, end), longest)
            first, start, longest = index, end, -(-length // 8) * 8
        end += length
    if len(lengths):
        yield Bucket(slice(first, len(lengths)), slice(start, end), longest)
