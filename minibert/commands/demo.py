"""minibert demo: the example of the default model's card, timed."""

from __future__ import annotations

import argparse
import time

from minibert.commands.command import Command
from minibert.commands.opening import load
from minibert.commands.options import add_model, add_model_options
from minibert.commands.output import say
from minibert.commands.ranking import ranking

__all__ = ["COMMAND"]

DEMO_QUERY = "How many people live in London?"
DEMO_DOCUMENTS = [
    "Around 9 Million people live in London",
    "London is known for its financial district",
]


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_model(command)


def demo(options: argparse.Namespace) -> None:
    """minibert demo: rank the two texts, and print the time it took."""
    start = time.perf_counter()
    model = load(options)
    loaded = time.perf_counter()
    results = ranking(model, DEMO_QUERY, DEMO_DOCUMENTS)
    ended = time.perf_counter()
    say(f"Query: {DEMO_QUERY}")
    for result in results:
        say(f"{result['score']:10.4f}  {result['text']}")
    say(
        f"{options.model}, {model.similarity_fn_name}: loaded in {loaded - start:.2f} s, "
        f"three texts in {ended - loaded:.3f} s"
    )


COMMAND = Command(
    demo,
    add_options,
    "Rank two texts about London for a question, and print the time it took.",
    ("minibert demo", "minibert demo --model sentence-transformers/all-MiniLM-L6-v2"),
)
