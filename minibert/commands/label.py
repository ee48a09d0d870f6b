"""minibert label: a teacher and rows of texts -> the rows with the teacher's scores."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from minibert.commands.command import Command
from minibert.commands.opening import load_either
from minibert.commands.options import add_model_options, add_table_format, shows_progress
from minibert.commands.output import (
    check_is_no_input,
    is_stream,
    output,
    say,
    telling_how_to_go_on,
)
from minibert.common.escapes import json_line
from minibert.common.progress import Advance, progress

if TYPE_CHECKING:
    from minibert.models.cross_encoder import CrossEncoder
    from minibert.models.sentence_transformer import SentenceTransformer
    from minibert.training.labels import Chunk, Scorer

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model",
        metavar="TEACHER",
        help="the model that scores, a SentenceTransformer or a CrossEncoder: a folder, or a name "
        "on the hub",
    )
    command.add_argument(
        "data",
        metavar="DATA",
        help="a file of texts, in JSONL, CSV, TSV or Parquet: columns query, positive, negative or "
        "others, as `minibert train` takes them; - is standard input",
    )
    command.add_argument(
        "--output",
        "-o",
        metavar="FILE",
        required=True,
        help="write a line of JSON for each row to FILE, which appears when it is whole; if "
        "stopped, the same command goes on; - is standard output, where nothing is kept",
    )
    add_table_format(command)
    command.add_argument(
        "--activation",
        choices=["identity", "sigmoid"],
        help="the scores of a CrossEncoder: its logits, as margin-mse takes them, or their "
        "sigmoid, between 0 and 1 (default identity)",
    )
    add_model_options(command)


def label(options: argparse.Namespace) -> None:
    """minibert label: write the rows with their scores, and print their number."""
    from minibert.training import labels  # late: no other command needs it

    check_name(options.output)
    check_is_no_input(options.output, [options.data])
    is_shown = shows_progress(options)
    teacher = load_either(options)
    score = labels.scorer_of(teacher, options.activation)
    chunks = labels.chunks_of(options.data, options.input_format)
    total = labels.rows_in(options.data, options.input_format) if is_shown else None
    with progress(total, is_shown, "row") as advance:
        if is_stream(options.output):
            write_stream(options, chunks, score, advance)
        else:
            write_file(options, chunks, score, advance, teacher)


COMMAND = Command(
    label,
    add_options,
    "Score the first text of each row of DATA against its other texts, for a student to learn "
    "from.",
    (
        "minibert label cross-encoder/ms-marco-MiniLM-L6-v2 triples.jsonl --output scored.jsonl",
        "minibert label ./teacher pairs.csv --output scored.jsonl --threads 4",
    ),
)


def check_name(name: str) -> None:
    """Raise ValueError for a file whose name promises another form than lines of JSON."""
    if name.lower().endswith((".gz", ".csv", ".tsv", ".parquet")):
        raise ValueError(
            f"--output is {name!r}, and the rows are plain lines of JSON. Give a name that ends in "
            ".jsonl."
        )


def write_stream(
    options: argparse.Namespace, chunks: Iterable[Chunk], score: Scorer, advance: Advance
) -> None:
    """Write rows to a stream, chunk by chunk."""
    from minibert.training.labels import labelled

    with output(options.output) as file:
        for chunk in chunks:
            for row in labelled(chunk, score):
                file.write(json_line(row).encode() + b"\n")
            advance(len(chunk.rows))


def write_file(
    options: argparse.Namespace,
    chunks: Iterable[Chunk],
    score: Scorer,
    advance: Advance,
    teacher: SentenceTransformer | CrossEncoder,
) -> None:
    """Write rows to a file, behind those of the same command that was stopped."""
    from minibert.training.labels import CHUNK_ROWS
    from minibert.training.labels_file import write_labels

    path = Path(os.path.realpath(options.output))
    settings = {
        "teacher": teacher.fingerprint(),
        "metric": getattr(teacher, "similarity_fn_name", None),
        "activation": options.activation,
        "device": options.device,
        "reproducible": options.reproducible,
        "chunk_rows": CHUNK_ROWS,  # scores round by the texts beside them
    }
    with telling_how_to_go_on(lambda: what_is_kept(path), quiet=options.quiet):
        count = write_labels(path, chunks, score, settings, advance)
    say(f"{options.output}: {count} row{'' if count == 1 else 's'}")


def what_is_kept(path: Path) -> str:
    """Tell how many rows of a stopped run there are, and how to go on."""
    from minibert.training.labels import CHUNK_ROWS
    from minibert.training.labels_file import count_kept, partial_folder

    count = count_kept(path)
    if not count:
        return f"the first {CHUNK_ROWS} rows are not scored yet; the same command begins anew"
    return f"{count} rows are in {partial_folder(path)}; the same command goes on behind them"
