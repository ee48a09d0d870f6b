"""Numbers of a training run, and all else that decides its result."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

from minibert.checkpoint.hub import hub_name
from minibert.common.arguments import check_counts, check_given_counts
from minibert.common.arrays import Array
from minibert.kernels.devices import on_cpu
from minibert.training.batches import Objective
from minibert.training.evaluators import Evaluator
from minibert.training.optimizers import Optimizer, decays, decays_all, find_optimizer
from minibert.training.schedules import check_learning_rate, find_schedule, warmup_count
from minibert.training.trainable import Trainable

__all__ = ["Recipe", "facts_of", "model_name", "settings_of"]


@dataclass(frozen=True)
class Recipe:
    """Numbers of a training run. Raises ValueError for one out of its range.

    A step is one change of the tensors.
    """

    lr: float  # highest learning rate; `schedule` gives that of each step
    epochs: int = 1
    batch_size: int = 64  # examples; of batches that are given, it is not read
    drop_last: bool = False  # whether a last batch with fewer examples is left out
    optimizer: str = "adamw"
    betas: tuple[float, float] = (0.9, 0.999)  # of the optimizer
    eps: float | None = None  # of the optimizer; None: its own
    weight_decay: float = 0.01
    decay_all: bool = False  # True: also of biases and layer norms
    schedule: str = "warmup-linear"
    warmup_steps: float = 0  # below 1: a share of all steps
    max_grad_norm: float | None = 1.0  # the gradients are scaled to it; None: to nothing
    accumulation_steps: int = 1  # batches of a step
    seed: int = 42
    dropout: bool = True
    max_steps: int | None = None  # end of the run; None: after all epochs
    steps_per_epoch: int | None = None  # None: so many that the data is read once
    evaluation_steps: int = 0  # between two evaluations in an epoch; 0: only after each epoch
    evaluate_first: bool = False  # True: also before the first step
    save_best_model: bool = True  # False: keep the last one, whatever the evaluations say
    checkpoint_steps: int | None = 500  # between two checkpoints; None: write none
    checkpoint_limit: int | None = 1  # number of checkpoints that are kept; None: all

    def __post_init__(self) -> None:
        check_learning_rate(self.lr)
        find_optimizer(self.optimizer)
        find_schedule(self.schedule)
        warmup_count(self.warmup_steps, 1)
        check_given_counts(
            epochs=self.epochs,
            batch_size=self.batch_size,
            accumulation_steps=self.accumulation_steps,
        )
        check_counts(
            max_steps=self.max_steps,
            steps_per_epoch=self.steps_per_epoch,
            evaluation_steps=self.evaluation_steps or None,
            checkpoint_steps=self.checkpoint_steps,
            checkpoint_limit=self.checkpoint_limit,
        )
        seed: object = self.seed
        if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= int(seed) < 1 << 64:
            raise ValueError(f"seed is {seed!r}; expected a whole number from 0 to 2**64 - 1.")
        if self.max_grad_norm is not None and not self.max_grad_norm > 0:
            raise ValueError(f"max_grad_norm is {self.max_grad_norm!r}; expected a number above 0.")

    def rate(self, step: int, total: int) -> float:
        """Return the learning rate of a step, counted from 0, in a run of `total` steps."""
        warmup = warmup_count(self.warmup_steps, total)
        return find_schedule(self.schedule)(self.lr, step, warmup, total)

    def optimizer_of(self, values: Mapping[str, Array]) -> Optimizer:
        """Make the optimizer for the tensors of a model."""
        return find_optimizer(self.optimizer)(
            values,
            weight_decay=self.weight_decay,
            betas=self.betas,
            eps=self.eps,
            decays=decays_all if self.decay_all else decays,
        )


def settings_of(
    trainable: Trainable,
    objectives: Sequence[Objective],
    recipe: Recipe,
    evaluator: Evaluator | None,
) -> dict[str, Any]:
    """Return all that decides the result of a run, for training.json."""
    settings: dict[str, Any] = {"model": trainable.fingerprint()}
    for number, (batches, loss) in enumerate(objectives, 1):
        end = f"_{number}" if number > 1 else ""
        settings[f"data{end}"] = batches.fingerprint()
        settings[f"loss{end}"] = described(loss)
    settings["evaluator"] = None if evaluator is None else described(evaluator)
    if not on_cpu(trainable.values.values()):  # which rounds in other ways; see check_same
        settings["device"] = "cuda"
    # A run may go on with checkpoints at other steps: they do not change the model.
    settings["arguments"] = {
        name: value for name, value in asdict(recipe).items() if not name.startswith("checkpoint_")
    }
    return settings


def facts_of(
    trainable: Trainable, objectives: Sequence[Objective], steps: int, steps_per_epoch: int
) -> dict[str, Any]:
    """Return facts about a run for people, for training.json: they decide nothing."""
    sets = [batches for batches, _ in objectives]
    return {
        "model": model_name(trainable.folder),
        "examples": [len(getattr(batches, "examples", ())) or None for batches in sets],
        "batches": [len(batches) for batches in sets],
        "steps": steps,
        "steps_per_epoch": steps_per_epoch,
    }


def model_name(folder: Path) -> str:
    """Return the name of a model on the hub, or that of its folder."""
    return hub_name(folder, folder) or folder.resolve().name


def described(thing: object) -> object:
    """Return the name of a loss or an evaluator, with its settings if it has any, for JSON."""
    config: dict[str, object] = getattr(thing, "get_config_dict", dict)()
    told: object = {"name": name_of(thing), **config} if config else name_of(thing)
    return json.loads(json.dumps(told, default=name_of))


def name_of(value: object) -> str:
    """Return the name of a function or of an object's class, for JSON."""
    return str(getattr(value, "__qualname__", type(value).__qualname__))
