"""Normalize: each row divided by its Euclidean length. It has no tensors."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.kernels.protocol import NORM_FLOOR, Kernels
from minibert.pooling.module import input_name

__all__ = ["Normalize", "load_normalize", "normalized", "read_normalize"]


class Normalize(NamedTuple):
    """Each row divided by its Euclidean length. The settings are all it needs to compute."""

    module_input_name: str = "sentence_embedding"  # which rows it changes

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Divide each row by its Euclidean length: (R, D) -> (R, D)."""
        kernels.normalize_(rows)
        return rows

    def split(self, parts: Array, portion: Array) -> Array:
        """Divide the parts by the length of their sum: (T, D) -> (T, D)."""
        return normalized(parts)


def read_normalize(folder: Path, settings: dict[str, Any]) -> Normalize:
    """The settings of a Normalize; the folder itself may be missing."""
    return Normalize(input_name(folder / "config.json", settings))


def load_normalize(module: Normalize, tensors: None, dimension: int) -> tuple[Normalize, int]:
    """A Normalize as it is, on rows of a dimension, which it keeps."""
    return module, dimension


def normalized(parts: Array) -> Array:
    """The parts of a vector divided by its Euclidean length: (T, W) -> (T, W)."""
    vector = parts.sum(axis=0)
    divided: Array = parts / max(float(np.sqrt(vector @ vector)), NORM_FLOOR)
    return divided
