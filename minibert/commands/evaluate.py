"""minibert eval: a model, or a run, and a collection -> measures of the rankings."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any, BinaryIO, NamedTuple

from minibert.commands.command import Command
from minibert.commands.opening import load
from minibert.commands.options import (
    MODEL_VARIABLE,
    add_first_model,
    add_model_options,
    add_several,
    add_top_k,
    shows_progress,
)
from minibert.commands.output import output, print_json, say
from minibert.common.escapes import json_line
from minibert.evaluation import (
    MEASURES,
    SAMPLE,
    Collection,
    Measured,
    Ranking,
    compare,
    means,
    measured,
    rankings,
    read_collection,
    read_qrels,
    read_run,
    write_run,
)
from minibert.evaluation.collection import CORPUS_FILES

__all__ = ["COMMAND"]


class Result(NamedTuple):
    """Measures of a model or a run."""

    name: str  # of the model, or of the file of the run
    metric: str | None  # None for a run
    per_query: Measured  # the measures of each query


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_first_model(
        command,
        "a folder, a name on the hub, or the file of a TREC run; may be left out if "
        f"${MODEL_VARIABLE} is set and no DATASET is given",
    )
    add_several(
        command,
        "datasets",
        "DATASET",
        "a folder with corpus.jsonl, queries.jsonl and qrels.tsv or qrels/test.tsv, in BEIR's "
        "layout; for runs, a file of judgements is enough (default: a small sample)",
    )
    command.add_argument(
        "--qrels",
        metavar="FILE",
        help="use these judgements instead of those in the folder, in the form of BEIR or TREC",
    )
    command.add_argument(
        "--against",
        metavar="MODEL",
        help="another model or run: print both, and the probability of so large a difference by "
        "chance (--revision is for MODEL only)",
    )
    add_top_k(
        command,
        None,
        "rank only the N best documents of each query, and measure these (default all)",
    )
    command.add_argument(
        "--candidates",
        metavar="RUN",
        help="let models rank, for each query, only the documents that this TREC run found for it",
    )
    command.add_argument(
        "--run",
        dest="run_file",  # options.run is the command
        metavar="FILE",
        help="write the rankings of MODEL as a TREC run",
    )
    command.add_argument(
        "--per-query",
        metavar="FILE",
        help="write the measures of each query, one JSON object on each line",
    )
    command.add_argument(
        "--json", action="store_true", help="print one JSON object instead of a table"
    )


def evaluate(options: argparse.Namespace) -> None:
    """minibert eval: print the measures of a model or a run, with --against also of another."""
    written = [os.path.realpath(name) for name in (options.run_file, options.per_query) if name]
    if len(written) > len(set(written)):
        raise ValueError("--run and --per-query name the same file; give two files.")
    collection = read_dataset(options)
    with ExitStack() as files:
        run_file, per_query_file = (
            files.enter_context(output(name)) if name else None
            for name in (options.run_file, options.per_query)
        )
        result = result_of(options, collection, run_file)
        if per_query_file is not None:
            for query, values in result.per_query.items():
                per_query_file.write(f"{json_line({'query': query, **values})}\n".encode())
    counts = {"queries": len(result.per_query), "documents": len(collection.documents) or None}
    counts |= {"top_k": options.top_k} if options.top_k else {}
    other = p = None
    if options.against is not None:
        named = {"model": options.against, "revision": None}
        other = result_of(argparse.Namespace(**{**vars(options), **named}), collection)
        p = compare(result.per_query, other.per_query)
    if options.json:
        content = {**facts_of(result), **counts}
        print_json(content | ({"against": facts_of(other), "p": p} if other else {}))
    else:
        print_table(result, other, p)
        say(", ".join(f"{name} {count}" for name, count in counts.items() if count is not None))


COMMAND = Command(
    evaluate,
    add_options,
    "Measure how well a model, or a TREC run, ranks the documents of a collection.",
    (
        "minibert eval sentence-transformers/all-MiniLM-L6-v2",
        "minibert eval ./my-model ./cranfield --json",
        "minibert eval ./my-model ./cranfield --run mine.trec --against ./my-older-model",
        "minibert eval mine.trec ./cranfield/qrels.tsv --against theirs.trec",
    ),
)


def read_dataset(options: argparse.Namespace) -> Collection:
    """Read the collection that the options name; a file of judgements gives one without texts."""
    if len(options.datasets) > 1:
        raise ValueError(f"{len(options.datasets)} datasets are given; give one at a time.")
    dataset = options.datasets[0] if options.datasets else SAMPLE
    if os.path.isfile(dataset):
        if options.qrels is not None:
            raise ValueError(f"{dataset!r} is a file of judgements already; leave out --qrels.")
        return Collection({}, {}, read_qrels(dataset))
    return read_collection(dataset, options.qrels)


def result_of(
    options: argparse.Namespace, collection: Collection, run_file: BinaryIO | None = None
) -> Result:
    """Measure the model or the run that the options name."""
    metric = None
    found: Iterable[tuple[str, Ranking]]
    if os.path.isfile(options.model):
        found = first_k(read_run(options.model).items(), options.top_k)
    elif not collection.documents:
        kind = ValueError if os.path.exists(options.model) else FileNotFoundError
        raise kind(
            f"{options.datasets[0]!r} is a file of judgements, for runs, and {options.model!r} is "
            "no file. A model needs a folder with texts."
        )
    else:
        check_no_collection(options.model)
        model = load(options)
        metric = model.similarity_fn_name
        candidates = read_candidates(options.candidates)
        found = rankings(
            model,
            collection,
            k=options.top_k,
            candidates=candidates,
            show_progress_bar=shows_progress(options),
        )
    if run_file is not None:
        found = write_run(found, run_file)
    return Result(options.model, metric, measured(found, collection.qrels))


def check_no_collection(folder: str) -> None:
    """Raise ValueError for a collection in the place of a model.

    With a model in the environment, a lone DATASET is likely to be taken for one.
    """
    there = set(os.listdir(folder)) if os.path.isdir(folder) else set()
    if there.intersection(CORPUS_FILES) and not there.intersection(["config.json", "modules.json"]):
        raise ValueError(
            f"{folder!r} is a collection, no model. Name the model before it: minibert eval MODEL "
            "DATASET."
        )


def read_candidates(name: str | None) -> dict[str, list[str]] | None:
    """Read the documents of each query from a TREC run; None, for all, without one."""
    if name is None:
        return None
    return {query: ranking.ids for query, ranking in read_run(name).items()}


def first_k(found: Iterable[tuple[str, Ranking]], k: int | None) -> Iterator[tuple[str, Ranking]]:
    """Yield the first `k` of each ranking, all for None."""
    for query, (ids, scores) in found:
        yield query, Ranking(ids[:k], scores[:k])


def facts_of(result: Result) -> dict[str, Any]:
    """Return the means of the measures, the name and the metric of a model or run."""
    return {**means(result.per_query), "model": result.name, "metric": result.metric}


def print_table(result: Result, other: Result | None, p: dict[str, float] | None) -> None:
    """Print a row for each measure; with another result, both, their difference and its p."""
    shown = [result] if other is None else [result, other]
    columns = [means(one.per_query) for one in shown]
    for number, one in enumerate(shown, start=1):
        metric = "a run" if one.metric is None else one.metric
        say(f"({number}) {one.name}, {metric}")
    headings = [f"({number})" for number in range(1, len(shown) + 1)]
    headings += ["(1) - (2)", "p"] if p is not None else []
    say(f"{'':12}" + "".join(f"{heading:>11}" for heading in headings))
    for name in MEASURES:
        values = [f"{column[name]:11.4f}" for column in columns]
        if p is not None:
            values += [f"{columns[0][name] - columns[1][name]:+11.4f}", f"{p[name]:11.5f}"]
        say(f"{name:12}" + "".join(values))
