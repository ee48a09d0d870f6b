"""In-batch negatives: each query's positive is to score highest among the documents of the batch.

Start at MultipleNegativesRankingLoss.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

import numpy as np

from minibert.common.arguments import check_choice, check_given_counts
from minibert.common.arrays import Array
from minibert.scoring.metrics import METRICS
from minibert.scoring.similarity import ScoreFunction, blocks, cos_sim
from minibert.tokens.texts import Text
from minibert.training.losses.loss import Label, Loss, check_columns, check_only
from minibert.training.losses.similarities import FACTORS, find_similarity

__all__ = [
    "CachedMultipleNegativesRankingLoss",
    "MultipleNegativesRankingLoss",
    "MultipleNegativesSymmetricRankingLoss",
    "false_negatives",
]

Direction: TypeAlias = Literal["query_to_doc", "query_to_query", "doc_to_query", "doc_to_doc"]
DIRECTIONS: dict[Direction, tuple[str, str]] = {
    "query_to_doc": ("query", "doc"),
    "query_to_query": ("query", "query"),
    "doc_to_query": ("doc", "query"),
    "doc_to_doc": ("doc", "doc"),
}
QUERY_TO_DOC = DIRECTIONS["query_to_doc"]  # the one with the positives


class MultipleNegativesRankingLoss(Loss):
    """Cross entropy of each query's positive among all documents of the batch.

    mean over i of log(sum over c of exp(scale s(q_i, c))) - scale s(q_i, p_i), where c are the
    positives and negatives of all examples: van den Oord et al., "Representation Learning with
    Contrastive Predictive Coding" (2018), equation 4. Labels are left unused.

    Args:
        model: kept, and used for nothing else.
        scale: factor of the scores, above 0: 1 / temperature.
        similarity_fct: cos_sim or dot_score of minibert.util, or a name of one.
        gather_across_devices: False; nothing else is computed.
        directions: the candidates of example i, "query_to_doc" among them. They are the documents
            as scored by its query, the other queries ("query_to_query"), the queries as scored by
            its positive ("doc_to_query"), and the documents of other examples as scored by its
            positive ("doc_to_doc").
        partition_mode: "joint" has one softmax over all candidates. "per_direction" has one for
            each direction, and averages their logarithms; it needs the positive in each of them.
        hardness_mode, hardness_strength: None and 0; nothing else is computed.

    Raises ValueError for arguments that are not computed.
    """

    description = "queries, positives, any number of negatives; the batch's documents as negatives"
    columns = (2, None)
    label: Label = "none"
    is_mean = False
    in_batch_negatives = True

    def __init__(
        self,
        model: object = None,
        scale: float = 20.0,
        similarity_fct: ScoreFunction | str = cos_sim,
        gather_across_devices: bool = False,
        directions: Sequence[Direction] = ("query_to_doc",),
        partition_mode: Literal["joint", "per_direction"] = "joint",
        hardness_mode: str | None = None,
        hardness_strength: float = 0.0,
    ) -> None:
        check_only(self, False, gather_across_devices=gather_across_devices)
        check_only(
            self, None, hardness_mode=hardness_mode, hardness_strength=hardness_strength or None
        )
        check_choice("partition_mode", partition_mode, ("joint", "per_direction"))
        if not scale > 0:
            raise ValueError(f"scale is {scale!r}; expected a number above 0.")
        for direction in directions:
            check_choice("a direction", direction, DIRECTIONS)
        if "query_to_doc" not in directions:
            raise ValueError(
                f"directions are {directions!r}; 'query_to_doc' is needed: the positive is in it."
            )
        if partition_mode == "per_direction" and {*directions} & {"query_to_query", "doc_to_doc"}:
            raise ValueError(
                f"directions are {directions!r}; with partition_mode 'per_direction' each needs "
                "the positive among its candidates: 'query_to_doc' and 'doc_to_query' have it."
            )
        self.model = model  # as given; it is not used
        self.scale = scale  # factor of the similarities
        self._metric = find_similarity(similarity_fct, "all_pairs", FACTORS)
        self.similarity_fct = METRICS[self._metric].all_pairs  # score of two vectors
        self.directions = tuple(dict.fromkeys(directions))  # which texts are compared with which
        self._sides = [DIRECTIONS[direction] for direction in self.directions]
        self.partition_mode = partition_mode  # as given

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for one column only, and for a batch in which nothing is a negative."""
        check_columns(self, columns)
        if examples == 1 and columns == 2:
            raise ValueError(
                f"A batch of one example, a query and its positive, has no negatives for "
                f"{type(self).__name__}. Use larger batches and leave out a last short one "
                "(drop_last=True, --drop-last), or give each example a negative."
            )

    def __call__(
        self, vectors: Sequence[Array], labels: Array | None = None
    ) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients: 2 + n columns of (B, D) -> as many (B, D)."""
        examples = len(vectors[0])
        factors = FACTORS[self._metric]
        queries, queries_backward = factors(vectors[0])
        documents, documents_backward = factors(np.concatenate(vectors[1:]))
        compared = {"query": queries, "doc": documents}
        gradients = {side: np.zeros_like(rows) for side, rows in compared.items()}
        candidates = sum(len(compared[right]) for _, right in self._sides)
        loss = sum(
            self._add_gradients(rows, examples, compared, gradients)
            for rows in self._blocks(examples, candidates)
        )
        by_documents = np.split(documents_backward(gradients["doc"]), len(vectors) - 1)
        return loss / examples, [queries_backward(gradients["query"]), *by_documents]

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        return {
            "scale": self.scale,
            "similarity_fct": self.similarity_fct.__name__,
            "gather_across_devices": False,
            "directions": self.directions,
            "partition_mode": self.partition_mode,
            "hardness_mode": None,
            "hardness_strength": 0.0,
        }

    def _blocks(self, examples: int, candidates: int) -> Iterator[slice]:
        """Yield examples to compute at once: a row of scores has all of its candidates."""
        return blocks(examples, candidates)

    def _add_gradients(
        self,
        rows: slice,
        examples: int,
        compared: dict[str, Array],
        gradients: dict[str, Array],
    ) -> float:
        """Add the gradients of the examples `rows`, and return the sum of their losses.

        Both dicts have (B, D) of the queries, and (B (1 + n), D) of the documents, positives first.
        With p = softmax(s), ds = p, less 1 at the positive.
        """
        rows = slice(*rows.indices(examples))  # the last block ends with the examples
        numbers = np.arange(examples)[rows]
        places = np.arange(len(numbers)), numbers  # of each example's own query or positive
        scores = []
        for left, right in self._sides:
            block = self.scale * (compared[left][rows] @ compared[right].T)
            if left == right:  # neither itself nor documents of its own query
                block.reshape(len(block), -1, examples)[places[0], :, places[1]] = -np.inf
            scores.append(block)
        positives = scores[self._sides.index(QUERY_TO_DOC)][places].astype(np.float64)
        if self.partition_mode == "joint":
            joint = np.concatenate(scores, axis=1)
            log_sums = softmax_(joint)
            ends = np.cumsum([block.shape[1] for block in scores])
            weights = np.split(joint, ends[:-1], axis=1)
        else:
            log_sums = np.mean([softmax_(block) for block in scores], axis=0)
            weights = [block / len(scores) for block in scores]
        for (left, right), by_scores in zip(self._sides, weights, strict=True):
            if (left, right) == QUERY_TO_DOC:
                by_scores[places] -= 1
            by_scores *= self.scale / examples
            gradients[left][rows] += by_scores @ compared[right]
            gradients[right] += by_scores.T @ compared[left][rows]
        return float((log_sums - positives).sum())


class CachedMultipleNegativesRankingLoss(MultipleNegativesRankingLoss):
    """MultipleNegativesRankingLoss, by the name for a loss whose vectors are computed in parts.

    Gao et al., "Scaling Deep Contrastive Learning Batch Size under Memory Limited Setup" (2021).
    minibert does so for every loss, in packs of tokens. `mini_batch_size` is the number of
    examples that are scored at once. `mini_batch_num_tokens` and `show_progress_bar` change
    nothing: the model has its own packs, and training its own progress. All else is as for the
    other class.
    """

    def __init__(
        self,
        model: object = None,
        scale: float = 20.0,
        similarity_fct: ScoreFunction | str = cos_sim,
        mini_batch_size: int = 32,
        mini_batch_num_tokens: int | None = None,
        gather_across_devices: bool = False,
        directions: Sequence[Direction] = ("query_to_doc",),
        partition_mode: Literal["joint", "per_direction"] = "joint",
        show_progress_bar: bool = False,
        hardness_mode: str | None = None,
        hardness_strength: float = 0.0,
    ) -> None:
        check_given_counts(mini_batch_size=mini_batch_size)
        super().__init__(
            model, scale, similarity_fct, gather_across_devices, directions, partition_mode,
            hardness_mode, hardness_strength,
        )  # fmt: skip
        self.mini_batch_size = mini_batch_size  # as given; it is not used
        self.mini_batch_num_tokens = mini_batch_num_tokens  # as given; it is not used

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        scale, similarity, *others = super().get_config_dict().items()
        sizes = {
            "mini_batch_size": self.mini_batch_size,
            "mini_batch_num_tokens": self.mini_batch_num_tokens,
        }
        return dict([scale, similarity]) | sizes | dict(others)

    def _blocks(self, examples: int, candidates: int) -> Iterator[slice]:
        return blocks(examples, 1, self.mini_batch_size)


class MultipleNegativesSymmetricRankingLoss(MultipleNegativesRankingLoss):
    """MultipleNegativesRankingLoss in both directions: the query of each positive is ranked, too.

    Directions "query_to_doc" and "doc_to_query", averaged: Günther et al., "Jina Embeddings 2"
    (2023). Hard negatives are candidates of the queries only.
    """

    description = "as multiple-negatives-ranking, and each positive's query among all queries"

    def __init__(
        self,
        model: object = None,
        scale: float = 20.0,
        similarity_fct: ScoreFunction | str = cos_sim,
        gather_across_devices: bool = False,
    ) -> None:
        both: tuple[Direction, ...] = ("query_to_doc", "doc_to_query")
        super().__init__(model, scale, similarity_fct, gather_across_devices, both, "per_direction")


def softmax_(logits: Array) -> Array:
    """Turn rows into their softmax, in place: (R, C) -> (R,), logarithms of the sums of exp.

    The sums are float64.
    """
    largest = logits.max(axis=1, keepdims=True)
    logits -= largest
    np.exp(logits, out=logits)
    sums = logits.sum(axis=1, keepdims=True, dtype=np.float64)
    logits /= sums
    log_sums: Array = (largest + np.log(sums))[:, 0]
    return log_sums


def false_negatives(texts: Sequence[Sequence[Text]]) -> dict[Text, list[int]]:
    """Find false negatives: columns of B texts each -> texts, with the numbers of their examples.

    Such a text is a query or a positive of one example and occurs in another one, too. There the
    loss takes a document for a negative that is none. Examples are counted from 0. Equal negatives
    of two examples do no harm.
    """
    examples: dict[Text, list[int]] = {}
    for number, example in enumerate(zip(*texts, strict=True)):
        for text in dict.fromkeys(example):
            examples.setdefault(text, []).append(number)
    wanted = {text for column in texts[:2] for text in column}
    return {
        text: numbers for text, numbers in examples.items() if len(numbers) > 1 and text in wanted
    }
