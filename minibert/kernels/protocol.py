"""What every device's kernels can do, and the words that they share.

Kernels are a module, not an object: cpu.py holds them for NumPy, cuda.py for CuPy. A forward pass
is handed one of the two and knows it only by the protocol below. Start at Kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from minibert.common.arrays import Array, IntArray

__all__ = ["NORM_FLOOR", "Bucket", "Epilogue", "Kernels"]

# A row is divided by its Euclidean length, or by this where it is shorter: zeros stay zeros.
NORM_FLOOR = 1e-12

# Some rows of an array, where in it they stand, and a bias that is yet to be added: adds it, and
# changes the rows in place.
Epilogue: TypeAlias = Callable[[Array, slice, Array], None]


class Bucket(NamedTuple):
    """Texts side by side in a pack, which attention takes together.

    All are `longest` tokens long, unless a device's kernels have put where each begins among the
    run's rows, and how long it is, there.
    """

    texts: slice
    rows: slice  # of the pack
    longest: int
    starts: IntArray | None = None  # (S,)
    lengths: IntArray | None = None  # (S,)


class Kernels(Protocol):
    """Arithmetic on rows.

    A name that ends in `_` works in place and returns None; `standardise` works in place, too, and
    returns the deviations. What takes a `bias` or `before`, each None or an array, adds it first.
    """

    def empty(self, rows: int, columns: int) -> Array: ...

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
    ) -> Array:
        """Mix each token's values with those of its own text: three of (N, D) -> (N, D).

        softmax(q k^T + attention_bias) v for each head: Vaswani et al. (2017), equation 1, with the
        scale in q already. `attention_bias` (H or 1, P, P) is for a query's and a key's place in
        their text, P at least the longest of any run.

        `query_rows` are the only tokens whose queries are computed, one of each text: -> (S, D).
        They go without an `attention_bias`. `show` gets the weights of each bucket in turn,
        (S, H, T, T), or (S, H, 1, T) of query rows; rows sum to 1.
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

    def tanh_(self, x: Array, bias: Array | None = None) -> None: ...

    def rows_at(self, x: Array, rows: IntArray) -> Array: ...

    def segment_max(self, x: Array, lengths: IntArray) -> Array: ...

    def segment_sum(self, x: Array, lengths: IntArray) -> Array: ...

    def normalize_(self, x: Array) -> None: ...
