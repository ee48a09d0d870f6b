"""Gradients of the kernels of cuda.py, on CuPy: the names and arguments of cpu_gradients.py.

Arrays are float32. No sum depends on which thread of the GPU is first, so a step that is computed
again has the same bits. Formulas are explained in cpu_gradients.py. Start at attend_gradient.
"""

from __future__ import annotations

import cupy as cp
import numpy as np
from cupy.cuda import cublas

from minibert.common.arrays import Array, IntArray
from minibert.kernels.cpu_gradients import column_sums, softmax_gradient_, weight_gradient
from minibert.kernels.cuda import (
    BLOCK,
    empty,
    join_heads_,
    launch,
    normalize_,
    products,
    rows_at,
    segment_sum,
    softmax_of,
    split_heads,
)
from minibert.kernels.protocol import NORM_FLOOR, Bucket, Factors, NormRows

__all__ = [
    "add_at_",
    "attend_gradient",
    "clip_gradient_",
    "column_sums",
    "elu_gradient_",
    "gelu_gradient_",
    "gelu_tanh_gradient_",
    "layer_norm_gradient_",
    "leaky_relu_gradient_",
    "mish_gradient_",
    "normalize_gradient_",
    "relu_gradient_",
    "sigmoid_gradient_",
    "silu_gradient_",
    "softplus_gradient_",
    "tanh_gradient_",
    "weight_gradient",
]


def layer_norm_gradient_(gradient: Array, kept: NormRows, weight: Array) -> tuple[Array, Array]:
    """Go back through a layer norm, (N, D) in place: -> gradients by its weight and bias, (D,)."""
    sums = column_sums(gradient * kept.normalised), column_sums(gradient)
    gradient *= weight
    along = kept.normalised * row_products(gradient, kept.normalised)
    along += gradient.sum(axis=-1, keepdims=True)
    along /= gradient.shape[1]
    gradient -= along
    gradient /= kept.deviation[:, None]
    return sums


def row_products(x: Array, y: Array) -> Array:
    """Sum the products of the numbers of each row: two of (..., D) -> (..., 1)."""
    sums: Array = (x * y).sum(axis=-1, keepdims=True)
    return sums


def attend_gradient(
    q: Array,
    k: Array,
    v: Array,
    context: Array,
    gradient: Array,
    buckets: list[Bucket],
    heads: int,
    attention_bias: Array | None = None,
    bias_gradient: Array | None = None,
    dropout: Factors | None = None,
) -> Array:
    """Go back through attention: five of (N, D) -> gradients by q, k and v side by side, (N, 3D).

    With an `attention_bias`, its gradient is added to `bias_gradient` (H, P, P).
    """
    part = q.shape[1]
    qkv_gradient = empty(len(q), 3 * part, like=q)
    parts = [qkv_gradient[:, start : start + part] for start in (0, part, 2 * part)]
    as_is, transposed = cublas.CUBLAS_OP_N, cublas.CUBLAS_OP_T
    for bucket in buckets:
        given = (split_heads(x[bucket.rows], bucket, heads) for x in (q, k, v, context, gradient))
        q_rows, k_rows, v_rows, context_rows, rows = given  # each (S, H, T, D/H)
        tokens, columns = rows.shape[2:]
        weights = products(q_rows, k_rows, tokens, transposed)  # (S, H, T, T), logits as yet
        if attention_bias is not None:
            weights += attention_bias[:, :tokens, :tokens]
        softmax_of(weights, bucket.lengths)
        factors = dropout(bucket) if dropout else None
        by_logits = products(rows, v_rows, tokens, transposed)  # by the weights as yet
        softmax_gradient_(weights, by_logits, row_products(rows, context_rows), factors)
        if bias_gradient is not None:
            bias_gradient[:, :tokens, :tokens] += by_logits.sum(axis=0)
        by_qkv = (
            products(by_logits, k_rows, columns, as_is),
            products(by_logits, q_rows, columns, as_is, transposed),
            products(weights, rows, columns, as_is, transposed),
        )
        for x, by_rows in zip(parts, by_qkv, strict=True):
            join_heads_(x[bucket.rows], by_rows, bucket)
    return qkv_gradient


def add_at_(total: Array, index: IntArray, rows: Array) -> None:
    """Add each row to the row of `total` at its index, in place: (V, D), (N,), (N, D).

    `index` is on the host. Rows of one index are summed first, in their order.
    """
    order = np.argsort(index, kind="stable")
    numbers, counts = np.unique(index, return_counts=True)
    total[cp.asarray(numbers)] += segment_sum(rows_at(rows, order), counts)


def normalize_gradient_(x: Array, gradient: Array) -> None:
    """Go back through normalize_, in place: x (S, D) becomes the result, and `gradient` that by x.

    Below NORM_FLOOR the divisor is a constant, and the result gradient / NORM_FLOOR.
    """
    lengths = cp.sqrt(row_products(x, x))  # (S, 1)
    normalize_(x)
    along = row_products(x, gradient)
    along *= lengths >= NORM_FLOOR
    gradient -= x * along
    gradient /= cp.maximum(lengths, NORM_FLOOR)


def go_back(name: str, x: Array, gradient: Array, a: float = 0.0, b: float = 0.0) -> None:
    """Go back through an activation in one kernel: x (N, F) becomes the result, both in place."""
    assert x.flags.c_contiguous, name
    assert gradient.flags.c_contiguous, name
    columns = np.int32(x.shape[-1])
    launch(f"{name}_gradient", x, len(x), (BLOCK,), gradient, columns, np.float32(a), np.float32(b))


def gelu_gradient_(x: Array, gradient: Array) -> None:
    """Go back through x Phi(x), Phi the normal distribution's function."""
    go_back("gelu", x, gradient)


def gelu_tanh_gradient_(x: Array, gradient: Array) -> None:
    """Go back through x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3)))."""
    go_back("gelu_tanh", x, gradient)


def relu_gradient_(x: Array, gradient: Array) -> None:
    """Go back through max(x, 0)."""
    go_back("relu", x, gradient)


def leaky_relu_gradient_(x: Array, slope: float, gradient: Array) -> None:
    """Go back through the larger of x and slope x."""
    go_back("leaky_relu", x, gradient, slope)


def clip_gradient_(x: Array, low: float, high: float, gradient: Array) -> None:
    """Go back through the limits `low` and `high`."""
    go_back("clip", x, gradient, low, high)


def sigmoid_gradient_(x: Array, gradient: Array) -> None:
    """Go back through 1 / (1 + exp(-x))."""
    go_back("sigmoid", x, gradient)


def silu_gradient_(x: Array, slope: float, gradient: Array) -> None:
    """Go back through x * sigmoid(slope * x)."""
    go_back("silu", x, gradient, slope)


def elu_gradient_(x: Array, gradient: Array) -> None:
    """Go back through exp(x) - 1 below 0, else x."""
    go_back("elu", x, gradient)


def softplus_gradient_(x: Array, gradient: Array) -> None:
    """Go back through log(1 + exp(x))."""
    go_back("softplus", x, gradient)


def mish_gradient_(x: Array, gradient: Array) -> None:
    """Go back through x * tanh(log(1 + exp(x)))."""
    go_back("mish", x, gradient)


def tanh_gradient_(x: Array, gradient: Array) -> None:
    """Go back through tanh(x)."""
    go_back("hyperbolic_tangent", x, gradient)
