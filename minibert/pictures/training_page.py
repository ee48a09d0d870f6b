"""Training run -> one HTML page that needs no network, also while it runs. Start at training_page.

training.html is the frame of the page. All curves are written here as SVG, to be read without a
script; the script (training.js) reads values at a step, and loads the page again.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from string import Template
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.common.counts import counted
from minibert.pictures.curves import Chart, Line, chart, short
from minibert.pictures.page import START, asset, page
from minibert.pictures.svg import escaped
from minibert.pictures.training_run import Run, read_run
from minibert.training.evaluators import number_of

__all__ = ["Moment", "is_training_page", "page_before_training", "training_page"]

SIZE = (440.0, 300.0)  # units of a chart; on a phone, its texts are still readable
MARK_WITHIN = 1 << 16  # bytes, more than ten times those of the styles before the mark
ROWS = 500  # of the table of evaluations; the page stays small
HINT = '<p class="hint scripted">Point at a curve to read its values, or use the arrow keys.</p>'
MEAN_LENGTHS = (5, 200)  # steps of the running mean, at least and at most
FEW_STEPS = 20  # a run of fewer has no mean


class Moment(NamedTuple):
    """Time at which a page is written, and how the run is then."""

    time: datetime  # of a time zone
    pace: float | None = None  # steps a minute; None while it is not known
    is_stopped: bool = False  # True if the run was stopped, and can go on


def training_page(folder: str | os.PathLike[str], moment: Moment | None = None) -> str:
    """Write the page of a training run, finished or not: settings, curves, and all evaluations.

    `folder` is the output of minibert.training.fit. A log that is being written is read up to its
    last whole line. `moment` is the time of writing, to be shown; without it the page has no times,
    so the same run gives the same page.

    Raises FileNotFoundError without the folder, and TrainingError for one that holds no run.
    """
    return page_of(read_run(Path(folder)), moment)


def page_before_training(model: str, moment: Moment | None = None) -> str:
    """Write the page of a run that has no folder yet; `model` is the name of its model."""
    return page_of(Run({"facts": {"model": model}}, [], []), moment)


def is_training_page(file: str | os.PathLike[str]) -> bool:
    """Return whether a file holds a page of this module, by its start and its frame.

    Raises OSError for a file that cannot be read.
    """
    mark = asset("training.html").splitlines()[1]  # its kicker, which is in no other page
    with open(file, "rb") as opened:
        start = opened.read(MARK_WITHIN)
    return start.startswith(START.encode()) and mark.encode() in start


# Page.


def page_of(run: Run, moment: Moment | None) -> str:
    """Write the page of a run, at a moment if it is told."""
    shown = charts(run)
    facts = run.part("facts")
    model = str(facts.get("model") or "a model")
    body = Template(asset("training.html")).substitute(
        model=escaped(model),
        status=escaped(status(run, moment is not None and moment.is_stopped)),
        progress=progress(run),
        written=written(run, moment) if moment else "",
        tiles="\n".join(
            f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
            for name, value in tiles(run)
        ),
        curves="\n".join(figure(number, *one) for number, one in enumerate(shown)),
        hint=HINT if shown else '<p class="hint">There are none before the first step.</p>',
        evaluations=evaluations(run),
        settings="\n".join(
            f"<div><dt>{escaped(name)}</dt><dd>{escaped(value)}</dd></div>"
            for name, value in settings(run)
        ),
    )
    done = f"Step {run.step:,} of {run.total:,}" if run.total else "Training"
    data = {"finished": run.is_finished, "charts": [read_out(one) for one, _ in shown]}
    return page(f"{done}: {model}", body, data, "training.js", "training.css")


def status(run: Run, is_stopped: bool) -> str:
    """Describe in words how far the run is."""
    if run.is_finished:
        done = f"The run is finished, after {counted(run.step, 'step')}."
        return f"{done} The model of step {run.result_step:,} is in {run.folder}."
    end = "The run was stopped; the same command goes on." if is_stopped else ""
    if not run.steps:
        return end or "The run has not taken its first step yet."
    epochs = run.arguments.get("epochs")
    epoch = int(run.steps[-1].get("epoch", 0)) + 1
    in_epoch = f", in epoch {epoch} of {epochs}" if epochs else ""
    return f"Step {run.step:,} of {run.total:,}{in_epoch}. {end or 'The run is not finished.'}"


def written(run: Run, moment: Moment) -> str:
    """Tell when the page was written, and of a run that goes on its pace, as HTML."""
    time = moment.time.isoformat(" ", "seconds")
    told = f'Written <time datetime="{time}">{time}</time>.'
    if moment.pace and not run.is_finished and not moment.is_stopped:
        pace = f"{moment.pace:,.0f}" if moment.pace >= 10 else f"{moment.pace:.2g}"
        left = duration((run.total - run.step) / moment.pace)
        told += f" {pace} steps a minute; {left} left."
    return f'<p id="written" class="hint">{told}</p>'


def duration(minutes: float) -> str:
    """Print a time for reading, to the minute."""
    if minutes < 1:
        return "less than a minute"
    hours, rest = divmod(round(minutes), 60)
    parts = [counted(*part) for part in ((hours, "hour"), (rest, "minute")) if part[0]]
    return f"about {' '.join(parts)}"


def progress(run: Run) -> str:
    """Write the bar of the steps, as HTML; "" if their number is not known."""
    if not run.total:
        return ""
    return (
        f'<progress max="{run.total}" value="{min(run.step, run.total)}" aria-label="Steps done">'
        f"{run.step} of {run.total}</progress>"
    )


def tiles(run: Run) -> Iterator[tuple[str, str]]:
    """Yield the few numbers that tell most: name, value."""
    for line in of_objectives(run, "loss"):
        length = min(mean_length(run), len(line.ys))
        of = f"mean of the last {length} steps" if length > 1 else "of the last step"
        yield f"{line.name}, {of}", short(float(running_mean(line.ys, length)[-1]))
    found, measure = run.best_record, run.measure
    if found is not None:
        score = number_of(found["evaluation"].get(measure))
        step = f"{found['step']:,}"
        if score is None:
            yield "step of the best evaluation", step
        else:
            yield f"best {measure}, of step {step}", f"{score:.4f}"
    for latest in [one for one in run.evaluations[-1:] if one["step"]]:
        if (score := number_of(latest["evaluation"].get(measure))) is not None:
            yield f"latest {measure}, of step {latest['step']:,}", f"{score:.4f}"
    start = run.first_score(measure)
    if start is not None:
        yield f"{measure} before training", f"{start:.4f}"


def evaluations(run: Run) -> str:
    """Write the table of all evaluations; "" without one."""
    if not run.evaluations:
        return ""
    found = run.best_record
    # That of the best model comes first, as a phone has no width for all.
    names = sorted(run.measures, key=lambda name: name != run.measure)
    heads = "".join(f'<th scope="col">{escaped(name)}</th>' for name in ("step", "epoch", *names))
    rows = []
    for one in run.evaluations[-ROWS:]:
        values = [number_of(one["evaluation"].get(name)) for name in names]
        cells = "".join(
            f"<td>{'no number' if value is None else f'{value:.4f}'}</td>" for value in values
        )
        step = "before training" if one["step"] == 0 else f"{one['step']:,}"
        kind, mark = (' class="best"', " (best)") if one is found else ("", "")
        epoch = "" if one["step"] == 0 else one.get("epoch", 0) + 1
        rows.append(f'<tr{kind}><th scope="row">{step}{mark}</th><td>{epoch}</td>{cells}</tr>')
    left_out = len(run.evaluations) - len(rows)
    note = f'<p class="hint">{left_out:,} earlier ones are left out.</p>' if left_out else ""
    return (
        '<section aria-labelledby="evaluations"><h2 id="evaluations">Evaluations</h2>'
        f'{note}<div class="scroll" role="region" tabindex="0" aria-labelledby="evaluations">'
        f'<table><thead><tr>{heads}</tr></thead><tbody>{"".join(rows)}</tbody></table></div>'
        "</section>"
    )  # fmt: skip


def settings(run: Run) -> Iterator[tuple[str, str]]:
    """Yield what was trained and how: name, value."""
    if run.folder:
        yield "folder", run.folder
    facts, given = run.part("facts"), run.part("settings")
    sets = list(zip(facts.get("batches") or [], facts.get("examples") or [], strict=False))
    for number, (batches, examples) in enumerate(sets, 1):
        counts = f"{counted(batches, 'batch', 'batches')} an epoch"
        if examples:
            counts = f"{counted(examples, 'example')}, {counts}"
        yield "data" if len(sets) == 1 else f"data {number}", counts
    for name in (*(name for name in given if name.startswith("loss")), "evaluator"):
        if given.get(name) is not None:
            yield name.replace("_", " "), told(given[name])
    if run.total:
        yield "steps", f"{run.total:,}, {facts.get('steps_per_epoch', run.total):,} an epoch"
    for name, value in run.arguments.items():
        yield name, told(value)


def told(value: object) -> str:
    """Print a setting for reading; of an object its name and the settings that are no digests."""
    if isinstance(value, Mapping):
        parts = [
            f"{name} {told(one)}"
            for name, one in value.items()
            if name != "name" and not (isinstance(one, str) and len(one) == 64)
        ]
        return ", ".join([str(value["name"])] * ("name" in value) + parts)
    if isinstance(value, list):
        return ", ".join(map(told, value))
    if value is None or isinstance(value, bool):
        return {None: "none", True: "yes", False: "no"}[value]
    number = number_of(value)
    return str(value) if number is None else short(number)


# Curves.


def charts(run: Run) -> list[tuple[Chart, str]]:
    """Draw the curves of a run: the picture, and a note below it."""
    found = [(title, lines, note) for title, lines, note in panels(run) if lines]
    ends = (0.0, float(max(run.total, 1)))
    return [(chart(lines, title, x_range=ends, size=SIZE), note) for title, lines, note in found]


def panels(run: Run) -> Iterator[tuple[str, list[Line], str]]:
    """Yield the title, the lines and the note of each chart."""
    yield "loss", [line for one in of_objectives(run, "loss") for line in smoothed(run, one)], ""
    first, *others = measure_panels(run) or [("", [], "")]
    yield first
    steps = next(iter(by_objective(run).values()), [])
    yield "learning rate", [line_of("learning rate", steps, "lr")] if steps else [], ""
    norms = of_objectives(run, "grad_norm")
    lines, note = clipped(run, norms)
    shown = [line for one in norms for line in smoothed(run, one)]
    yield "norm of the gradients", shown + lines, note
    yield from others


def measure_panels(run: Run) -> list[tuple[str, list[Line], str]]:
    """Return the charts of all measures, that of the best model first."""
    panels = []
    for name in sorted(run.measures, key=lambda name: name != run.measure):
        found = [
            {"step": one["step"], name: one["evaluation"].get(name)} for one in run.evaluations
        ]
        lines = [line_of(name, found, name)]
        if (start := run.first_score(name)) is not None:
            lines.append(bound(run, "before training", start))
        panels.append((name, lines, ""))
    return panels


def clipped(run: Run, norms: list[Line]) -> tuple[list[Line], str]:
    """Return the line of the norm to which gradients are scaled, and a note of how often they are.

    There is no line far above the norms, where it would flatten their curve.
    """
    limit = number_of(run.arguments.get("max_grad_norm"))
    every = np.concatenate([line.ys for line in norms] or [np.zeros(0)])
    if limit is None or not len(every):
        return [], ""
    note = f"Norms before clipping to {short(limit)}: {(every > limit).mean():.0%} were clipped."
    is_far = every[np.isfinite(every)].max(initial=0) < limit / 2
    return [] if is_far else [bound(run, f"clipped to {short(limit)}", limit)], note


def bound(run: Run, name: str, value: float) -> Line:
    """Make a grey line at one value, through the whole run."""
    return Line(name, np.array([0.0, max(run.total, 1)]), np.full(2, value), "limit")


def smoothed(run: Run, line: Line) -> list[Line]:
    """Return a line in a light colour, and its running mean; in a short run the line alone."""
    length = mean_length(run)
    if length == 1:
        return [line]
    mean = line._replace(name=f"{line.name}, mean of {length}", ys=running_mean(line.ys, length))
    return [line._replace(name=f"{line.name}, each step", kind="faint"), mean]


def of_objectives(run: Run, key: str) -> list[Line]:
    """Return the line of a key for each objective, in its colour and with its name."""
    return [
        line_of(named(run, key.removeprefix("grad_"), number), steps, key, hue)
        for hue, (number, steps) in enumerate(by_objective(run).items())
    ]


def by_objective(run: Run) -> dict[int, list[dict[str, Any]]]:
    """Return the records of the steps of each objective, by its number from 0."""
    found: dict[int, list[dict[str, Any]]] = {}
    for record in run.steps:
        found.setdefault(int(record.get("objective", 0)), []).append(record)
    return found


def named(run: Run, what: str, number: int) -> str:
    """Name a number of an objective; one alone needs no name of its loss."""
    given = run.part("settings")
    if "loss_2" not in given:
        return what
    loss = given.get(f"loss_{number + 1}" if number else "loss")
    name = loss.get("name") if isinstance(loss, Mapping) else loss
    return f"{what} {number + 1}, {name}"


def line_of(name: str, records: Sequence[Mapping[str, Any]], key: str, hue: int = 0) -> Line:
    """Make the line of the values of a key over steps; one that is no number interrupts it."""
    xs = [record["step"] for record in records]
    ys = [number_of(record.get(key)) for record in records]
    return Line(name, np.array(xs, dtype=np.float64), np.array(ys, dtype=np.float64), hue=hue)


def mean_length(run: Run) -> int:
    """Return the steps of the running mean: a fiftieth of the run; 1 for a run of few steps."""
    if run.total < FEW_STEPS:
        return 1
    shortest, longest = MEAN_LENGTHS
    return min(max(round(run.total / 50), shortest), longest)


def running_mean(values: Array, length: int) -> Array:
    """Return the mean of each number and up to `length` - 1 before it."""
    sums = np.convolve(values, np.ones(length))[: len(values)]
    found: Array = sums / np.minimum(np.arange(1, len(values) + 1), length)
    return found


def figure(number: int, drawn: Chart, note: str) -> str:
    """Write a chart as HTML, with its note and a place for the values at a step."""
    caption = f'<p class="hint">{escaped(note)}</p>' if note else ""
    return (
        f'<figure class="chart"><div class="frame" data-chart="{number}">{drawn.svg}</div>'
        f'<figcaption><p class="reading scripted"><output></output></p>{caption}</figcaption>'
        "</figure>"
    )


def read_out(drawn: Chart) -> dict[str, Any]:
    """Return what the script reads of a chart: places and values."""
    panel = drawn.panel
    return {
        "panel": [round(value, 1) for value in panel[:4]],
        "ends": panel.x_range,
        "lines": [
            {
                "name": line.name,
                "x": [int(x) for x in line.xs.tolist()],
                "y": [float(f"{y:.5g}") if math.isfinite(y) else None for y in line.ys.tolist()],
            }
            for line in drawn.lines
            if line.kind != "limit"
        ],
    }
