"""Evaluators of cross-encoders: scores or classes of pairs of texts.

They have the names, arguments, measures and files of sentence-transformers' evaluators, which stand
there in `cross_encoder.evaluation`.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

import numpy as np

from minibert.common.arrays import Array
from minibert.evaluation.agreement import (
    average_precision_of,
    f1_of_classes,
    highest_accuracy,
    highest_f1,
    pearson,
    spearman,
)
from minibert.evaluation.sentence_evaluator import (
    SentenceEvaluator,
    check_lengths,
    each_once,
    results_file,
)
from minibert.training.loader import InputExample

__all__ = [
    "CrossEncoderClassificationEvaluator",
    "CrossEncoderCorrelationEvaluator",
    "OfPairs",
    "Predicts",
]

logger = logging.getLogger(__name__)


class Predicts(Protocol):
    """A cross-encoder, as far as its evaluators need it."""

    @property
    def num_labels(self) -> int: ...

    @property
    def predict(self) -> Callable[..., Any]: ...


class OfPairs(SentenceEvaluator):
    """An evaluator of a cross-encoder's scores of some pairs."""

    prompt_name: str | None = None  # name of the prompt before each first text

    def _scores(self, model: Predicts, pairs: Sequence[Sequence[str]]) -> Array:
        """Score pairs: n of them -> (n,), or (n, labels). Equal pairs have equal scores."""
        distinct, places = each_once(pairs)
        scores = model.predict(
            distinct,
            prompt_name=self.prompt_name,
            batch_size=self.batch_size,
            show_progress_bar=self.show_progress_bar,
        )
        return np.asarray(scores)[places]


class CrossEncoderClassificationEvaluator(OfPairs):
    """Measures a cross-encoder that tells classes of pairs.

    Of one label: "accuracy" and "f1" with their best thresholds, "precision" and "recall" at that
    of F1, and "average_precision". Of several: "f1_macro", "f1_micro" and "f1_weighted".
    """

    def __init__(
        self,
        sentence_pairs: Sequence[Sequence[str]],
        labels: Sequence[int],
        *,
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
        **ignored: object,
    ) -> None:
        """Take pairs of texts and the numbers of their classes, (n,) each.

        Arguments that older evaluators had are named in a warning, and change nothing. Raises
        ValueError for lists of different lengths.
        """
        super().__init__()
        check_lengths(sentence_pairs=sentence_pairs, labels=labels)
        if ignored:
            logger.warning("%s: without effect on the measures.", ", ".join(ignored))
        self.sentence_pairs = sentence_pairs  # pairs of texts
        self.labels = np.asarray(labels)  # numbers of the classes (n,); of one label 0 and 1
        self._set_up(
            name, results_file("CrossEncoderClassificationEvaluator", name), write_csv,
            batch_size=batch_size, show_progress_bar=show_progress_bar,
        )  # fmt: skip
        self.prompt_name = prompt_name  # name of the prompt before each first text

    @classmethod
    def from_input_examples(
        cls,
        examples: Iterable[InputExample],
        **arguments: Any,  # the constructor's own
    ) -> CrossEncoderClassificationEvaluator:
        """Take pairs and labels from InputExamples."""
        return cls(*pairs_and_labels(examples), **arguments)

    def __call__(
        self,
        model: Predicts,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the measures of a model."""
        scores = self._scores(model, self.sentence_pairs)
        if model.num_labels == 1:
            metrics = self._of_one_label(scores)
            columns = [name.title() for name in metrics]
            self.primary_metric = "average_precision"
        else:
            found = f1_of_classes(scores.argmax(axis=1), self.labels)
            metrics = {f"f1_{kind}": value for kind, value in found._asdict().items()}
            columns = [f"{kind.title()}_F1" for kind in found._fields]
            self.primary_metric = "f1_macro"
        self.csv_headers = ["epoch", "steps", *columns]
        return self._report(model, metrics, (output_path, epoch, steps), list(metrics.values()))

    def _of_one_label(self, scores: Array) -> dict[str, float]:
        """Compute the measures of scores (n,)."""
        accuracy, at_accuracy = highest_accuracy(scores, self.labels)
        f1, precision, recall, at_f1 = highest_f1(scores, self.labels)
        return {
            "accuracy": accuracy,
            "accuracy_threshold": at_accuracy,
            "f1": f1,
            "f1_threshold": at_f1,
            "precision": precision,
            "recall": recall,
            "average_precision": average_precision_of(scores, self.labels),
        }


class CrossEncoderCorrelationEvaluator(OfPairs):
    """Correlates a cross-encoder's scores of pairs with given ones: "pearson" and "spearman"."""

    def __init__(
        self,
        sentence_pairs: Sequence[Sequence[str]],
        scores: Sequence[float],
        name: str = "",
        prompt_name: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        write_csv: bool = True,
    ) -> None:
        """Take pairs of texts and their scores, (n,) each, the higher the more similar.

        Raises ValueError for lists of different lengths.
        """
        super().__init__()
        check_lengths(sentence_pairs=sentence_pairs, scores=scores)
        self.sentence_pairs = sentence_pairs  # pairs of texts
        self.scores = scores  # of the pairs, in any scale
        self._set_up(
            name, results_file("CrossEncoderCorrelationEvaluator", name), write_csv,
            headers=["Pearson_Correlation", "Spearman_Correlation"], primary="spearman",
            batch_size=batch_size, show_progress_bar=show_progress_bar,
        )  # fmt: skip
        self.prompt_name = prompt_name  # name of the prompt before each first text

    @classmethod
    def from_input_examples(
        cls,
        examples: Iterable[InputExample],
        **arguments: Any,  # the constructor's own
    ) -> CrossEncoderCorrelationEvaluator:
        """Take pairs and scores from InputExamples."""
        return cls(*pairs_and_labels(examples), **arguments)

    def __call__(
        self,
        model: Predicts,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the correlations of a model."""
        scores = self._scores(model, self.sentence_pairs)
        metrics = {"pearson": pearson(self.scores, scores)}
        metrics["spearman"] = spearman(self.scores, scores)
        return self._report(model, metrics, (output_path, epoch, steps), list(metrics.values()))


def pairs_and_labels(examples: Iterable[InputExample]) -> tuple[list[list[str]], list[Any]]:
    """Return the texts of each example, and the labels."""
    given = list(examples)
    return [example.texts or [] for example in given], [example.label for example in given]
