"""Training as sentence-transformers' fit() did it up to version 2: SentenceTransformer.fit.

Pairs of batches and a loss take a step each in turn, each with an optimizer of its own. Checkpoints
are plain model folders, from which nothing goes on: minibert.training.fit writes those that do. The
steps are those of loop.py. Start at Call.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from minibert.common.arguments import fullname, type_of
from minibert.training.batches import Objective, StreamedBatches
from minibert.training.checkpoints import EVALUATION, State
from minibert.training.evaluators import Evaluator
from minibert.training.loop import TrainableModel, Training
from minibert.training.losses.loss import Loss, check_loss
from minibert.training.model_card import batches_of, training_section
from minibert.training.optimizers import OPTIMIZERS
from minibert.training.recipe import Recipe
from minibert.training.schedules import REFERENCE_NAMES

__all__ = ["Call", "optimizer_named"]

SEED = 42  # of dropout; the iterables decide the order of the batches
# First part of the module of a class AdamW -> the optimizer that computes the same.
ADAMW_OF = {"torch": "adamw", "transformers": "adamw_hf", "": "adamw"}


class FittedModel(TrainableModel, Protocol):
    """A SentenceTransformer, as far as it is trained here."""

    def save_pretrained(self, path: str | os.PathLike[str]) -> None: ...


@dataclass(frozen=True)
class Call:
    """Arguments of SentenceTransformer.fit, which describes them. Start at Call.train."""

    # Any: batches may be a DataLoader of torch; a loss of torch is refused.
    train_objectives: Iterable[tuple[Iterable[Any], Any]]
    evaluator: Evaluator | None
    epochs: int
    steps_per_epoch: int | None
    scheduler: str
    warmup_steps: int
    optimizer_class: object
    optimizer_params: Mapping[str, object]
    weight_decay: float
    evaluation_steps: int
    output_path: str | os.PathLike[str] | None
    save_best_model: bool
    max_grad_norm: float
    use_amp: bool
    callback: Callable[[Any, int, int], object] | None
    show_progress_bar: bool
    checkpoint_path: str | os.PathLike[str] | None
    checkpoint_save_steps: int | None
    checkpoint_save_total_limit: int | None
    resume_from_checkpoint: bool

    def train(self, model: FittedModel) -> None:
        """Train a model in place."""
        check_not_asked(self.use_amp, self.resume_from_checkpoint)
        optimizer, objectives, told = optimizer_named(self.optimizer_class), [], []
        recipe = self.recipe(optimizer)
        for number, pair in enumerate(self.train_objectives):
            batches, loss = pair_of(pair, f"train_objectives[{number}]")
            length = length_of(batches, number, self.steps_per_epoch)
            objectives.append(Objective(Counted(batches, length), loss))
            told.append((batches_of(batches, length), loss))
        if not objectives:
            raise ValueError("train_objectives is empty; expected pairs of batches and a loss.")
        trainable = model.trainable(seed=SEED, dropout=True)
        trainable.describe_training(training_section(told, self.parameters(optimizer)))
        training = Training(model, trainable, objectives, recipe, self.evaluator, self.callback)
        folders = PlainFolders(
            model.save_pretrained,
            None if self.output_path is None else Path(self.output_path),
            None if self.checkpoint_path is None else Path(self.checkpoint_path),
            every=self.checkpoint_save_steps or 0,
            limit=self.checkpoint_save_total_limit or 0,
        )
        training.run(folders, self.show_progress_bar)
        if self.evaluator is None:
            folders.save_best()
        folders.save_checkpoint("step", training.state)

    def recipe(self, optimizer: str) -> Recipe:
        """Return the numbers for the loop. Raises ValueError for one out of its range."""
        return Recipe(
            epochs=self.epochs,
            steps_per_epoch=self.steps_per_epoch or None,
            schedule=schedule_named(self.scheduler),
            warmup_steps=self.warmup_steps,
            optimizer=optimizer,
            **checked_params(self.optimizer_params, optimizer),
            weight_decay=self.weight_decay,
            evaluation_steps=max(0, self.evaluation_steps),
            save_best_model=self.save_best_model,
            max_grad_norm=self.max_grad_norm,
            seed=SEED,
            checkpoint_steps=None,
            checkpoint_limit=None,
        )

    def parameters(self, optimizer: str) -> dict[str, object]:
        """Return the arguments that the model's card lists."""
        listed = (
            *("epochs", "steps_per_epoch", "scheduler", "warmup_steps", "weight_decay"),
            *("evaluation_steps", "max_grad_norm"),
        )
        return {
            **{name: getattr(self, name) for name in listed},
            "evaluator": fullname(self.evaluator),
            "optimizer_class": str(OPTIMIZERS[optimizer]),
            "optimizer_params": dict(self.optimizer_params),
        }


class PlainFolders:
    """Folders that the reference writes: the best or the last model, and checkpoints.

    A checkpoint is a model's folder, named by its step, without an optimizer. It has the methods of
    a RunFolder that a Training calls.
    """

    def __init__(
        self,
        save: Callable[[Path], object],
        output: Path | None,
        checkpoints: Path | None,
        *,
        every: int,
        limit: int,
    ) -> None:
        """Set where `save` saves the model; into None, nothing is saved.

        A checkpoint is saved every `every` steps, and `limit` are kept; 0 stands for none, and all.
        """
        self.save = save
        self.output = output
        self.checkpoints = checkpoints
        self.every = every
        self.limit = limit

    def evaluation_folder(self) -> Path | None:
        """Make the folder for an evaluator's files, if there is an output."""
        if self.output is None:
            return None
        path = self.output / EVALUATION
        path.mkdir(parents=True, exist_ok=True)
        return path

    def add_to_log(self, record: Mapping[str, object]) -> int:
        """Return the size of the log: there is none."""
        return 0

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is saved after a step."""
        return self.every > 0 and step > 0 and step % self.every == 0

    def save_checkpoint(self, kind: str, state: State, *_: object) -> None:
        """Save the model under its step, and remove the one with the smallest step if too many.

        A training that is stopped, of another `kind`, saves none.
        """
        if self.checkpoints is None or kind != "step":
            return
        self.save(self.checkpoints / str(state.step))
        steps = [int(one.name) for one in self.checkpoints.iterdir() if one.name.isdigit()]
        if 0 < self.limit < len(steps):
            shutil.rmtree(self.checkpoints / str(min(steps)))

    def save_best(self, *_: object) -> None:
        """Save the model as the result."""
        if self.output is not None:
            self.save(self.output)


class Counted(StreamedBatches):
    """Batches of an iterable, with the number of batches of an epoch."""

    def __init__(self, batches: Iterable[Any], length: int) -> None:  # of lists of examples
        """Take batches, and their number, which an iterable may not know."""
        super().__init__(batches)
        self.length = length  # batches in an epoch

    def __len__(self) -> int:
        return self.length


def check_not_asked(use_amp: bool, resume_from_checkpoint: bool) -> None:
    """Raise ValueError for what cannot be done."""
    if use_amp:
        raise ValueError(
            "use_amp computes in float16; minibert trains in float32, on a GPU, too. Leave it out."
        )
    if resume_from_checkpoint:
        raise ValueError(
            "resume_from_checkpoint cannot be: these checkpoints have no optimizer, as up to "
            "sentence-transformers 2. minibert.training.fit and `minibert train` go on by "
            "themselves."
        )


def pair_of(pair: object, place: str) -> tuple[Iterable[Any], Loss]:
    """Check a pair of batches and a loss. Raises TypeError or ValueError for anything else."""
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"{place} is {pair!r:.80}; expected a pair, (batches, loss).")
    batches, loss = pair
    if not isinstance(batches, Iterable):
        raise TypeError(
            f"{place} has {type_of(batches)} in the place of its batches; expected an iterable of "
            "lists of InputExamples, as a DataLoader."
        )
    return batches, check_loss(place, loss)


def length_of(batches: object, number: int, steps_per_epoch: int | None) -> int:
    """Return the number of batches of an epoch. Raises ValueError if it cannot be known."""
    try:
        return len(batches)  # type: ignore[arg-type]  # see TypeError
    except TypeError:
        if steps_per_epoch:
            return steps_per_epoch
        raise ValueError(
            f"The batches of train_objectives[{number}] are {type_of(batches)} without a length. "
            "Give steps_per_epoch."
        ) from None


def schedule_named(scheduler: str) -> str:
    """Return our name of a schedule of the reference's; any other name as it is."""
    ours = {theirs.lower(): name for theirs, name in REFERENCE_NAMES.items()}
    return ours.get(str(scheduler).lower(), scheduler)


def optimizer_named(optimizer_class: object) -> str:
    """Return the name in OPTIMIZERS of a class, of ours, torch's or transformers', or of a name.

    Neither library is imported. Raises ValueError for any other optimizer.
    """
    for name, ours in OPTIMIZERS.items():
        if optimizer_class in (name, ours):
            return name
    text = optimizer_class if isinstance(optimizer_class, str) else fullname(optimizer_class)
    place, _, last = text.rpartition(".")
    library = place.partition(".")[0]
    if last == "AdamW" and library in ADAMW_OF:
        return ADAMW_OF[library]
    raise ValueError(
        f"optimizer_class is {text}; minibert computes AdamW: as torch's with 'AdamW' or "
        "torch.optim.AdamW, as transformers' before version 5 with 'adamw_hf'."
    )


def checked_params(given: Mapping[str, object], optimizer: str) -> dict[str, Any]:
    """Return the arguments of an optimizer as those of a Recipe.

    Raises ValueError if the learning rate is missing, and for an argument that is not computed.
    """
    params: dict[str, Any] = dict(given)
    if "lr" not in params:
        raise ValueError("optimizer_params has no lr, the learning rate; expected {'lr': 2e-5}.")
    if optimizer == "adamw_hf" and params.pop("correct_bias", True) is not True:
        raise ValueError("correct_bias is False; minibert computes AdamW with it. Leave it out.")
    if "weight_decay" in params:
        raise ValueError("optimizer_params has weight_decay, which is an argument of fit() itself.")
    for name in params:
        if name not in ("lr", "eps", "betas"):
            raise ValueError(
                f"optimizer_params has {name!r}; minibert computes AdamW with lr, eps and betas."
            )
    return params
