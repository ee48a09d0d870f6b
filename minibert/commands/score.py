"""minibert score: a query and texts -> the texts, best first."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.opening import load
from minibert.commands.options import add_model_and_texts, add_model_options
from minibert.commands.output import print_json, say
from minibert.commands.ranking import ranking
from minibert.commands.texts import read_texts

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    command.add_argument(
        "query", metavar="QUERY", help="the text that the others are scored against"
    )
    add_model_and_texts(command, "DOC", "a text to score")
    command.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object for each text instead of a table",
    )


def score(options: argparse.Namespace) -> None:
    """minibert score: print the texts with their scores, best first."""
    documents = list(read_texts(options))
    model = load(options)
    results = ranking(model, options.query, [document.text for document in documents])
    for rank, result in enumerate(results, start=1):
        id = documents[result["index"]].id
        if options.json:
            print_json({"rank": rank, **({} if id is None else {"id": id}), **result})
        else:
            named = "" if id is None else f"{id}  "
            say(f"{result['score']:10.4f}  {named}{result['text']}")


COMMAND = Command(
    score,
    add_options,
    "Score texts against a query by the model's own metric, best first.",
    (
        'minibert score "Who barks?" "A dog barks." "A cat sleeps."',
        'minibert score "Who barks?" --file texts.txt --json',
        'minibert score "Who barks?" --file documents.jsonl.gz',
    ),
)
