"""Special tokens around a text: Frame, and frame_of, which finds those of a tokenizer.

The folder names them: see classes.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from minibert.common.arrays import IntArray
from minibert.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["Frame", "encodings_of", "frame_of"]


class Frame(NamedTuple):
    """Ids of the special tokens around a text, and around and between the texts of a pair."""

    single: tuple[list[int], ...] = ([], [])  # before, after
    pair: tuple[list[int], ...] = ([], [], [])  # before, between, after
    pair_types: tuple[int, ...] = (0, 0, 0, 1, 1)  # of before, first, between, second, after
    single_types: tuple[int, ...] = (0, 0, 0)  # of before, text, after

    def around(self, texts: int) -> tuple[list[int], ...]:
        """Special ids of a row with one text or with two, by their places."""
        return self.single if texts == 1 else self.pair

    def size(self, texts: int) -> int:
        """Number of special tokens in a row with one text or with two."""
        return sum(map(len, self.around(texts)))

    def row(self, parts: list[list[int]]) -> IntArray:
        """Ids of a text or a pair, with the special ones: one list or two -> (T,)."""
        before, *behind = self.around(len(parts))
        row = [*before]
        for part, special in zip(parts, behind, strict=True):
            row += part
            row += special
        return np.array(row, dtype=np.int64)

    def types(self, parts: list[list[int]]) -> IntArray:
        """Token types of the same row: (T,)."""
        before, *behind = self.around(len(parts))
        lengths = [len(before)]
        for part, special in zip(parts, behind, strict=True):
            lengths += [len(part), len(special)]
        types = self.single_types if len(parts) == 1 else self.pair_types
        return np.repeat(np.array(types, dtype=np.int64), lengths)


def frame_of(backend: Tokenizer) -> Frame:
    """Find the special tokens of a tokenizer, on one short text and on a pair.

    Raises CheckpointError for a tokenizer that does more than add special tokens.
    """
    try:
        word, ids = first_word(backend)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    single, pair = backend.encode(word), backend.encode(word, word)
    around, three = special_parts(single), special_parts(pair)
    whole: list[list[int]] = []
    if (len(around), len(three)) == (2, 3):
        whole += [around[0] + ids + around[1]]
        whole += [three[0] + ids + three[1] + ids + three[2]]
    if whole != [single.ids, pair.ids]:
        raise CheckpointError("The tokenizer's post_processor is not [special] text [special].")
    pair_types = types_of_parts(pair, [*map(len, (three[0], ids, three[1], ids))])
    single_types = types_of_parts(single, [len(around[0]), len(ids)])
    return Frame(tuple(around), tuple(three), pair_types, single_types)


def types_of_parts(encoding: Encoding, lengths: list[int]) -> tuple[int, ...]:
    """Type of each part, which is that of its first token: of all but the last the lengths.

    An empty part gets 0.
    """
    places = np.cumsum([0, *lengths]).tolist()
    types = encoding.type_ids
    return tuple(types[place] if place < len(types) else 0 for place in places)


def first_word(backend: Tokenizer) -> tuple[str, list[int]]:
    """Find a word that has tokens: -> the word, its ids. Raises ValueError without one."""
    (first,) = encodings_of(backend.encode_batch, ["a"])
    if first.ids:
        return "a", first.ids
    for word in backend.get_vocab(with_added_tokens=False):  # slow, and hardly ever needed
        (found,) = encodings_of(backend.encode_batch, [word])
        if found.ids:
            return word, found.ids
    raise ValueError("The folder's tokenizer makes no token of any word. See tokenizer.json.")


def special_parts(encoding: Encoding) -> list[list[int]]:
    """Special ids before, between and after the texts of a row."""
    parts: list[list[int]] = [[]]
    texts = encoding.sequence_ids  # None at a special token, else the number of its text
    for id, text, previous in zip(encoding.ids, texts, [None, *texts][:-1], strict=True):
        if text is None:
            parts[-1].append(id)
        elif text != previous:
            parts.append([])
    return parts


def encodings_of(encode: Callable[..., list[Encoding]], texts: list[str]) -> list[Encoding]:
    """Encode texts without special tokens; `encode` is a tokenizer's method that takes a list.

    Raises ValueError where that fails, as on a word without any token.
    """
    try:
        return encode(texts, add_special_tokens=False)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(
            f"The folder's tokenizer cannot split a text: {error}. See the model in tokenizer.json."
        ) from error
