"""Evaluators of vectors in pairs: similar or not, how similar, and which of two is closer.

They have the names, arguments, measures and files of sentence-transformers' evaluators.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from minibert.common.arrays import Array
from minibert.evaluation.agreement import (
    average_precision_of,
    highest_accuracy,
    highest_f1,
    matthews_correlation,
    pearson,
    spearman,
)
from minibert.evaluation.sentence_evaluator import (
    Encodes,
    SentenceEvaluator,
    check_lengths,
    metric_name,
    results_file,
)
from minibert.scoring.metrics import METRICS
from minibert.scoring.quantization import Precision, packed_bits
from minibert.training.loader import InputExample

__all__ = [
    "BinaryClassificationEvaluator",
    "EmbeddingSimilarityEvaluator",
    "TripletEvaluator",
]

DISTANCES = {"euclidean", "manhattan"}  # scores of these metrics are minus a distance


class OfMetrics(SentenceEvaluator):
    """An evaluator with measures of each of some metrics."""

    similarity_fn_names: list[str]  # metrics that are measured; none is the first model's own
    _headers = ""  # pattern of a column, of a metric and a measure
    _columns: tuple[str, ...] = ()  # measures of a metric in the file, in order

    def _take_metrics(self, names: Sequence[str] | None, main: str | None = None) -> None:
        """Take the names of metrics, else the main one, else that of the first model."""
        self.similarity_fn_names = []
        given = names or ([] if main is None else [main])
        self._add_metrics([metric_name("similarity_fn_names", name) for name in given])

    def _add_metrics(self, names: Sequence[str]) -> None:
        """Take the names of metrics, and their columns in the file."""
        self.similarity_fn_names += names
        self.csv_headers += [
            self._headers.format(metric=name, measure=measure)
            for name in names
            for measure in self._columns
        ]

    def _metrics_for(self, model: Encodes) -> list[str]:
        """Return the names of the metrics; those of the first model stay for later ones."""
        if not self.similarity_fn_names:
            self._add_metrics([model.similarity_fn_name])
        return self.similarity_fn_names


class EmbeddingSimilarityEvaluator(OfMetrics):
    """Correlates the similarities of pairs of texts with given scores, as STS benchmarks do.

    Measures are "pearson_cosine" and "spearman_cosine", and so on for each metric; of several, the
    highest are "pearson_max" and "spearman_max".
    """

    _headers, _columns = "{metric}_{measure}", ("pearson", "spearman")

    def __init__(
        self,
        sentences1: Sequence[str],
        sentences2: Sequence[str],
        scores: Sequence[float],
        batch_size: int = 16,
        main_similarity: str | None = None,
        similarity_fn_names: Sequence[str] | None = None,
        name: str = "",
        show_progress_bar: bool = False,
        write_csv: bool = True,
        precision: Precision | None = None,
        truncate_dim: int | None = None,
    ) -> None:
        """Take pairs and their scores, (n,) each, the higher the more similar.

        Metrics are `similarity_fn_names`, else `main_similarity`, else the model's own. The primary
        measure is Spearman's correlation by `main_similarity`. With a `precision`, vectors are
        normalised and become codes. Raises ValueError for lists of different lengths.
        """
        super().__init__()
        check_lengths(sentences1=sentences1, sentences2=sentences2, scores=scores)
        self.sentences1 = sentences1  # first texts of the pairs
        self.sentences2 = sentences2  # second texts of the pairs
        self.scores = scores  # of the pairs, in any scale
        self.precision = precision  # of the vectors; None and "float32" leave them as they are
        main = None if main_similarity is None else metric_name("main_similarity", main_similarity)
        self.main_similarity = main  # metric of the primary measure
        self._set_up(
            name, results_file("similarity_evaluation", name, precision), write_csv,
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip
        self._take_metrics(similarity_fn_names, main)

    @classmethod
    def from_input_examples(
        cls,
        examples: Iterable[InputExample],
        **arguments: Any,  # the constructor's own
    ) -> EmbeddingSimilarityEvaluator:
        """Take pairs and scores from the texts and labels of InputExamples."""
        first, second, labels = columns_of(examples, 2)
        return cls(first, second, labels, **arguments)

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the correlations of a model."""
        # Of one call, so that both sides of a pair have the same ranges of codes.
        vectors = self.embed_inputs(
            model,
            [*self.sentences1, *self.sentences2],
            precision=self.precision,
            normalize_embeddings=bool(self.precision),
        )
        first, second = np.split(as_numbers(vectors, self.precision), 2)
        names, metrics = self._metrics_for(model), {}
        for name in names:
            scores = METRICS[name].pairwise(first, second)
            metrics[f"pearson_{name}"] = pearson(self.scores, scores)
            metrics[f"spearman_{name}"] = spearman(self.scores, scores)
        row = list(metrics.values())
        if len(names) > 1:
            for measure in self._columns:
                metrics[f"{measure}_max"] = max(metrics[f"{measure}_{name}"] for name in names)
        self.primary_metric = f"spearman_{self.main_similarity or primary_of(names)}"
        return self._report(model, metrics, (output_path, epoch, steps), row)

    @property
    def description(self) -> str:
        """Name of the evaluation for people."""
        return "Semantic Similarity"

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        return self._settings("truncate_dim", "precision")


class BinaryClassificationEvaluator(OfMetrics):
    """Tells similar pairs of texts from others by a threshold on their similarity.

    Measures of each metric are accuracy and F1 with their best thresholds, precision and recall at
    that of F1, average precision "ap", and Matthews' correlation "mcc"; of several metrics, the
    highest are "max_ap" and so on. Thresholds of Euclidean and Manhattan are distances, positive.
    """

    _headers = "{metric}_{measure}"
    _columns = (
        *("accuracy", "accuracy_threshold", "f1", "precision", "recall", "f1_threshold"),
        *("ap", "mcc"),
    )

    def __init__(
        self,
        sentences1: Sequence[str],
        sentences2: Sequence[str],
        labels: Sequence[int],
        name: str = "",
        batch_size: int = 32,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        similarity_fn_names: Sequence[str] | None = None,
    ) -> None:
        """Take pairs and their labels, (n,) each: 1 for similar, 0 for others.

        Raises ValueError for lists of different lengths, and for another label.
        """
        super().__init__()
        check_lengths(sentences1=sentences1, sentences2=sentences2, labels=labels)
        for number, label in enumerate(labels):
            if label not in (0, 1):
                raise ValueError(f"Label {number} of {len(labels)} is {label!r}; expected 0 or 1.")
        self.sentences1 = sentences1  # first texts of the pairs
        self.sentences2 = sentences2  # second texts of the pairs
        self.labels = labels  # of the pairs: 1 for similar ones
        self._set_up(
            name, results_file("binary_classification_evaluation", name), write_csv,
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip
        self._take_metrics(similarity_fn_names)

    @classmethod
    def from_input_examples(
        cls,
        examples: Iterable[InputExample],
        **arguments: Any,  # the constructor's own
    ) -> BinaryClassificationEvaluator:
        """Take pairs and labels from InputExamples."""
        first, second, labels = columns_of(examples, 2)
        return cls(first, second, labels, **arguments)

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the measures of a model."""
        names = self._metrics_for(model)
        found = self.compute_metrics(model)
        metrics = {f"{name}_{key}": found[name][key] for name in found for key in found[name]}
        if len(names) > 1:
            for key in found[names[0]]:
                metrics[f"max_{key}"] = max(values[key] for values in found.values())
        self.primary_metric = f"{primary_of(names)}_ap"
        row = [found[name][key] for name in names for key in self._columns]
        return self._report(model, metrics, (output_path, epoch, steps), row)

    def compute_metrics(self, model: Encodes) -> dict[str, dict[str, float]]:
        """Compute the measures by each metric: metric -> measure -> value."""
        vectors = self.embed_inputs(model, [*self.sentences1, *self.sentences2])
        first, second = np.split(vectors, 2)
        return {
            name: self._measures(name, METRICS[name].pairwise(first, second))
            for name in self._metrics_for(model)
        }

    def _measures(self, metric: str, scores: Array) -> dict[str, float]:
        """Compute the measures of one metric, from the scores of the pairs (n,)."""
        accuracy, at_accuracy = highest_accuracy(scores, self.labels)
        f1, precision, recall, at_f1 = highest_f1(scores, self.labels)
        sign = -1 if metric in DISTANCES else 1
        return {
            "accuracy": accuracy,
            "accuracy_threshold": sign * at_accuracy,
            "f1": f1,
            "f1_threshold": sign * at_f1,
            "precision": precision,
            "recall": recall,
            "ap": average_precision_of(scores, self.labels),
            "mcc": matthews_correlation(scores >= at_f1, self.labels),
        }


class TripletEvaluator(OfMetrics):
    """Counts how often an anchor is closer to its positive than to its negative.

    The measure is "cosine_accuracy", and so on for each metric; of several, the highest is
    "max_accuracy". Anchors are encoded as queries, positives and negatives as documents.
    """

    _headers, _columns = "{measure}_{metric}", ("accuracy",)

    def __init__(
        self,
        anchors: Sequence[str],
        positives: Sequence[str],
        negatives: Sequence[str],
        main_similarity_function: str | None = None,
        margin: float | Mapping[str, float] | None = None,
        name: str = "",
        batch_size: int = 16,
        show_progress_bar: bool = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
        similarity_fn_names: Sequence[str] | None = None,
        main_distance_function: str | None = "deprecated",
    ) -> None:
        """Take triplets of texts, (n,) each.

        The positive's similarity must be higher than the negative's by more than `margin`, a number
        or one for each metric by its name, by default 0. `main_distance_function` is an older name
        of `main_similarity_function`. Raises ValueError for lists of different lengths, and for a
        margin that is no such number.
        """
        super().__init__()
        check_lengths(anchors=anchors, positives=positives, negatives=negatives)
        self.anchors = anchors  # texts that are compared
        self.positives = positives  # texts that should be closer
        self.negatives = negatives  # texts that should be farther
        if main_distance_function != "deprecated" and main_similarity_function is None:
            main_similarity_function = main_distance_function
        main = main_similarity_function
        main = None if main is None else metric_name("main_similarity_function", main)
        self.main_similarity_function = main  # metric of the primary measure
        self.margin = margins_of(margin)  # of each metric, by its name
        self._set_up(
            name, results_file("triplet_evaluation", name), write_csv,
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip
        self._take_metrics(similarity_fn_names, main)

    @classmethod
    def from_input_examples(
        cls,
        examples: Iterable[InputExample],
        **arguments: Any,  # the constructor's own
    ) -> TripletEvaluator:
        """Take triplets from the texts of InputExamples."""
        anchors, positives, negatives, _ = columns_of(examples, 3)
        return cls(anchors, positives, negatives, **arguments)

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the accuracies of a model, 0 to 1."""
        anchors = self.embed_inputs(model, self.anchors, "query")
        positives = self.embed_inputs(model, self.positives, "document")
        negatives = self.embed_inputs(model, self.negatives, "document")
        names, metrics = self._metrics_for(model), {}
        for name in names:
            score = METRICS[name].pairwise
            is_closer = score(anchors, positives) > score(anchors, negatives) + self.margin[name]
            metrics[f"{name}_accuracy"] = float(np.mean(is_closer))
        row = list(metrics.values())
        if len(names) > 1:
            metrics["max_accuracy"] = max(row)
        self.primary_metric = f"{self.main_similarity_function or primary_of(names)}_accuracy"
        return self._report(model, metrics, (output_path, epoch, steps), row)

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        margin = {"margin": self.margin} if any(self.margin.values()) else {}
        return {**margin, **self._settings("truncate_dim")}


def primary_of(metrics: Sequence[str]) -> str:
    """Return the metric of the primary measure: the only one, or "max", the best of several."""
    return "max" if len(metrics) > 1 else metrics[0]


def columns_of(examples: Iterable[InputExample], texts: int) -> list[list[Any]]:
    """Return the first texts of each example, and the labels: a list of each."""
    given = list(examples)
    columns = [[(example.texts or [])[place] for example in given] for place in range(texts)]
    return [*columns, [example.label for example in given]]


def margins_of(margin: object) -> dict[str, float]:
    """Return a margin for each metric, by its name. Raises ValueError for an unknown metric."""
    given = margin if isinstance(margin, Mapping) else dict.fromkeys(METRICS, margin or 0)
    for name, value in given.items():
        metric_name("margin", name)
        if not isinstance(value, int | float):
            raise ValueError(f"margin is {margin!r}; expected a number, or one for each metric.")
    return {**dict.fromkeys(METRICS, 0), **given}


def as_numbers(vectors: Array, precision: str | None) -> Array:
    """Return vectors, or codes of one, as float32: packed bits as 0 and 1, (n, D/8) -> (n, D)."""
    if precision in ("binary", "ubinary"):
        return np.unpackbits(packed_bits(vectors, precision), axis=1).astype(np.float32)
    return vectors.astype(np.float32) if precision else vectors
