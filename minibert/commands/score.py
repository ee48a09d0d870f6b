"""minibert score: a query and texts -> the texts, best first."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import numpy as np

from minibert.commands.options import add_command, add_model_and_texts, load
from minibert.commands.output import print_json, say
from minibert.commands.texts import read_texts
from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["add", "ranking"]


def add(commands: Any) -> None:
    command = add_command(
        commands,
        score,
        "Score texts against a query by the model's own metric, best first.",
        'minibert score "Who barks?" "A dog barks." "A cat sleeps."',
        'minibert score "Who barks?" --file texts.txt --json',
        'minibert score "Who barks?" --file documents.jsonl.gz',
    )
    command.add_argument("query", metavar="QUERY")
    add_model_and_texts(command, "DOC")
    command.add_argument("--json", action="store_true", help="an object a line instead of a table")


def score(options: argparse.Namespace) -> None:
    """minibert score: a query and texts -> the texts, best first."""
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


def ranking(
    model: SentenceTransformer, query: str, documents: Sequence[str]
) -> list[dict[str, Any]]:
    """The documents with their scores and places in the list, best first, ties as they came."""
    vector = model.encode(query, prompt_name="query")
    scores = model.similarity(vector, model.encode(documents, prompt_name="document"))[0]
    return [
        {"score": float(scores[index]), "index": int(index), "text": documents[index]}
        for index in np.argsort(-scores, kind="stable")
    ]
