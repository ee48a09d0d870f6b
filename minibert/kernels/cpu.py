"""Arithmetic on rows, in NumPy and float32. Knows nothing of BERT or of devices.

Element-wise steps go over an array in blocks of rows that stay in the cache, several steps for each
block. So an array is read from memory once, not once for each step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import NORM_FLOOR, Bucket, Epilogue, Factors, NormRows
from minibert.kernels.segments import equal_buckets, firsts

__all__ = [
    "add_",
    "add_and_normalise_",
    "attend",
    "bucket_sums",
    "buckets",
    "clip_",
    "concatenate",
    "elu_",
    "empty",
    "floats",
    "gelu_",
    "gelu_tanh_",
    "layer_norm_",
    "leaky_relu_",
    "linear",
    "mish_",
    "normalize_",
    "relu_",
    "rows_at",
    "segment_max",
    "segment_sum",
    "sigmoid_",
    "silu_",
    "softmax_",
    "softplus_",
    "standardise",
    "tanh_",
]

# 256 KB of float32: with its temporaries a block fits a core's second-level cache.
BLOCK_FLOATS = 1 << 16
# Number of products in each partial sum of `linear`. OpenBLAS's kernels add 320 or 384 products one
# after another; below twice that number they halve it, so 512 become chains of 256.
CHAIN = 512
# Logits below this can neither overflow nor vanish: 512 tokens with e^60 times values of 10^9 are
# numbers, and e^-60 is far from the smallest.
SAFE_LOGIT = 60.0
ROOT_2_BY_PI = (2 / np.pi) ** 0.5
# Error function's complement, number by number.
erfc = np.vectorize(math.erfc, otypes=[np.float64])


def row_slices(x: Array) -> Iterator[slice]:
    """Slices of the rows of x, about BLOCK_FLOATS numbers each."""
    step = max(1, BLOCK_FLOATS // max(1, x.shape[-1]))
    for start in range(0, len(x), step):
        yield slice(start, start + step)


def row_blocks(x: Array) -> Iterator[Array]:
    """Views of the rows of x, about BLOCK_FLOATS numbers each."""
    for place in row_slices(x):
        yield x[place]


def empty(rows: int, columns: int, like: Array | None = None) -> Array:
    """Make an uninitialised array, float32 or in the dtype of `like`: () -> (rows, columns)."""
    return np.empty((rows, columns), dtype=np.float32 if like is None else like.dtype)


def floats(numbers: IntArray | Array) -> Array:
    """Return numbers as float32, or as float64 if they are; without a copy if they are either.

    int64 would turn a float32 result into float64.
    """
    dtype = np.float64 if numbers.dtype == np.float64 else np.float32
    return numbers.astype(dtype, copy=False)


def linear(x: Array, weight: Array, bias: Array, epilogue: Epilogue | None = None) -> Array:
    """Compute x @ weight + bias: (N, D), (D, F), (F,) -> (N, F).

    `weight` may also lie in blocks, see `product_of_blocks`. `epilogue` gets some rows of the
    product at a time, while they are in the cache, and adds the bias itself.
    """
    part: Array | None = None
    if weight.ndim > 2:
        product = product_of_blocks(x, weight)
    else:
        # A BLAS adds hundreds of products one after another, and each addition rounds. Shorter
        # chains, summed after, bring the result nearer to float64's.
        product = x[:, :CHAIN] @ weight[:CHAIN]
        for start in range(CHAIN, len(weight), CHAIN):
            if part is not None:
                product += part
            part = np.matmul(x[:, start : start + CHAIN], weight[start : start + CHAIN], out=part)
    for place in row_slices(product):
        rows = product[place]
        if part is not None:
            rows += part[place]
        if epilogue is None:
            rows += bias
        else:
            epilogue(rows, place, bias)
    return product


def product_of_blocks(x: Array, blocks: Array) -> Array:
    """Compute x @ weight, (D, F) in blocks: (N, D), (parts, ..., D/parts, F/tiles) -> (N, F).

    The axes between are the blocks of F, side by side. bert/tensor_parallel.py makes them and has
    the reason.
    """
    parts, inner = len(blocks), blocks.shape[-2]
    x_parts = x.reshape(len(x), parts, inner).swapaxes(0, 1)  # (parts, N, D/parts)
    between = (1,) * (blocks.ndim - 3)
    products = np.matmul(x_parts.reshape(parts, *between, len(x), inner), blocks)
    summed = products[0] if parts == 1 else np.add.reduce(products, axis=0)  # (..., N, F/tiles)
    product: Array = np.moveaxis(summed, -2, 0).reshape(len(x), -1)
    return product


def add_(x: Array, bias: Array | None) -> None:
    """Add a bias, if there is one: (N, F), (F,) in place."""
    if bias is not None:
        x += bias


def add_and_normalise_(
    x: Array,
    bias: Array | None,
    before: Array | None,
    weight: Array,
    norm_bias: Array,
    epsilon: float,
    keep: NormRows | None = None,
) -> None:
    """Compute the layer norm of x + bias + before: (N, D), (D,), (N, D) in place.

    `keep` gets the rows before weight and norm_bias, and their deviations; its factors multiply
    x + bias.
    """
    add_(x, bias)
    if keep and keep.factors is not None:
        x *= keep.factors
    add_(x, before)
    for place in row_slices(x):
        rows = x[place]
        deviation = standardise(rows, epsilon)
        if keep:
            keep.normalised[place], keep.deviation[place] = rows, deviation
        rows *= weight
        rows += norm_bias


def layer_norm_(x: Array, weight: Array, bias: Array, epsilon: float) -> None:
    """Give each row mean 0 and variance 1, then scale and shift it: (N, D) in place.

    The variance is the biased one (divided by D), with epsilon inside the root: Ba, Kiros and
    Hinton, "Layer Normalization" (2016), equation 3.
    """
    add_and_normalise_(x, None, None, weight, bias, epsilon)


def standardise(x: Array, epsilon: float) -> Array:
    """Give each row mean 0 and variance 1, in place: (N, D) -> their deviations before, (N,).

    A deviation is the root of variance + epsilon.
    """
    dimension = x.shape[1]
    # einsum and vecdot sum a row three times faster than .sum(axis=1).
    x -= (np.einsum("nd->n", x) / dimension)[:, None]
    deviations: Array = np.sqrt(np.vecdot(x, x) / dimension + epsilon)  # (N,)
    x *= (1.0 / deviations)[:, None]
    return deviations


def buckets(lengths: IntArray) -> list[Bucket]:
    """Group neighbouring texts of one length: (S,) -> buckets."""
    return list(equal_buckets(lengths))


def attend(
    q: Array,
    k: Array,
    v: Array,
    buckets: list[Bucket],
    heads: int,
    attention_bias: Array | None = None,
    query_rows: IntArray | None = None,
    show: Callable[[Array], None] | None = None,
    dropout: Factors | None = None,
) -> Array:
    """Mix each token's values with those of its own text: three of (N, D) -> (N, D), or (S, D).

    See Kernels.attend.
    """
    assert query_rows is None or (attention_bias is None and dropout is None)
    q = q if query_rows is None else rows_at(q, query_rows)
    # With an attention bias, no bound of the logits is known.
    bound = logit_bound(q, k, heads) if attention_bias is None else np.inf
    context = np.empty_like(q, order="C")
    for bucket in buckets:
        queries = (
            bucket if query_rows is None else Bucket(bucket.texts, bucket.texts, longest=1)
        )  # one row for each text
        rows = (q, queries), (k, bucket), (v, bucket)
        split = (split_heads(x[own.rows], own, heads) for x, own in rows)
        bias = (
            None
            if attention_bias is None
            else attention_bias[:, : bucket.longest, : bucket.longest]
        )
        factors = dropout(bucket) if dropout else None
        mixed = mix(split, bias, bound, show, factors)
        split_heads(context[queries.rows], queries, heads)[...] = mixed
    return context


def mix(
    split: Iterable[Array],
    bias: Array | None,
    bound: float,
    show: Callable[[Array], None] | None,
    factors: Array | None = None,
) -> Array:
    """Compute softmax(q k^T + bias) v; `factors` (S, H, Q, T), if any, multiply the softmax.

    (S, H, Q, D/H) and two of (S, H, T, D/H) -> (S, H, Q, D/H).
    """
    q, k, v = split
    weights = q @ k.swapaxes(-1, -2)  # (S, H, Q, T), logits as yet
    if bias is not None:
        weights += bias
    sums = exponentials_(weights, bound)
    mixed: Array = (weights if factors is None else weights * factors) @ v
    mixed /= sums  # mixed has fewer numbers than the weights
    if show:
        weights /= sums
        show(weights)
    return mixed


def split_heads(x: Array, bucket: Bucket, heads: int) -> Array:
    """View the rows of S texts by text and head: (S*T, D) -> (S, H, T, D/H)."""
    texts = bucket.texts.stop - bucket.texts.start
    return x.reshape(texts, bucket.longest, heads, -1).transpose(0, 2, 1, 3)


def logit_bound(q: Array, k: Array, heads: int) -> float:
    """Compute an upper bound of |q.k| in all heads: the largest |q| times the largest |k|.

    q is (N, D), or (S, D) with one query of each text; k is (N, D). The bound holds by the
    Cauchy-Schwarz inequality.
    """
    squares = [
        np.einsum("nhd,nhd->nh", x, x).max(axis=0)  # (H,)
        for x in (q.reshape(len(q), heads, -1), k.reshape(len(k), heads, -1))
    ]
    return float(np.sqrt((squares[0] * squares[1]).max()))


def exponentials_(logits: Array, bound: float) -> Array:
    """Compute exp(logits) in place, and its sums over the last axis: (..., T) -> (..., 1).

    With a `bound` of the logits below SAFE_LOGIT, exp cannot overflow. Else the largest logit of
    each row is subtracted first; this does not change the softmax, which is exp / sum.
    """
    if not bound < SAFE_LOGIT:  # NaN neither
        logits -= logits.max(axis=-1, keepdims=True)
    np.exp(logits, out=logits)
    sums: Array = np.einsum("...t->...", logits)[..., None]
    return sums


def softmax_(logits: Array) -> None:
    """Turn logits into weights that sum to 1 over the last axis, in place."""
    logits /= exponentials_(logits, np.inf)


def gelu_(x: Array, bias: Array | None = None) -> None:
    """Compute x * Phi(x), Phi the normal distribution's function: (N, F) in place.

    This is the exact form, x/2 * (1 + erf(x / sqrt 2)), of Hendrycks and Gimpel, "Gaussian Error
    Linear Units" (2016), section 2.
    """
    add_(x, bias)
    for rows in row_blocks(x):
        rows *= normal_function(rows)


def normal_function(x: Array) -> Array:
    """Compute Phi(x), the normal distribution's function: (N, F) -> (N, F).

    NumPy has no erf. In float32, Phi(x) = (1 + tanh(x * R(x^2))) / 2 holds for one function R, here
    a continued fraction fitted to it; x * Phi(x) is within 1.2e-7 of the exact value before
    rounding. R grows and tanh saturates, so large inputs stay right. In float64, which is for
    tests, each number goes through math.erfc.
    """
    if x.dtype == np.float64:
        phi: Array = erfc(x * -(0.5**0.5)) / 2  # 1 + erf would lose small results
        return phi
    with np.errstate(over="ignore"):  # x^2 is infinite beyond 1.8e19, and the result still right
        square = x * x
        # R(y) = 1.2446 + 0.01726 y - 4.612 / (y - 6.807 + 524.9 / (y + 30.64)), inside out.
        fraction = square + 30.6375265
        np.divide(524.899568, fraction, out=fraction)
        fraction += square
        fraction -= 6.80739559
        np.divide(-4.61189148, fraction, out=fraction)
        square *= 0.0172557301
        square += 1.24455234
        square += fraction
        square *= x
    half_one_plus_tanh_(square)
    return square


def gelu_tanh_(x: Array, bias: Array | None = None) -> None:
    """Compute x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))): (N, F) in place.

    The approximation of Hendrycks and Gimpel (2016), section 2: `gelu_new` and `gelu_pytorch_tanh`.
    """
    add_(x, bias)
    for rows in row_blocks(x):
        rows *= gelu_tanh_gate(rows)


def gelu_tanh_gate(x: Array) -> Array:
    """Compute (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))) / 2: (N, F) -> (N, F)."""
    with np.errstate(over="ignore"):  # x^2 is infinite beyond 1.8e19, and the result still right
        inner = x * x
        inner *= 0.044715 * ROOT_2_BY_PI
        inner += ROOT_2_BY_PI
        inner *= x
    half_one_plus_tanh_(inner)
    return inner


def half_one_plus_tanh_(x: Array) -> None:
    """Compute (1 + tanh x) / 2, in place: the logistic function of 2x, without its overflow."""
    np.tanh(x, out=x)
    x += 1.0
    x *= 0.5


def relu_(x: Array, bias: Array | None = None) -> None:
    """Compute max(x, 0), in place."""
    add_(x, bias)
    np.maximum(x, 0.0, out=x)


def leaky_relu_(x: Array, slope: float, bias: Array | None = None) -> None:
    """Multiply the numbers below 0 by `slope`, which is from 0 to 1: in place."""
    add_(x, bias)
    for rows in row_blocks(x):
        np.maximum(rows, rows * slope, out=rows)


def clip_(x: Array, low: float, high: float, bias: Array | None = None) -> None:
    """Limit the numbers to `low` ... `high`, in place."""
    add_(x, bias)
    np.clip(x, low, high, out=x)


def sigmoid_(x: Array, bias: Array | None = None) -> None:
    """Compute 1 / (1 + exp(-x)), in place. Small results keep their relative precision."""
    add_(x, bias)
    with np.errstate(over="ignore"):  # exp(-x) is infinite below -88, and 1 / infinity right
        np.exp(np.negative(x, out=x), out=x)
    x += 1.0
    np.divide(1.0, x, out=x)


def silu_(x: Array, slope: float = 1.0, bias: Array | None = None) -> None:
    """Compute x * sigmoid(slope * x): (N, F) in place. Hendrycks and Gimpel (2016), section 4.

    A slope of 1.702 is their approximation of GELU, section 2: `quick_gelu`.
    """
    add_(x, bias)
    for rows in row_blocks(x):
        rows *= silu_gate(rows, slope)


def silu_gate(x: Array, slope: float) -> Array:
    """Compute sigmoid(slope * x): (N, F) -> (N, F)."""
    gate = x * (0.5 * slope)
    half_one_plus_tanh_(gate)
    return gate


def elu_(x: Array, bias: Array | None = None) -> None:
    """Compute exp(x) - 1 below 0, else x, in place. Clevert et al. (2016), section 3."""
    add_(x, bias)
    for rows in row_blocks(x):
        below = np.minimum(rows, 0.0)
        np.expm1(below, out=below)
        np.maximum(rows, 0.0, out=rows)
        rows += below


def softplus_(x: Array, bias: Array | None = None) -> None:
    """Compute log(1 + exp(x)), in place. Dugas et al. (2001), section 3."""
    add_(x, bias)
    for rows in row_blocks(x):
        # As max(x, 0) + log(1 + exp(-|x|)), which never overflows.
        tail = np.abs(rows)
        np.exp(np.negative(tail, out=tail), out=tail)
        np.log1p(tail, out=tail)
        np.maximum(rows, 0.0, out=rows)
        rows += tail


def mish_(x: Array, bias: Array | None = None) -> None:
    """Compute x * tanh(log(1 + exp(x))), in place. Misra, "Mish" (2019), section 2."""
    add_(x, bias)
    for rows in row_blocks(x):
        rows *= mish_gate(rows)


def mish_gate(x: Array) -> Array:
    """Compute tanh(log(1 + exp(x))): (N, F) -> (N, F)."""
    gate = x.copy()
    softplus_(gate)
    np.tanh(gate, out=gate)
    return gate


def tanh_(x: Array, bias: Array | None = None) -> None:
    """Compute tanh(x), in place."""
    add_(x, bias)
    np.tanh(x, out=x)


def rows_at(x: Array, rows: IntArray) -> Array:
    """Gather rows by their numbers, in that order: (N, D), (R,) on the host -> (R, D)."""
    return x[rows]


def segment_sum(x: Array, lengths: IntArray) -> Array:
    """Sum the rows of each text: (N, D), (S,) -> (S, D). Every length is at least 1."""
    # A length of 0 would not give zeros: reduceat returns the next text's first row for it.
    sums: Array = np.add.reduceat(x, firsts(lengths), axis=0)
    return sums


def segment_max(x: Array, lengths: IntArray) -> Array:
    """Find the largest number of each column in each text: (N, D), (S,) -> (S, D)."""
    largest: Array = np.maximum.reduceat(x, firsts(lengths), axis=0)
    return largest


def normalize_(x: Array) -> None:
    """Divide each row by its Euclidean length: (S, D) in place. A row of zeros stays zero."""
    lengths = np.sqrt(np.vecdot(x, x))  # (S,)
    x /= np.maximum(lengths, NORM_FLOOR)[..., None]


def concatenate(arrays: Sequence[Array]) -> Array:
    """Copy arrays end to end: several of (N, ...) -> (sum of all N, ...)."""
    return np.concatenate(arrays)


def bucket_sums(x: Array, buckets: IntArray, count: int) -> Array:
    """Sum the numbers of each bucket, for each head: (H, P, P), (P, P) -> (count, H).

    `buckets` has the bucket of each pair, from 0 to `count` - 1.
    """
    # Ten times as fast as np.add.at; the sums are in float64.
    pairs = buckets.ravel()
    sums = [np.bincount(pairs, of_head.ravel(), minlength=count) for of_head in x]
    found: Array = np.stack(sums, axis=1).astype(x.dtype)
    return found
