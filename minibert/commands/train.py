"""minibert train: a model and examples -> a trained model."""

from __future__ import annotations

import argparse
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from minibert.commands.command import Command
from minibert.commands.opening import load
from minibert.commands.options import (
    MODEL_VARIABLE,
    above_zero,
    add_device,
    add_first_model,
    add_hub_options,
    add_table_format,
    add_threads,
    number,
    positive,
    shows_progress,
    whole,
)
from minibert.commands.output import print_json, say, telling_how_to_go_on
from minibert.commands.train_report import TrainingReport
from minibert.evaluation import MEASURES, RetrievalEvaluator, read_collection
from minibert.training.losses import LOSSES, MatryoshkaLoss
from minibert.training.optimizers import OPTIMIZERS
from minibert.training.recipe import model_name
from minibert.training.schedules import SCHEDULES

if TYPE_CHECKING:
    from minibert.training.loop import Report
    from minibert.training.losses import Loss

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_first_model(
        command,
        "the model to start from, which stays as it is: a folder, or a name on the hub; may "
        f"be left out if ${MODEL_VARIABLE} is set",
    )
    command.add_argument(
        "data",
        metavar="DATA",
        help="a file of examples, in JSONL, CSV, TSV or Parquet: columns query, positive, "
        "negative or others, in this order, and label, labels, score or scores",
    )
    command.add_argument(
        "--output",
        "-o",
        metavar="DIR",
        required=True,
        help="the folder of the trained model; with a stopped run in it, the same command goes on",
    )
    add_loss_options(command)
    add_optimizer_options(command)
    add_batch_options(command)
    add_evaluation_options(command)
    add_hub_options(command)
    add_device(command)
    add_threads(command)
    command.add_argument("--json", action="store_true", help="print one JSON object")
    # Training computes in float32, and in packs of many texts.
    command.set_defaults(dtype="float32", reproducible=False, short_inputs=False)


def add_loss_options(command: argparse.ArgumentParser) -> None:
    """Add the loss, and the form of the examples that it reads."""
    listed = " ".join(f"{name}: {loss.description}." for name, loss in LOSSES.items())
    command.add_argument(
        "--loss", choices=list(LOSSES), required=True, help=f"the loss, and its examples. {listed}"
    )
    command.add_argument(
        "--matryoshka",
        type=dimensions,
        metavar="N,N,...",
        help="add the loss of the first N dimensions of the vectors, for each N, so that vectors "
        "may be shortened to these",
    )
    add_table_format(command)
    command.add_argument(
        "--max-seq-length",
        type=positive,
        metavar="N",
        help="truncate texts after N tokens, here and in the trained model (default: the model's)",
    )


def add_optimizer_options(command: argparse.ArgumentParser) -> None:
    """Add the optimizer, the learning rate and the schedule."""
    command.add_argument(
        "--lr", type=above_zero, required=True, metavar="X", help="the learning rate, as 2e-5"
    )
    command.add_argument(
        "--optimizer",
        choices=list(OPTIMIZERS),
        default="adamw",
        help="AdamW as torch computes it, or as transformers did before version 5 (default adamw)",
    )
    command.add_argument(
        "--eps",
        type=above_zero,
        metavar="X",
        help="the number that keeps AdamW's divisor above 0 (default 1e-8; of adamw_hf 1e-6)",
    )
    command.add_argument(
        "--schedule",
        choices=list(SCHEDULES),
        default="warmup-linear",
        help="the course of the learning rate (default warmup-linear, which falls to 0)",
    )
    command.add_argument(
        "--warmup-steps",
        type=number,
        default=0,
        metavar="N",
        help="let the learning rate rise over the first N steps; below 1, over this share of all "
        "steps (default 0)",
    )
    command.add_argument(
        "--weight-decay",
        type=number,
        default=0.01,
        metavar="X",
        help="AdamW's weight decay (default 0.01)",
    )
    command.add_argument(
        "--decay-all",
        action="store_true",
        help="apply the weight decay to biases and layer norms, too",
    )
    command.add_argument(
        "--max-grad-norm",
        type=number,
        default=1.0,
        metavar="X",
        help="scale the gradients of a step down to this norm; 0 leaves them (default 1)",
    )


def add_batch_options(command: argparse.ArgumentParser) -> None:
    """Add the batches, their order, and the length of the training."""
    command.add_argument(
        "--epochs", type=positive, default=1, metavar="N", help="read DATA N times (default 1)"
    )
    command.add_argument(
        "--max-steps", type=positive, metavar="N", help="stop after N steps, whatever the epochs"
    )
    command.add_argument(
        "--batch-size",
        type=positive,
        default=64,
        metavar="N",
        help="the number of examples in a batch (default 64)",
    )
    command.add_argument(
        "--accumulation",
        type=positive,
        default=1,
        metavar="N",
        help="take one step for each N batches, by the mean of their gradients (default 1)",
    )
    command.add_argument(
        "--drop-last", action="store_true", help="leave out a short last batch of each epoch"
    )
    command.add_argument(
        "--dropout",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="drop random activations, as often as the model's config.json says (default on)",
    )
    command.add_argument(
        "--seed",
        type=whole,
        default=42,
        metavar="N",
        help="the seed of the order of the examples and of dropout (default 42)",
    )


def add_evaluation_options(command: argparse.ArgumentParser) -> None:
    """Add evaluation, checkpoints and a new beginning."""
    command.add_argument(
        "--evaluate",
        metavar="FOLDER",
        help="measure the model on this BEIR folder, and keep the best one as the result",
    )
    command.add_argument(
        "--qrels",
        metavar="FILE",
        help="use these judgements instead of those in the folder, in the form of BEIR or TREC",
    )
    command.add_argument(
        "--measure",
        choices=list(MEASURES),
        default="ndcg@10",
        help="the measure by which a model is the best (default ndcg@10)",
    )
    command.add_argument(
        "--evaluation-steps",
        type=whole,
        default=0,
        metavar="N",
        help="measure after every N steps (default 0: after each epoch)",
    )
    command.add_argument(
        "--evaluate-first",
        action="store_true",
        help="measure the model before the first step, too; it is never the result, and a warning "
        "says so if training made it worse",
    )
    command.add_argument(
        "--report",
        metavar="FILE",
        help="write an HTML page with the curves of the run, anew while it goes on; outside of DIR",
    )
    command.add_argument(
        "--checkpoint-steps",
        type=positive,
        default=500,
        metavar="N",
        help="write a checkpoint, from which a stopped run goes on, after every N steps (default "
        "500)",
    )
    command.add_argument(
        "--checkpoint-limit",
        type=positive,
        default=1,
        metavar="N",
        help="keep the last N checkpoints (default 1)",
    )
    command.add_argument(
        "--restart", action="store_true", help="begin anew, and remove what DIR holds of a run"
    )


def train(options: argparse.Namespace) -> None:
    """minibert train: train the model, and print where it is and how good."""
    from minibert.training import fit  # late: no other command needs it

    evaluator = evaluator_of(options)
    model = load(options)
    loss = loss_of(options, model.get_embedding_dimension())
    if options.max_seq_length is not None:
        model.max_seq_length = options.max_seq_length
    advice = f"the same command goes on from the last checkpoint in {options.output}"
    page = report_of(options, model.folder.path)
    with telling_how_to_go_on(advice, quiet=options.quiet), page or nullcontext():
        report = fit(
            model,
            options.data,
            loss,
            form=options.input_format,
            output=options.output,
            lr=options.lr,
            epochs=options.epochs,
            batch_size=options.batch_size,
            optimizer=options.optimizer,
            eps=options.eps,
            weight_decay=options.weight_decay,
            decay_all=options.decay_all,
            schedule=options.schedule,
            warmup_steps=options.warmup_steps,
            max_grad_norm=options.max_grad_norm or None,
            accumulation_steps=options.accumulation,
            seed=options.seed,
            dropout=options.dropout,
            drop_last=options.drop_last,
            max_steps=options.max_steps,
            evaluator=evaluator,
            evaluation_steps=options.evaluation_steps,
            evaluate_first=options.evaluate_first,
            watch=None if page is None else page.watch,
            checkpoint_steps=options.checkpoint_steps,
            checkpoint_limit=options.checkpoint_limit,
            restart=options.restart,
            show_progress_bar=shows_progress(options),
        )
    tell(options, report)


COMMAND = Command(
    train,
    add_options,
    "Train a model on the examples of DATA; if stopped, run it again to go on.",
    (
        "minibert train sentence-transformers/all-MiniLM-L6-v2 pairs.jsonl --output my-model "
        "--loss multiple-negatives-ranking --lr 2e-5 --warmup-steps 0.1",
        "minibert train ./my-model triples.csv --output better --loss margin-mse --optimizer "
        "adamw_hf --epochs 30 --lr 1e-5 --warmup-steps 10000",
        "minibert train ./my-model scored.parquet --output better --loss cosent --lr 2e-5 "
        "--matryoshka 768,384,128 --evaluate ./cranfield",
    ),
)


def report_of(options: argparse.Namespace, model: Path) -> TrainingReport | None:
    """Make the report that the options name, of a training of the model in a folder."""
    if options.report is None:
        return None
    name = model_name(model)
    return TrainingReport(options.report, options.output, name, restart=options.restart)


def evaluator_of(options: argparse.Namespace) -> RetrievalEvaluator | None:
    """Make the evaluator that the options name; None without one."""
    if options.evaluate:
        collection = read_collection(options.evaluate, options.qrels)
        return RetrievalEvaluator(collection, options.measure)
    for name in ("evaluation_steps", "evaluate_first", "qrels"):
        if getattr(options, name):
            raise ValueError(
                f"--{name.replace('_', '-')} needs --evaluate FOLDER, to measure the model on."
            )
    return None


def loss_of(options: argparse.Namespace, dimension: int) -> Loss:
    """Make the loss that the options name, for vectors of a dimension."""
    loss: Loss = LOSSES[options.loss]()
    if options.matryoshka is None:
        return loss
    if max(options.matryoshka) > dimension:
        raise ValueError(
            f"--matryoshka has {max(options.matryoshka)} dimensions; the model has {dimension}."
        )
    return MatryoshkaLoss(None, loss, options.matryoshka)


def tell(options: argparse.Namespace, report: Report) -> None:
    """Print the result of a training."""
    if options.json:
        measure = options.measure if options.evaluate else None
        print_json({"output": options.output, **report._asdict(), "measure": measure})
        return
    done = f"{report.steps} step{'' if report.steps == 1 else 's'}"
    if report.was_finished:
        done += " (finished before, nothing was changed)"
    elif report.loss is not None:
        done += f", loss {report.loss:.4g}"
    if report.best_score is not None:
        done += f"; the model of step {report.best_step}, {options.measure} {report.best_score:.4f}"
    if report.first_score is not None:
        done += f" ({report.first_score:.4f} before training)"
    say(f"{options.output}: {done}")


def dimensions(text: str) -> list[int]:
    """Return numbers of dimensions between commas, for argparse."""
    return [positive(part) for part in text.split(",")]
