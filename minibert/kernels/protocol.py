"""The words every module shares: arrays, and the kernels that compute on them.

Kernels are a module, not an object: `kernels.py` holds them for NumPy. Whoever computes is
handed that module and knows it only by the protocol below, so a second device is a second
module with the same names.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, Protocol, TypeAlias

from minibert.common.arrays import Array, IntArray

__all__ = ["Kernels", "Run", "Then"]

# Some rows of an array, where in it they stand, and a bias that is yet to be added: adds it, and
# changes the rows in place.
Then: TypeAlias = Callable[[Array, slice, Array], None]


class Run(NamedTuple):
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
    """Arithmetic on rows. A name that ends in `_` works in place, and returns None or the sums.

    What takes a `bias` or `before`, each None or an array, adds it first.
    """

    def empty(self, rows: int, columns: int) -> Array: ...

    def empty_like(self, x: Array) -> Array: ...

    def floats(self, numbers: IntArray | Array) -> Array: ...

    def linear(self, x: Array, weight: Array, bias: Array, then: Then | None = None) -> Array: ...

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

    def runs(self, lengths: IntArray) -> list[Run]: ...

    def split_heads(self, x: Array, run: Run, heads: int) -> Array: ...

    def join_heads_(self, x: Array, mixed: Array, sums: Array | float, run: Run) -> None: ...

    def logits_of(self, q: Array, k: Array) -> Array: ...

    def mix(self, weights: Array, v: Array) -> Array: ...

    def logit_bound(self, q: Array, k: Array, heads: int) -> float: ...

    def exponentials_(
        self, logits: Array, bound: float, lengths: IntArray | None = None
    ) -> Array | float: ...

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
