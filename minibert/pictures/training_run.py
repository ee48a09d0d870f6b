"""Training run as its folder has it: settings and log. Start at read_run."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minibert.common.json_files import read_json
from minibert.errors import TrainingError
from minibert.training.checkpoints import LOG, SETTINGS
from minibert.training.evaluators import number_of

__all__ = ["Run", "read_run"]


class Run(NamedTuple):
    """Training run, as its folder has it."""

    state: Mapping[str, Any]  # training.json
    steps: list[dict[str, Any]]  # records of steps, in order; several of a step with objectives
    evaluations: list[dict[str, Any]]  # records of evaluations; the first may be of step 0
    folder: str = ""  # as it was given; "" for a run that has none yet

    def part(self, name: str) -> Mapping[str, Any]:
        """Return an object of training.json; an empty one if it is not there."""
        found = self.state.get(name)
        return found if isinstance(found, Mapping) else {}

    @property
    def step(self) -> int:
        """Steps done."""
        return int(self.steps[-1]["step"]) if self.steps else 0

    @property
    def total(self) -> int:
        """Steps of the whole run; those that are done, if it is not known."""
        return int(self.part("facts").get("steps") or self.step)

    @property
    def is_finished(self) -> bool:
        """True if the folder has the result of the run."""
        return self.state.get("finished") is True

    @property
    def arguments(self) -> Mapping[str, Any]:
        """Numbers of the recipe, by their names in fit()."""
        found = self.part("settings").get("arguments")
        return found if isinstance(found, Mapping) else {}

    @property
    def measure(self) -> str | None:
        """Name of the measure by which a model is the best; None if it is not known."""
        evaluator = self.part("settings").get("evaluator")
        name = evaluator.get("measure") if isinstance(evaluator, Mapping) else None
        names = self.measures
        return name if name in names else names[0] if len(names) == 1 else None

    @property
    def measures(self) -> list[str]:
        """Names of all measures, in the order in which they came."""
        return list(dict.fromkeys(name for one in self.evaluations for name in one["evaluation"]))

    @property
    def best_record(self) -> dict[str, Any] | None:
        """Record of the best evaluation so far; None without one."""
        return next((one for one in reversed(self.evaluations) if one.get("is_best")), None)

    @property
    def result_step(self) -> int:
        """Step whose model the folder of a finished run has."""
        found = self.best_record if self.arguments.get("save_best_model") else None
        return self.step if found is None else int(found["step"])

    def first_score(self, measure: str | None) -> float | None:
        """Return a measure of the model before training; None if it is not known."""
        found = self.evaluations[:1]
        scores = [one["evaluation"].get(measure) for one in found if one["step"] == 0]
        return number_of(scores[0]) if scores else None


def read_run(folder: Path) -> Run:
    """Read the settings and the log of a run. Raises errors as training_page does."""
    if not folder.exists():
        raise FileNotFoundError(f"There is no folder {str(folder)!r}. Give the folder of a run.")
    path = folder / SETTINGS
    state = read_json(path, dict) if path.is_file() else {}
    if not isinstance(state.get("settings"), dict):
        raise TrainingError(
            f"{str(folder)!r} holds no training run: it has no {SETTINGS} of one. Give the folder "
            "that a run writes to (output=, --output)."
        )
    log = folder / LOG
    steps, evaluations = [], []
    for record in records(log.read_bytes() if log.is_file() else b""):
        if "evaluation" in record:
            evaluations.append(record)
        else:
            steps.append(record)
    return Run(state, steps, evaluations, str(folder))


def records(content: bytes) -> Iterator[dict[str, Any]]:
    """Yield the records of a log up to the first line that is not whole."""
    for line in content.splitlines(keepends=True):
        try:
            record = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            return
        if not isinstance(record, dict) or not isinstance(record.get("step"), int):
            return
        if not isinstance(record.get("evaluation", {}), dict):
            return
        yield record
