"""Losses: vectors of the texts of a batch -> a number, and its gradient by each vector.

- loss.py: the protocol of a loss, and checks of columns and labels
- similarities.py: scores and distances of pairs of vectors, each with its gradient
- margin_mse.py: differences of scores, as a teacher has them
- ranking.py: each query's positive among the documents of the batch
- scored_pairs.py: pairs of texts and how close they are
- triplet.py: a text, a near one and a far one
- mse.py: vectors, as a teacher has them
- matryoshka.py: any of these, for the first dimensions of the vectors, too
- registry.py: the losses by their names on the command line
"""

from minibert.training.losses.loss import Label, Loss
from minibert.training.losses.margin_mse import MarginMSELoss
from minibert.training.losses.ranking import (
    CachedMultipleNegativesRankingLoss,
    MultipleNegativesRankingLoss,
    MultipleNegativesSymmetricRankingLoss,
    false_negatives,
)
from minibert.training.losses.registry import LOSSES

__all__ = [
    "LOSSES",
    "CachedMultipleNegativesRankingLoss",
    "Label",
    "Loss",
    "MarginMSELoss",
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "false_negatives",
]
