"""Texts -> token ids, with the `tokenizers` library. Truncation is done here, and counted.

A tokenizer never changes after it is made, so threads may share it. `vocabulary.py` makes it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from minibert.arrays import IntArray

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Cut", "OnLong", "TextTokenizer", "check_texts", "text_windows"]

logger = logging.getLogger(__name__)

OnLong = Literal["warn", "error", "ignore"]

# WordPiece gives one [UNK] for a longer word, whatever it is.
LONGEST_WORD = 100
# How many texts, or characters of texts, are held as tokens at a time.
WINDOW_TEXTS = 4096
WINDOW_CHARACTERS = 4_000_000


@dataclass(frozen=True)
class Cut:
    """How many texts lost tokens, and how long the longest was before."""

    texts: int = 0
    longest: int = 0
    # False where counting tokens would cost more than the work: then `longest` is in characters.
    in_tokens: bool = True

    def __add__(self, other: Cut) -> Cut:
        # A text too long to be counted in tokens is longer than any that was.
        if self.in_tokens == other.in_tokens:
            longest, in_tokens = max(self.longest, other.longest), self.in_tokens
        else:
            longest, in_tokens = (other if self.in_tokens else self).longest, False
        return Cut(self.texts + other.texts, longest, in_tokens)

    def report(self, texts: int, limit: int, on_long: OnLong) -> None:
        """Say what was cut, once: a warning in the log, or ValueError for on_long="error"."""
        if not self.texts or on_long == "ignore":
            return
        unit = "tokens" if self.in_tokens else "characters"
        message = (
            f"{self.texts} of {texts} texts were longer than {limit} tokens and lost their ends; "
            f"the longest had {self.longest} {unit}."
        )
        if on_long == "error":
            raise ValueError(f'{message} Split them, or pass on_long="warn" or "ignore".')
        logger.warning("%s", message)


def check_on_long(on_long: str) -> None:
    """Raise ValueError for a word that is none of OnLong's."""
    if on_long not in get_args(OnLong):
        expected = ", ".join(map(repr, get_args(OnLong)))
        raise ValueError(f"on_long is {on_long!r}; expected one of {expected}.")


def check_texts(texts: Sequence[object]) -> None:
    """Raise TypeError, naming the first, if not every text is a str that UTF-8 can hold."""
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"Text {index} of {len(texts)} is a {type(text).__name__} ({text!r:.40}). "
                "Every text must be a str; an empty one is allowed."
            )
        if not text.isascii():
            check_surrogates(text, index, len(texts))


def check_surrogates(text: str, index: int, count: int) -> None:
    """Raise ValueError if a text holds half of a surrogate pair, which is no character."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Text {index} of {count} has a lone surrogate, {text[error.start]!r}, at character "
            f"{error.start}. It was decoded wrongly; decode it again, for example with "
            'errors="replace".'
        ) from None


def text_windows(texts: Sequence[str]) -> Iterator[slice]:
    """Cut a list into stretches of some thousand texts, so that memory does not grow with it."""
    start, characters = 0, 0
    for end, text in enumerate(texts):
        full = end - start == WINDOW_TEXTS or characters + len(text) > WINDOW_CHARACTERS
        if full and end > start:
            yield slice(start, end)
            start, characters = end, 0
        characters += len(text)
    if start < len(texts):
        yield slice(start, len(texts))


class TextTokenizer:
    """Turns texts into ids: [CLS], the pieces of the text, [SEP]."""

    def __init__(
        self, backend: Tokenizer, *, max_length: int, pad_id: int, padding_side: str
    ) -> None:
        """`max_length` is the most tokens of a text, [CLS] and [SEP] among them."""
        self.backend = backend
        self.max_length = max_length
        self.pad_id = pad_id
        self.padding_side = padding_side
        added = [token.content for token in backend.get_added_tokens_decoder().values()]
        self._longest_added = max(map(len, added), default=0)
        self._squeezes = not any(re.search(WORD_EDGE, token) for token in added)

    def ids(self, texts: Sequence[str], limit: int | None) -> tuple[list[IntArray], Cut]:
        """The ids of each text, at most `limit` of them, and what was cut off.

        [CLS] and [SEP] count and stay. A limit below 2 cuts nothing, like the reference's.
        """
        limit = limit if limit is not None and limit >= 2 else None
        heads = [text if limit is None else self.head(text, limit) for text in texts]
        encodings = self.backend.encode_batch_fast(heads, add_special_tokens=True)
        ids: list[IntArray] = []
        cut = Cut()
        for text, head, encoding in zip(texts, heads, encodings, strict=True):
            row = np.array(encoding.ids, dtype=np.int64)
            if limit is not None and len(row) > limit:
                whole = len(head) == len(text)
                cut += Cut(1, len(row) if whole else len(text), in_tokens=whole)
                row = np.concatenate([row[: limit - 1], row[-1:]])
            ids.append(row)
        return ids, cut

    def head(self, text: str, limit: int) -> str:
        """The beginning of a text, if it is surely enough for its first `limit` tokens.

        A text of 10 MB would take seconds and hundreds of megabytes to tokenise, for a few hundred
        tokens. Its beginning has the same tokens as the whole, but for the last word and an added
        token that the end may have split. So it is enough when it has that many tokens to spare.
        """
        spare = LONGEST_WORD + self._longest_added
        characters = (LONGEST_WORD + 2) * (limit + spare)
        if len(text) <= characters:
            return text
        while characters < len(text):
            head = self.squeeze(text[:characters])
            if len(self.backend.encode_batch_fast([head])[0].ids) > limit + spare:
                return head
            characters *= 4
        return self.squeeze(text)

    def squeeze(self, text: str) -> str:
        """Shorten endless words, blanks and control characters; the tokens stay the same.

        A word above LONGEST_WORD is one [UNK] however long, blanks only separate, and control
        characters are dropped.
        """
        if not self._squeezes:
            return text
        for part_of_word in (LETTER, PICTURE, MARK):
            endless = f"{part_of_word}{{{LONGEST_WORD + 2},}}"
            text = re.sub(endless, lambda run: run[0][: LONGEST_WORD + 1], text)
        return re.sub(BLANKS, first_character, re.sub(CONTROLS, first_character, text))


# Letters and digits that stay within one word: all but the Chinese ones, each a word of its own.
LETTER = r"[^\W_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]"
# What else stays within a word: arrows, boxes and pictures, and accents that stand alone. Each is
# shortened by itself, for of a mixed run an uncased model would drop the accents.
PICTURE = r"[\u2190-\u21ff\u2500-\u26ff\U0001f300-\U0001faff]"
MARK = r"[\u0300-\u036f]"
# Patterns, and not yet compiled: that would take a tenth of the time of the whole import.
BLANKS = r"[ \t\n\r\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{2,}"
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b-\u200f\ufeff\ufffd]{2,}"
# An added token that matches this could lie across a shortened run, so then none is shortened.
WORD_EDGE = (
    rf"\A{LETTER}|{LETTER}\Z|{PICTURE}|{MARK}|[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\ufeff\ufffd]"
)


def first_character(run: re.Match[str]) -> str:
    """What is left of a run of blanks or control characters."""
    return run[0][0]
