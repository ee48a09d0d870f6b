"""Matryoshka: any loss, of the first dimensions of the vectors, for several numbers of them."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Protocol

import numpy as np

from minibert.common.arguments import check_given_counts
from minibert.common.arrays import Array
from minibert.training.losses.loss import Label, Loss
from minibert.training.losses.similarities import unit_vectors

__all__ = ["MatryoshkaLoss"]

logger = logging.getLogger(__name__)


class HasDimension(Protocol):
    """A model that tells the dimension of its vectors."""

    def get_embedding_dimension(self) -> int:
        """Return the dimension."""
        ...


class MatryoshkaLoss:
    """Sum of a loss over several dimensions, of vectors shortened to them and normalised.

    sum over d of w_d loss(u[:d] / |u[:d]|, ...): Kusupati et al., "Matryoshka Representation
    Learning" (2022), equation 1. Labels that are vectors are shortened, too, and not normalised.

    Args:
        model: a warning is logged if its own dimension is not among `matryoshka_dims`; None for no
            such check.
        loss: the loss.
        matryoshka_dims: the dimensions, whole numbers.
        matryoshka_weights: a factor for each; None for 1.
        n_dims_per_step: -1 for all; a random choice of them is not computed.

    Raises ValueError for no dimensions, for one that is no whole number or above the model's, for
    other weights than one a dimension, and for a random choice.
    """

    def __init__(
        self,
        model: HasDimension | None,
        loss: Loss,
        matryoshka_dims: Sequence[int],
        matryoshka_weights: Sequence[float] | None = None,
        n_dims_per_step: int = -1,
    ) -> None:
        if not matryoshka_dims:
            raise ValueError("matryoshka_dims is empty; expected one dimension or several.")
        for dimension in matryoshka_dims:
            check_given_counts(matryoshka_dims=dimension)
        weights = [1] * len(matryoshka_dims) if matryoshka_weights is None else matryoshka_weights
        if len(weights) != len(matryoshka_dims):
            raise ValueError(
                f"{len(weights)} matryoshka_weights are given for {len(matryoshka_dims)} "
                "matryoshka_dims; expected one for each."
            )
        if 0 < n_dims_per_step < len(matryoshka_dims):
            raise ValueError(
                f"n_dims_per_step is {n_dims_per_step}; minibert computes all dimensions in each "
                "step, so leave it out."
            )
        ordered = sorted(zip(matryoshka_dims, weights, strict=True), key=lambda pair: -pair[0])
        self.matryoshka_dims = tuple(dimension for dimension, _ in ordered)  # falling
        self.matryoshka_weights = tuple(weight for _, weight in ordered)  # one for each
        self.n_dims_per_step = n_dims_per_step  # of matryoshka_dims; -1 for all
        self.model = model  # as given; it is not used
        self.loss = loss  # for each number of dimensions
        if model is not None:
            self._check_model(model.get_embedding_dimension())

    @property
    def description(self) -> str:
        """That of the loss, and the dimensions."""
        return (
            f"{self.loss.description}; for {', '.join(map(str, self.matryoshka_dims))} dimensions"
        )

    @property
    def columns(self) -> tuple[int, int | None]:
        """The numbers of columns that the loss takes."""
        return self.loss.columns

    @property
    def label(self) -> Label:
        """The label that the loss needs."""
        return self.loss.label

    @property
    def is_mean(self) -> bool:
        """True if the loss is the mean over the examples."""
        return self.loss.is_mean

    @property
    def in_batch_negatives(self) -> bool:
        """True if the loss takes documents of other examples as negatives."""
        return self.loss.in_batch_negatives

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for what the loss does not take."""
        self.loss.check(columns, labels, examples)

    def __call__(self, vectors: Sequence[Array], labels: Array | None) -> tuple[float, list[Array]]:
        """Compute the sum and its gradients: columns of (B, D) -> as many (B, D)."""
        self._check_dimension(vectors[0].shape[1])
        total, gradients = 0.0, [np.zeros_like(column) for column in vectors]
        for dimension, weight in zip(self.matryoshka_dims, self.matryoshka_weights, strict=True):
            shortened = [unit_vectors(column[:, :dimension]) for column in vectors]
            short_labels = labels
            if labels is not None and self.loss.label == "vectors":
                short_labels = labels[..., :dimension]
            loss, by_unit = self.loss([unit for unit, _ in shortened], short_labels)
            total += weight * loss
            for gradient, (_, backward), rows in zip(gradients, shortened, by_unit, strict=True):
                gradient[:, :dimension] += weight * backward(rows)
        return total, gradients

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {
            "loss": type(self.loss).__name__,
            "matryoshka_dims": self.matryoshka_dims,
            "matryoshka_weights": self.matryoshka_weights,
            "n_dims_per_step": self.n_dims_per_step,
        }

    def _check_model(self, dimension: int) -> None:
        """Check the dimensions, and log a warning if that of the model is not among them."""
        self._check_dimension(dimension)
        if dimension not in self.matryoshka_dims:
            logger.warning(
                "matryoshka_dims are %s, without the %d dimensions of the model: its whole vectors "
                "are not trained. Add %d, unless the model is always used with a truncate_dim.",
                ", ".join(map(str, self.matryoshka_dims)), dimension, dimension,
            )  # fmt: skip

    def _check_dimension(self, dimension: int) -> None:
        """Raise ValueError if vectors of this dimension are too short."""
        if self.matryoshka_dims[0] > dimension:
            raise ValueError(
                f"matryoshka_dims has {self.matryoshka_dims[0]}, and the vectors of the model have "
                f"{dimension} dimensions; expected at most those."
            )
