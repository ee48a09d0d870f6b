"""Gradients of the kernels of cpu.py, in NumPy: each by the name of its kernel.

`gradient` is that of a loss by the output of a kernel, and what a function returns is that by its
input. The gradients of the activations are in activation_gradients.py. Start at weight_gradient.
cuda_gradients.py takes from here what is only an array's own methods.
"""

from __future__ import annotations

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.activation_gradients import (
    clip_gradient_,
    elu_gradient_,
    gelu_gradient_,
    gelu_tanh_gradient_,
    leaky_relu_gradient_,
    mish_gradient_,
    relu_gradient_,
    sigmoid_gradient_,
    silu_gradient_,
    softplus_gradient_,
    tanh_gradient_,
)
from minibert.kernels.cpu import normalize_, row_slices, softmax_, split_heads
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


def weight_gradient(x: Array, gradient: Array) -> Array:
    """Compute the gradient by the weight of x @ weight: (N, D), (N, F) -> (D, F).

    Weights lie as (out, in) in memory, so the product is made that way round.
    """
    product: Array = gradient.T @ x
    return product.T


def column_sums(x: Array) -> Array:
    """Sum the rows of x, as for the gradient by a bias: (N, D) -> (D,)."""
    sums: Array = x.sum(axis=0)
    return sums


def layer_norm_gradient_(gradient: Array, kept: NormRows, weight: Array) -> tuple[Array, Array]:
    """Go back through a layer norm, (N, D) in place: -> gradients by its weight and bias, (D,).

    With z = gradient * weight, the result is (z - mean(z) - n * mean(z * n)) / deviation, where n
    are the normalised rows.
    """
    dimension = gradient.shape[1]
    weight_sums, bias_sums = np.zeros_like(weight), np.zeros_like(weight)
    for place in row_slices(gradient):
        rows, normalised = gradient[place], kept.normalised[place]
        weight_sums += np.einsum("nd,nd->d", rows, normalised)
        bias_sums += column_sums(rows)
        rows *= weight
        means = np.vecdot(rows, normalised) / dimension  # (rows,)
        rows -= (np.einsum("nd->n", rows) / dimension)[:, None]
        rows -= normalised * means[:, None]
        rows /= kept.deviation[place][:, None]
    return weight_sums, bias_sums


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

    The weights are computed again from q and k, text by text: they take more memory than all else.
    `context` is what attend returned. With an `attention_bias`, its gradient is added to
    `bias_gradient` (H, P, P).

    For softmax_gradient_, a sum over the keys is that of gradient * context over the numbers of a
    head: Dao et al., "FlashAttention" (2022), appendix B.4.
    """
    part = q.shape[1]
    qkv_gradient = np.empty((len(q), 3 * part), dtype=q.dtype)
    parts = [qkv_gradient[:, start : start + part] for start in (0, part, 2 * part)]
    for bucket in buckets:
        given = (split_heads(x[bucket.rows], bucket, heads) for x in (q, k, v, context, gradient))
        q_rows, k_rows, v_rows, context_rows, rows = given  # each (S, H, T, D/H)
        weights = q_rows @ k_rows.swapaxes(-1, -2)  # (S, H, T, T), logits as yet
        if attention_bias is not None:
            weights += attention_bias[:, : bucket.longest, : bucket.longest]
        softmax_(weights)
        factors = dropout(bucket) if dropout else None
        by_logits = rows @ v_rows.swapaxes(-1, -2)  # by the weights as yet
        sums = np.vecdot(rows, context_rows)[..., None]
        softmax_gradient_(weights, by_logits, sums, factors)
        if bias_gradient is not None:
            bias_gradient[:, : bucket.longest, : bucket.longest] += by_logits.sum(axis=0)
        by_q, by_k, by_v = (split_heads(x[bucket.rows], bucket, heads) for x in parts)
        by_q[...] = by_logits @ k_rows
        by_k[...] = by_logits.swapaxes(-1, -2) @ q_rows
        by_v[...] = weights.swapaxes(-1, -2) @ rows
    return qkv_gradient


def softmax_gradient_(weights: Array, gradient: Array, sums: Array, factors: Array | None) -> None:
    """Go back through the softmax of attention, and the dropout after it: (S, H, T, T) in place.

    With p = softmax(s), ds = p * (dp - sum(dp * p)); `sums` (S, H, T, 1) are those. `gradient`, by
    the weights after dropout, becomes ds. `weights`, which are p, become those after dropout.
    """
    if factors is not None:
        gradient *= factors
    gradient -= sums
    gradient *= weights
    if factors is not None:
        weights *= factors


def add_at_(total: Array, index: IntArray, rows: Array) -> None:
    """Add each row to the row of `total` at its index, in place: (V, D), (N,), (N, D).

    `index` is on the host. Rows of one index are summed first: np.add.at adds one number at a time.
    """
    order = np.argsort(index, kind="stable")
    numbers, starts = np.unique(index[order], return_index=True)
    total[numbers] += np.add.reduceat(rows[order], starts, axis=0)


def normalize_gradient_(x: Array, gradient: Array) -> None:
    """Go back through normalize_, in place: x (S, D) becomes the result, and `gradient` that by x.

    With y = x / |x|, the result is (gradient - y (y . gradient)) / |x|. Below NORM_FLOOR the
    divisor is a constant, and the result gradient / NORM_FLOOR.
    """
    lengths = np.sqrt(np.vecdot(x, x))  # (S,)
    normalize_(x)
    along = np.vecdot(x, gradient)
    along[lengths < NORM_FLOOR] = 0.0
    gradient -= x * along[:, None]
    gradient /= np.maximum(lengths, NORM_FLOOR)[:, None]
