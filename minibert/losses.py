"""Names of sentence-transformers' `losses` that minibert has, defined elsewhere."""

from minibert.training.losses import (
    CachedMultipleNegativesRankingLoss,
    ContrastiveLoss,
    CoSENTLoss,
    CosineSimilarityLoss,
    MarginMSELoss,
    MatryoshkaLoss,
    MSELoss,
    MultipleNegativesRankingLoss,
    MultipleNegativesSymmetricRankingLoss,
    SiameseDistanceMetric,
    TripletDistanceMetric,
    TripletLoss,
)

__all__ = [
    "CachedMultipleNegativesRankingLoss",
    "CoSENTLoss",
    "ContrastiveLoss",
    "CosineSimilarityLoss",
    "MSELoss",
    "MarginMSELoss",
    "MatryoshkaLoss",
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "SiameseDistanceMetric",
    "TripletDistanceMetric",
    "TripletLoss",
]
