"""Types of arrays, and what arrays and torch's tensors have in common, for all modules."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "IntArray", "are_tensors"]

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]


def are_tensors(*given: object) -> bool:
    """Tell if one of some values is a tensor of torch, which then is imported."""
    return any(type(value).__module__ == "torch" for value in given)
