"""Evaluators of re-ranking: relevant documents among others, for one query at a time.

They have the names, arguments, measures and files of sentence-transformers' evaluators.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minibert.common.arrays import Array, IntArray
from minibert.evaluation.agreement import average_precision_of, ndcg_of
from minibert.evaluation.cross_encoder_evaluators import OfPairs, Predicts
from minibert.evaluation.sentence_evaluator import Encodes, SentenceEvaluator, results_file
from minibert.scoring.metrics import Metric, find_metric
from minibert.scoring.similarity import ScoreFunction, cos_sim

__all__ = ["CrossEncoderRerankingEvaluator", "RerankingEvaluator"]

logger = logging.getLogger(__name__)

# "query": a text; "positive" and "negative", or "documents": a text or a list of them.
Sample: TypeAlias = Mapping[str, Any]


class Measures(NamedTuple):
    """Measures of one ranking, or their means."""

    map: float  # average precision, of the whole ranking
    mrr: float  # 1 / rank of the first relevant document, 0 if it is below k
    ndcg: float  # within k


class OfRankings(SentenceEvaluator):
    """An evaluator with the measures "map", "mrr@10" and "ndcg@10", or of another cutoff."""

    at_k: int  # cutoff of mrr and ndcg
    _kind = ""  # beginning of the name of the file

    def _set_up_rankings(
        self,
        at_k: int,
        mrr_at_k: int | None,
        name: str,
        write_csv: bool,
        **encoding: Any,
    ) -> None:
        """Take the cutoff, of which `mrr_at_k` is an older name, and what all evaluators have."""
        if mrr_at_k is not None:
            logger.warning("mrr_at_k is an older name of at_k; at_k is %d.", mrr_at_k)
        self.at_k = at_k if mrr_at_k is None else mrr_at_k
        file = results_file(self._kind, name).replace(".csv", f"_@{self.at_k}.csv")
        names = names_of_measures(self.at_k)
        headers = [measure.upper() for measure in names]
        self._set_up(name, file, write_csv, headers=headers, primary=names[-1], **encoding)

    def _named(self, measures: Measures, prefix: str = "") -> dict[str, float]:
        """Return measures by their names in the result."""
        named = zip(names_of_measures(self.at_k), measures, strict=True)
        return {prefix + name: value for name, value in named}


class RerankingEvaluator(OfRankings):
    """Ranks each query's documents by the similarity of their vectors, and measures the rankings.

    Measures are "map", "mrr@10" and "ndcg@10", or of another `at_k`.
    """

    _kind = "RerankingEvaluator"

    def __init__(
        self,
        samples: Sequence[Sample] | Mapping[Any, Sample],  # a mapping by any keys, as a query's id
        at_k: int = 10,
        name: str = "",
        write_csv: bool = True,
        similarity_fct: ScoreFunction | str = cos_sim,
        batch_size: int = 64,
        show_progress_bar: bool = False,
        use_batched_encoding: bool = True,
        truncate_dim: int | None = None,
        mrr_at_k: int | None = None,
    ) -> None:
        """Take samples {"query": text, "positive": texts, "negative": texts}.

        A sample without a positive or without a negative is left out. `similarity_fct` is a
        function on arrays, (q, D), (n, D) -> (q, n), or a metric's name. With
        use_batched_encoding=False one sample is encoded at a time, which takes less memory and
        longer. `mrr_at_k` is an older name of `at_k`. Raises ValueError if no sample is left.
        """
        super().__init__()
        self.samples = [  # that are measured, with lists of texts
            {**sample, "positive": positive, "negative": negative}
            for sample in samples_of(samples)
            if (positive := listed(sample["positive"])) and (negative := listed(sample["negative"]))
        ]
        if not self.samples:
            raise ValueError("No sample has both a positive and a negative document.")
        self._set_up_rankings(
            at_k, mrr_at_k, name, write_csv,
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip
        self.similarity_fct = similarity_fct  # on arrays, or the name of a metric
        self.use_batched_encoding = use_batched_encoding  # True encodes all texts at once

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the measures of a model."""
        metrics = self._named(Measures(**self.compute_metrics(model)))
        row = list(metrics.values())
        return self._report(model, metrics, (output_path, epoch, steps), row)

    def compute_metrics(self, model: Encodes) -> dict[str, float]:
        """Compute the means over the samples: "map", "mrr" and "ndcg"."""
        metric = find_metric(self.similarity_fct)
        score = metric.all_pairs if isinstance(metric, Metric) else metric
        found = []
        for sample, (query, documents) in zip(self.samples, self._vectors(model), strict=True):
            positives = len(sample["positive"])
            labels = np.arange(len(documents)) < positives
            scores = np.atleast_2d(np.asarray(score(query, documents)))[0]
            order = np.argsort(-scores, kind="stable")
            found.append(measures_of(scores, labels, order, self.at_k))
        return means_of(found)._asdict()

    def _vectors(self, model: Encodes) -> Iterator[tuple[Array, Array]]:
        """Yield the vectors of each sample's query (1, D), and of its documents (n, D)."""
        step = len(self.samples) if self.use_batched_encoding else 1
        for start in range(0, len(self.samples), step):
            some = self.samples[start : start + step]
            queries = self.embed_inputs(model, [sample["query"] for sample in some], "query")
            texts = [[*sample["positive"], *sample["negative"]] for sample in some]
            vectors = self.embed_inputs(model, [t for one in texts for t in one], "document")
            ends = np.cumsum([len(one) for one in texts])[:-1]
            yield from zip(queries[:, None], np.split(vectors, ends), strict=True)

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        return self._settings("at_k", "truncate_dim")


class CrossEncoderRerankingEvaluator(OfRankings, OfPairs):
    """Ranks each query's documents by a cross-encoder, and measures the rankings.

    Measures are "map", "mrr@10" and "ndcg@10", or of another `at_k`; of samples with "documents",
    which are already ranked, "base_map" and so on measure that ranking.
    """

    _kind = "CrossEncoderRerankingEvaluator"

    def __init__(
        self,
        samples: Sequence[Sample] | Mapping[Any, Sample],  # a mapping by any keys, as a query's id
        at_k: int = 10,
        always_rerank_positives: bool = True,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 64,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        mrr_at_k: int | None = None,
    ) -> None:
        """Take samples {"query": text, "positive": texts}, with "negative" or with "documents".

        "documents" are the positives and others, as a first search has ranked them. With
        always_rerank_positives=False, a positive that is not among them is not ranked.
        `prompt_name` is predict's, `mrr_at_k` an older name of `at_k`. Raises ValueError for a
        sample with other keys, and without a sample.
        """
        super().__init__()
        self.samples = [checked(sample) for sample in samples_of(samples)]  # as given
        if not self.samples:
            raise ValueError("There are no samples; expected one for each query.")
        self._set_up_rankings(
            at_k, mrr_at_k, name, write_csv,
            batch_size=batch_size, show_progress_bar=show_progress_bar,
        )  # fmt: skip
        self.always_rerank_positives = always_rerank_positives  # also those that were not found
        self.prompt_name = prompt_name  # name of the prompt before each query

    def __call__(
        self,
        model: Predicts,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the measures of a model."""
        ranked = [self._documents_of(sample) for sample in self.samples]
        pairs = [
            (sample["query"], document)
            for sample, (documents, labels) in zip(self.samples, ranked, strict=True)
            for document in documents
            if any(labels)
        ]
        scores = self._scores(model, pairs) if pairs else np.empty(0)
        found, start = [], 0
        for _, labels in ranked:
            end = start + len(labels) * any(labels)
            found.append(self._measures(scores[start:end], labels))
            start = end
        measures = means_of(found)
        metrics = self._named(measures)
        base = [self._base(sample) for sample in self.samples if "documents" in sample]
        if base:
            metrics |= self._named(means_of(base), "base_")
        return self._report(model, metrics, (output_path, epoch, steps), measures)

    def _documents_of(self, sample: Sample) -> tuple[list[str], list[bool]]:
        """Return the documents of a sample to rank, and which of them are relevant."""
        positives = listed(sample["positive"])
        if "negative" in sample:
            negatives = listed(sample["negative"])
            return positives + negatives, [True] * len(positives) + [False] * len(negatives)
        documents = listed(sample["documents"])
        if self.always_rerank_positives:
            documents = positives + [text for text in documents if text not in positives]
        return documents, [text in positives for text in documents]

    def _base(self, sample: Sample) -> Measures:
        """Measure the ranking that a sample came with; positives it lacks come after it."""
        positives, documents = listed(sample["positive"]), listed(sample["documents"])
        labels = [text in positives for text in documents]
        if not any(labels):
            return Measures(0.0, 0.0, 0.0)
        labels += [True] * (len(positives) - sum(labels))
        return self._measures(np.arange(len(labels), 0.0, -1), labels)

    def _measures(self, scores: Array, labels: Sequence[bool]) -> Measures:
        """Measure the ranking of one sample, by the scores of its documents (n,)."""
        if not any(labels):
            return Measures(0.0, 0.0, 0.0)
        # Of equal scores the later document comes first, and these are the negatives.
        order = np.argsort(scores, kind="stable")[::-1]
        return measures_of(scores, np.array(labels), order, self.at_k)

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        is_told = "documents" in self.samples[0]
        return self._settings("at_k", *(["always_rerank_positives"] if is_told else []))


def names_of_measures(k: int) -> tuple[str, ...]:
    """Return the names of Measures within k, the last one of which is the primary one."""
    return "map", f"mrr@{k}", f"ndcg@{k}"


def samples_of(samples: Sequence[Sample] | Mapping[Any, Sample]) -> list[Sample]:
    """Return samples as a list, those of a mapping, too."""
    return list(samples.values() if isinstance(samples, Mapping) else samples)


def checked(sample: Sample) -> Sample:
    """Return a sample for a cross-encoder. Raises ValueError for one without its keys."""
    others = [key for key in ("negative", "documents") if key in sample]
    if "query" not in sample or "positive" not in sample or len(others) != 1:
        raise ValueError(
            f"A sample has the keys {', '.join(map(repr, sample))}; expected 'query', 'positive', "
            "and one of 'negative' and 'documents'."
        )
    return sample


def listed(texts: str | Iterable[str]) -> list[str]:
    """Return one text or several as a list."""
    return [texts] if isinstance(texts, str) else list(texts)


def measures_of(scores: Array, labels: NDArray[np.bool], order: IntArray, k: int) -> Measures:
    """Measure one ranking: scores (n,), labels (n,), and places of the documents, best first."""
    ranks = np.flatnonzero(labels[order][:k]) + 1
    mrr = 1 / int(ranks[0]) if len(ranks) else 0.0
    return Measures(average_precision_of(scores, labels), mrr, ndcg_of(scores, labels, k))


def means_of(measures: Sequence[Measures]) -> Measures:
    """Compute the mean of each measure."""
    return Measures(*np.mean(np.array(measures), axis=0).tolist())
