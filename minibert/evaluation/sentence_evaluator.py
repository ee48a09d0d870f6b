"""Frame of the evaluators that have sentence-transformers' names: keys, a line of a CSV file.

An evaluator is called with a model, and returns measures by name. Start at SentenceEvaluator.
"""

from __future__ import annotations

import csv
import logging
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from minibert.common.arrays import Array
from minibert.scoring.metrics import METRICS

__all__ = [
    "BaseEvaluator",
    "Encodes",
    "SentenceEvaluator",
    "SequentialEvaluator",
    "check_lengths",
    "each_once",
    "metric_name",
    "results_file",
]

logger = logging.getLogger(__name__)


class Encodes(Protocol):
    """A model, as far as evaluators of vectors need it."""

    @property
    def similarity_fn_name(self) -> str: ...

    @property
    def encode(self) -> Callable[..., Any]: ...

    @property
    def encode_query(self) -> Callable[..., Any]: ...

    @property
    def encode_document(self) -> Callable[..., Any]: ...


class SentenceEvaluator:
    """Measures a model. A program's own evaluator derives from this class and defines __call__.

    Evaluators are called by model.evaluate, by fit between steps, or by a program itself.
    """

    name = ""  # stands before the names of the measures
    csv_file = ""  # name of the file in `output_path`
    write_csv = True  # False writes no file
    batch_size: int | None = None  # the model's, where texts are encoded
    show_progress_bar: bool | None = False  # the model's, where texts are encoded
    truncate_dim: int | None = None  # number of dimensions that are kept; None is the model's own

    def __init__(self) -> None:
        """Set that higher measures are better, and that none is the primary one yet."""
        self.greater_is_better = True  # False where the smaller primary measure is better
        self.primary_metric: str | None = None  # name of the measure that tells the better model
        self.csv_headers = ["epoch", "steps"]  # first line of the file

    def _set_up(
        self,
        name: str,
        csv_file: str,
        write_csv: bool,
        *,
        headers: Iterable[str] = (),
        primary: str | None = None,
        batch_size: int | None = None,
        show_progress_bar: bool | None = False,
        truncate_dim: int | None = None,
    ) -> None:
        """Set attributes that are described above; `headers` come after epoch and steps."""
        self.name, self.csv_file, self.write_csv = name, csv_file, write_csv
        self.csv_headers += headers
        self.primary_metric = primary
        self.batch_size, self.show_progress_bar = batch_size, show_progress_bar
        self.truncate_dim = truncate_dim

    def __call__(
        self,
        model: Any,  # a SentenceTransformer or a CrossEncoder
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> float | dict[str, float]:
        """Return a score, or measures by name, of the model as it is now.

        `output_path` is the folder for files. `epoch` and `steps` are those of a training; -1 is
        outside of one, or at the end of an epoch.
        """
        raise NotImplementedError(f"{type(self).__name__} defines no __call__.")

    def prefix_name_to_metrics(
        self,
        metrics: Mapping[str, Any],  # numbers, and in a program's own evaluator texts, too
        name: str,
    ) -> dict[str, Any]:  # the same
        """Return measures as floats, and put a name before theirs and the primary one's."""
        prefix = f"{name}_" if name else ""
        if self.primary_metric is not None and not self.primary_metric.startswith(prefix):
            self.primary_metric = prefix + self.primary_metric
        return {prefix + key: as_float(value) for key, value in metrics.items()}

    def store_metrics_in_model_card_data(
        self,
        model: Any,  # of any kind
        metrics: dict[str, Any],  # as returned
        epoch: int = 0,
        step: int = 0,
    ) -> None:
        """Hand the measures to the data of the model's card, which models of minibert have not."""
        if (card := getattr(model, "model_card_data", None)) is not None:
            card.set_evaluation_metrics(self, metrics, epoch, step)

    @property
    def description(self) -> str:
        """Name of the evaluation for people: "Binary Classification"."""
        name = type(self).__name__.partition("Evaluator")[0]
        return re.sub("([a-z])([A-Z])", r"\1 \2", re.sub("^CE", "CrossEncoder", name))

    def get_config_dict(self) -> dict[str, Any]:  # values of JSON
        """Return the settings that change the result."""
        return self._settings("truncate_dim")

    def embed_inputs(
        self,
        model: Encodes,
        sentences: Sequence[Any],  # texts, or pairs of them
        encode_fn_name: str | None = None,
        **options: Any,  # encode's own
    ) -> Array:
        """Encode texts, as "query", as "document" or as neither: n texts -> (n, D).

        Each text is encoded once, so equal texts have equal vectors.
        """
        encode = getattr(model, f"encode_{encode_fn_name}" if encode_fn_name else "encode")
        given = {
            "batch_size": self.batch_size,
            "show_progress_bar": self.show_progress_bar,
            "truncate_dim": self.truncate_dim,
            **options,
        }
        texts, places = each_once(sentences)
        return np.asarray(encode(texts, **given))[places]

    def _settings(self, *names: str) -> dict[str, Any]:
        """Return those of some attributes that are set."""
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def _report(
        self,
        model: object,
        metrics: Mapping[str, float],
        place: tuple[str | os.PathLike[str] | None, int, int],
        row: Sequence[float],
        line_end: str = "\r\n",
    ) -> dict[str, float]:
        """Log the measures, add `row` to the CSV file, and return them under this one's name.

        `place` is the folder or None, the epoch and the step.
        """
        folder, epoch, steps = place
        when = (
            "" if epoch == -1 else f", epoch {epoch}" + (f", step {steps}" if steps != -1 else "")
        )
        told = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items())
        logger.info("%s %s%s: %s", type(self).__name__, self.name or "(no name)", when, told)
        if folder is not None and self.write_csv:
            add_row(Path(folder) / self.csv_file, self.csv_headers, [epoch, steps, *row], line_end)
        found = self.prefix_name_to_metrics(metrics, self.name)
        self.store_metrics_in_model_card_data(model, found, epoch, steps)
        return found


BaseEvaluator = SentenceEvaluator


class SequentialEvaluator(SentenceEvaluator):
    """Calls several evaluators, one after another, and returns the measures of all."""

    def __init__(
        self,
        evaluators: Iterable[Callable[..., Any]],  # each returns a score, or measures by name
        main_score_function: Callable[[list[float]], float] = lambda scores: scores[-1],
    ) -> None:
        """Take evaluators, and a function from their primary scores to "sequential_score"."""
        super().__init__()
        self.evaluators = list(evaluators)  # in the order of the calls
        self.main_score_function = main_score_function  # by default the last evaluator's score

    def __call__(
        self,
        model: Any,  # of the evaluators' kind
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return all measures, and "sequential_score", which tells the better model.

        The score of an evaluator is its primary measure, or its first one. An evaluator that
        returns a number has it under "evaluator_0", by its place.
        """
        results, scores = {}, []
        for number, evaluator in enumerate(self.evaluators):
            found = evaluator(model, output_path, epoch, steps)
            if not isinstance(found, Mapping):
                found = {f"evaluator_{number}": found}
            primary = getattr(evaluator, "primary_metric", None)
            scores.append(found[next(iter(found)) if primary is None else primary])
            results.update(found)
        self.primary_metric = "sequential_score"
        results["sequential_score"] = self.main_score_function(scores) if scores else 0.0
        return results


def add_row(path: Path, headers: Sequence[str], row: Sequence[float], line_end: str) -> None:
    """Add a line to a CSV file, and before it the headers if the file is new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    is_new = not path.exists()
    with open(path, "a", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator=line_end)
        writer.writerows([headers, row] if is_new else [row])


def each_once(inputs: Iterable[Any]) -> tuple[list[Any], list[int]]:
    """Return the distinct texts, or pairs of texts, and the place of each input among them."""
    places: dict[Any, int] = {}
    keys = (one if isinstance(one, str) else tuple(one) for one in inputs)
    of_each = [places.setdefault(key, len(places)) for key in keys]
    return list(places), of_each


def results_file(*parts: str | None) -> str:
    """Return the name of a file of results, of the parts that are neither "" nor None."""
    return "_".join([*filter(None, parts), "results.csv"])


def as_float(value: Any) -> Any:
    """Return a number as a float, and a text that is none as it is."""
    try:
        return float(value)
    except ValueError:
        return value


def check_lengths(**lists: Sequence[object]) -> None:
    """Raise ValueError for lists of different lengths, and for empty ones."""
    lengths = {name: len(given) for name, given in lists.items()}
    if len(set(lengths.values())) > 1 or 0 in lengths.values():
        told = " and ".join(f"{name} has {length}" for name, length in lengths.items())
        raise ValueError(f"{told} items; expected lists of one length, and at least one item.")


def metric_name(argument: str, given: object) -> str:
    """Return the name of a metric, by its name or by a member of an enumeration.

    Raises ValueError for an unknown one.
    """
    name = getattr(given, "value", given)
    if name not in METRICS:
        raise ValueError(f"{argument} is {given!r}; expected one of {', '.join(METRICS)}.")
    return str(name)
