"""A text as a model reads it: its words, its special tokens, the place of each. No scores.

Start at traced, then words_of.
"""

from __future__ import annotations

from itertools import pairwise
from typing import NamedTuple, Protocol

from minibert.common.arguments import type_of
from minibert.common.arrays import Array
from minibert.tokens.texts import Text
from minibert.tokens.tokenizer import Tokens
from minibert.tokens.truncation import OnLong

__all__ = ["Trace", "Traces", "Word", "place_of", "traced", "trimmed", "words_of"]


class Trace(Protocol):
    """A text and the arrays of its forward pass, by name."""

    @property
    def text(self) -> Text: ...  # with the prompt

    @property
    def tokens(self) -> Tokens: ...

    @property
    def prompt_length(self) -> int: ...  # the tokens of [CLS] and the prompt; 0 without a prompt

    def __getitem__(self, name: str, /) -> Array: ...


class Traces(Protocol):
    """A model that can trace a text."""

    @property
    def on_long(self) -> OnLong: ...

    def trace(self, inputs: Text, keep: str = "*", *, task: str | None = None) -> Trace: ...


class Word(NamedTuple):
    """A word of a text, or a special token: one or more tokens side by side."""

    text: str  # as it stands in the text; a special token as the vocabulary spells it
    tokens: slice  # its places among the tokens of the text
    is_special: bool  # whether it is a special token, as [CLS]


def traced(model: Traces, text: str, task: str) -> Trace:
    """Trace a text, keeping the states of its tokens."""
    if not isinstance(text, str):
        raise TypeError(f"The {task} is {type_of(text)} ({text!r:.40}); expected one text, a str.")
    trace = model.trace(text, keep="token_embeddings", task=task)
    if trace.tokens.truncated and model.on_long == "window":
        raise ValueError(
            f"The {task} has {trace.tokens.truncated} tokens above the maximum length, and this "
            "model reads it in windows, where a word can be in several. Set its on_long to "
            '"warn" or "ignore" for the score of the beginning.'
        )
    return trace


def words_of(text: str, tokens: Tokens) -> list[Word]:
    """Return the words of a text in order, with each special token as a word."""
    numbers = tokens.word_ids
    starts = [
        place
        for place, number in enumerate(numbers)
        if place == 0 or number is None or number != numbers[place - 1]
    ]
    words = []
    for start, end in pairwise([*starts, len(numbers)]):
        is_special = numbers[start] is None
        first, last = tokens.offsets[start][0], tokens.offsets[end - 1][1]
        spoken = tokens.tokens[start] if is_special else text[first:last]
        words.append(Word(spoken, slice(start, end), is_special))
    return words


def trimmed(text: str, tokens: Tokens) -> Tokens:
    """Leave out the blanks around each token; those of a RoBERTa have one in front."""
    places = []
    for start, end in tokens.offsets:
        token = text[start:end]
        start = end - len(token.lstrip())
        places.append((start, start + len(token.strip())))
    return tokens._replace(offsets=places)


def place_of(word: Word, offsets: list[tuple[int, int]]) -> tuple[int, int]:
    """Return the start and the end of a word in its text, by the `offsets` of the tokens."""
    there = offsets[word.tokens]
    return there[0][0], there[-1][1]
