"""Arithmetic of an optimizer on whole tensors of a GPU: the names of cpu_updates.py, on CuPy.

Tensors are float32, and stay on the GPU that has them. Formulas are explained in cpu_updates.py.
Start at adam_.
"""

from __future__ import annotations

from collections.abc import Sequence

import cupy as cp
import numpy as np

from minibert.common.arrays import Array
from minibert.errors import DeviceError
from minibert.kernels.cuda import BLOCK, launch, launch_warps
from minibert.kernels.protocol import Adam

__all__ = ["adam_", "copy_", "scale_", "square_sums", "zeros_like"]

# Numbers of a block of threads, or of a warp's sum: a float32 keeps that of so few exact enough.
COLUMNS = 4096


def zeros_like(x: Array) -> Array:
    """Make zeros of the shape and the dtype of x, in C order. Raises DeviceError without room."""
    try:
        with device_of(x):
            found: Array = cp.zeros(x.shape, dtype=x.dtype)
    except cp.cuda.memory.OutOfMemoryError as error:
        raise DeviceError(
            f"The GPU's memory has no room for another array of {x.nbytes:,} bytes ({error}). "
            "Training needs four of each tensor and what a pack takes: train with a smaller "
            "batch_size (--batch-size), or on 'cpu'."
        ) from error
    return found


def copy_(x: Array, numbers: Array) -> None:
    """Copy numbers of the host into x, in place."""
    with device_of(x):
        x[...] = cp.asarray(numbers.astype(x.dtype, copy=False))


def adam_(steps: Sequence[Adam], threads: int | None = None) -> None:
    """Compute a step of Adam on each tensor, in place, in one kernel each."""
    for step in steps:
        first, second = step.betas
        numbers = (first, 1 - first, second, 1 - second, step.size, step.eps, step.decay)
        arrays = step.value, in_order(step.gradient), step.exp_avg, step.exp_avg_sq
        assert all(array.flags.c_contiguous for array in arrays)
        count = step.value.size
        with device_of(step.value):
            launch(
                "adam", arrays[0], -(-count // COLUMNS), (BLOCK,), *arrays[1:],
                np.int64(count), np.int32(COLUMNS), *map(np.float32, numbers),
            )  # fmt: skip


def square_sums(arrays: Sequence[Array], threads: int | None = None) -> Array:
    """Sum the squares of every 4,096 numbers of the arrays, in float32: -> float64 on the host.

    All sums come to the host in one copy.
    """
    if not arrays:
        return np.zeros(0)
    counts = [-(-array.size // COLUMNS) for array in arrays]
    with device_of(arrays[0]):
        sums = cp.empty((sum(counts),), dtype=cp.float32)
        start = 0
        for array, count in zip(arrays, counts, strict=True):
            launch_warps(
                "square_sums", in_order(array), count, np.int64(array.size),
                sums[start : start + count], np.int32(count), np.int32(COLUMNS),
            )  # fmt: skip
            start += count
        on_host: Array = cp.asnumpy(sums)
    return on_host.astype(np.float64)


def scale_(arrays: Sequence[Array], factor: float, threads: int | None = None) -> None:
    """Multiply arrays by a factor, in place."""
    for array in arrays:
        with device_of(array):
            array *= factor


def device_of(x: Array) -> cp.cuda.Device:
    """Return the GPU that has an array, for a block in which kernels run there."""
    on_gpu: cp.ndarray = x
    return on_gpu.device


def in_order(x: Array) -> Array:
    """Return an array in C order, which a kernel goes through as one row; else copy it."""
    if x.flags.c_contiguous:
        return x
    with device_of(x):
        return x.copy()
