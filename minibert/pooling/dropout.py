"""Dropout: zeros at random places of the vectors in training, and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from minibert.common.arrays import Array
from minibert.errors import CheckpointError
from minibert.kernels.protocol import GradientKernels, Kernels
from minibert.pooling.module import Give

__all__ = ["Drop", "Dropout", "load_dropout", "read_dropout", "written_dropout"]


class Dropout(NamedTuple):
    """Settings of a module that changes nothing outside training."""

    dropout: float = 0.2  # probability of a zero in training; the reference's default
    module_input_name: str = "sentence_embedding"  # always this one


def read_dropout(folder: Path, settings: dict[str, Any]) -> Dropout:
    """Read the rate of a Dropout. Raises CheckpointError for no number from 0 to 1."""
    rate = settings.get("dropout", Dropout().dropout)
    if not isinstance(rate, int | float) or not 0 <= rate <= 1:
        raise CheckpointError(
            f"{folder / 'config.json'}: dropout is {rate!r:.80}; expected a number from 0 to 1."
        )
    return Dropout(dropout=float(rate))


def written_dropout(module: Dropout) -> dict[str, Any]:
    """Return the settings of a Dropout for its config.json."""
    return {"dropout": module.dropout}


class Drop(NamedTuple):
    """Rows as they are; in training, rows times the factors of a dropout."""

    rate: float  # probability of a zero
    # The number of columns -> factors (R, columns), 0 or 1 / (1 - rate), or None; the same whenever
    # it is called. None outside training.
    draw: Callable[[int], Array | None] | None = None

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Multiply rows by the factors, if there are any: (R, D) -> (R, D)."""
        factors = self.draw(rows.shape[1]) if self.draw else None
        if factors is not None:
            rows *= factors
        return rows

    def split(self, parts: Array, portion: Array) -> Array:
        """Return the parts as they are: (T, D) -> (T, D)."""
        return parts

    def backward(
        self,
        rows: Array,
        gradient: Array,
        kernels: Kernels,
        gradients: GradientKernels,
        give: Give,
    ) -> Array:
        """Multiply the gradient by the same factors: two of (R, D) -> (R, D)."""
        return self(gradient, kernels)


def load_dropout(module: Dropout, tensors: None, dimension: int) -> tuple[Drop, int]:
    """Return the module that computes, and the same dimension."""
    return Drop(module.dropout), dimension
