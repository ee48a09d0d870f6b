"""MarginMSE: differences of scores, as a teacher has them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.common.arrays import Array
from minibert.scoring.metrics import METRICS
from minibert.scoring.similarity import ScoreFunction, pairwise_dot_score
from minibert.training.losses.loss import Label, Loss, as_labels, check_columns
from minibert.training.losses.similarities import SIMILARITIES, find_similarity

__all__ = ["MarginMSELoss"]


class MarginMSELoss(Loss):
    """Squared error of the margins between a query's positive and its negatives.

    mean over i and j of (s(q_i, p_i) - s(q_i, n_ij) - y_ij)^2: Hofstätter et al., "Improving
    Efficient Neural Ranking Models with Cross-Architecture Knowledge Distillation" (2020).
    The labels y are a teacher's margins, (B,) for one negative or (B, n), or its scores of positive
    and negatives, (B, n + 1).

    `similarity_fct` is pairwise_dot_score, pairwise_cos_sim, pairwise_euclidean_sim or
    pairwise_manhattan_sim of minibert.util, or a name of one. Raises ValueError for another one.
    """

    description = "queries, positives and negatives; margins of scores, as a teacher has them"
    columns = (3, None)
    label: Label = "numbers"
    is_mean = True
    in_batch_negatives = False

    def __init__(
        self, model: object = None, similarity_fct: ScoreFunction | str = pairwise_dot_score
    ) -> None:
        self.model = model  # as given; it is not used
        self._metric = find_similarity(similarity_fct, "pairwise", SIMILARITIES)
        self.similarity_fct = METRICS[self._metric].pairwise  # score of two vectors

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for columns or labels that do not fit."""
        check_columns(self, columns)
        self._margins(labels, examples, columns - 2)

    def __call__(self, vectors: Sequence[Array], labels: Array | None) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients: 2 + n columns of (B, D) -> as many (B, D)."""
        query, *documents = vectors
        margins = self._margins(labels, len(query), len(documents) - 1).astype(query.dtype)
        scored = [SIMILARITIES[self._metric](query, document) for document in documents]
        positive, *negatives = (scores for scores, _ in scored)
        errors = positive[:, None] - np.stack(negatives, axis=1) - margins  # (B, n)
        loss = float(np.square(errors).mean(dtype=np.float64))
        slopes = errors * (2 / errors.size)
        by_scores = [slopes.sum(axis=1), *-slopes.T]  # 1 + n of (B,)
        pairs = [
            backward(gradient) for (_, backward), gradient in zip(scored, by_scores, strict=True)
        ]
        by_query = np.sum([of_query for of_query, _ in pairs], axis=0)
        return loss, [by_query, *(of_document for _, of_document in pairs)]

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {"similarity_fct": self.similarity_fct.__name__}

    def _margins(self, labels: Array | None, examples: int, negatives: int) -> Array:
        """Convert labels of any form to margins: -> (B, n). Raises ValueError if none fits."""
        found = as_labels(self, labels, examples)
        if found.shape == (examples, negatives + 1):
            return found[:, :1] - found[:, 1:]
        if found.shape == (examples, negatives) or (found.ndim == 1 and negatives == 1):
            return found.reshape(examples, negatives)
        raise ValueError(
            f"The labels have the shape {found.shape}; MarginMSELoss needs {negatives} margins "
            f"for each example, ({examples}, {negatives}), or the scores of its positive and its "
            f"negatives, ({examples}, {negatives + 1})."
        )
