"""The kernels of `kernels.py` on CuPy: the same names and arguments, with arrays on a GPU.

Written for being right and short: one CuPy call a step, none of them fused.
"""

from __future__ import annotations

import cupy as cp
import numpy as np
from cupyx.scipy.special import erf

from minibert.arrays import Array, IntArray

__all__ = [
    "empty",
    "floats",
    "gelu_",
    "gelu_tanh_",
    "layer_norm_",
    "linear",
    "normalize_",
    "relu_",
    "segment_sum",
    "silu_",
    "softmax_",
    "tanh_",
]


def empty(rows: int, columns: int) -> Array:
    """An uninitialised float32 array: () -> (rows, columns)."""
    array: Array = cp.empty((rows, columns), dtype=cp.float32)
    return array


def floats(numbers: IntArray) -> Array:
    """Whole numbers of the host as float32 on the GPU."""
    array: Array = cp.asarray(numbers.astype(np.float32))
    return array


def linear(x: Array, weight: Array, bias: Array) -> Array:
    """x @ weight + bias: (N, D), (D, F), (F,) -> (N, F)."""
    product = x @ weight
    product += bias
    return product


def layer_norm_(x: Array, weight: Array, bias: Array, epsilon: float) -> None:
    """Give each row mean 0 and variance 1, then scale and shift it: (N, D) in place."""
    x -= x.mean(axis=1, keepdims=True)
    variance = (x * x).mean(axis=1, keepdims=True)  # (N, 1)
    x /= cp.sqrt(variance + epsilon)
    x *= weight
    x += bias


def softmax_(logits: Array) -> None:
    """Turn logits into weights that sum to 1 over the last axis, in place."""
    logits -= logits.max(axis=-1, keepdims=True)
    cp.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)


def gelu_(x: Array) -> None:
    """x/2 * (1 + erf(x / sqrt 2)), in place."""
    x *= (erf(x * 0.5**0.5) + 1.0) * 0.5


def gelu_tanh_(x: Array) -> None:
    """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), in place."""
    x *= (cp.tanh(x * (x * x * 0.044715 + 1.0) * (2 / np.pi) ** 0.5) + 1.0) * 0.5


def relu_(x: Array) -> None:
    """max(x, 0), in place."""
    cp.maximum(x, 0.0, out=x)


def silu_(x: Array) -> None:
    """x * sigmoid(x), in place."""
    x *= (cp.tanh(x * 0.5) + 1.0) * 0.5


def tanh_(x: Array) -> None:
    """tanh(x), in place."""
    cp.tanh(x, out=x)


def segment_sum(x: Array, lengths: IntArray) -> Array:
    """Sum the rows of each text: (N, D), (S,) -> (S, D)."""
    # Packs are sorted, so equally long texts stand side by side: one sum does a run of them.
    sums = empty(len(lengths), x.shape[1])
    ends = np.cumsum(lengths).tolist()
    firsts = np.flatnonzero(np.diff(lengths, prepend=0)).tolist()  # of each run of equal lengths
    for first, after in zip(firsts, [*firsts[1:], len(lengths)], strict=True):
        length = int(lengths[first])
        run = x[ends[first] - length : ends[after - 1]]  # (texts * T, D)
        sums[first:after] = run.reshape(after - first, length, -1).sum(axis=1)
    return sums


def normalize_(x: Array) -> None:
    """Divide each row by its Euclidean length: (S, D) in place. A row of zeros stays zero."""
    x /= cp.maximum(cp.sqrt((x * x).sum(axis=1, keepdims=True)), 1e-12)
