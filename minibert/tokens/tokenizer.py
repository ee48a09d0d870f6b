"""Texts -> rows of token ids, with the `tokenizers` library. Truncation is done here, and counted.

A tokenizer's vocabulary never changes after it is made, so threads may share it. `load.py` makes
it. Start at TextTokenizer.rows.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from minibert.common.arrays import IntArray
from minibert.tokens.special_tokens import Frame, encodings_of, frame_of
from minibert.tokens.texts import Text, characters_of
from minibert.tokens.truncation import Cut, shares

if TYPE_CHECKING:
    from tokenizers import Tokenizer

__all__ = ["Rows", "TextTokenizer", "Tokens"]

# WordPiece gives one [UNK] for a longer word, whatever it is.
LONGEST_WORD = 100


class Rows(NamedTuple):
    """The tokens of S texts, a row each, with the special ones."""

    ids: list[IntArray]  # S of (T,)
    types: list[IntArray] | None  # the same: 0, and 1 for a pair's second text; None is all 0
    is_cut: list[bool]  # which lost tokens
    cut: Cut


class Tokens(NamedTuple):
    """What a model sees of a text, token by token, and how much it does not see."""

    ids: list[int]  # of the tokens, in their order
    pieces: list[str]  # as the vocabulary has them
    # Where each piece stands in the text: text[start:end]. A special token stands nowhere, (0, 0).
    offsets: list[tuple[int, int]]
    cut: int  # how many tokens of the text fall off the end
    # Which word of the text a piece is of, counted from 0; of a pair's second text again from 0.
    words: list[int | None]


class TextTokenizer:
    """Turns texts into ids: for a BERT [CLS], the pieces of the text, [SEP]."""

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
    ) -> None:
        """`special_tokens` are by name, as "cls_token"; the extra ones have none. `max_length` is
        the most tokens of a text, special ones among them; `input_names` say whether there are
        token types. Without `splits_as_bert` nothing is known of how the backend splits a text.
        """
        self.backend = backend
        self.special_tokens = special_tokens
        self.max_length = max_length
        self.padding_side = padding_side
        self.truncation_side = truncation_side
        self.input_names = input_names
        self.frame = frame_of(backend)
        added = backend.get_added_tokens_decoder().values()
        # transformers' all_special_ids: not every token that is marked as special is among them.
        special = dict.fromkeys([*special_tokens.values(), *extra_special_tokens])
        ids = [backend.token_to_id(text) for text in special]
        self.special_ids: list[int] = [id for id in ids if id is not None]
        self._longest_added = max((len(token.content) for token in added), default=0)
        self._beginnings_do = splits_as_bert and truncation_side == "right"
        self._squeezes = not any(re.search(WORD_EDGE, token.content) for token in added)

    @property
    def pad_id(self) -> int:
        """The id that fills up a row."""
        return self.backend.token_to_id(self.special_tokens.get("pad_token", "")) or 0

    def rows(self, texts: Sequence[Text], limit: int | None, *, special: bool = True) -> Rows:
        """The tokens of each text, at most `limit` of them, and what was cut off.

        Special tokens count and stay, or are left out altogether. A limit below their number cuts
        nothing, like the reference's. Of a pair the longer text is cut first.
        """
        frame = self.frame if special else Frame()
        heads = [self.heads(text, limit) for text in texts]
        parts = [part for head in heads for part in head]
        encodings = iter(encodings_of(self.backend.encode_batch_fast, parts))
        has_types = "token_type_ids" in self.input_names and len(parts) > len(texts)
        rows, types, is_cut, cut = [], [], [], Cut()
        for text, head in zip(texts, heads, strict=True):
            pieces = [next(encodings).ids for _ in head]
            kept = self.kept(pieces, limit, frame)
            rows.append(frame.row(kept))
            if has_types:
                types.append(frame.types(kept))
            lost = sum(map(len, pieces)) - sum(map(len, kept))
            is_cut.append(lost > 0)
            if lost:
                whole = characters_of(text) == sum(map(len, head))
                length = len(rows[-1]) + lost if whole else characters_of(text)
                cut += Cut(1, length, in_tokens=whole)
        return Rows(rows, types if has_types else None, is_cut, cut)

    def kept(self, pieces: list[Any], limit: int | None, frame: Frame) -> list[Any]:
        """What is left of a text's pieces, or of a pair's, under a limit."""
        if limit is None or limit < frame.size(len(pieces)):
            return pieces
        lengths = shares([len(part) for part in pieces], limit - frame.size(len(pieces)))
        if self.truncation_side == "left":
            return [
                part[len(part) - length :] for part, length in zip(pieces, lengths, strict=True)
            ]
        return [part[:length] for part, length in zip(pieces, lengths, strict=True)]

    def tokens(self, text: Text, limit: int | None) -> Tokens:
        """The tokens of one text as the model sees them; every one of them is counted."""
        parts = [text] if isinstance(text, str) else list(text)
        encodings = encodings_of(self.backend.encode_batch, parts)
        pieces: list[Any] = [
            list(zip(e.ids, e.tokens, e.offsets, e.word_ids, strict=True)) for e in encodings
        ]
        kept = self.kept(pieces, limit, self.frame)
        before, *behind = [
            [(id, self.backend.id_to_token(id), (0, 0), None) for id in special]
            for special in self.frame.around(len(parts))
        ]
        found: list[Any] = [*before]
        for part, special in zip(kept, behind, strict=True):
            found += [*part, *special]
        ids, texts, offsets, words = ([token[field] for token in found] for field in range(4))
        return Tokens(ids, texts, offsets, sum(map(len, pieces)) - sum(map(len, kept)), words)

    def stretches(self, text: str, prompt: str, limit: int, overlap: int) -> list[IntArray]:
        """A long text as rows of at most `limit` tokens that overlap, each with the prompt first.

        Every row but the last is full, and `overlap` of its tokens come again in the next.

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

    def heads(self, text: Text, limit: int | None) -> list[str]:
        """The parts of a text or a pair, shortened where that surely changes none of its tokens."""
        parts = [text] if isinstance(text, str) else list(text)
        if limit is None or limit < self.frame.size(len(parts)) or not self._beginnings_do:
            return parts
        heads = [self.head(part, limit) for part in parts]
        # Of two long texts the longer is cut more, so both lengths must be known.
        if len(heads) == 2 and all(len(h) < len(p) for h, p in zip(heads, parts, strict=True)):
            return [self.squeeze(part) for part in parts]
        return heads

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
            (encoding,) = encodings_of(self.backend.encode_batch_fast, [head])
            if len(encoding.ids) > limit + spare:
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
        for between_words in (CONTROLS, BLANKS):
            text = re.sub(between_words, first_character, text)
        for part_of_word in (LETTER, PICTURE, MARK):
            endless = f"{part_of_word}{{{LONGEST_WORD + 2},}}"
            text = re.sub(endless, lambda run: run[0][: LONGEST_WORD + 1], text)
        return text


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
