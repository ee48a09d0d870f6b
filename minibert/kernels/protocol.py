"""Kernels that every device has, and types of their arguments.

Kernels are a module, not an object: cpu.py for NumPy, cuda.py for CuPy. A forward pass gets one of
the two as an argument, and uses only the protocol below. Training has two modules more for each
device, and for a GPU a third. Start at Kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

from minibert.common.arrays import Array, IntArray

__all__ = [
    "NORM_FLOOR",
    "Adam",
    "Bucket",
    "Draw",
    "DrawKernels",
    "Epilogue",
    "Factors",
    "GradientKernels",
    "Kernels",
    "NormRows",
    "UpdateKernels",
]

# A row is divided by its Euclidean length, or by this where it is shorter: zeros stay zeros.
NORM_FLOOR = 1e-12

# Fused to the end of a product: called with some rows of it, their place in it and a bias. It adds
# the bias, and changes the rows in place.
Epilogue: TypeAlias = Callable[[Array, slice, Array], None]


class Bucket(NamedTuple):
    """Neighbouring texts of a pack, of (nearly) one length, which attention computes at once.

    With `starts` and `lengths` None, all texts have `longest` tokens.
    """

    texts: slice  # of the pack
    rows: slice  # of the pack
    longest: int  # tokens, at least those of the longest text
    starts: IntArray | None = None  # (S,), each text's first row, counted from the bucket's
    lengths: IntArray | None = None  # (S,), each text's tokens


# Dropout's factors for the attention weights of a bucket: -> (S, H, T, T), 0 or 1/(1-rate).
Factors: TypeAlias = Callable[[Bucket], Array]


class NormRows(NamedTuple):
    """Of a layer norm in training: room for what its gradient needs, and dropout before it."""

    normalised: Array  # (N, D), the rows before weight and bias
    deviation: Array  # (N,)
    factors: Array | None = None  # (N, D), by which dropout multiplies a product and its bias

    def at(self, place: slice) -> NormRows:
        """View some of the rows."""
        factors = None if self.factors is None else self.factors[place]
        return NormRows(self.normalised[place], self.deviation[place], factors)


class Draw(NamedTuple):
    """Names of the random bits of a dropout, beside the text's number, and the rate of zeros."""

    seed: int  # from 0, below 2**64
    step: int
    layer: int
    place: int
    rate: float


class Adam(NamedTuple):
    """A tensor, its gradient and its averages, with the numbers of a step of Adam.

    value -= size * exp_avg / (sqrt(exp_avg_sq) + eps) + decay * value
    """

    value: Array
    gradient: Array
    exp_avg: Array
    exp_avg_sq: Array
    betas: tuple[float, float]  # what the averages keep of themselves
    size: float
    eps: float
    decay: float


class Kernels(Protocol):
    """Arithmetic on rows.

    A name that ends in `_` works in place and returns None; `standardise` works in place, too, and
    returns the deviations. A `bias` or `before`, each None or an array, is added first.
    """

    def empty(self, rows: int, columns: int, like: Array | None = None) -> Array: ...

    def floats(self, numbers: IntArray | Array) -> Array: ...

    def linear(
        self, x: Array, weight: Array, bias: Array, epilogue: Epilogue | None = None
    ) -> Array: ...

    def add_(self, x: Array, bias: Array | None) -> None: ...

    def add_and_normalise_(
        self,
        x: Array,
        bias: Array | None,
        before: Array | None,
        weight: Array,
        norm_bias: Array,
        epsilon: float,
        keep: NormRows | None = None,
    ) -> None: ...

    def layer_norm_(self, x: Array, weight: Array, bias: Array, epsilon: float) -> None: ...

    def standardise(self, x: Array, epsilon: float) -> Array: ...

    def buckets(self, lengths: IntArray) -> list[Bucket]: ...

    def attend(
        self,
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
        """Mix each token's values with those of its own text: three of (N, D) -> (N, D).

        softmax(q k^T + attention_bias) v for each head: Vaswani et al. (2017), equation 1, with the
        scale in q already. `attention_bias` (H or 1, P, P) goes by the places of query and key in
        their text; P is at least the `longest` of any bucket.

        `query_rows` are the only tokens to compute, one of each text: -> (S, D). They cannot be
        combined with an `attention_bias`. `show` gets the weights of each bucket, (S, H, T, T), or
        (S, H, 1, T) with `query_rows`; their rows sum to 1. `dropout` gives factors for them, which
        cannot be combined with `query_rows`.
        """
        ...

    def softmax_(self, logits: Array) -> None: ...

    def gelu_(self, x: Array, bias: Array | None = None) -> None: ...

    def gelu_tanh_(self, x: Array, bias: Array | None = None) -> None: ...

    def relu_(self, x: Array, bias: Array | None = None) -> None: ...

    def leaky_relu_(self, x: Array, slope: float, bias: Array | None = None) -> None: ...

    def clip_(self, x: Array, low: float, high: float, bias: Array | None = None) -> None: ...

    def sigmoid_(self, x: Array, bias: Array | None = None) -> None: ...

    def silu_(self, x: Array, slope: float = 1.0, bias: Array | None = None) -> None: ...

    def elu_(self, x: Array, bias: Array | None = None) -> None: ...

    def softplus_(self, x: Array, bias: Array | None = None) -> None: ...

    def mish_(self, x: Array, bias: Array | None = None) -> None: ...

    def tanh_(self, x: Array, bias: Array | None = None) -> None: ...

    def rows_at(self, x: Array, rows: IntArray) -> Array: ...

    def segment_max(self, x: Array, lengths: IntArray) -> Array: ...

    def segment_sum(self, x: Array, lengths: IntArray) -> Array: ...

    def normalize_(self, x: Array) -> None: ...

    def concatenate(self, arrays: Sequence[Array]) -> Array: ...

    def bucket_sums(self, x: Array, buckets: IntArray, count: int) -> Array: ...


class GradientKernels(Protocol):
    """Gradients of the kernels, by the same names: cpu_gradients.py and cuda_gradients.py.

    `gradient` is that of a loss by the output of a kernel; the result is that by its input. A name
    that ends in `_` works in place. Every kernel keeps the dtype of its input.
    """

    def weight_gradient(self, x: Array, gradient: Array) -> Array: ...

    def layer_norm_gradient_(
        self, gradient: Array, kept: NormRows, weight: Array
    ) -> tuple[Array, Array]: ...

    def attend_gradient(
        self,
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
    ) -> Array: ...

    def column_sums(self, x: Array) -> Array: ...

    def add_at_(self, total: Array, index: IntArray, rows: Array) -> None: ...

    def normalize_gradient_(self, x: Array, gradient: Array) -> None: ...

    def gelu_gradient_(self, x: Array, gradient: Array) -> None: ...

    def gelu_tanh_gradient_(self, x: Array, gradient: Array) -> None: ...

    def relu_gradient_(self, x: Array, gradient: Array) -> None: ...

    def leaky_relu_gradient_(self, x: Array, slope: float, gradient: Array) -> None: ...

    def clip_gradient_(self, x: Array, low: float, high: float, gradient: Array) -> None: ...

    def sigmoid_gradient_(self, x: Array, gradient: Array) -> None: ...

    def silu_gradient_(self, x: Array, slope: float, gradient: Array) -> None: ...

    def elu_gradient_(self, x: Array, gradient: Array) -> None: ...

    def softplus_gradient_(self, x: Array, gradient: Array) -> None: ...

    def mish_gradient_(self, x: Array, gradient: Array) -> None: ...

    def tanh_gradient_(self, x: Array, gradient: Array) -> None: ...


class UpdateKernels(Protocol):
    """Arithmetic of an optimizer on whole tensors: cpu_updates.py and cuda_updates.py.

    Tensors stay where they are. Only `square_sums` waits for a GPU.
    """

    def zeros_like(self, x: Array) -> Array: ...

    def copy_(self, x: Array, numbers: Array) -> None: ...

    def adam_(self, steps: Sequence[Adam], threads: int | None = None) -> None: ...

    def square_sums(self, arrays: Sequence[Array], threads: int | None = None) -> Array: ...

    def scale_(
        self, arrays: Sequence[Array], factor: float, threads: int | None = None
    ) -> None: ...


class DrawKernels(Protocol):
    """Factors of dropout, 0 or 1/(1-rate), drawn on a GPU with NumPy's bits: cuda_draws.py."""

    def streams(self, texts: IntArray, lengths: IntArray) -> IntArray: ...

    def draw_rows(
        self, streams: IntArray, lengths: IntArray, columns: int, draw: Draw
    ) -> Array: ...

    def draw_weights(self, streams: IntArray, bucket: Bucket, heads: int, draw: Draw) -> Array: ...
