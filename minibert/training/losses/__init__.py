"""Losses: vectors of the texts of a batch -> a number, and its gradient by each vector.

- loss.py: the protocol of a loss, and checks of columns and labels
- similarities.py: scores and distances of pairs of vectors, each with its gradient
- margin_mse.py: differences of scores, as a teacher has them
- ranking.py: each query's positive among the documents of the batch
- scored_pairs.py: pairs of texts and how close they are
- contrastive.py: pairs of texts that belong to each other, and others that do not
- triplet.py: a text, a near one and a far one
- mse.py: vectors, as a teacher has them
- matryoshka.py: any of these, for the first dimensions of the vectors, too
- registry.py: the losses by their names on the command line
"""

from minibert.training.losses.contrastive import ContrastiveLoss, SiameseDistanceMetric
from minibert.training.losses.loss import Label, Loss
from minibert.training.losses.margin_mse import MarginMSELoss
from minibert.training.losses.matryoshka import MatryoshkaLoss
from minibert.training.losses.mse import MSELoss
from minibert.training.losses.ranking import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
    MultipleNegativesSymmetricRankingLoss,
    false_negatives,
)
from minibert.training.losses.registry import LOSSES
from minibert.training.losses.scored_pairs import CoSENTLoss, CosineSimilarityLoss
from minibert.training.losses.triplet import TripletDistanceMetric, TripletLoss

__all__ = [
    "LOSSES",
    "CachedMultipleNegativesRankingLoss",
    "CoSENTLoss",
    "ContrastiveLoss",
    "CosineSimilarityLoss",
    "Label",
    "Loss",
    "MSELoss",
    "MarginMSELoss",
    "MatryoshkaLoss",
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "SiameseDistanceMetric",
    "TripletDistanceMetric",
    "TripletLoss",
    "false_negatives",
]
