"""minibert mine: a model and pairs of texts -> the same pairs with hard negatives."""

from __future__ import annotations

import argparse
import math
import os
import sys
from typing import TYPE_CHECKING, NamedTuple

from minibert.commands.command import Command
from minibert.commands.opening import load, load_cross_encoder
from minibert.commands.options import (
    MODEL_VARIABLE,
    add_first_model,
    add_model_options,
    add_table_format,
    positive,
    shows_progress,
    whole,
)
from minibert.commands.output import check_is_no_input, output, print_json
from minibert.common.escapes import json_line, visible
from minibert.documents import form_by_suffix, read_documents
from minibert.evaluation import read_collection
from minibert.training.candidates import SAMPLING
from minibert.training.mined import FORMATS

if TYPE_CHECKING:
    from minibert.training.examples import Data
    from minibert.training.mined import Statistics

__all__ = ["COMMAND"]


class Given(NamedTuple):
    """Pairs to mine for, and further texts to find negatives among."""

    pairs: Data
    form: str | None  # of a file of pairs
    corpus: list[str]


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_first_model(
        command,
        "the model that finds the negatives: a folder, or a name on the hub; may be left out "
        f"if ${MODEL_VARIABLE} is set",
    )
    command.add_argument(
        "data",
        metavar="DATA",
        help="a file of pairs, in JSONL, CSV, TSV or Parquet: its first two columns of texts, as "
        "query and positive; or a folder in BEIR's layout: its relevant pairs, and its corpus; - "
        "is standard input",
    )
    command.add_argument(
        "--output",
        "-o",
        metavar="FILE",
        required=True,
        help="write the rows to FILE, one JSON object on each line; - is standard output",
    )
    add_table_format(command)
    command.add_argument(
        "--qrels",
        metavar="FILE",
        help="use these judgements instead of those in the folder, in the form of BEIR or TREC",
    )
    command.add_argument(
        "--corpus",
        action="append",
        default=[],
        metavar="FILE",
        help="find negatives among the documents of FILE, too: a text on each line, JSONL, CSV, "
        "TSV, Parquet, or a folder in BEIR's layout; may be given again",
    )
    add_filter_options(command)
    add_format_options(command)


def add_filter_options(command: argparse.ArgumentParser) -> None:
    """Add the candidates: their scores, their ranks, and the choice among them."""
    command.add_argument(
        "--cross-encoder",
        metavar="MODEL",
        help="let this cross-encoder score pairs and candidates for the filters by score and "
        "margin, at least one of which must be given (--revision is for MODEL only)",
    )
    command.add_argument(
        "--range-min",
        type=whole,
        default=0,
        metavar="N",
        help="skip the N nearest candidates that the other filters leave (default 0)",
    )
    command.add_argument(
        "--range-max",
        type=positive,
        metavar="N",
        help="take no candidate after the first N (default: the sum of --range-min, "
        "--num-negatives and the most positives of a query; with a margin or --max-score, "
        "--num-negatives counts ten times)",
    )
    command.add_argument(
        "--min-score", type=finite, metavar="X", help="take no candidate with a score below X"
    )
    command.add_argument(
        "--max-score", type=finite, metavar="X", help="take no candidate with a score above X"
    )
    command.add_argument(
        "--absolute-margin",
        type=finite,
        metavar="X",
        help="take no candidate with a score above the positive's minus X",
    )
    command.add_argument(
        "--relative-margin",
        type=finite,
        metavar="X",
        help="the same, with a fraction X of the positive's score, as 0.05",
    )
    command.add_argument(
        "--num-negatives",
        type=positive,
        default=3,
        metavar="N",
        help="take N negatives for each query (default 3)",
    )
    command.add_argument(
        "--sampling",
        choices=list(SAMPLING),
        default="top",
        help="take the nearest candidates, or random ones (default top)",
    )
    command.add_argument(
        "--seed",
        type=whole,
        default=42,
        metavar="N",
        help="the seed of --sampling random (default 42)",
    )


def add_format_options(command: argparse.ArgumentParser) -> None:
    """Add the form of the rows, and of what is printed."""
    listed = "; ".join(f"{name}: {row.holds}" for name, row in FORMATS.items())
    command.add_argument(
        "--format",
        choices=list(FORMATS),
        default="triplet",
        help=f"the content of a row. {listed} (default triplet)",
    )
    command.add_argument(
        "--scores",
        action="store_true",
        help="add the scores of the positive and the negatives, or put them in place of labels",
    )
    command.add_argument("--json", action="store_true", help="print one JSON object")


def mine(options: argparse.Namespace) -> None:
    """minibert mine: write the rows with their negatives, and tell how many there are."""
    from minibert.training import mine_hard_negatives  # late: no other command needs it

    check_options(options)
    given = read_given(options)
    found: list[Statistics] = []
    with output(options.output) as file:
        rows = mine_hard_negatives(
            given.pairs,
            load(options),
            corpus=given.corpus,
            cross_encoder=load_cross_encoder(options.cross_encoder, options),
            range_min=options.range_min,
            range_max=options.range_max,
            max_score=options.max_score,
            min_score=options.min_score,
            absolute_margin=options.absolute_margin,
            relative_margin=options.relative_margin,
            num_negatives=options.num_negatives,
            sampling_strategy=options.sampling,
            output_format=options.format,
            output_scores=options.scores,
            seed=options.seed,
            form=given.form,
            show_progress_bar=shows_progress(options),
            report=found.append,
        )
        if not found[0].negatives:  # raised here, so that an old file stays
            raise ValueError(f"No negative was found: {found[0].reason(option_of)}.")
        for row in rows:
            file.write(f"{json_line(row)}\n".encode())
    tell(options, found[0])


COMMAND = Command(
    mine,
    add_options,
    "Find hard negatives for pairs of texts: near to the query, and none of its positives.",
    (
        "minibert mine sentence-transformers/all-MiniLM-L6-v2 pairs.jsonl --output triplets.jsonl",
        "minibert mine ./my-model ./cranfield --output tuples.jsonl --format n-tuple "
        "--relative-margin 0.05 --num-negatives 5",
        "minibert mine ./my-model pairs.csv --corpus texts.txt --output triplets.jsonl "
        "--range-min 10 --range-max 100 --sampling random --seed 7 --scores",
    ),
)


def check_options(options: argparse.Namespace) -> None:
    """Raise ValueError for options that do not go together, before a model is loaded.

    Raises OutputError for an output that is read, too.
    """
    is_folder = os.path.isdir(options.data)
    if options.qrels is not None and not is_folder:
        raise ValueError(f"--qrels is for a folder in BEIR's layout, and {options.data!r} is none.")
    if options.input_format is not None and is_folder:
        raise ValueError(f"--input-format is for a file, and {options.data!r} is a folder.")
    if options.json and options.output == "-":
        raise ValueError("--json and --output - both write to standard output. Give a file.")
    name = options.output
    if form_by_suffix(name) not in ("text", "jsonl", None) or name.endswith(".gz"):
        raise ValueError(
            f"--output {name!r} is another form by its name, and the rows are JSON lines. Give a "
            "name as negatives.jsonl."
        )
    judgements = [] if options.qrels is None else [options.qrels]
    check_is_no_input(name, [options.data, *judgements, *options.corpus])
    filters = ("max_score", "min_score", "absolute_margin", "relative_margin")
    if options.cross_encoder and all(getattr(options, one) is None for one in filters):
        raise ValueError(
            "--cross-encoder scores candidates for a filter, and none is given. Add --max-score, "
            "--min-score, --absolute-margin or --relative-margin."
        )


def read_given(options: argparse.Namespace) -> Given:
    """Read the pairs, or name their file, and read the further texts."""
    further = read_documents(options.corpus) if options.corpus else ()
    texts = [document.text for document in further if has_text(document.text)]
    if not os.path.isdir(options.data):
        return Given(options.data, options.input_format, texts)
    collection = read_collection(options.data, options.qrels)
    documents = {id: text for id, text in collection.documents.items() if has_text(text)}
    pairs = [
        {"query": text, "positive": documents[id]}
        for query, text in collection.queries.items()
        for id, grade in collection.qrels[query].items()
        if grade > 0 and id in documents and has_text(text)
    ]
    return Given(pairs, None, [*documents.values(), *texts])


def has_text(text: str) -> bool:
    """Return whether a text is more than white space: training refuses the others."""
    return bool(text.strip())


def tell(options: argparse.Namespace, statistics: Statistics) -> None:
    """Print the statistics: for people to stderr, or as JSON."""
    if options.json:
        print_json({"output": options.output, **statistics._asdict()})
    elif not options.quiet:
        first, *others = statistics.lines(option_of)
        for line in (f"{options.output}: {first}", *others):
            print(visible(line), file=sys.stderr)


def option_of(name: str) -> str:
    """Return the option of this command for an argument of mine_hard_negatives."""
    return f"--{name.replace('_', '-')}"


def finite(text: str) -> float:
    """Return a finite number, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value
