"""Result of a tokenizer's call under transformers' names: a dict, its attributes, and its words.

Start at BatchEncoding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = ["BatchEncoding", "Span"]

Values = TypeVar("Values")


class Span(NamedTuple):
    """Place of some characters of a text, or of some tokens of a row."""

    start: int  # the first one
    end: int  # behind the last one


class BatchEncoding(dict[str, Values], Generic[Values]):
    """Tokens of S rows by name, as "input_ids"; each name is an attribute, too.

    The values are arrays, tensors, lists for several texts, or a list for one text. `encodings` are
    those of the `tokenizers` library, a row each; a number as key is short for one of them. The
    methods that look a place up take the number of a row and the place in it, or the place alone,
    in row 0.
    """

    def __init__(self, values: Mapping[str, Values], encodings: Sequence[Encoding] = ()) -> None:
        """Take the values by name, and the encodings that they were made of."""
        super().__init__(values)
        self._encodings = list(encodings)

    def __getattr__(self, name: str) -> Values:
        if name.startswith("_") or name not in self:
            raise AttributeError(f"There is no {name!r}; there are {', '.join(self)}.")
        return self[name]

    @overload
    def __getitem__(self, key: str, /) -> Values: ...
    @overload
    def __getitem__(self, key: int, /) -> Encoding: ...
    @overload
    def __getitem__(self, key: slice, /) -> list[Encoding]: ...
    def __getitem__(self, key: Any, /) -> Any:  # see the overloads
        return self._encodings[key] if isinstance(key, int | slice) else super().__getitem__(key)

    @property
    def data(self) -> dict[str, Values]:
        """Values by name, as a plain dict."""
        return dict(self)

    @property
    def encodings(self) -> list[Encoding]:
        """Encodings of the `tokenizers` library, a row each."""
        return self._encodings

    @property
    def is_fast(self) -> bool:
        """Always True: the `tokenizers` library split the texts."""
        return True

    @property
    def n_sequences(self) -> int | None:
        """Number of texts in a row: 1, or 2 of a pair; None without any row."""
        return self._encodings[0].n_sequences if self._encodings else None

    def to(self, device: object = None) -> BatchEncoding[Values]:
        """Return this result itself: models move arrays, and tensors of the CPU, by themselves."""
        return self

    def tokens(self, batch_index: int = 0) -> list[str]:
        """Tokens of a row, as texts."""
        return self._encodings[batch_index].tokens

    def word_ids(self, batch_index: int = 0) -> list[int | None]:
        """Numbers of the words that the tokens of a row belong to; None for a special token."""
        return self._encodings[batch_index].word_ids

    def sequence_ids(self, batch_index: int = 0) -> list[int | None]:
        """Numbers of the texts of a row, 0 or 1, of each token; None for a special token."""
        return self._encodings[batch_index].sequence_ids

    def token_to_sequence(self, row: int, token: int | None = None) -> int | None:
        """Return the number of a token's text in its row; None for a special token."""
        encoding, token = self._place(row, token)
        return encoding.token_to_sequence(from_end(token, encoding))

    def token_to_word(self, row: int, token: int | None = None) -> int | None:
        """Return the number of a token's word; None for a special token."""
        encoding, token = self._place(row, token)
        return encoding.token_to_word(from_end(token, encoding))

    def token_to_chars(self, row: int, token: int | None = None) -> Span | None:
        """Return the place of a token in its text; None for a special token."""
        encoding, token = self._place(row, token)
        return span_of(encoding.token_to_chars(token))

    def char_to_token(
        self, row: int, character: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the number of the token that a text's character belongs to; None for a blank."""
        encoding, character = self._place(row, character)
        return encoding.char_to_token(character, sequence_index)

    def char_to_word(
        self, row: int, character: int | None = None, sequence_index: int = 0
    ) -> int | None:
        """Return the number of the word that a text's character belongs to; None for a blank."""
        encoding, character = self._place(row, character)
        return encoding.char_to_word(character, sequence_index)

    def word_to_tokens(
        self, row: int, word: int | None = None, sequence_index: int = 0
    ) -> Span | None:
        """Return the place of a word's tokens in its row; None for a word without tokens."""
        encoding, word = self._place(row, word)
        return span_of(encoding.word_to_tokens(word, sequence_index))

    def word_to_chars(
        self, row: int, word: int | None = None, sequence_index: int = 0
    ) -> Span | None:
        """Return the place of a word in its text; None for a word without tokens."""
        encoding, word = self._place(row, word)
        return span_of(encoding.word_to_chars(word, sequence_index))

    def _place(self, row: int, place: int | None) -> tuple[Encoding, int]:
        """Return the encoding and the place that two numbers mean, or one number."""
        return (self._encodings[0], row) if place is None else (self._encodings[row], place)


def from_end(token: int, encoding: Encoding) -> int:
    """Return the number of a token; one below 0 counts from the end."""
    return token + len(encoding.ids) if token < 0 else token


def span_of(found: tuple[int, int] | None) -> Span | None:
    """Return two numbers as a Span; None without them."""
    return Span(*found) if found else None
