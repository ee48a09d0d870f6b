"""A model that a store has in its settings: its name, its arguments, and a sample of its vectors.

A store of vectors that is opened again needs the model that made them. So its settings hold what
opens the model, as JSON, and never the weights. The sample tells whether it is that model still.
Start at open_model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np

from minibert import CorpusError, SentenceTransformer

__all__ = ["NOT_STORED", "StoredModel", "check_sample", "open_model", "sampled", "without_token"]

NOT_STORED = "token"  # a secret: an opened store takes the hub's own login
# Stores hold its vector: with another text they would all be refused.
SAMPLE = "A dog barks at the cat."
SAMPLE_NUMBERS = 8
# Of the largest number. Devices and processors differ by 1e-6, in float16 by 1e-3.
SAMPLE_TOLERANCE = 0.01


class StoredModel(NamedTuple):
    """A model, and a sample of its vectors, by which a store knows it again."""

    model: SentenceTransformer  # model of the vectors
    sample: list[float]  # first numbers of the vector of one text


def open_model(arguments: Mapping[str, Any]) -> StoredModel:
    """Open a model by SentenceTransformer's arguments, or return it if it is open already.

    Some stores ask for their model at every query. Raises TypeError for an argument that is not
    JSON, since a store could not keep it, and the errors of SentenceTransformer().
    """
    for name, value in arguments.items():
        try:
            json.dumps(value)
        except (TypeError, ValueError):
            raise TypeError(
                f"{name} is {value!r:.80}; expected a text, a number, a list or a dict of them. "
                "The store keeps the arguments as JSON, to open the model again."
            ) from None
    return opened(json.dumps(dict(arguments), sort_keys=True))


@lru_cache(maxsize=4)
def opened(arguments: str) -> StoredModel:
    """Open a model by SentenceTransformer's arguments as JSON, once."""
    return sampled(SentenceTransformer(**json.loads(arguments)))


def sampled(model: SentenceTransformer) -> StoredModel:
    """Take a sample of a model's vectors."""
    vector = model.encode_document(SAMPLE, on_long="ignore")[:SAMPLE_NUMBERS]
    return StoredModel(model, [float(f"{number:.6g}") for number in vector])


def check_sample(
    stored: StoredModel,
    sample: Sequence[float] | None,
    name: str,
    *,
    owner: str = "The store's vectors are",
) -> None:
    """Raise CorpusError if a store's vectors are of another model; without a sample, do nothing.

    `name` is that of the model that was opened, and `owner` begins the message.
    """
    if sample is None:
        return
    ours, theirs = np.array(stored.sample), np.array(sample)
    if ours.shape != theirs.shape or np.abs(ours - theirs).max() > (
        SAMPLE_TOLERANCE * np.abs(theirs).max()
    ):
        raise CorpusError(
            f"{owner} not of {name}: it has the vector {list(sample)} of a sample, where "
            f"{name} gives {stored.sample}. Name the model or the folder that made them, or "
            "make them anew: the vectors of two models cannot be compared."
        )


def without_token(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that may be written to a file: all but the token for the hub."""
    return {name: value for name, value in arguments.items() if name != NOT_STORED}
