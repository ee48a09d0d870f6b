"""Triplet: a text is nearer to its positive than to its negative, by a margin."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

import numpy as np

from minibert.common.arguments import check_choice
from minibert.common.arrays import Array
from minibert.training.losses.loss import Label, Loss, check_columns
from minibert.training.losses.similarities import SIMILARITIES

__all__ = ["TripletDistanceMetric", "TripletLoss"]


class TripletDistanceMetric(StrEnum):
    """Distances for TripletLoss; each is a str, and a name in METRICS."""

    COSINE = "cosine"  # 1 - cosine
    EUCLIDEAN = "euclidean"  # square root of the sum of squares
    MANHATTAN = "manhattan"  # sum of the absolute differences


class TripletLoss(Loss):
    """Distances from an anchor: that to its positive, less that to its negative, plus a margin.

    mean over i of max(0, d(a_i, p_i) - d(a_i, n_i) + margin): Hermans et al., "In Defense of the
    Triplet Loss for Person Re-Identification" (2017), equation 1. A Euclidean distance of 0 has the
    gradient 0. Labels are left unused.

    `distance_metric` is a member of TripletDistanceMetric, or its text. Raises ValueError for
    another one.
    """

    description = "anchors, positives and negatives; the positive is to be nearer by a margin"
    columns = (3, 3)
    label: Label = "none"
    is_mean = True
    in_batch_negatives = False

    def __init__(
        self,
        model: object = None,
        distance_metric: str = TripletDistanceMetric.EUCLIDEAN,
        triplet_margin: float = 5,
    ) -> None:
        check_choice("distance_metric", distance_metric, map(str, TripletDistanceMetric))
        self.model = model  # as given; it is not used
        self.distance_metric = TripletDistanceMetric(distance_metric)  # name of the distance
        self.triplet_margin = triplet_margin  # by which the positive is to be nearer

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for columns that do not fit."""
        check_columns(self, columns)

    def __call__(
        self, vectors: Sequence[Array], labels: Array | None = None
    ) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients: three of (B, D) -> three of (B, D)."""
        anchor, positive, negative = vectors
        similarity = SIMILARITIES[self.distance_metric]
        to_positive, positive_backward = similarity(anchor, positive)
        to_negative, negative_backward = similarity(anchor, negative)
        # A similarity is minus the distance, or 1 less the distance, and the 1 cancels.
        losses = np.maximum(to_negative - to_positive + self.triplet_margin, 0)
        slopes = (losses > 0).astype(losses.dtype) / len(losses)
        by_anchor, by_positive = positive_backward(-slopes)
        by_anchor_too, by_negative = negative_backward(slopes)
        loss = float(losses.mean(dtype=np.float64))
        return loss, [by_anchor + by_anchor_too, by_positive, by_negative]

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {
            "distance_metric": f"TripletDistanceMetric.{self.distance_metric.name}",
            "triplet_margin": self.triplet_margin,
        }
