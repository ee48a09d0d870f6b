"""Kernels of cpu.py on CuPy: the same names and arguments, with arrays on a GPU.

cuBLAS computes the products; all that follows a product, with its bias, is one kernel of `cuda.cu`.
Arrays are float32 or float16. With float16, products, layer norms and softmax still add
up in float32. No kernel waits for the GPU: nothing is read from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cupy as cp
import numpy as np
from cupy.cuda import cublas

from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import NORM_FLOOR, Bucket, Epilogue, Factors, NormRows
from minibert.kernels.segments import firsts, near_buckets

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

# Threads of a block that has one row; rows of a block that has a warp for each row.
BLOCK = 256
WARPS = 8
# cuBLAS reads the factors of a product, 1 and 0, from the host when it is called.
ONE, ZERO = np.ones(1, np.float32), np.zeros(1, np.float32)


@cache
def compiled(half: bool) -> Any:
    """Compile the kernels for float32, or for float16. CuPy has a cache of them on the disk."""
    source = Path(__file__).with_suffix(".cu").read_text(encoding="utf-8")
    return cp.RawModule(code=source, options=("-DHALF",) if half else ())


@cache
def kernel(name: str, half: bool) -> Any:
    """Return one of the kernels, to be called with a grid, a block and arguments."""
    return compiled(half).get_function(name)


def launch(name: str, x: Array, grid: int, block: tuple[int, ...], *arguments: Any) -> None:
    """Run a kernel on x and arguments of exactly the types in its source; None is null."""
    given = [x, *(array for array in arguments if isinstance(array, cp.ndarray))]
    # A kernel gets bare addresses, so the arrays are checked here.
    assert all(array.dtype in (x.dtype, np.int32) for array in given), name
    assert all(array.size < 2 or array.strides[-1] == array.itemsize for array in given), name
    if grid > 0:
        kernel(name, x.dtype == np.float16)((grid,), block, (x, *arguments))


def launch_warps(name: str, x: Array, rows: int, *arguments: Any) -> None:
    """Run a kernel that has a warp for each row."""
    launch(name, x, -(-rows // WARPS), (32, WARPS), *arguments)


def stride(x: Array) -> np.int64:
    """Return the distance from one row to the next, in numbers."""
    return np.int64(x.strides[0] // x.itemsize)


def activate(name: str, x: Array, bias: Array | None, a: float = 0.0, b: float = 0.0) -> None:
    """Add the bias and apply a formula in one kernel: (N, F) in place."""
    assert x.flags.c_contiguous, name
    columns = np.int32(x.shape[-1])
    launch(name, x, len(x), (BLOCK,), bias, columns, np.float32(a), np.float32(b))


def empty(rows: int, columns: int, like: Array | None = None) -> Array:
    """Make an uninitialised array, float32 or in the dtype of `like`: () -> (rows, columns)."""
    array: Array = cp.empty((rows, columns), dtype=cp.float32 if like is None else like.dtype)
    return array


def floats(numbers: IntArray | Array) -> Array:
    """Return numbers of the GPU or the host as float32 on the GPU; no copy if they are that."""
    array: Array = cp.asarray(numbers.astype(np.float32, copy=False))
    return array


def linear(x: Array, weight: Array, bias: Array, epilogue: Epilogue | None = None) -> Array:
    """Compute x @ weight + bias: (N, D), (D, F), (F,) -> (N, F); an `epilogue` adds the bias."""
    product: Array = x @ weight  # float16 is added up in float32
    if epilogue is None:
        add_(product, bias)
    else:
        epilogue(product, slice(None), bias)
    return product


def add_(x: Array, bias: Array | None) -> None:
    """Add a bias, if there is one: (N, F), (F,) in place."""
    if bias is not None:
        activate("add", x, bias)


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

    `keep` gets the rows before weight and norm_bias, and their deviations, both in float32; its
    factors multiply x + bias.
    """
    assert before is None or before.flags.c_contiguous
    if keep and keep.factors is not None:
        add_(x, bias)
        x *= keep.factors
        bias = None
    if keep:
        normalised, deviation, _ = keep
        normalised[...] = x
        for summand in (bias, before):
            if summand is not None:
                normalised += floats(summand)
        deviation[...] = standardise(normalised, epsilon)
    rows, columns = x.shape
    launch_warps(
        "normalise", x, rows, stride(x), bias, before, weight, norm_bias,
        np.float32(epsilon), np.int32(rows), np.int32(columns),
    )  # fmt: skip


def layer_norm_(x: Array, weight: Array, bias: Array, epsilon: float) -> None:
    """Give each row mean 0 and variance 1, then scale and shift it: (N, D) in place."""
    add_and_normalise_(x, None, None, weight, bias, epsilon)


def standardise(x: Array, epsilon: float) -> Array:
    """Give each row mean 0 and variance 1, in place: (N, D) -> their deviations before, (N,)."""
    rows, columns = x.shape
    deviations: Array = cp.empty((rows,), dtype=x.dtype)
    launch_warps(
        "standardise", x, rows, stride(x), deviations,
        np.float32(epsilon), np.int32(rows), np.int32(columns),
    )  # fmt: skip
    return deviations


def buckets(lengths: IntArray) -> list[Bucket]:
    """Group neighbouring texts of nearly one length: (S,) -> buckets, with lengths on the GPU.

    Attention has a constant number of launches for each bucket.
    """
    found = list(near_buckets(lengths))
    starts = firsts(lengths)
    starts = np.concatenate([starts[bucket.texts] - bucket.rows.start for bucket in found])
    both = cp.asarray(np.stack([starts, lengths]).astype(np.int32))  # (2, S), once a pack
    return [
        bucket._replace(starts=both[0, bucket.texts], lengths=both[1, bucket.texts])
        for bucket in found
    ]


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
    context: Array = cp.empty(q.shape, dtype=q.dtype)
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
        mixed = mix(split, bias, bucket.lengths, show, factors)
        join_heads_(context[queries.rows], mixed, queries)
    return context


def mix(
    split: Iterable[Array],
    bias: Array | None,
    lengths: IntArray | None,
    show: Callable[[Array], None] | None,
    factors: Array | None = None,
) -> Array:
    """Compute softmax(q k^T + bias) v; `factors` (S, H, Q, T), if any, multiply the softmax.

    (S, H, Q, D/H) and two of (S, H, T, D/H) -> (S, H, Q, D/H).
    """
    q, k, v = split
    weights = products(q, k, k.shape[2], cublas.CUBLAS_OP_T)  # (S, H, Q, T), logits as yet
    if bias is not None:
        weights += bias
    softmax_of(weights, lengths)
    if show:
        show(weights)
    if factors is not None:
        weights *= factors
    return products(weights, v, v.shape[3], cublas.CUBLAS_OP_N)


def split_heads(x: Array, bucket: Bucket, heads: int) -> Array:
    """Copy the rows of texts by text and head: (rows, D) -> (S, H, T, D/H), 0 after an end."""
    texts, head_dim = bucket.texts.stop - bucket.texts.start, x.shape[1] // heads
    split: Array = cp.empty((texts, heads, bucket.longest, head_dim), dtype=x.dtype)
    launch(
        "split_heads", x, texts * bucket.longest, (BLOCK,), stride(x),
        bucket.starts, bucket.lengths, split,
        np.int32(heads), np.int32(bucket.longest), np.int32(head_dim),
    )  # fmt: skip
    return split


def join_heads_(x: Array, mixed: Array, bucket: Bucket) -> None:
    """Copy `mixed`, (S, H, T, D/H) by text and head, to the rows of x, (rows, D)."""
    texts, heads, longest, head_dim = mixed.shape
    launch(
        "join_heads", x, texts * longest, (BLOCK,), stride(x), bucket.starts, bucket.lengths, mixed,
        np.int32(heads), np.int32(longest), np.int32(head_dim),
    )  # fmt: skip


def products(
    a: Any, b: Any, columns: int, operation: int, operation_a: int = cublas.CUBLAS_OP_N
) -> Array:
    """Compute a times b, each as it is or transposed, in S * H products: -> (S, H, Q, columns).

    CuPy's own `@` would turn float16 into float32 before it, and transpose b in memory.
    """
    texts, heads, rows, inner = a.shape
    if operation_a == cublas.CUBLAS_OP_T:
        rows, inner = inner, rows
    product = cp.empty((texts, heads, rows, columns), dtype=a.dtype)
    kind = cp.cuda.runtime.CUDA_R_16F if a.dtype == np.float16 else cp.cuda.runtime.CUDA_R_32F
    # cuBLAS has columns where we have rows, so it sees each matrix transposed and computes
    # product^T = b^T a^T. A leading dimension is the row length of a matrix in memory.
    cublas.gemmStridedBatchedEx(
        cp.cuda.device.get_cublas_handle(), operation, operation_a, columns, rows, inner,
        ONE.ctypes.data,
        b.data.ptr, kind, b.shape[3], b.shape[2] * b.shape[3],
        a.data.ptr, kind, a.shape[3], a.shape[2] * a.shape[3],
        ZERO.ctypes.data,
        product.data.ptr, kind, columns, rows * columns,
        texts * heads, cublas.CUBLAS_COMPUTE_32F, cublas.CUBLAS_GEMM_DEFAULT,
    )  # fmt: skip
    found: Array = product
    return found


def softmax_of(logits: Array, lengths: IntArray | None) -> None:
    """Compute the softmax in place, over each text's first `lengths` columns; 0 in the others.

    (S, H, Q, T), (S,) or None for all columns.
    """
    assert logits.flags.c_contiguous
    columns = logits.shape[-1]
    rows = logits.size // columns
    of_a_text = rows // len(logits)
    launch_warps(
        "softmax", logits, rows, lengths, np.int32(rows), np.int32(columns), np.int32(of_a_text)
    )


def softmax_(logits: Array) -> None:
    """Turn logits into weights that sum to 1 over the last axis, in place."""
    softmax_of(logits, None)


def gelu_(x: Array, bias: Array | None = None) -> None:
    """Compute x/2 * (1 + erf(x / sqrt 2)), in place."""
    activate("gelu", x, bias)


def gelu_tanh_(x: Array, bias: Array | None = None) -> None:
    """Compute x/2 * (1 + tanh(sqrt(2/pi) * (x + 0.044715 x^3))), in place."""
    activate("gelu_tanh", x, bias)


def relu_(x: Array, bias: Array | None = None) -> None:
    """Compute max(x, 0), in place."""
    activate("relu", x, bias)


def leaky_relu_(x: Array, slope: float, bias: Array | None = None) -> None:
    """Multiply the numbers below 0 by `slope`, which is from 0 to 1: in place."""
    activate("leaky_relu", x, bias, slope)


def clip_(x: Array, low: float, high: float, bias: Array | None = None) -> None:
    """Limit the numbers to `low` ... `high`, in place."""
    activate("clip", x, bias, low, high)


def sigmoid_(x: Array, bias: Array | None = None) -> None:
    """Compute 1 / (1 + exp(-x)), in place."""
    activate("sigmoid", x, bias)


def silu_(x: Array, slope: float = 1.0, bias: Array | None = None) -> None:
    """Compute x * sigmoid(slope * x), in place."""
    activate("silu", x, bias, slope)


def elu_(x: Array, bias: Array | None = None) -> None:
    """Compute exp(x) - 1 below 0, else x, in place."""
    activate("elu", x, bias)


def softplus_(x: Array, bias: Array | None = None) -> None:
    """Compute log(1 + exp(x)), in place."""
    activate("softplus", x, bias)


def mish_(x: Array, bias: Array | None = None) -> None:
    """Compute x * tanh(log(1 + exp(x))), in place."""
    activate("mish", x, bias)


def tanh_(x: Array, bias: Array | None = None) -> None:
    """Compute tanh(x), in place."""
    activate("hyperbolic_tangent", x, bias)


def rows_at(x: Array, rows: IntArray) -> Array:
    """Gather rows by their numbers, in that order: (N, D), (R,) on the host -> (R, D)."""
    found: Array = x[cp.asarray(rows)]
    return found


def segment_sum(x: Array, lengths: IntArray) -> Array:
    """Sum the rows of each text: (N, D), (S,) -> (S, D)."""
    return segments("segment_sum", x, lengths)


def segment_max(x: Array, lengths: IntArray) -> Array:
    """Find the largest number of each column in each text: (N, D), (S,) -> (S, D)."""
    return segments("segment_max", x, lengths)


def segments(name: str, x: Array, lengths: IntArray) -> Array:
    """Reduce the rows of each text to one: (N, D), (S,) -> (S, D)."""
    found: Array = cp.empty((len(lengths), x.shape[1]), dtype=x.dtype)
    both = cp.asarray(np.stack([firsts(lengths), lengths]).astype(np.int32))  # (2, S)
    columns = np.int32(x.shape[1])
    launch(name, x, len(lengths), (BLOCK,), stride(x), both[0], both[1], found, columns)
    return found


def normalize_(x: Array) -> None:
    """Divide each row by its Euclidean length: (S, D) in place. A row of zeros stays zero."""
    rows, columns = x.shape
    least = np.float32(NORM_FLOOR)
    launch_warps("unit_length", x, rows, stride(x), least, np.int32(rows), np.int32(columns))


def concatenate(arrays: Sequence[Array]) -> Array:
    """Copy arrays end to end: several of (N, ...) -> (sum of all N, ...)."""
    found: Array = cp.concatenate(arrays)
    return found


def bucket_sums(x: Array, buckets: IntArray, count: int) -> Array:
    """Sum the numbers of each bucket, for each head: (H, P, P), (P, P) -> (count, H).

    `buckets`, on the host, has the bucket of each pair, from 0 to `count` - 1.
    """
    assert x.flags.c_contiguous
    heads, rows = len(x), count * len(x)
    sums: Array = cp.empty((count, heads), dtype=x.dtype)
    of_pairs = cp.asarray(buckets.ravel().astype(np.int32))
    launch_warps(
        "bucket_sums", x, rows, of_pairs, sums, np.int32(of_pairs.size), np.int32(heads),
        np.int32(rows),
    )  # fmt: skip
    return sums
