"""Types of arrays, and what arrays and torch's tensors have in common, for all modules."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

__all__ = ["Array", "IntArray", "are_tensors", "as_array"]

Array: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.integer[Any]]


def are_tensors(*given: object) -> bool:
    """Tell if one of some values is a tensor of torch, which then is imported."""
    return any(type(value).__module__.partition(".")[0] == "torch" for value in given)


def as_array(values: Any) -> NDArray[Any]:  # an ArrayLike, or tensors
    """Return numbers, also a tensor of torch or a list of them, as an array.

    Tensors of bfloat16, which NumPy does not have, become float32. Raises ValueError for a tensor
    that requires a gradient.
    """
    if isinstance(values, list | tuple) and are_tensors(*values):
        return np.asarray([as_array(value) for value in values])
    if are_tensors(values):
        if getattr(values, "requires_grad", False):
            raise ValueError(
                "The tensor requires a gradient, and minibert computes none here; give "
                "tensor.detach()."
            )
        if str(values.dtype) == "torch.bfloat16":
            return np.asarray(values.float())
    return np.asarray(values)
