"""Pairs of texts with a number that says how close the two are: their cosine, or their order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.common.arrays import Array
from minibert.scoring.metrics import METRICS
from minibert.scoring.similarity import ScoreFunction, pairwise_cos_sim
from minibert.training.losses.loss import Label, Loss, as_numbers, check_columns, check_only
from minibert.training.losses.similarities import (
    SIMILARITIES,
    TORCH_NORM_FLOOR,
    cosine,
    find_similarity,
)

__all__ = ["CoSENTLoss", "CosineSimilarityLoss"]


class CosineSimilarityLoss(Loss):
    """Squared error of the cosines of pairs of texts.

    mean over i of (cos(u_i, v_i) - y_i)^2, with labels y (B,): Reimers and Gurevych,
    "Sentence-BERT" (2019), section 3. `loss_fct` and `cos_score_transformation` are for torch's
    modules: nothing else is computed than their defaults. Raises ValueError if they are given.
    """

    description = "pairs of texts; their cosine, mostly from 0 to 1"
    columns = (2, 2)
    label: Label = "number"
    is_mean = True
    in_batch_negatives = False

    def __init__(
        self, model: object = None, loss_fct: None = None, cos_score_transformation: None = None
    ) -> None:
        check_only(self, None, loss_fct=loss_fct, cos_score_transformation=cos_score_transformation)
        self.model = model  # as given; it is not used

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for columns or labels that do not fit."""
        check_columns(self, columns)
        as_numbers(self, labels, examples)

    def __call__(self, vectors: Sequence[Array], labels: Array | None) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients: two of (B, D) -> two of (B, D)."""
        left, right = vectors
        wanted = as_numbers(self, labels, len(left)).astype(left.dtype)
        cosines, backward = cosine(left, right, TORCH_NORM_FLOOR)
        errors = cosines - wanted
        loss = float(np.square(errors).mean(dtype=np.float64))
        return loss, [*backward(errors * (2 / len(errors)))]

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {
            "loss_fct": "torch.nn.modules.loss.MSELoss",
            "cos_score_transformation": "torch.nn.modules.linear.Identity",
        }


class CoSENTLoss(Loss):
    """Order of the scores of pairs: a pair with a higher label is to have a higher score.

    log(1 + sum over i and j with y_i < y_j of exp(scale (s_i - s_j))), with labels y (B,): Huang
    et al., "CoSENT: Consistent Sentence Embedding via Similarity Ranking" (2024). Equal labels are
    not compared.

    `similarity_fct` is pairwise_cos_sim, pairwise_dot_score, pairwise_euclidean_sim or
    pairwise_manhattan_sim of minibert.util, or a name of one. Raises ValueError for another one.
    """

    description = "pairs of texts; numbers of any scale, of which only the order counts"
    columns = (2, 2)
    label: Label = "number"
    is_mean = False
    in_batch_negatives = False

    def __init__(
        self,
        model: object = None,
        scale: float = 20.0,
        similarity_fct: ScoreFunction | str = pairwise_cos_sim,
    ) -> None:
        self.model = model  # as given; it is not used
        self.scale = scale  # factor of the similarities
        self._metric = find_similarity(similarity_fct, "pairwise", SIMILARITIES)
        self.similarity_fct = METRICS[self._metric].pairwise  # score of two vectors

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for columns or labels that do not fit, and for a batch of one pair."""
        check_columns(self, columns)
        as_numbers(self, labels, examples)
        if examples == 1:
            raise ValueError(
                "A batch of one pair has no other pair to compare it with, and CoSENTLoss needs "
                "two. Use larger batches and leave out a last short one "
                "(drop_last=True, --drop-last)."
            )

    def __call__(self, vectors: Sequence[Array], labels: Array | None) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients: two of (B, D) -> two of (B, D)."""
        left, right = vectors
        given = as_numbers(self, labels, len(left))
        scores, backward = SIMILARITIES[self._metric](left, right)
        order = np.argsort(given)
        loss, slopes = order_loss(self.scale * scores[order].astype(np.float64), given[order])
        by_scores = np.empty_like(scores)
        by_scores[order] = self.scale * slopes
        return loss, [*backward(by_scores)]

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {"scale": self.scale, "similarity_fct": self.similarity_fct.__name__}


def order_loss(scores: Array, labels: Array) -> tuple[float, Array]:
    """Compute CoSENT's loss of scaled scores, and its gradient, both by ascending labels: two (B,).

    With a = log(1 + sum of exp(s_i - s_j)), the gradient by s_i is the sum of exp(s_i - s_j - a)
    over the j with higher labels, less that of exp(s_j - s_i - a) over those with lower ones. Sums
    over all the rest of an order are made one from the other, so B^2 differences are never written
    down.
    """
    nothing = [-np.inf]  # the logarithm of an empty sum
    before = np.append(nothing, np.logaddexp.accumulate(scores))  # of exp(s), (B + 1,)
    after = np.append(np.logaddexp.accumulate(-scores[::-1])[::-1], nothing)  # of exp(-s)
    above = scores + after[np.searchsorted(labels, labels, side="right")]
    below = before[np.searchsorted(labels, labels, side="left")] - scores
    loss = np.logaddexp.reduce(above, initial=0)  # the 1 is exp(0)
    return float(loss), np.exp(above - loss) - np.exp(below - loss)
