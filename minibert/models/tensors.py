"""Results as tensors of torch, for programs that ask for them. Nothing else here imports torch."""

from __future__ import annotations

from typing import Any

import numpy as np

from minibert.common.advice import needing

__all__ = ["as_tensors", "check_torch"]


def check_torch(convert_to_tensor: bool) -> None:
    """Raise MissingLibraryError if tensors are asked for and torch cannot be imported.

    Called before a result is computed.
    """
    if convert_to_tensor:
        with needing("torch", "convert_to_tensor=True (leave it out for NumPy arrays)"):
            import torch  # noqa: F401


def as_tensors(found: Any) -> Any:  # an array, a list of arrays or of dicts of them
    """Turn the arrays of a result into tensors of torch on the CPU, which share their memory."""
    import torch

    if isinstance(found, np.ndarray | np.number):
        return torch.from_numpy(np.asarray(found))
    if isinstance(found, dict):
        return {name: as_tensors(value) for name, value in found.items()}
    return [as_tensors(part) for part in found] if isinstance(found, list) else found
