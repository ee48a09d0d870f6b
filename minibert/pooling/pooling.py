"""Pooling: the token states of a text -> its vector, by one mode of `modes` or several.

Its settings, its computation and the way back, and the factor of each token in the vector. Start at
pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.common.json_files import check_keys, optional_count, setting
from minibert.errors import CheckpointError
from minibert.kernels.protocol import Kernels
from minibert.kernels.segments import places_of, texts_of
from minibert.pooling.modes import POOLINGS

__all__ = ["Pooling", "factors", "pool", "pool_gradient", "read_pooling", "written_pooling"]

OLD_DIMENSION = "word_embedding_dimension"


class PoolingFields(NamedTuple):
    """Fields of Pooling."""

    pooling_mode: tuple[str, ...]  # names in POOLINGS
    embedding_dimension: int | None  # of a token's state; None accepts any
    include_prompt: bool  # whether [CLS] and the prompt count


class Pooling(PoolingFields):
    """Settings of the pooling: one mode, or several side by side."""

    __slots__ = ()

    def __new__(
        cls,
        embedding_dimension: int | None = None,
        pooling_mode: str | Sequence[str] | None = None,
        include_prompt: bool = True,
        *,
        word_embedding_dimension: int | None = None,
        **flags: bool,
    ) -> Pooling:
        """Choose modes by their names in POOLINGS, or by the flags of older programs.

        `word_embedding_dimension` is the older name of the first argument. Flags are such as
        pooling_mode_cls_token=True, and count without `pooling_mode`. No mode is the mean.

        Raises ValueError for an unknown mode, TypeError for an unknown flag.
        """
        if unknown := flags.keys() - old_keys().keys():
            raise TypeError(f"Pooling() got {min(unknown)!r}; expected {', '.join(old_keys())}.")
        modes = modes_of_flags(flags) if pooling_mode is None else check_modes(pooling_mode)
        dimension = word_embedding_dimension if embedding_dimension is None else embedding_dimension
        return super().__new__(cls, modes, dimension, include_prompt)

    def __getnewargs__(self) -> tuple[Any, ...]:
        """Return the arguments of __new__ for copies and pickles."""
        return self.embedding_dimension, self.pooling_mode, self.include_prompt


def old_keys() -> dict[str, str]:
    """Return the flags of older settings, each with its mode, in the reference's order."""
    return {row.old_key: mode for mode, row in POOLINGS.items() if row.old_key}


def modes_of_flags(flags: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the modes whose flags are set, in the order of POOLINGS; the mean if none is."""
    return tuple(mode for key, mode in old_keys().items() if flags.get(key)) or ("mean",)


def read_pooling(folder: Path, settings: dict[str, Any]) -> Pooling:
    """Read the modes, the dimension they expect and include_prompt, from old keys or new."""
    path = folder / "config.json"
    check_keys(
        path,
        settings,
        {*old_keys(), "pooling_mode", "include_prompt", "embedding_dimension", OLD_DIMENSION},
    )
    modes = settings.get("pooling_mode")
    dimension = "embedding_dimension" if "embedding_dimension" in settings else OLD_DIMENSION
    return Pooling(
        pooling_mode=modes_of_flags(settings) if modes is None else known_modes(path, modes),
        embedding_dimension=optional_count(path, settings, dimension),
        # As in the reference: a missing include_prompt is true, null is false.
        include_prompt=setting(
            path, {"include_prompt": True, **settings}, "include_prompt", bool, False
        ),
    )


def known_modes(path: Path, modes: object) -> tuple[str, ...]:
    """Return one name of a mode, or several, as a tuple; CheckpointError for an unknown one."""
    try:
        return check_modes(modes)
    except ValueError as error:
        raise CheckpointError(f"{path}: {error}") from None


def check_modes(modes: object) -> tuple[str, ...]:
    """Return one name of a mode, or several, as a tuple; ValueError for an unknown one."""
    names = [modes] if isinstance(modes, str) else modes
    if (
        not isinstance(names, list | tuple)
        or not names
        or not all(isinstance(mode, str) for mode in names)
    ):
        raise ValueError(f"pooling_mode is {names!r:.80}; expected a name or names.")
    if unknown := [mode for mode in names if mode not in POOLINGS]:
        raise ValueError(
            f"the pooling is {unknown[0]!r:.80}; minibert computes {', '.join(POOLINGS)}."
        )
    return tuple(names)


def written_pooling(module: Pooling) -> dict[str, Any]:
    """Return the settings of a pooling for its config.json.

    They are flags, as all releases of sentence-transformers read them, unless the modes are in
    another order than that of the flags. Some releases take the mean if its flag is missing.
    """
    modes, dimension = module.pooling_mode, module.embedding_dimension
    flags = {key: True for key, mode in old_keys().items() if mode in modes}
    if modes != modes_of_flags(flags):
        return {"embedding_dimension": dimension, "pooling_mode": list(modes)}
    if "mean" not in modes:
        flags["pooling_mode_mean_tokens"] = False
    return {OLD_DIMENSION: dimension, **flags}


def pool(
    modes: Sequence[str], hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels
) -> Array:
    """Pool by one mode, or by several side by side: (N, D), (S,) -> (S, D * modes).

    The first `skipped` tokens of every text, [CLS] and a prompt, are left out. Where no token is
    left, the reference gives zeros, for "max" minus infinity, and for "cls" the first token.
    """
    left = tokens_left(lengths, skipped)
    if left.keep is not None:
        hidden = kernels.rows_at(hidden, np.flatnonzero(left.keep))
    dimension = hidden.shape[1]
    like = kernels.floats(hidden[:0])  # float32, or float64 in tests
    vectors = kernels.empty(len(lengths), dimension * len(modes), like)
    for mode, columns in columns_of(modes, dimension):
        row = POOLINGS[mode]
        vectors[:, columns] = row.pool(hidden, left.lengths, skipped, kernels)
        for text in left.empty if row.empty is not None else ():
            vectors[text, columns] = row.empty
    return vectors


def pool_gradient(
    modes: Sequence[str],
    gradient: Array,
    hidden: Array,
    lengths: IntArray,
    skipped: int,
    kernels: Kernels,
) -> Array:
    """Go back through `pool`: (S, D * modes), and the states that were pooled, -> (N, D).

    `gradient` is that of a loss by the vectors, and the result that by the states. Tokens that were
    left out have zeros, and so have all of a text whose vector is a constant.

    Raises ValueError for a mode without factors.
    """
    left = tokens_left(lengths, skipped)
    if left.keep is not None:
        hidden = kernels.rows_at(hidden, np.flatnonzero(left.keep))
    texts, by_states = texts_of(left.lengths), []
    for mode, columns in columns_of(modes, hidden.shape[1]):
        factor = mode_factors(mode, hidden, left.lengths, skipped, kernels)
        by_vectors = kernels.rows_at(gradient[:, columns], np.arange(len(lengths)))  # a copy
        for text in left.empty if POOLINGS[mode].empty is not None else ():
            by_vectors[text] = 0.0
        by_states.append(kernels.rows_at(by_vectors, texts) * factor)
    total: Array = sum(by_states[1:], start=by_states[0])
    if left.keep is None:
        return total
    places = np.maximum(np.cumsum(left.keep) - 1, 0)  # among the tokens that were kept
    spread: Array = kernels.rows_at(total, places) * kernels.floats(left.keep)[:, None]
    return spread


class Left(NamedTuple):
    """Tokens that a pooling does not leave out; of a text with none, its first."""

    keep: IntArray | None  # (N,), 1 for a token that is left, else 0; None if all are left
    lengths: IntArray  # (S,), of what is left of each text, from 1 up
    empty: list[int]  # numbers of the texts with no token left


def tokens_left(lengths: IntArray, skipped: int) -> Left:
    """Find the tokens that are left without the first `skipped` of each text: (S,) -> Left."""
    if not skipped:
        return Left(None, lengths, [])
    is_empty, places = lengths <= skipped, places_of(lengths)
    # A text with no token left keeps its first one: no mode accepts an empty text.
    keep = (places >= skipped) | ((places == 0) & np.repeat(is_empty, lengths))
    left = np.maximum(lengths - skipped, 1)
    return Left(keep.astype(int), left, np.flatnonzero(is_empty).tolist())


def columns_of(modes: Sequence[str], dimension: int) -> Iterator[tuple[str, slice]]:
    """Walk modes side by side: the name of each, and its columns in a vector."""
    for number, mode in enumerate(modes):
        yield mode, slice(number * dimension, (number + 1) * dimension)


def factors(modes: Sequence[str], states: Array, skipped: int, kernels: Kernels) -> Array:
    """Find factors by which `pool` sums the states of one text: (T, D) -> (T, D * modes), float64.

    The first `skipped` tokens have the factor 0.

    Raises ValueError for a mode that is no such sum, and for a text with no token left.
    """
    left = states[skipped:]
    if not len(left):
        raise ValueError(
            f"The pooling leaves out the prompt, which takes all {len(states)} tokens that the "
            "model reads. Use a shorter prompt, or a larger max_seq_length."
        )
    columns = [
        np.broadcast_to(
            mode_factors(mode, left, np.array([len(left)]), skipped, kernels), left.shape
        )
        for mode in modes
    ]
    found: Array = np.pad(np.hstack(columns).astype(np.float64), ((skipped, 0), (0, 0)))
    return found


def mode_factors(
    mode: str, hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels
) -> Array:
    """Find the factors of one mode: (N, D), (S,) -> (N, D) or (N, 1). ValueError without any."""
    row = POOLINGS[mode]
    if row.factors is None:
        raise ValueError(
            f"A vector pooled by {mode!r} is no sum over the tokens of its text, so it can neither "
            "be explained nor trained."
        )
    return row.factors(row.pool, hidden, lengths, skipped, kernels)
