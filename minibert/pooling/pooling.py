"""Pooling: the token states of a text -> its vector, by one mode of `modes` or several.

Its settings, its computation, and what each token gives of the vector. Start at pool.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.common.json_files import check_keys, optional_count, setting
from minibert.errors import CheckpointError
from minibert.kernels.protocol import Kernels
from minibert.kernels.segments import places_of
from minibert.pooling.modes import POOLINGS

__all__ = ["Pooling", "factors", "pool", "read_pooling"]

OLD_DIMENSION = "word_embedding_dimension"


class Pooling(NamedTuple):
    """One mode, or several side by side; without `include_prompt` [CLS] and prompt do not count."""

    pooling_mode: tuple[str, ...] = ("mean",)  # one or several, end to end in the vector
    embedding_dimension: int | None = None  # of a token's state; None is the BERT's
    include_prompt: bool = True  # False leaves out [CLS] and the prompt


def read_pooling(folder: Path, settings: dict[str, Any]) -> Pooling:
    """The names of the poolings and the dimension they expect, from old keys or new."""
    path = folder / "config.json"
    old_keys = {row.old_key: mode for mode, row in POOLINGS.items() if row.old_key}
    check_keys(
        path,
        settings,
        {*old_keys, "pooling_mode", "include_prompt", "embedding_dimension", OLD_DIMENSION},
    )
    modes = settings.get("pooling_mode")
    if modes is None:
        # The reference's order, whatever the order of the keys; none at all means the mean.
        modes = [mode for key, mode in old_keys.items() if settings.get(key)] or ["mean"]
    dimension = "embedding_dimension" if "embedding_dimension" in settings else OLD_DIMENSION
    return Pooling(
        pooling_mode=known_modes(path, modes),
        embedding_dimension=optional_count(path, settings, dimension),
        # Like the reference: what is missing is true, and null is not.
        include_prompt=setting(
            path, {"include_prompt": True, **settings}, "include_prompt", bool, False
        ),
    )


def known_modes(path: Path, modes: object) -> tuple[str, ...]:
    """One name of a pooling, or several, as a tuple. Raises CheckpointError for one of no row."""
    names = [modes] if isinstance(modes, str) else modes
    if not isinstance(names, list) or not names or not all(isinstance(mode, str) for mode in names):
        raise CheckpointError(f"{path}: pooling_mode is {names!r:.80}; expected a name or names.")
    if unknown := [mode for mode in names if mode not in POOLINGS]:
        raise CheckpointError(
            f"{path}: the pooling is {unknown[0]!r:.80}; minibert computes {', '.join(POOLINGS)}."
        )
    return tuple(names)


def pool(
    modes: Sequence[str], hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels
) -> Array:
    """Pool by one mode, or by several side by side: (N, D), (S,) -> (S, D * modes).

    The first `skipped` tokens of every text are left out: [CLS] and a prompt. Where that leaves no
    token the reference gives zeros, minus infinity for the largest, and for cls the first token.
    """
    left = np.maximum(lengths - skipped, 0)
    # A text with nothing left keeps its first token, so that no pooling meets an empty text.
    empty = np.flatnonzero(left == 0).tolist()
    if skipped:
        places = places_of(lengths)
        keep = (places >= skipped) | ((places == 0) & np.repeat(left == 0, lengths))
        hidden, lengths = kernels.rows_at(hidden, np.flatnonzero(keep)), np.maximum(left, 1)
    dimension = hidden.shape[1]
    vectors = kernels.empty(len(lengths), dimension * len(modes))
    for number, mode in enumerate(modes):
        row = POOLINGS[mode]
        columns = slice(number * dimension, (number + 1) * dimension)
        vectors[:, columns] = row.pool(hidden, lengths, skipped, kernels)
        for text in empty if row.empty is not None else ():
            vectors[text, columns] = row.empty
    return vectors


def factors(modes: Sequence[str], states: Array, skipped: int, kernels: Kernels) -> Array:
    """What `pool` multiplies the states of one text by, to sum them: (T, D) -> (T, D * modes).

    They are float64, and 0 for the `skipped` tokens.

    Raises ValueError for a pooling that is no such sum, and for a text of which none is left.
    """
    left = states[skipped:]
    if not len(left):
        raise ValueError(
            f"The pooling leaves out the prompt, which takes all {len(states)} tokens that the "
            "model reads. Use a shorter prompt, or a larger max_seq_length."
        )
    columns = []
    for mode in modes:
        row = POOLINGS[mode]
        if row.factors is None:
            raise ValueError(f"A vector pooled by {mode!r} is no sum over the tokens of its text.")
        columns.append(row.factors(row.pool, left, skipped, kernels))
    found: Array = np.pad(np.hstack(columns), ((skipped, 0), (0, 0)))
    return found
