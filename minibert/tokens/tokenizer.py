"""Texts -> rows of token ids, with the `tokenizers` library. Truncation is done here, and counted.

The vocabulary of a tokenizer never changes, so threads may share it. `load.py` makes tokenizers.
Start at TextTokenizer.rows.
"""

from __future__ import annotations

import copy
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minibert.common.arrays import IntArray
from minibert.tokens.special_tokens import Frame, encodings_of, frame_of
from minibert.tokens.texts import Text, characters_of
from minibert.tokens.truncation import Truncation, truncated_lengths

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = ["Encode", "Rows", "TextTokenizer", "Tokens"]

# WordPiece gives one [UNK] for any longer word.
LONGEST_WORD = 100


class Rows(NamedTuple):
    """Tokens of S texts, a row each, with the special ones."""

    ids: list[IntArray]  # S of (T,)
    types: list[IntArray] | None  # S of (T,): 0, and 1 for a pair's second text; None is all 0
    is_truncated: list[bool]  # S: True for a text that lost tokens
    truncation: Truncation  # number of truncated texts, and the longest length


class Tokens(NamedTuple):
    """Tokens of one text as a model sees them, and the number of those that it does not see.

    The fields are named as in the `tokenizers` library.
    """

    ids: list[int]  # numbers in the vocabulary, special tokens among them
    tokens: list[str]  # the same tokens as texts
    offsets: list[tuple[int, int]]  # a token is text[start:end]; a special token has (0, 0)
    truncated: int  # number of the text's tokens above the limit, which are left out
    word_ids: list[int | None]  # a token's word, from 0 in each text; None for a special token


class Encode(NamedTuple):
    """Settings of the library for TextTokenizer.encodings."""

    max_length: int  # in tokens, of truncation and padding
    truncation: str | None = None  # "longest_first", "only_first" or "only_second"; None for none
    stride: int = 0  # tokens that a row has in common with the one before
    padding: str | None = None  # "longest" or "max_length"; None for none
    multiple: int | None = None  # of which a padded length is one
    padding_side: str = "right"  # or "left"
    special: bool = True  # whether special tokens are added
    is_split: bool = False  # whether texts are lists of words


class TextTokenizer:
    """Turns texts into ids: for a BERT [CLS], the tokens of the text, [SEP]."""

    def __init__(
        self,
        backend: Tokenizer,
        *,
        special_tokens: dict[str, str],
        extra_special_tokens: Sequence[str] = (),
        max_length: int,
        padding_side: str,
        truncation_side: str,
        input_names: tuple[str, ...],
        splits_as_bert: bool,
        trims_offsets: bool = False,
    ) -> None:
        """Wrap a tokenizer of the `tokenizers` library.

        `special_tokens` are by name, as "cls_token"; the extra ones have no name. `max_length` is
        the limit in tokens, special ones among them. `input_names` say whether there are token
        types. `splits_as_bert` is False where a text may be split in any other way than a BERT's.
        `trims_offsets` leaves blanks out of the offsets of `encodings`.
        """
        self.backend = backend
        self._trims_offsets = trims_offsets
        self._second: Tokenizer | None = None  # for `encodings`, which changes its settings
        self._second_in_use = threading.Lock()
        self.special_tokens = special_tokens
        self.max_length = max_length  # in tokens; programs may set it
        self.padding_side = padding_side  # "left" or "right"
        self.truncation_side = truncation_side  # "left" or "right"
        self.input_names = input_names  # arrays of pad_rows, under transformers' names
        self.frame = frame_of(backend)  # special tokens around texts
        added = backend.get_added_tokens_decoder().values()
        # transformers' all_special_ids, which lack some of the tokens that are marked as special.
        special = dict.fromkeys([*special_tokens.values(), *extra_special_tokens])
        ids = [backend.token_to_id(text) for text in special]
        self.special_ids: list[int] = [id for id in ids if id is not None]
        self._longest_added = max((len(token.content) for token in added), default=0)
        self._splits_as_bert = splits_as_bert
        self._squeezes = not any(re.search(WORD_EDGE, token.content) for token in added)

    @property
    def pad_id(self) -> int:
        """Id of the padding."""
        return self.backend.token_to_id(self.special_tokens.get("pad_token", "")) or 0

    def rows(
        self,
        texts: Sequence[Text],
        limit: int | None,
        *,
        special: bool = True,
        side: str | None = None,
        max_second: int | None = None,
    ) -> Rows:
        """Tokenise texts, and truncate each to `limit` tokens; None for no limit.

        Special tokens count and stay; with special=False there are none. A limit below their
        number truncates nothing, as in the reference. Of a pair the longer text is truncated first.
        A long text loses its tokens at its `side`, "left" or "right"; None is `truncation_side`.
        Of a pair's second text at most the first `max_second` tokens are taken; those behind do not
        count as truncated.
        """
        frame, side = self.frame if special else Frame(), side or self.truncation_side
        prefixes = [self._prefixes(text, limit, side) for text in texts]
        parts = [part for prefix in prefixes for part in prefix]
        encodings = iter(encodings_of(self.backend.encode_batch_fast, parts))
        has_types = "token_type_ids" in self.input_names and (
            len(parts) > len(texts) or any(frame.single_types)
        )
        rows, types, is_truncated, truncation = [], [], [], Truncation()
        for text, prefix in zip(texts, prefixes, strict=True):
            ids = [next(encodings).ids for _ in prefix]
            ids[1:] = [second[:max_second] for second in ids[1:]]
            kept = self._kept(ids, limit, frame, side)
            rows.append(frame.row(kept))
            if has_types:
                types.append(frame.types(kept))
            lost = sum(map(len, ids)) - sum(map(len, kept))
            is_truncated.append(lost > 0)
            if lost:
                whole = characters_of(text) == sum(map(len, prefix))
                length = len(rows[-1]) + lost if whole else characters_of(text)
                truncation += Truncation(1, length, in_tokens=whole)
        return Rows(rows, types if has_types else None, is_truncated, truncation)

    def _kept(self, parts: list[Any], limit: int | None, frame: Frame, side: str) -> list[Any]:
        """Truncate the tokens of a text or a pair: `parts` has one list or two."""
        if limit is None or limit < frame.size(len(parts)):
            return parts
        lengths = truncated_lengths([len(part) for part in parts], limit - frame.size(len(parts)))
        if side == "left":
            return [part[len(part) - length :] for part, length in zip(parts, lengths, strict=True)]
        return [part[:length] for part, length in zip(parts, lengths, strict=True)]

    def encodings(self, texts: Sequence[Any], how: Encode) -> list[Encoding]:
        """Tokenise, truncate and pad texts as transformers does: by the library alone.

        A text is a str, a pair of str, or with `how.is_split` a list of words or a pair of such.
        The library's settings are those of a second tokenizer, made by the first call.

        Raises ValueError for a text that cannot be split, or truncated so.
        """
        room = how.max_length - (self.frame.size(1) if how.special else 0)
        if how.truncation is not None and 0 < room <= how.stride:
            raise ValueError(
                f"stride is {how.stride}; it must be below {room}, the tokens of a text in "
                f"max_length ({how.max_length})."
            )
        with self._second_in_use:
            second = self._second = self._second or self._copied()
            try:
                self._set(second, how)
                return second.encode_batch(
                    texts, is_pretokenized=how.is_split, add_special_tokens=how.special
                )
            except BaseException as error:
                # The library raises nothing narrower, and for some lengths it panics.
                panics = type(error).__name__ == "PanicException"
                if not panics and not isinstance(error, Exception):
                    raise
                self._second = None
                raise ValueError(
                    f"The folder's tokenizer cannot split a text, or truncate it so: {error}. See "
                    "truncation, max_length and stride, and the model in tokenizer.json."
                ) from error

    def _copied(self) -> Tokenizer:
        """Copy the tokenizer of the library; where the class does so, it then trims offsets."""
        copied = copy.deepcopy(self.backend)
        if self._trims_offsets:
            from tokenizers import processors  # late, as all of the library

            trim = processors.ByteLevel(
                add_prefix_space=copied.pre_tokenizer.add_prefix_space, trim_offsets=True
            )
            copied.post_processor = processors.Sequence([trim, copied.post_processor])
        return copied

    def _set(self, backend: Tokenizer, how: Encode) -> None:
        """Give a tokenizer of the library the settings of a call."""
        backend.encode_special_tokens = self.backend.encode_special_tokens
        backend.no_truncation()
        backend.no_padding()
        if how.truncation is not None:
            backend.enable_truncation(
                how.max_length, stride=how.stride, strategy=how.truncation,
                direction=self.truncation_side,
            )  # fmt: skip
        if how.padding is not None:
            backend.enable_padding(
                direction=how.padding_side, pad_id=self.pad_id,
                pad_token=self.special_tokens["pad_token"],
                length=how.max_length if how.padding == "max_length" else None,
                pad_to_multiple_of=how.multiple,
            )  # fmt: skip

    def tokens(self, text: Text, limit: int | None) -> Tokens:
        """Tokenise one text as the model sees it. Every token above `limit` is counted."""
        parts = [text] if isinstance(text, str) else list(text)
        encodings = encodings_of(self.backend.encode_batch, parts)
        tokens: list[Any] = [
            list(zip(e.ids, e.tokens, e.offsets, e.word_ids, strict=True)) for e in encodings
        ]
        kept = self._kept(tokens, limit, self.frame, self.truncation_side)
        before, *behind = [
            [(id, self.backend.id_to_token(id), (0, 0), None) for id in special]
            for special in self.frame.around(len(parts))
        ]
        found: list[Any] = [*before]
        for part, special in zip(kept, behind, strict=True):
            found += [*part, *special]
        ids, texts, offsets, word_ids = ([token[field] for token in found] for field in range(4))
        return Tokens(ids, texts, offsets, sum(map(len, tokens)) - sum(map(len, kept)), word_ids)

    def windows(self, text: str, prompt: str, limit: int, overlap: int) -> list[IntArray]:
        """Split a long text into rows of at most `limit` tokens, each with the prompt first.

        Every row but the last is full. Its last `overlap` tokens of the text come again in the next
        row, after the prompt.

        Raises ValueError if the prompt leaves no room.
        """
        encodings = encodings_of(self.backend.encode_batch_fast, [prompt, text])
        before, ids = (encoding.ids for encoding in encodings)
        room = limit - self.frame.size(1) - len(before)
        if room <= overlap:
            raise ValueError(
                f"The prompt has {len(before)} tokens, which leaves {room} of {limit} for a text; "
                f"windows that overlap by {overlap} need more."
            )
        starts = range(0, max(1, len(ids) - overlap), room - overlap)
        return [self.frame.row([[*before, *ids[start : start + room]]]) for start in starts]

    def _prefixes(self, text: Text, limit: int | None, side: str) -> list[str]:
        """Prefixes of a text, or of both of a pair, with the same tokens within `limit`."""
        parts = [text] if isinstance(text, str) else list(text)
        is_enough = self._splits_as_bert and side == "right"
        if limit is None or limit < self.frame.size(len(parts)) or not is_enough:
            return parts
        prefixes = [self._prefix(part, limit) for part in parts]
        # Of two long texts the longer loses more tokens, so both lengths must be known.
        if len(prefixes) == 2 and all(
            len(short) < len(part) for short, part in zip(prefixes, parts, strict=True)
        ):
            return [self.squeeze(part) for part in parts]
        return prefixes

    def _prefix(self, text: str, limit: int) -> str:
        """Prefix of a text that is surely enough for its first `limit` tokens.

        A text of 10 MB would take seconds and hundreds of megabytes to tokenise, for a few hundred
        tokens. The prefix has the tokens of the whole text, except at its end: there a word or an
        added token may be split. So a prefix is enough if it has enough tokens to spare.
        """
        spare = LONGEST_WORD + self._longest_added
        characters = (LONGEST_WORD + 2) * (limit + spare)
        if len(text) <= characters:
            return text
        while characters < len(text):
            prefix = self.squeeze(text[:characters])
            (encoding,) = encodings_of(self.backend.encode_batch_fast, [prefix])
            if len(encoding.ids) > limit + spare:
                return prefix
            characters *= 4
        return self.squeeze(text)

    def squeeze(self, text: str) -> str:
        """Shorten endless words, blanks and control characters; the tokens stay the same.

        A word above LONGEST_WORD is one [UNK] of any length. Blanks only separate words. Control
        characters are dropped.
        """
        if not self._squeezes:
            return text
        for separators in (CONTROLS, BLANKS):
            text = re.sub(separators, first_character, text)
        for part_of_word in (LETTER, PICTURE, MARK):
            endless = f"{part_of_word}{{{LONGEST_WORD + 2},}}"
            text = re.sub(endless, lambda found: found[0][: LONGEST_WORD + 1], text)
        return text


# Letters and digits of one word: all but the Chinese ones, each of which is a word of its own.
LETTER = r"[^\W_\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0002fa1f]"
# Other characters of one word: arrows, boxes and pictures, and accents that stand alone. Each kind
# is shortened by itself, because an uncased model drops the accents of a mixed sequence.
PICTURE = r"[\u2190-\u21ff\u2500-\u26ff\U0001f300-\U0001faff]"
MARK = r"[\u0300-\u036f]"
# Patterns as text: to compile them here would take a tenth of the time of the whole import.
BLANKS = r"[ \t\n\r\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000]{2,}"
CONTROLS = r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\xad\u200b-\u200f\ufeff\ufffd]{2,}"
# An added token that matches this could lie across a shortened sequence; then none is shortened.
WORD_EDGE = (
    rf"\A{LETTER}|{LETTER}\Z|{PICTURE}|{MARK}|[\s\x00-\x1f\x7f-\x9f\xad\u200b-\u200f\ufeff\ufffd]"
)


def first_character(found: re.Match[str]) -> str:
    """Replace several blanks or control characters by the first of them."""
    return found[0][0]
