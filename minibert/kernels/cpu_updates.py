"""Arithmetic of an optimizer on whole tensors, in NumPy: Adam's step, a norm's squares, a scale.

All go over the tensors once, in blocks of rows that stay in the cache, and threads share the
blocks. No number depends on another one, so blocks and threads change no bit. Start at adam_.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from minibert.common.arrays import Array
from minibert.kernels.cores import in_threads
from minibert.kernels.cpu import BLOCK_FLOATS
from minibert.kernels.protocol import Adam

__all__ = ["adam_", "copy_", "scale_", "square_sums", "zeros_like"]


def zeros_like(x: Array) -> Array:
    """Make zeros of the shape and the dtype of x."""
    return np.zeros_like(x)


def copy_(x: Array, numbers: Array) -> None:
    """Copy numbers of the host into x, in place."""
    np.copyto(x, numbers)


def adam_(steps: Sequence[Adam], threads: int | None = None) -> None:
    """Compute a step of Adam on each tensor, in place; gradients stay as they are."""

    def update(_: int, number: int, rows: slice) -> None:
        step = steps[number]
        arrays = step.value, step.gradient, step.exp_avg, step.exp_avg_sq
        update_(step, *(np.atleast_1d(x)[rows] for x in arrays))

    places = blocks([step.gradient for step in steps])
    in_threads(update, places, max(1, len(steps)), threads)


def update_(step: Adam, value: Array, gradient: Array, exp_avg: Array, exp_avg_sq: Array) -> None:
    """Compute a step of Adam on a block, in place; `gradient` stays as it is.

    All numbers of the step are Python's floats, which keep a float32 array float32.
    """
    first, second = step.betas
    change = gradient * (1 - first)
    exp_avg *= first
    exp_avg += change
    np.square(gradient, out=change)
    change *= 1 - second
    exp_avg_sq *= second
    exp_avg_sq += change
    np.sqrt(exp_avg_sq, out=change)
    change += step.eps
    np.divide(exp_avg, change, out=change)
    change *= step.size
    if step.decay:
        change += value * step.decay
    value -= change


def square_sums(arrays: Sequence[Array], threads: int | None = None) -> Array:
    """Sum the squares of each block of the arrays, in float64: -> (blocks,), for any exact sum."""
    places = list(blocks(arrays))
    sums = np.zeros(len(places))

    def add_squares(place: int, number: int, rows: slice) -> None:
        block = np.atleast_1d(arrays[number])[rows].astype(np.float64).ravel()
        sums[place] = block @ block

    in_threads(add_squares, iter(places), max(1, len(places)), threads)
    return sums


def scale_(arrays: Sequence[Array], factor: float, threads: int | None = None) -> None:
    """Multiply arrays by a factor, in place."""
    places = list(blocks(arrays))

    def scale(_: int, number: int, rows: slice) -> None:
        block = np.atleast_1d(arrays[number])[rows]
        block *= factor

    in_threads(scale, iter(places), max(1, len(places)), threads)


def blocks(arrays: Sequence[Array]) -> Iterator[tuple[int, int, slice]]:
    """Yield the blocks of all arrays: their number, the array's, rows; about BLOCK_FLOATS numbers.

    An array of the shape () has one row.
    """
    place = 0
    for number, array in enumerate(arrays):
        rows = len(np.atleast_1d(array))
        step = max(1, BLOCK_FLOATS * rows // max(1, array.size))
        for start in range(0, rows, step):
            yield place, number, slice(start, start + step)
            place += 1
