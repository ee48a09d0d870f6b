"""Results as tensors of torch, for programs that ask for them. Nothing else here imports torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from minibert.common.advice import needing

__all__ = ["as_tensors", "check_torch"]


def check_torch(
    is_asked: bool, asking: str = "convert_to_tensor=True (leave it out for NumPy arrays)"
) -> None:
    """Raise MissingLibraryError if tensors are asked for and torch cannot be imported.

    Called before a result is computed. `asking` is what asks for tensors, for the message.
    """
    if is_asked:
        with needing("torch", asking):
            import torch  # noqa: F401


def as_tensors(found: Any) -> Any:  # an array, a list or tuple of arrays, or a dict of such
    """Turn the arrays of a result into tensors of torch on the CPU, which share their memory."""
    import torch

    if isinstance(found, np.ndarray | np.number):
        return torch.from_numpy(np.asarray(found))
    if isinstance(found, dict):
        return {name: as_tensors(value) for name, value in found.items()}
    return type(found)(map(as_tensors, found)) if isinstance(found, list | tuple) else found
