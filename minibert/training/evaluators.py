"""Evaluators, and the score by which one model is better than another."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from minibert.common.arguments import is_number, type_of
from minibert.errors import TrainingError

__all__ = ["Evaluator", "check_evaluator", "is_better", "number_of", "score_of"]

# Called as evaluator(model, output_path, epoch, steps), the last three by name. Returns a score, or
# a dict of measures, of which its `primary_metric` names the score. The higher the better, unless
# its `greater_is_better` is False. Any: classes of a program, and of sentence-transformers.
Evaluator = Callable[..., Any]


def check_evaluator(evaluator: object) -> None:
    """Raise TypeError for an evaluator that cannot be called; None is no evaluator."""
    if evaluator is not None and not callable(evaluator):
        raise TypeError(
            f"evaluator is {type_of(evaluator)}, {evaluator!r:.60}; expected a function or an "
            "object that is called as evaluator(model, output_path=..., epoch=..., steps=...)."
        )


def score_of(result: object, evaluator: Evaluator) -> float | None:
    """Return the score in an evaluation's result; None if it is not finite.

    Raises TrainingError for a dict without the `primary_metric` of its evaluator, and for a score
    that is no number.
    """
    told = getattr(evaluator, "__qualname__", type(evaluator).__qualname__)
    if isinstance(result, Mapping):
        name = getattr(evaluator, "primary_metric", None)
        if name not in result and len(result) == 1:
            name = next(iter(result))
        if name not in result:
            raise TrainingError(
                f"The evaluator {told} returned {', '.join(map(repr, result))}, and its "
                f"primary_metric is {name!r}; expected one of these, as the score of the model."
            )
        result = result[name]
        told += f" returned {name!r}: {result!r:.100}"
    else:
        told += f" returned {result!r:.100}"
    score = number_of(result)
    if score is None and not is_number(result):
        raise TrainingError(
            f"The evaluator {told}; expected a number or a dict with its primary_metric."
        )
    return score


def number_of(value: Any) -> float | None:
    """Return a measure as JSON has it: a number, or None if it is no finite one."""
    try:
        return float(value) if math.isfinite(value) else None
    except (TypeError, ValueError):
        return None


def is_better(score: float | None, best_score: float | None, greater_is_better: bool) -> bool:
    """Return whether a score is the best so far; of equal ones the first is."""
    if score is None or best_score is None:
        return score is not None
    return score > best_score if greater_is_better else score < best_score
