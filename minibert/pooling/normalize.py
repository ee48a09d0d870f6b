"""Normalize: divide each row by its Euclidean length. It has no tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.kernels.protocol import NORM_FLOOR, GradientKernels, Kernels
from minibert.pooling.module import Give, input_name

__all__ = ["Normalize", "load_normalize", "normalized", "read_normalize"]


class Normalize(NamedTuple):
    """Division of each row by its Euclidean length: settings and computation in one."""

    module_input_name: str = "sentence_embedding"  # or "token_embeddings"

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Divide each row by its Euclidean length: (R, D) -> (R, D)."""
        kernels.normalize_(rows)
        return rows

    def split(self, parts: Array, portion: Array) -> Array:
        """Divide the parts by the length of their sum: (T, D) -> (T, D)."""
        return normalized(parts)

    def backward(
        self,
        rows: Array,
        gradient: Array,
        kernels: Kernels,
        gradients: GradientKernels,
        give: Give,
    ) -> Array:
        """Go back through the division: two of (R, D) -> (R, D)."""
        gradients.normalize_gradient_(rows, gradient)
        return gradient


def read_normalize(folder: Path, settings: dict[str, Any]) -> Normalize:
    """Read the settings of a Normalize; the folder itself may be missing."""
    return Normalize(input_name(folder / "config.json", settings))


def load_normalize(module: Normalize, tensors: None, dimension: int) -> tuple[Normalize, int]:
    """Return the settings, which can compute, and the same dimension."""
    return module, dimension


def normalized(parts: Array) -> Array:
    """Divide the parts of a vector by its Euclidean length: (T, D) -> (T, D)."""
    vector = parts.sum(axis=0)
    divided: Array = parts / max(float(np.sqrt(vector @ vector)), NORM_FLOOR)
    return divided
