"""LayerNorm: mean 0 and variance 1 over each row, then a gain and a bias."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.common.json_files import check_keys, required_count
from minibert.common.safetensors_files import NamedTensors
from minibert.kernels.protocol import GradientKernels, Kernels, NormRows
from minibert.pooling.module import Give, check_dimension

__all__ = ["LayerNorm", "RowNorm", "load_layer_norm", "read_layer_norm"]

EPSILON = 1e-5  # torch's default; config.json names none


class LayerNorm(NamedTuple):
    """Settings of a layer norm over each vector."""

    path: Path  # the module's folder
    dimension: int  # D, of a vector
    module_input_name: str = "sentence_embedding"  # always this one


def read_layer_norm(folder: Path, settings: dict[str, Any]) -> LayerNorm:
    """Read the settings of a LayerNorm."""
    path = folder / "config.json"
    check_keys(path, settings, {"dimension"})
    return LayerNorm(folder, required_count(path, settings, "dimension"))


class RowNorm(NamedTuple):
    """Mean 0 and variance 1 over each row, then a gain and a bias, with torch's epsilon."""

    weight: Array  # (D,)
    bias: Array  # (D,)

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Normalise rows: (R, D) -> (R, D)."""
        kernels.layer_norm_(rows, self.weight, self.bias, EPSILON)
        return rows

    def split(self, parts: Array, portion: Array) -> Array:
        """Normalise parts by the mean and the variance of their sum: (T, D) -> (T, D)."""
        total = parts.sum(axis=0)
        centred = parts - parts.mean(axis=1, keepdims=True)
        deviation = np.sqrt(total.var() + EPSILON)
        scaled: Array = centred / deviation * self.weight
        return scaled + portion * self.bias

    def backward(
        self,
        rows: Array,
        gradient: Array,
        kernels: Kernels,
        gradients: GradientKernels,
        give: Give,
    ) -> Array:
        """Go back through the layer norm: two of (R, D) -> (R, D)."""
        deviations = kernels.standardise(rows, EPSILON)
        kept = NormRows(rows, deviations)
        by_weight, by_bias = gradients.layer_norm_gradient_(gradient, kept, self.weight)
        give("norm.weight", by_weight)
        give("norm.bias", by_bias)
        return gradient


def load_layer_norm(
    module: LayerNorm, tensors: NamedTensors, dimension: int
) -> tuple[RowNorm, int]:
    """Read the tensors of a LayerNorm: -> the module that computes, the same dimension."""
    check_dimension(module.path, "dimension", module.dimension, dimension)
    return RowNorm(
        tensors.take("norm.weight", dimension), tensors.take("norm.bias", dimension)
    ), dimension
