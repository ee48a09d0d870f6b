"""Learning rate of each step: a warm-up from 0, then a constant, a line or a cosine down to 0.

Formulas and names are those of sentence-transformers' `fit`, which takes them from
transformers/optimization.py. They give the same numbers to the last bit. Start at SCHEDULES.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeAlias

from minibert.common.arguments import is_number

__all__ = [
    "REFERENCE_NAMES",
    "SCHEDULES",
    "Schedule",
    "check_learning_rate",
    "find_schedule",
    "warmup_count",
]

# (lr, step from 0, warmup_steps, total_steps) -> the learning rate of that step.
Schedule: TypeAlias = Callable[[float, int, int, int], float]


def constant(lr: float, step: int, warmup_steps: int, total_steps: int) -> float:
    """Return `lr` for every step, without a warm-up."""
    return lr


def warmup_constant(lr: float, step: int, warmup_steps: int, total_steps: int) -> float:
    """Rise from 0 to `lr` in `warmup_steps`, then stay there."""
    return lr * rise(step, warmup_steps) if step < warmup_steps else lr


def warmup_linear(lr: float, step: int, warmup_steps: int, total_steps: int) -> float:
    """Rise from 0 to `lr` in `warmup_steps`, then fall to 0 in a line."""
    if step < warmup_steps:
        return lr * rise(step, warmup_steps)
    return lr * max(0.0, (total_steps - step) / max(1, total_steps - warmup_steps))


def warmup_cosine(lr: float, step: int, warmup_steps: int, total_steps: int) -> float:
    """Rise from 0 to `lr` in `warmup_steps`, then fall to 0 in half a wave of the cosine.

    After `total_steps` the wave goes on and rises again, as in transformers.
    """
    if step < warmup_steps:
        return lr * rise(step, warmup_steps)
    return lr * half_wave(progress(step, warmup_steps, total_steps))


def warmup_cosine_hard_restarts(lr: float, step: int, warmup_steps: int, total_steps: int) -> float:
    """Compute what `warmup_cosine` does, and stay at 0 after `total_steps`.

    sentence-transformers' `fit` uses this schedule with one wave, so there is no restart within
    `total_steps`.
    """
    if step < warmup_steps:
        return lr * rise(step, warmup_steps)
    done = progress(step, warmup_steps, total_steps)
    return lr * half_wave(done) if done < 1 else 0.0


def rise(step: int, warmup_steps: int) -> float:
    """Return the share of the warm-up that is over: 0 at the first step."""
    return step / warmup_steps


def progress(step: int, warmup_steps: int, total_steps: int) -> float:
    """Return the share of the steps after the warm-up that is over."""
    return (step - warmup_steps) / max(1, total_steps - warmup_steps)


def half_wave(done: float) -> float:
    """Return a factor that falls from 1 to 0 as `done` goes from 0 to 1."""
    return max(0.0, 0.5 * (1.0 + math.cos(math.pi * done)))


SCHEDULES: dict[str, Schedule] = {
    "warmup-linear": warmup_linear,
    "constant": constant,
    "warmup-constant": warmup_constant,
    "warmup-cosine": warmup_cosine,
    "warmup-cosine-hard-restarts": warmup_cosine_hard_restarts,
}
# The names of sentence-transformers' `fit`, which takes them in any case.
REFERENCE_NAMES = {
    "WarmupLinear": "warmup-linear",
    "ConstantLR": "constant",
    "WarmupConstant": "warmup-constant",
    "WarmupCosine": "warmup-cosine",
    "WarmupCosineWithHardRestarts": "warmup-cosine-hard-restarts",
}


def find_schedule(name: str) -> Schedule:
    """Return the schedule of a name, also one of sentence-transformers' `fit`: "WarmupLinear".

    Raises ValueError for an unknown name; it lists the known ones.
    """
    schedules = {theirs.lower(): SCHEDULES[ours] for theirs, ours in REFERENCE_NAMES.items()}
    schedules |= SCHEDULES
    if str(name).lower() in schedules:
        return schedules[str(name).lower()]
    known = ", ".join(map(repr, (*SCHEDULES, *REFERENCE_NAMES)))
    raise ValueError(f"schedule is {name!r}; expected one of {known}.")


def warmup_count(warmup_steps: float, total_steps: int) -> int:
    """Return the number of steps of the warm-up.

    `warmup_steps` is a whole number of steps, or, below 1, a share of `total_steps`. A part of a
    step counts as one, as in transformers' Trainer.

    Raises ValueError for any other number.
    """
    if is_number(warmup_steps) and 0 <= warmup_steps < math.inf:
        if warmup_steps < 1:
            return math.ceil(total_steps * warmup_steps)
        if warmup_steps % 1 == 0:
            return int(warmup_steps)
    raise ValueError(
        f"warmup_steps is {warmup_steps!r}; expected a whole number of steps, or a share of all "
        "steps from 0 to below 1, such as 0.1."
    )


def check_learning_rate(lr: object) -> float:
    """Return `lr` as a float. Raises ValueError if it is not a positive number, or not given."""
    if is_number(lr) and 0 < lr < math.inf:
        return float(lr)
    found = "No learning rate is given" if lr is None else f"lr, the learning rate, is {lr!r}"
    raise ValueError(f"{found}; expected a positive number. Give one, such as lr=2e-5.")
