"""Contrastive: pairs of texts that belong to each other come close, and others keep a distance."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import partial

import numpy as np

from minibert.common.arguments import check_choice
from minibert.common.arrays import Array
from minibert.training.losses.loss import Label, Loss, as_numbers, check_columns
from minibert.training.losses.similarities import (
    TORCH_NORM_FLOOR,
    Similarity,
    cosine,
    euclidean,
    manhattan,
)

__all__ = ["ContrastiveLoss", "SiameseDistanceMetric"]


class SiameseDistanceMetric(StrEnum):
    """Distances for ContrastiveLoss; each is a str."""

    EUCLIDEAN = "euclidean"  # square root of the sum of squares
    MANHATTAN = "manhattan"  # sum of the absolute differences
    COSINE_DISTANCE = "cosine"  # 1 - cosine


# Minus the distances, but for 1 - cosine: torch.pairwise_distance adds 1e-6 to each difference.
SIMILARITIES: dict[str, Similarity] = {
    SiameseDistanceMetric.EUCLIDEAN: partial(euclidean, shift=1e-6),
    SiameseDistanceMetric.MANHATTAN: partial(manhattan, shift=1e-6),
    SiameseDistanceMetric.COSINE_DISTANCE: partial(cosine, floor=TORCH_NORM_FLOOR),
}


class ContrastiveLoss(Loss):
    """Squared distance of pairs with the label 1, and with the label 0 how much a margin lacks.

    mean over i of (y_i d_i^2 + (1 - y_i) max(0, margin - d_i)^2) / 2: Hadsell, Chopra and LeCun,
    "Dimensionality Reduction by Learning an Invariant Mapping" (2006), equation 4, with 1 for
    similar pairs. Labels y (B,) are 0 or 1.

    Args:
        model: kept, and used for nothing else.
        distance_metric: a member of SiameseDistanceMetric, or its text.
        margin: the distance from which on a pair with the label 0 has no loss.
        size_average: False gives the sum over the examples instead of their mean.

    Raises ValueError for an unknown distance.
    """

    description = "pairs of texts; 1 where the two belong to each other, else 0"
    columns = (2, 2)
    label: Label = "number"
    in_batch_negatives = False

    def __init__(
        self,
        model: object = None,
        distance_metric: str = SiameseDistanceMetric.COSINE_DISTANCE,
        margin: float = 0.5,
        size_average: bool = True,
    ) -> None:
        check_choice("distance_metric", distance_metric, map(str, SiameseDistanceMetric))
        self.model = model  # as given; it is not used
        self.distance_metric = SiameseDistanceMetric(distance_metric)  # name of the distance
        self.margin = margin  # distance from which on a pair with the label 0 has no loss
        self.size_average = size_average  # False: the sum over the examples

    @property
    def is_mean(self) -> bool:
        """True unless it is the sum over the examples."""
        return self.size_average

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for columns or labels that do not fit, and labels but 0 and 1."""
        check_columns(self, columns)
        self._classes(labels, examples)

    def __call__(self, vectors: Sequence[Array], labels: Array | None) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients: two of (B, D) -> two of (B, D)."""
        left, right = vectors
        similar = self._classes(labels, len(left)) == 1
        scores, backward = SIMILARITIES[self.distance_metric](left, right)
        is_cosine = self.distance_metric == SiameseDistanceMetric.COSINE_DISTANCE
        distances = 1 - scores if is_cosine else -scores
        # How far each pair is from where it should be; its square's half has this slope.
        errors = np.where(similar, distances, np.minimum(distances - self.margin, 0))
        count = len(errors) if self.size_average else 1
        loss = float(np.square(errors).sum(dtype=np.float64)) / (2 * count)
        return loss, [*backward(-errors / count)]

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {
            "distance_metric": f"SiameseDistanceMetric.{self.distance_metric.name}",
            "margin": self.margin,
            "size_average": self.size_average,
        }

    def _classes(self, labels: Array | None, examples: int) -> Array:
        """Convert labels to floats, (B,). Raises ValueError for others than 0 and 1."""
        found = as_numbers(self, labels, examples)
        is_class = (found == 0) | (found == 1)
        if not is_class.all():
            example = int(np.argmin(is_class))
            raise ValueError(
                f"The label of example {example} of the batch, counted from 0, is "
                f"{found[example]}; ContrastiveLoss needs 1 for two texts that belong to each "
                "other, else 0."
            )
        return found
