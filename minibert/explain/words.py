"""A text as a model sees it: its words, its special tokens, where each stands. No scores.

Start at traced, then words_of.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, Protocol

from minibert.common.arrays import Array
from minibert.tokens.texts import Text
from minibert.tokens.tokenizer import Tokens
from minibert.tokens.truncation import OnLong

__all__ = ["Trace", "Traces", "Word", "place_of", "traced", "trimmed", "words_of"]


class Trace(Protocol):
    """A text on its way through a model, and the arrays that the model makes of it, by name."""

    @property
    def text(self) -> Text: ...  # with the prompt

    @property
    def tokens(self) -> Tokens: ...

    @property
    def prompt_length(self) -> int: ...  # the tokens of [CLS] and the prompt; 0 without a prompt

    def __getitem__(self, name: str, /) -> Array: ...


class Traces(Protocol):
    """A model that shows what it does with a text."""

    @property
    def on_long(self) -> OnLong: ...

    def trace(self, inputs: Text, keep: str = "*", *, task: str | None = None) -> Trace: ...


class Word(NamedTuple):
    """A word of a text, or a special token: some tokens side by side."""

    text: str  # as it stands in the text
    tokens: slice  # which of the text's
    is_special: bool  # True for [CLS], [SEP] and the like


def traced(model: Traces, text: str, task: str) -> Trace:
    """A text as the model sees it, with its token states when they are asked for."""
    if not isinstance(text, str):
        raise TypeError(
            f"The {task} is a {type(text).__name__} ({text!r:.40}); expected one text, a str."
        )
    trace = model.trace(text, keep="token_embeddings", task=task)
    if trace.tokens.cut and model.on_long == "window":
        raise ValueError(
            f"The {task} has {trace.tokens.cut} tokens above the maximum length, and this model "
            "reads it in windows, where a word is in several or in none alone. Set its on_long to "
            '"warn" or "ignore" for the score of the beginning.'
        )
    return trace


def words_of(text: str, tokens: Tokens) -> list[Word]:
    """The words of a text, and its special tokens each by itself, in order."""
    numbers = tokens.words
    starts = [
        place
        for place, number in enumerate(numbers)
        if place == 0 or number is None or number != numbers[place - 1]
    ]
    words = []
    for start, end in pairwise([*starts, len(numbers)]):
        is_special = numbers[start] is None
        first, last = tokens.offsets[start][0], tokens.offsets[end - 1][1]
        spoken = tokens.pieces[start] if is_special else text[first:last]
        words.append(Word(spoken, slice(start, end), is_special))
    return words


def trimmed(text: str, tokens: Tokens) -> Tokens:
    """The same tokens without the blanks around them, which a RoBERTa's have in front."""
    places = []
    for start, end in tokens.offsets:
        piece = text[start:end]
        start = end - len(piece.lstrip())
        places.append((start, start + len(piece.strip())))
    return tokens._replace(offsets=places)


def place_of(word: Word, offsets: list[tuple[int, int]]) -> tuple[int, int]:
    """Where a word stands in its text, by where the text's tokens stand: from, to."""
    there = offsets[word.tokens]
    return there[0][0], there[-1][1]
