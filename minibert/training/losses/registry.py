"""The losses by their names on the command line, one row of LOSSES each."""

from __future__ import annotations

from minibert.training.losses.contrastive import ContrastiveLoss
from minibert.training.losses.loss import Loss
from minibert.training.losses.margin_mse import MarginMSELoss
from minibert.training.losses.mse import MSELoss
from minibert.training.losses.ranking import (
    MultipleNegativesRankingLoss,
    MultipleNegativesSymmetricRankingLoss,
)
from minibert.training.losses.scored_pairs import CoSENTLoss, CosineSimilarityLoss
from minibert.training.losses.triplet import TripletLoss

__all__ = ["LOSSES"]

# Each can be made without arguments. Its `description` is for help texts and pages.
LOSSES: dict[str, type[Loss]] = {
    "margin-mse": MarginMSELoss,
    "multiple-negatives-ranking": MultipleNegativesRankingLoss,
    "multiple-negatives-symmetric-ranking": MultipleNegativesSymmetricRankingLoss,
    "cosine-similarity": CosineSimilarityLoss,
    "cosent": CoSENTLoss,
    "mse": MSELoss,
    "triplet": TripletLoss,
    "contrastive": ContrastiveLoss,
}
