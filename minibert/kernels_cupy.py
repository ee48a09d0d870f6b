"""The kernels of `kernels.py` on CuPy: the same names and arguments, with arrays on a GPU.

Written for being right and short: one CuPy call a step, none of them fused.
"""

from __future__ import annotations

import cupy as cp
import numpy as np
from cupyx.scipy.special import erf

from minibert.arrays import Array, IntArray, Then
from minibert.packing import equal_runs

__all__ = [
    "clip_",
    "empty",
    "exponentials_",
    "floats",
    "gelu_",
    "gelu_tanh_",
    "layer_norm_",
    "leaky_relu_",
    "linear",
    "logit_bound",
    "normalize_",
    "relu_",
    "rows_at",
    "segment_max",
    "segment_sum",
    "sigmoid_",
    "silu_",
    "softmax_",
    "tanh_",
]


def empty(rows: int, columns: int) -> Array:
    """An uninitialised float32 array: () -> (rows, columns)."""
    array: Array = cp.empty((rows, columns), dtype=cp.float32)
    return array


def floats(numbers: IntArray | Array) -> Array:
    """Numbers of the host as float32 on the GPU."""
    array: Array = cp.asarray(numbers.astype(np.float32))
    return array


def linear(x: Array, weight: Array, bias: Array, then: Then | None = None) -> Array:
    """x @ weight + bias: (N, D), (D, F), (F,) -> (N, F); `then` changes all rows of it at once."""
    product = x @ weight
    product += bias
    if then is not None:
        then(product, slice(None))
    return product


def layer_norm_(x: Array, weight: Array, bias: Array, epsilon: float) -> None:
    """Give each row mean 0 and variance 1, then scale and shift it: (N, D) in place."""
    x -= x.mean(axis=1, keepdims=True)
    variance = (x * x).mean(axis=1, keepdims=True)  # (N, 1)
    x /= cp.sqrt(variance + epsilon)
    x *= weight
    x += bias


def logit_bound(q: Array, k: Array, heads: int) -> float:
    """None is known: to ask the GPU would be to wait for it."""
    return float("inf")


def exponentials_(logits: Array, bound: float) -> Array:
    """exp(logits - the largest of a row), in place, and their sums: (..., T) -> (..., 1)."""
    logits -= logits.max(axis=-1, keepdims=True)
    cp.exp(logits, out=logits)
    sums: Array = logits.sum(axis=-1, keepdims=True)
    return sums


def softmax_(logits: Array) -> None:
    """Turn logits into weights that sum to 1 over the last axis, in place."""
    logits /= exponentials_(logits, np.inf)


def gelu_(x: Array) -> None:
    """x/2 * (1 + erf(x / sqrt 2)), in place."""
    x *= (erf(x * 0.5**0.5) + 1.0) * 0.5


def gelu_tanh_(x: Array) -> None:
    """x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), in place."""
    x *= (cp.tanh(x * (x * x * 0.044715 + 1.0) * (2 / np.pi) ** 0.5) + 1.0) * 0.5


def relu_(x: Array) -> None:
    """max(x, 0), in place."""
    cp.maximum(x, 0.0, out=x)


def leaky_relu_(x: Array, slope: float) -> None:
    """x where it is above 0, slope * x below: in place, for a slope from 0 to 1."""
    cp.maximum(x, x * slope, out=x)


def clip_(x: Array, low: float, high: float) -> None:
    """x, but never below `low` or above `high`: in place."""
    cp.maximum(x, low, out=x)
    cp.minimum(x, high, out=x)


def sigmoid_(x: Array) -> None:
    """1 / (1 + exp(-x)), in place."""
    x *= -1.0
    cp.exp(x, out=x)
    x += 1.0
    cp.divide(1.0, x, out=x)


def silu_(x: Array, slope: float = 1.0) -> None:
    """x * sigmoid(slope * x), in place."""
    x *= (cp.tanh(x * (0.5 * slope)) + 1.0) * 0.5


def tanh_(x: Array) -> None:
    """tanh(x), in place."""
    cp.tanh(x, out=x)


def rows_at(x: Array, rows: IntArray) -> Array:
    """The rows of the given numbers, in their order: (N, D), (R,) on the host -> (R, D)."""
    chosen: Array = x[cp.asarray(rows)]
    return chosen


def segment_sum(x: Array, lengths: IntArray) -> Array:
    """Sum the rows of each text: (N, D), (S,) -> (S, D)."""
    sums = empty(len(lengths), x.shape[1])
    for texts, rows in equal_runs(lengths):
        sums[texts] = x[rows].reshape(texts.stop - texts.start, -1, x.shape[1]).sum(axis=1)
    return sums


def segment_max(x: Array, lengths: IntArray) -> Array:
    """The largest number of each column in each text: (N, D), (S,) -> (S, D)."""
    largest = empty(len(lengths), x.shape[1])
    for texts, rows in equal_runs(lengths):
        largest[texts] = x[rows].reshape(texts.stop - texts.start, -1, x.shape[1]).max(axis=1)
    return largest


def normalize_(x: Array) -> None:
    """Divide each row by its Euclidean length: (S, D) in place. A row of zeros stays zero."""
    x /= cp.maximum(cp.sqrt((x * x).sum(axis=1, keepdims=True)), 1e-12)
