"""Training loop: batches -> gradients -> the optimizer's step; log, evaluations and checkpoints.

Start at fit; Training.step is one step. Nothing here knows how a model or a loss computes.
"""

from __future__ import annotations

import logging
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from minibert.common.arguments import fullname
from minibert.common.arrays import Array
from minibert.common.progress import progress, wanted
from minibert.errors import TrainingError
from minibert.training.advice import tell_long_warmup, tell_repeats, tell_worse
from minibert.training.batches import Objective, objective_of
from minibert.training.checkpoints import Keeper, RunFolder, Save, State, run_folder
from minibert.training.columns import Batch, batch_told
from minibert.training.evaluators import (
    Evaluator,
    check_evaluator,
    is_better,
    number_of,
    score_of,
)
from minibert.training.examples import Data, read_examples
from minibert.training.losses.loss import Loss, check_loss
from minibert.training.model_card import BatchFacts, training_section
from minibert.training.optimizers import clip_
from minibert.training.recipe import Recipe, facts_of, settings_of
from minibert.training.trainable import Trainable

__all__ = ["Report", "TrainableModel", "fit", "train"]

logger = logging.getLogger(__name__)


class Report(NamedTuple):
    """Result of a training run."""

    steps: int  # of the whole run
    loss: float | None  # mean loss of the last step; None if it is not known
    best_step: int  # step of the best evaluation; 0 without one
    best_score: float | None  # of the evaluation; None without one
    was_finished: bool  # True: an earlier call had finished the run, so nothing was changed
    first_score: float | None  # of the model before training; None without evaluate_first


class TrainableModel(Protocol):
    """A model that has a form for the training loop."""

    def trainable(self, *, seed: int, dropout: bool) -> Trainable:
        """Return the model's tensors in memory, with the gradients of a loss by them."""
        ...


def fit(
    model: TrainableModel,
    data: Data,
    loss: Loss,
    *,
    lr: float,
    output: str | os.PathLike[str] | None = None,
    epochs: int = 1,
    batch_size: int = 64,
    drop_last: bool = False,
    optimizer: str = "adamw",
    betas: tuple[float, float] = (0.9, 0.999),
    eps: float | None = None,
    weight_decay: float = 0.01,
    decay_all: bool = False,
    schedule: str = "warmup-linear",
    warmup_steps: float = 0,
    max_grad_norm: float | None = 1.0,
    accumulation_steps: int = 1,
    seed: int = 42,
    dropout: bool = True,
    max_steps: int | None = None,
    evaluator: Evaluator | None = None,
    evaluation_steps: int = 0,
    evaluate_first: bool = False,
    save_best_model: bool = True,
    checkpoint_steps: int | None = 500,
    checkpoint_limit: int | None = 1,
    # As in the reference: it gets the evaluator's result, the epoch and the steps.
    callback: Callable[[Any, int, int], object] | None = None,
    watch: Callable[[Mapping[str, object]], object] | None = None,
    restart: bool = False,
    show_progress_bar: bool | None = None,
    form: str | None = None,
) -> Report:
    """Train a model on a file or on rows, or go on with a run that was stopped.

        fit(model, "triples.jsonl", MarginMSELoss(model), lr=1e-5, output="my-model")

    Afterwards `model` and the folder `output` are the model of the best evaluation, or without
    evaluations that of the last step. Without `output` it is always the last one. If the run is
    stopped, even by a kill, the same call goes on from the last checkpoint, and ends with the same
    bytes in all files but those that an evaluator writes itself. Ctrl-C, and an error of the
    evaluator, write a checkpoint of the last whole step; only if Ctrl-C comes while the tensors are
    changed, the last checkpoint stands. A finished run is left as it is, with a warning.

    Args:
        model: A SentenceTransformer, which is trained on its device.
        data: Examples, see read_examples; each epoch has them in another order.
        loss: From minibert.losses.
        lr: Highest learning rate.
        output: Folder of the run, see checkpoints.py; None keeps the model in memory only.
        epochs: Rounds through the data.
        batch_size: Examples of a batch.
        drop_last: True leaves out a last batch of fewer examples.
        optimizer: "adamw" as in torch, or "adamw_hf" as it was in transformers.
        betas: Of the optimizer.
        eps: Of the optimizer; None is its own.
        weight_decay: Of the optimizer; without biases and layer norms.
        decay_all: True applies the weight decay to these, too.
        schedule: Learning rate of each step: a name of minibert.training.schedules.
        warmup_steps: Steps in which the learning rate rises; below 1 a share of all steps.
        max_grad_norm: Gradients are scaled to this norm at most; None leaves them.
        accumulation_steps: Batches of a step, whose gradients are averaged.
        seed: Of the order of the examples and of dropout.
        dropout: False leaves it out.
        max_steps: Steps of the run at most; None for all epochs.
        evaluator: Called as evaluator(model, output_path=..., epoch=..., steps=...), as in
            sentence-transformers. Returns a score, or a dict of measures in which its
            `primary_metric` names the score.
        evaluation_steps: Steps of an epoch between two evaluations; 0 evaluates only after each
            epoch.
        evaluate_first: True also evaluates the model before the first step. It is never the result,
            but if none is better, a warning says so.
        save_best_model: False keeps the last model, whatever the evaluations say.
        checkpoint_steps: Steps between two checkpoints; None writes none.
        checkpoint_limit: Number of checkpoints that are kept; None keeps all.
        callback: Called after each evaluation with its result, the epoch from 0, and the steps in
            the epoch; -1 after the epoch.
        watch: Called with each record of the log, after it was written and also without `output`:
            after each step a dict with step, epoch, loss, lr and grad_norm, after each evaluation
            one with step, epoch, evaluation and is_best.
        restart: True removes an earlier run in `output`, finished or not, and begins anew.
        show_progress_bar: As in encode.
        form: Form of a file, as "jsonl"; None is that of its name.

    Raises ValueError for a number out of its range, and for a loss that does not fit the data;
    DeviceError where the memory of a GPU runs out; and all errors of train.
    """
    recipe = Recipe(
        lr=lr, epochs=epochs, batch_size=batch_size, drop_last=drop_last, optimizer=optimizer,
        betas=betas, eps=eps, weight_decay=weight_decay, decay_all=decay_all, schedule=schedule,
        warmup_steps=warmup_steps, max_grad_norm=max_grad_norm,
        accumulation_steps=accumulation_steps, seed=seed, dropout=dropout, max_steps=max_steps,
        evaluation_steps=evaluation_steps, evaluate_first=evaluate_first,
        save_best_model=save_best_model, checkpoint_steps=checkpoint_steps,
        checkpoint_limit=checkpoint_limit,
    )  # fmt: skip
    has_labels = check_loss("fit()", loss).label != "none"
    with read_examples(data, form, labels=has_labels) as examples:
        objective = objective_of(examples, loss, batch_size, drop_last, seed)
        trainable = model.trainable(seed=seed, dropout=dropout)
        told = BatchFacts(fullname(examples), len(objective.batches), {"batch_size": batch_size})
        parameters = {**asdict(recipe), "evaluator": fullname(evaluator)}
        trainable.describe_training(training_section([(told, loss)], parameters))
        return train(
            model, trainable, [objective], recipe, output=output, evaluator=evaluator,
            callback=callback, watch=watch, restart=restart, show_progress_bar=show_progress_bar,
        )  # fmt: skip


def train(
    model: object,
    trainable: Trainable,
    objectives: Sequence[Objective],
    recipe: Recipe,
    *,
    output: str | os.PathLike[str] | None = None,
    evaluator: Evaluator | None = None,
    # As in the reference: it gets the evaluator's result, the epoch and the steps.
    callback: Callable[[Any, int, int], object] | None = None,
    watch: Callable[[Mapping[str, object]], object] | None = None,
    restart: bool = False,
    show_progress_bar: bool | None = None,
) -> Report:
    """Train a model, or go on with a run that was stopped.

    In every step each objective has a batch and an update, with an optimizer of its own. Afterwards
    the folder `output` is the best model's, or without evaluations the last one's, and so is
    `model`. If it is stopped, the same call with the same start goes on from the last checkpoint,
    and ends with the same bytes in all files. Ctrl-C, and an error of the evaluator, write a
    checkpoint of the last whole step; Ctrl-C while the tensors are changed leaves the last one.

    Args:
        model: Given to the evaluator, with the tensors of that moment.
        trainable: The same model, for the loop.
        objectives: Data, each with its loss.
        recipe: Numbers of the run.
        output: Folder of the run, see checkpoints.py; None keeps the model in memory only.
        evaluator: See Evaluator.
        callback: Called after each evaluation with its result, the epoch from 0, and the steps in
            the epoch; -1 after the epoch.
        watch: Called with each record of the log, after it was written and also without `output`:
            after each step a dict with step, epoch, loss, lr and grad_norm, after each evaluation
            one with step, epoch, evaluation and is_best.
        restart: True removes an earlier run in `output`, finished or not, and begins anew.
        show_progress_bar: As in encode.

    Raises TrainingError for a loss or gradients that are not finite, for a score that cannot be
    told, if the model, the data, the loss or a number differs from those of the run in `output`,
    and if a restart would remove the model itself; TypeError for an evaluator that cannot be
    called; OutputError for a folder that cannot be written
    to; OSError for a full disk, which leaves the last checkpoint whole.
    """
    training = Training(model, trainable, objectives, recipe, evaluator, callback, watch)
    if output is None:
        if evaluator is not None and recipe.save_best_model:
            logger.warning(
                "No output is given, so the best model is not kept: after the run, the model is "
                "that of the last step. Choose a folder, or pass save_best_model=False."
            )
        training.run(None, wanted(show_progress_bar))
        return training.report()

    settings = settings_of(trainable, objectives, recipe, evaluator)
    facts = facts_of(trainable, objectives, training.total, training.steps_per_epoch)
    every, limit = recipe.checkpoint_steps, recipe.checkpoint_limit
    path = Path(output)
    if restart and trainable.folder.resolve().is_relative_to(path.resolve()):
        raise TrainingError(
            f"The model lies in {str(path)!r}, and to begin anew would remove it. Choose another "
            "folder for the run."
        )
    with run_folder(path, settings, facts, every=every, limit=limit, restart=restart) as folder:
        if folder.result is None:
            training.go_on(folder)
            training.run(folder, wanted(show_progress_bar))
            best_step = training.state.best_step if recipe.save_best_model else 0
            folder.finish(training.state, trainable.save, best_step)
            if best_step:
                folder.load_result(trainable.values)
                trainable.refresh()
            trainable.use_folder(path)
            return training.report()
        logger.warning(
            "%s holds the finished run of this call, so nothing was changed. Begin anew with "
            "restart=True (--restart), or choose another folder.",
            path,
        )
        folder.load_result(trainable.values)
        trainable.refresh()
        trainable.use_folder(path)
        found = folder.result
        loss, first_score = folder.loss_of(found["step"]), found.get("first_score")
        return Report(
            found["step"], loss, found["best_step"], found["best_score"], True, first_score
        )


class Training:
    """A run in memory: the tensors, the optimizers, and how far it is."""

    def __init__(
        self,
        model: object,
        trainable: Trainable,
        objectives: Sequence[Objective],
        recipe: Recipe,
        evaluator: Evaluator | None,
        callback: Callable[[Any, int, int], object] | None,
        watch: Callable[[Mapping[str, object]], object] | None = None,
    ) -> None:
        """Make the optimizers. Raises TrainingError without data; TypeError for the evaluator."""
        check_evaluator(evaluator)
        self.model = model
        self.trainable = trainable
        self.objectives = objectives
        self.recipe = recipe
        self.evaluator = evaluator
        self.callback = callback
        self.watch = watch
        self.save: Save = trainable.save
        self.optimizers = [recipe.optimizer_of(trainable.values) for _ in objectives]
        lengths = [self.steps_through(objective) for objective in objectives]
        if not lengths or not min(lengths):
            raise TrainingError(
                "The data has no batch; expected one at least. Give more examples, or a smaller "
                "batch_size (--batch-size)."
            )
        self.steps_per_epoch = recipe.steps_per_epoch or min(lengths)
        self.total = self.steps_per_epoch * recipe.epochs
        self.total = min(self.total, recipe.max_steps or self.total)
        self.state = State()
        self.is_changing = False  # True while the tensors are not those of `state`
        self.loss: float | None = None  # of the last step
        self.has_told_repeats = False  # of texts that make false negatives

    def steps_through(self, objective: Objective) -> int:
        """Return the number of steps in which the data of an objective is read once."""
        return math.ceil(len(objective.batches) / self.recipe.accumulation_steps)

    def report(self) -> Report:
        """Return the result."""
        state = self.state
        found = state.step, self.loss, state.best_step, state.best_score
        return Report(*found, False, state.first_score)

    def go_on(self, folder: RunFolder) -> None:
        """Take the state of the last checkpoint, if there is one."""
        self.state, tensors = folder.load(self.trainable.values)
        folder.open_log(self.state.log_bytes)
        if self.state.step:
            for number, optimizer in enumerate(self.optimizers):
                start = f"{number}."
                optimizer.load_state(
                    {k.removeprefix(start): v for k, v in tensors.items() if k.startswith(start)}
                )
            self.trainable.refresh()

    def optimizer_state(self) -> dict[str, Array]:
        """Return the tensors of all optimizers, under the number of the objective."""
        return {
            f"{number}.{name}": tensor
            for number, optimizer in enumerate(self.optimizers)
            for name, tensor in optimizer.state.items()
        }

    def run(self, folder: Keeper | None, is_shown: bool) -> None:
        """Train to the end, from `state` on."""
        tell_long_warmup(self.recipe, self.total)
        try:
            with progress(self.total, is_shown, "step", self.state.step) as advance:
                while True:
                    if self.is_evaluation_due():
                        self.evaluate(folder)
                    if folder and folder.is_due(self.state.step):
                        self.save_checkpoint(folder, "step")
                    if self.state.step == self.total:
                        return
                    advance(1, self.step(folder))
        except (KeyboardInterrupt, SystemExit):  # SystemExit: a signal in a command
            self.save_stopped(folder)
            raise

    def save_stopped(self, folder: Keeper | None) -> None:
        """Write a checkpoint of the present step, if it is whole; of a full disk, only warn."""
        if folder and self.state.step and not self.is_changing:
            try:
                self.save_checkpoint(folder, "stopped")
            except OSError as error:
                logger.warning("step %d was not saved: %s", self.state.step, error)

    def save_checkpoint(self, folder: Keeper, kind: str) -> None:
        """Write a checkpoint of the present step."""
        folder.save_checkpoint(kind, self.state, self.save, self.optimizer_state())

    # Steps.

    def step(self, folder: Keeper | None) -> str:
        """Train one step. Returns a note of it for the progress bar."""
        step, epoch = self.state.step, self.state.epoch
        lr = self.recipe.rate(step, self.total)
        records, log_bytes = [], self.state.log_bytes
        for number, objective in enumerate(self.objectives):
            loss, norm = self.update(number, objective, lr)
            record = {"step": step + 1, "epoch": epoch, "loss": loss, "lr": lr, "grad_norm": norm}
            record |= {"objective": number} if len(self.objectives) > 1 else {}
            records.append(record)
            log_bytes = folder.add_to_log(record) if folder else 0
        self.loss = math.fsum(record["loss"] for record in records) / len(records)
        self.state = self.state._replace(
            step=step + 1, epoch=(step + 1) // self.steps_per_epoch, log_bytes=log_bytes
        )
        self.is_changing = False
        self.show(records, folder)
        return f"loss {self.loss:.4g}, lr {lr:.3g}"

    def update(self, number: int, objective: Objective, lr: float) -> tuple[float, float]:
        """Change the tensors by the gradient of one objective. Returns its loss and its norm."""
        trainable, losses = self.trainable, []
        batches = list(self.batches(number, objective))
        for position, batch in batches:
            self.tell_repeats(batch, objective.loss)
            try:
                loss = trainable.add_gradients(
                    batch.texts, batch.labels, objective.loss, position, scale=1 / len(batches)
                )
            except ValueError as error:  # of a text or a label that the loss does not take
                trainable.zero_gradients()
                raise TrainingError(
                    f"Step {self.state.step + 1}, {batch_told(batch)}: {error}"
                ) from error
            if not math.isfinite(loss):
                raise self.not_finite(loss, objective.loss, batch, position)
            losses.append(loss)
        gradients = trainable.gradients  # once: clipping changes these arrays
        norm = self.clip(gradients)
        self.is_changing = True
        try:
            self.optimizers[number].step(gradients, lr)
        finally:  # after Ctrl-C, too, all parts of the model agree on the tensors
            trainable.zero_gradients()
            trainable.refresh()
        return math.fsum(losses) / len(losses), norm

    def clip(self, gradients: Mapping[str, Array]) -> float:
        """Scale the gradients to the norm that the recipe allows. Returns the norm before."""
        max_norm = self.recipe.max_grad_norm
        try:
            return clip_(gradients, math.inf if max_norm is None else max_norm)
        except TrainingError as error:
            self.trainable.zero_gradients()
            raise TrainingError(f"Step {self.state.step + 1}: {error}") from error

    def batches(self, number: int, objective: Objective) -> Iterator[tuple[int, Batch]]:
        """Yield the batches of a step for an objective, each with a number that is its own.

        A step has no batches of two epochs; so the last step of an epoch may have fewer.
        """
        size = len(objective.batches)
        epoch, step = divmod(self.state.step, self.steps_through(objective))
        first = step * self.recipe.accumulation_steps
        for place in range(first, min(first + self.recipe.accumulation_steps, size)):
            position = epoch * size + place
            yield position * len(self.objectives) + number, objective.batches.batch(position)

    def tell_repeats(self, batch: Batch, loss: Loss) -> None:
        """Log a warning once, if a batch has a text twice that makes a false negative."""
        if self.has_told_repeats or not loss.in_batch_negatives:
            return
        self.has_told_repeats = tell_repeats(batch)

    def not_finite(self, value: float, loss: Loss, batch: Batch, position: int) -> TrainingError:
        """Make the error for a loss that is no number, with the example at fault.

        It is the first example whose loss alone is no number, if the loss of a batch is a mean;
        else all examples of the batch are named.
        """
        found = batch_told(batch)
        for number, origin in enumerate(batch.origins if loss.is_mean else ()):
            texts = [column[number : number + 1] for column in batch.texts]
            labels = None if batch.labels is None else batch.labels[number : number + 1]
            if not math.isfinite(self.trainable.add_gradients(texts, labels, loss, position)):
                found = origin
                break
        self.trainable.zero_gradients()
        changed = "Nothing was changed by this step."
        if self.is_changing:
            changed = "The objectives before this one have had their update in this step."
        return TrainingError(
            f"Step {self.state.step + 1}: the loss is {value}, of {found}. {changed} Look at the "
            "texts and labels there, or begin anew with a lower learning rate or a longer warm-up."
        )

    def show(self, records: Iterable[Mapping[str, object]], folder: Keeper | None) -> None:
        """Give records of the log to `watch`; after an error of it, the steps before are kept."""
        if self.watch is None:
            return
        try:
            for record in records:
                self.watch(record)
        except Exception:
            self.save_stopped(folder)
            raise

    # Evaluations.

    def is_evaluation_due(self) -> bool:
        """Return whether the model is to be evaluated before the next step."""
        step, every = self.state.step, self.recipe.evaluation_steps
        if self.evaluator is None or step == self.state.evaluated:
            return self.evaluator is not None and step == 0 and self.recipe.evaluate_first
        place = step % self.steps_per_epoch
        return step == self.total or place == 0 or (every > 0 and place % every == 0)

    def evaluate(self, folder: Keeper | None) -> None:
        """Evaluate the model, and save it if it is the best so far."""
        assert self.evaluator is not None
        state = self.state
        steps = state.step % self.steps_per_epoch
        if steps == 0 or state.step == self.total:
            epoch, steps = (state.step - 1) // self.steps_per_epoch, -1
        else:
            epoch = state.epoch
        path = folder.evaluation_folder() if folder else None
        try:
            result = self.evaluator(
                self.model, output_path=path and str(path), epoch=epoch, steps=steps
            )
            if self.callback is not None:
                self.callback(result, epoch, steps)
            score = score_of(result, self.evaluator)
        except Exception:  # of the program's own functions: the steps before are kept
            self.save_stopped(folder)
            raise
        if score is None:
            logger.warning(
                "Step %d: the score of the evaluator is not finite, so this model cannot be the "
                "best. Look at the evaluator and at the losses in the log.",
                state.step,
            )
        greater = getattr(self.evaluator, "greater_is_better", True)
        # The model before training is not among those that may be the result.
        is_best = state.step > 0 and is_better(score, state.best_score, greater)
        measures = result if isinstance(result, Mapping) else {"score": result}
        told = {name: number_of(value) for name, value in measures.items()}
        record = {"step": state.step, "epoch": epoch, "evaluation": told, "is_best": is_best}
        log_bytes = folder.add_to_log(record) if folder else 0
        state = state._replace(evaluated=state.step, log_bytes=log_bytes)
        if state.step == 0:
            state = state._replace(first_score=score)
        if is_best:
            if folder and self.recipe.save_best_model:
                folder.save_best(state.step, self.save)
            state = state._replace(best_step=state.step, best_score=score)
        self.state = state
        if state.step == self.total:
            kept = state.best_score if folder and self.recipe.save_best_model else score
            if is_better(state.first_score, kept, greater):
                tell_worse(state.first_score, kept)
        self.show([record], folder)
