"""Rows of texts that lie end to end: the first row of each, and buckets for attention.

Knows lengths alone, no tokens and no arrays of a device.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import Bucket

__all__ = ["equal_buckets", "firsts", "near_buckets", "places_of", "split_rows", "texts_of"]


def places_of(lengths: IntArray) -> IntArray:
    """Return the place of each token in its text, from 0: (S,) -> (N,)."""
    return np.arange(int(lengths.sum())) - np.repeat(firsts(lengths), lengths)


def texts_of(lengths: IntArray) -> IntArray:
    """Return the text of each token, from 0: (S,) -> (N,)."""
    return np.repeat(np.arange(len(lengths)), lengths)


def firsts(lengths: IntArray) -> IntArray:
    """Return the row of each text's first token: (S,) -> (S,)."""
    return np.cumsum(lengths) - lengths


def split_rows(rows: Array, lengths: IntArray) -> list[Array]:
    """View the rows of each text separately: (N, D), (S,) on the host -> S of (T, D)."""
    return np.split(rows, np.cumsum(lengths)[:-1])


def equal_buckets(lengths: IntArray) -> Iterator[Bucket]:
    """Group neighbouring texts of one length: (S,) -> buckets.

    Packs are sorted by length, so equally long texts are neighbours.
    """
    first, start = 0, 0
    for index, length in enumerate(lengths.tolist()):
        if index + 1 == len(lengths) or lengths[index + 1] != length:
            end = start + (index + 1 - first) * length
            yield Bucket(slice(first, index + 1), slice(start, end), length)
            first, start = index + 1, end


def near_buckets(lengths: IntArray) -> Iterator[Bucket]:
    """Group neighbouring texts whose lengths differ by less than an eighth, or 8: (S,) -> buckets.

    `longest` is a multiple of 8, as suits a GPU's matrix units. Lengths from 512 down to 1 make 27
    buckets.
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
