"""Evaluators, and the score by which one model is better than another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from minibert.errors import TrainingError

__all__ = ["Evaluator", "is_better", "number_of", "score_of"]

# Called as evaluator(model, output_path, epoch, steps), the last three by name. Returns a score, or
# a dict of measures, of which its `primary_metric` names the score. The higher the better, unless
# its `greater_is_better` is False. Any: classes of a program, and of sentence-transformers.
Evaluator = Callable[..., Any]


def score_of(result: object, evaluator: Evaluator) -> float | None:
    """Return the score in an evaluation's result; None if it is not finite.

    Raises TrainingError for a dict without the `primary_metric` of its evaluator.
    """
    if isinstance(result, Mapping):
        name = getattr(evaluator, "primary_metric", None)
        if name not in result and len(result) == 1:
            name = next(iter(result))
        if name not in result:
            raise TrainingError(
                f"The evaluator returned {', '.join(map(repr, result))}, and its primary_metric is "
                f"{name!r}; expected one of these, as the score of the model."
            )
        result = result[name]
    return number_of(result)


def number_of(value: Any) -> float | None:
    """Return a measure as JSON has it: a number, or None if it is not finite."""
    return float(value) if math.isfinite(value) else None


def is_better(score: float | None, best_score: float | None, greater_is_better: bool) -> bool:
    """Return whether a score is the best so far; of equal ones the first is."""
    if score is None or best_score is None:
        return score is not None
    return score > best_score if greater_is_better else score < best_score
