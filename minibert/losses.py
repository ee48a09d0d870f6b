"""Names of sentence-transformers' `losses` that minibert has, defined elsewhere."""

from minibert.training.losses import (
    CachedMultipleNegativesRankingLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
    MultipleNegativesSymmetricRankingLoss,
)

__all__ = [
    "CachedMultipleNegativesRankingLoss",
    "MarginMSELoss",
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
]
