"""The words every module shares: arrays, and the kernels that compute on them.

Kernels are a module, not an object: `kernels.py` holds them for NumPy. Whoever computes is
handed that module and knows it only by the protocol below, so a second device is a second
module with the same names.
"""

from __future__ import annotations

from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "IntArray", "Kernels"]

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]


class Kernels(Protocol):
    """Arithmetic on rows. A name that ends in `_` works in place and returns None."""

    def empty(self, rows: int, columns: int) -> Array: ...

    def floats(self, numbers: IntArray) -> Array: ...

    def linear(self, x: Array, weight: Array, bias: Array) -> Array: ...

    def layer_norm_(self, x: Array, weight: Array, bias: Array, epsilon: float) -> None: ...

    def softmax_(self, logits: Array) -> None: ...

    def gelu_(self, x: Array) -> None: ...

    def gelu_tanh_(self, x: Array) -> None: ...

    def relu_(self, x: Array) -> None: ...

    def silu_(self, x: Array) -> None: ...

    def tanh_(self, x: Array) -> None: ...

    def segment_sum(self, x: Array, lengths: IntArray) -> Array: ...

    def normalize_(self, x: Array) -> None: ...
