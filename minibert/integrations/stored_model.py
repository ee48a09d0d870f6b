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

__all__ = [
    "NOT_STORED",
    "StoredModel",
    "check_sample",
    "open_model",
    "sample_of",
    "without_token",
]

NOT_STORED = "token"  # a secret: an opened store takes the hub's own login
# Stores hold its vector: with another text they would all be refused.
SAMPLE = "A dog barks at the cat."
SAMPLE_NUMBERS = 8
# Of the largest number. Devices and processors differ by 1e-6, in float16 by 1e-3.
SAMPLE_TOLERANCE = 0.01
ANOTHER_MODEL = (
    "Name the model or the folder that made them, or make them anew: the vectors of two models "
    "cannot be compared."
)


class StoredModel(NamedTuple):
    """A model, and a sample of its vectors, by which a store knows it again."""

    model: SentenceTransformer  # model of the vectors
    sample: list[float]  # of its vectors, as sample_of makes it


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
    model = SentenceTransformer(**json.loads(arguments))
    return StoredModel(model, sample_of(model))


def sample_of(model: SentenceTransformer) -> list[float]:
    """Dimension of the vector of one text, and its first numbers, with six digits."""
    vector = model.encode_document(SAMPLE, on_long="ignore")
    return [len(vector), *(float(f"{number:.6g}") for number in vector[:SAMPLE_NUMBERS])]


def check_sample(
    found: Sequence[float],
    kept: Sequence[float] | None,
    name: str,
    *,
    whose: str = "The store",
    advice: str = ANOTHER_MODEL,
) -> None:
    """Raise CorpusError if the sample found now is not the one that was kept; for None, do nothing.

    `name` is that of the model that was opened, `whose` the keeper of the sample.
    """
    if kept is None:
        return
    ours, theirs = np.array(found[1:]), np.array(kept[1:])
    if [found[0], len(found)] != [*kept[:1], len(kept)] or np.abs(ours - theirs).max() > (
        SAMPLE_TOLERANCE * np.abs(theirs).max()
    ):
        raise CorpusError(
            f"{whose}'s vectors are not of {name}: it has the dimension and the vector "
            f"{list(kept)} of a sample, where {name} gives {list(found)}. {advice}"
        )


def without_token(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that may be written to a file: all but the token for the hub."""
    return {name: value for name, value in arguments.items() if name != NOT_STORED}
