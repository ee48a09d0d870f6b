"""Evaluators of parallel texts: a text and its translation, or a teacher's vector of it.

They have the names, arguments, measures and files of sentence-transformers' evaluators.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from minibert.common.arrays import Array
from minibert.evaluation.sentence_evaluator import (
    Encodes,
    SentenceEvaluator,
    check_lengths,
    results_file,
)
from minibert.scoring.semantic_search import semantic_search

__all__ = ["MSEEvaluator", "MSEEvaluatorFromDataFrame", "TranslationEvaluator"]

SHOWN = 5  # targets that are printed for a wrong match


class MSEEvaluator(SentenceEvaluator):
    """Compares a student's vectors of texts with a teacher's: "negative_mse", highest for equal.

    It is minus the mean squared difference of the numbers, times 100.
    """

    def __init__(
        self,
        source_sentences: Sequence[str],
        target_sentences: Sequence[str],
        teacher_model: Encodes | None = None,
        show_progress_bar: bool = False,
        batch_size: int = 32,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        """Take texts for the teacher, which are encoded now, and for the student, (n,) each.

        Raises ValueError for lists of different lengths, TypeError without a teacher.
        """
        super().__init__()
        check_lengths(source_sentences=source_sentences, target_sentences=target_sentences)
        check_teacher(teacher_model)
        self.target_sentences = target_sentences  # for the student
        self._set_up(
            name, f"mse_evaluation_{name}_results.csv", write_csv,
            headers=["MSE"], primary="negative_mse",
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip
        assert teacher_model is not None
        self.source_embeddings = self.embed_inputs(teacher_model, source_sentences)  # (n, D)

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return "negative_mse" of a student."""
        mse = squared_error(self.source_embeddings, self.embed_inputs(model, self.target_sentences))
        return self._report(model, {"negative_mse": -mse}, (output_path, epoch, steps), [mse])

    @property
    def description(self) -> str:
        """Name of the evaluation for people."""
        return "Knowledge Distillation"


class MSEEvaluatorFromDataFrame(SentenceEvaluator):
    """Compares a student's vectors with a teacher's, for some pairs of languages.

    The measure is "negative_mse", the mean over the pairs of that of MSEEvaluator.
    """

    def __init__(
        self,
        dataframe: Sequence[Mapping[str, str]],
        teacher_model: Encodes,
        combinations: Sequence[tuple[str, str]],
        batch_size: int = 8,
        name: str = "",
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        """Take rows {"en": text, "de": text}, and pairs of their keys, ("en", "de").

        The first is for the teacher, whose vectors are computed now, the second for the student.
        Rows in which one of the two is blank are left out. Raises TypeError without a teacher,
        ValueError if no row is left of a pair.
        """
        super().__init__()
        check_teacher(teacher_model)
        self.combinations = combinations  # pairs of languages
        self._set_up(
            name, results_file("mse_evaluation", name), write_csv,
            headers=[f"{source}-{target}" for source, target in combinations],
            primary="negative_mse", batch_size=batch_size, truncate_dim=truncate_dim,
        )  # fmt: skip
        self.data = {}  # pair of languages -> the teacher's vectors (n, D), the student's n texts
        for source, target in combinations:
            kept = [row for row in dataframe if row[source].strip() and row[target].strip()]
            if not kept:
                raise ValueError(f"No row of the data has a text in {source!r} and in {target!r}.")
            vectors = self.embed_inputs(teacher_model, [row[source] for row in kept])
            self.data[source, target] = vectors, [row[target] for row in kept]

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return "negative_mse" of a student."""
        errors = [
            squared_error(vectors, self.embed_inputs(model, texts))
            for vectors, texts in self.data.values()
        ]
        metrics = {"negative_mse": -float(np.mean(errors))}
        return self._report(model, metrics, (output_path, epoch, steps), errors)

    @property
    def description(self) -> str:
        """Name of the evaluation for people."""
        return "Knowledge Distillation"

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return no settings, as the reference does."""
        return {}


class TranslationEvaluator(SentenceEvaluator):
    """Counts how often the text that is closest by the cosine is the translation.

    Measures are "src2trg_accuracy", "trg2src_accuracy" and their mean, "mean_accuracy".
    """

    def __init__(
        self,
        source_sentences: Sequence[str],
        target_sentences: Sequence[str],
        show_progress_bar: bool = False,
        batch_size: int = 16,
        name: str = "",
        print_wrong_matches: bool = False,
        write_csv: bool = True,
        truncate_dim: int | None = None,
    ) -> None:
        """Take texts and their translations, (n,) each; `print_wrong_matches` shows what is wrong.

        Raises ValueError for lists of different lengths.
        """
        super().__init__()
        check_lengths(source_sentences=source_sentences, target_sentences=target_sentences)
        self.source_sentences = source_sentences  # texts
        self.target_sentences = target_sentences  # their translations
        self.print_wrong_matches = print_wrong_matches  # on the standard output
        self._set_up(
            name, results_file("translation_evaluation", name), write_csv,
            headers=["src2trg", "trg2src"], primary="mean_accuracy",
            batch_size=batch_size, show_progress_bar=show_progress_bar, truncate_dim=truncate_dim,
        )  # fmt: skip

    def __call__(
        self,
        model: Encodes,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the accuracies of a model, 0 to 1."""
        sources = self.embed_inputs(model, self.source_sentences)
        targets = self.embed_inputs(model, self.target_sentences)
        there = semantic_search(sources, targets, top_k=SHOWN)
        back = semantic_search(targets, sources, top_k=1)
        found = [hits[0]["corpus_id"] for hits in there]
        to_target = accuracy_of(found, self.target_sentences)
        to_source = accuracy_of([hits[0]["corpus_id"] for hits in back], self.source_sentences)
        if self.print_wrong_matches:
            for number, hits in enumerate(there):
                scores = {hit["corpus_id"]: hit["score"] for hit in hits}
                right = semantic_search(sources[number], targets[number])[0][0]["score"]
                self._print_if_wrong(number, scores, right)
        metrics = {
            "src2trg_accuracy": to_target,
            "trg2src_accuracy": to_source,
            "mean_accuracy": (to_target + to_source) / 2,
        }
        return self._report(model, metrics, (output_path, epoch, steps), [to_target, to_source])

    def _print_if_wrong(self, number: int, scores: Mapping[int, float], right: float) -> None:
        """Print the closest targets of a source, best first, if the first is no translation."""
        place = next(iter(scores))
        targets = self.target_sentences
        if targets[place] == targets[number]:
            return
        print(
            f"\nIncorrect  : Source {number} is most similar to target {place} instead of target "
            f"{number}"
        )
        print("Source     :", self.source_sentences[number])
        print("Pred Target:", targets[place], f"(Score: {scores[place]:.4f})")
        print("True Target:", targets[number], f"(Score: {right:.4f})")
        for place, score in scores.items():
            print("\t", place, f"(Score: {score:.4f})", targets[place])


def accuracy_of(found: Sequence[int], texts: Sequence[str]) -> float:
    """Return how often the text that was found for a number is equal to that of this number."""
    return float(np.mean([texts[place] == text for place, text in zip(found, texts, strict=True)]))


def squared_error(first: Array, second: Array) -> float:
    """Compute the mean squared difference, times 100: (n, D), (n, D) -> a number."""
    return float(((first - second) ** 2).mean() * 100)


def check_teacher(teacher_model: object) -> None:
    """Raise TypeError for a teacher that cannot encode."""
    if not hasattr(teacher_model, "encode"):
        raise TypeError(
            f"teacher_model is {teacher_model!r:.80}; expected a SentenceTransformer, which gives "
            "the vectors to compare with."
        )
