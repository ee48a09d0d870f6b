"""Texts -> token ids, with the `tokenizers` library. Truncation is done here, and counted.

A tokenizer's words never change after it is made, so threads may share it. `vocabulary.py` makes
it.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeAlias, get_args

import numpy as np

from minibert.common.arrays import IntArray
from minibert.errors import CheckpointError

if TYPE_CHECKING:
    from tokenizers import Encoding, Tokenizer

__all__ = [
    "Cut",
    "OnLong",
    "Rows",
    "Text",
    "TextTokenizer",
    "Tokens",
    "check_on_long",
    "check_texts",
    "encodings_of",
    "prompt_of",
    "single_texts",
    "text_windows",
    "with_prompt",
]

logger = logging.getLogger(__name__)

# A text, or a pair of them, which a model sees as one row of tokens.
Text: TypeAlias = str | tuple[str, str]

OnLong = Literal["warn", "error", "ignore", "window"]

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

    def report(self, texts: int, limit: int | None, on_long: OnLong) -> None:
        """Say what was cut, once: a warning in the log, or ValueError for on_long="error"."""
        if not self.texts or on_long in ("ignore", "window"):
            return
        unit = "tokens" if self.in_tokens else "characters"
        if on_long == "error":
            # Whoever refuses does so before all texts are counted.
            raise ValueError(
                f"{self.texts} texts at least are longer than {limit} tokens; the longest has "
                f"{self.longest} {unit}. Split them, or set on_long to warn, ignore or window."
            )
        logger.warning(
            "%d of %d texts were longer than %s tokens and lost their ends; the longest had %d %s.",
            self.texts,
            texts,
            limit,
            self.longest,
            unit,
        )


class Rows(NamedTuple):
    """The tokens of S texts, a row each, with the special ones."""

    ids: list[IntArray]  # S of (T,)
    types: list[IntArray] | None  # the same: 0, and 1 for a pair's second text; None is all 0
    is_cut: list[bool]  # which lost tokens
    cut: Cut


class Tokens(NamedTuple):
    """What a model sees of a text, token by token, and how much it does not see."""

    ids: list[int]
    pieces: list[str]
    # Where each piece stands in the text: text[start:end]. A special token stands nowhere, (0, 0).
    offsets: list[tuple[int, int]]
    cut: int  # how many tokens of the text fall off the end
    # Which word of the text a piece is of, counted from 0; of a pair's second text again from 0.
    words: list[int | None]


class Frame(NamedTuple):
    """The special tokens around a text's own, and around and between those of a pair."""

    single: tuple[list[int], ...] = ([], [])  # before, after
    pair: tuple[list[int], ...] = ([], [], [])  # before, between, after
    pair_types: tuple[int, ...] = (0, 0, 0, 1, 1)  # of before, first, between, second, after

    def around(self, parts: int) -> tuple[list[int], ...]:
        """The special ids of a row with one text or with two."""
        return self.single if parts == 1 else self.pair

    def size(self, parts: int) -> int:
        """How many special tokens a row has."""
        return sum(map(len, self.around(parts)))

    def row(self, pieces: list[list[int]]) -> IntArray:
        """The ids of a text, or a pair, with the special ones: one list or two -> (T,)."""
        before, *behind = self.around(len(pieces))
        row = [*before]
        for part, special in zip(pieces, behind, strict=True):
            row += part
            row += special
        return np.array(row, dtype=np.int64)

    def types(self, pieces: list[list[int]]) -> IntArray:
        """The token types of the same row: (T,)."""
        if len(pieces) == 1:
            return np.zeros(len(pieces[0]) + self.size(1), dtype=np.int64)
        before, between, after = self.pair
        lengths = [len(part) for part in (before, pieces[0], between, pieces[1], after)]
        return np.repeat(np.array(self.pair_types, dtype=np.int64), lengths)


def check_on_long(on_long: str) -> None:
    """Raise ValueError for a word that is none of OnLong's."""
    if on_long not in get_args(OnLong):
        expected = ", ".join(map(repr, get_args(OnLong)))
        raise ValueError(f"on_long is {on_long!r}; expected one of {expected}.")


def is_one(inputs: object) -> bool:
    """Whether this is one text, rather than a list of them; {"text": ...} is one, too."""
    return isinstance(inputs, str | Mapping)


def list_of(inputs: object, caller: str) -> Sequence[object]:
    """What a method was given, as a list: one text counts as a list of one.

    Raises TypeError, in the method's name, for what is neither.
    """
    if is_one(inputs):
        return [inputs]
    if isinstance(inputs, np.ndarray) and inputs.ndim >= 1:
        return list(inputs.tolist())
    if isinstance(inputs, bytes | bytearray) or not isinstance(inputs, Sequence):
        raise no_list(inputs, caller)
    return inputs


def listed(inputs: object, caller: str) -> list[object]:
    """The texts of anything that has them in an order, generators too.

    Raises TypeError, in the method's name, for all else, and for what lists other things or other
    kinds of texts: the columns of a table, the keys of a dict, the values of Arrow.
    """
    if isinstance(inputs, np.ndarray | list):
        return list(list_of(inputs, caller))
    is_other = isinstance(inputs, str | bytes | bytearray | Mapping | set | frozenset) or any(
        hasattr(type(inputs), name) for name in ("columns", "to_pylist", "as_py")
    )
    if is_other or not isinstance(inputs, Iterable):
        raise no_list(inputs, caller, "a list of str")
    return list(inputs)


def no_list(inputs: object, caller: str, expected: str = "a str or a list of str") -> TypeError:
    """The error for what is no list of texts, with what to pass instead."""
    shown = " ".join(f"{inputs!r:.40}".split())  # in one line, as a table is not
    return TypeError(
        f"{caller} got a {type(inputs).__name__} ({shown}). Pass {expected}{instead_of(inputs)}."
    )


def instead_of(inputs: object) -> str:
    """What makes a list of something, as the end of a sentence; nothing if that is not known."""
    kind = type(inputs)
    if isinstance(inputs, bytes | bytearray):
        return "; of bytes, text.decode()"
    if hasattr(kind, "columns"):  # of the kind: to some tables the question is work
        lists = hasattr(kind, "to_pylist")
        column = 'table["text"].to_pylist()' if lists else 'list(table["text"])'
        return f"; a column of a table is {column}"
    if hasattr(kind, "to_pylist"):
        return "; of an Arrow array, texts.to_pylist()"
    if hasattr(kind, "as_py"):
        return "; of a value of Arrow, text.as_py()"
    if isinstance(inputs, np.ndarray):
        return "; of an array without dimensions, text.item()"
    if isinstance(inputs, Mapping):
        return "; of a dict of texts, list(texts.values())"
    if isinstance(inputs, set | frozenset):
        return "; a set has no order, so sorted(texts)"
    if isinstance(inputs, Iterable) and not isinstance(inputs, str):
        return "; of anything else that holds texts, list(texts)"
    return ""


def check_texts(inputs: Sequence[object]) -> list[Text]:
    """The texts and pairs of a list, or TypeError naming the first that is neither.

    A pair is a tuple or list of two str, and {"text": x} counts as x. Raises ValueError for what
    UTF-8 cannot hold.
    """
    texts: list[Any] = []
    for index, given in enumerate(inputs):
        text: Any = given["text"] if isinstance(given, dict) and given.keys() == {"text"} else given
        is_pair = isinstance(text, tuple | list) and len(text) == 2
        text = tuple(text) if is_pair else text
        for part in text if is_pair else (text,):
            if not isinstance(part, str):
                raise TypeError(
                    f"Text {index} of {len(inputs)} is a {type(given).__name__} ({given!r:.40}). "
                    "Every text must be a str, an empty one is allowed, or a pair of them"
                    f"{in_place_of(part)}."
                )
            if not part.isascii():
                check_surrogates(part, index, len(inputs))
        texts.append(text)
    return texts


def single_texts(inputs: object, caller: str) -> list[str]:
    """The texts of a list without pairs, checked; one text counts as a list of one.

    Raises what `listed` and `check_texts` raise, and TypeError for a pair.
    """
    texts = check_texts([inputs] if isinstance(inputs, str) else listed(inputs, caller))
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"Text {index} of {len(texts)} is a pair ({text!r:.40}); {caller} takes no pairs."
            )
    return [text for text in texts if isinstance(text, str)]


def in_place_of(part: object) -> str:
    """What to do about something in a list of texts that is none, as the end of a sentence."""
    if (
        part is None
        or type(part).__name__ == "NAType"
        or (isinstance(part, float) and part != part)
    ):
        return "; leave out what is missing, or give it a text"
    if hasattr(type(part), "as_py"):
        return "; of an Arrow array, pass texts.to_pylist()"
    return instead_of(part) if isinstance(part, bytes | bytearray | Mapping) else ""


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


def prompt_of(prompts: dict[str, str], prompt: str | None, name: str | None) -> str:
    """The prompt that is given, else the one of a name among the prompts; without either, none.

    Raises ValueError for a name that is not there, TypeError for a prompt that is no text.
    """
    if prompt is None:
        if name is None:
            return ""
        if name not in prompts:
            names = ", ".join(map(repr, prompts)) or "none"
            raise ValueError(f"There is no prompt {name!r}; this model has {names}.")
        prompt = prompts[name]
    if not isinstance(prompt, str):
        raise TypeError(f"The prompt is a {type(prompt).__name__} ({prompt!r:.40}), no str.")
    check_texts([prompt])
    return prompt


def with_prompt(prompt: str, texts: Sequence[Text]) -> Sequence[Text]:
    """The texts with a prompt before each; of a pair, before the first."""
    if not prompt:
        return texts
    return [
        prompt + text if isinstance(text, str) else (prompt + text[0], text[1]) for text in texts
    ]


def characters_of(text: Text) -> int:
    """How many characters a text or a pair has."""
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])


def text_windows(texts: Sequence[Text], prompt_length: int = 0) -> Iterator[slice]:
    """Cut a list into stretches of some thousand texts, so that memory does not grow with it."""
    start, characters = 0, 0
    for end, text in enumerate(texts):
        more = prompt_length + characters_of(text)
        full = end - start == WINDOW_TEXTS or characters + more > WINDOW_CHARACTERS
        if full and end > start:
            yield slice(start, end)
            start, characters = end, 0
        characters += more
    if start < len(texts):
        yield slice(start, len(texts))


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


def shares(lengths: list[int], room: int) -> list[int]:
    """How many tokens a text, or each of a pair, keeps where there is room for so many.

    The longer of two is cut to the length of the other, then both to a half; an odd token goes to
    the longer, to the second of equals. So does the `tokenizers` library ("longest_first").
    """
    if len(lengths) == 1:
        return [min(lengths[0], room)]
    if sum(lengths) <= room:
        return lengths
    swapped = lengths[0] > lengths[1]
    shorter, longer = sorted(lengths)
    longer = shorter if shorter > room else max(shorter, room - shorter)
    if shorter + longer > room:
        shorter, longer = room // 2, room // 2 + room % 2
    return [longer, shorter] if swapped else [shorter, longer]


def encodings_of(encode: Callable[..., list[Encoding]], texts: list[str]) -> list[Encoding]:
    """Encode texts without special tokens; `encode` is a tokenizer's method that takes a list.

    Raises ValueError where that fails, as on a word that the tokenizer has no token for.
    """
    try:
        return encode(texts, add_special_tokens=False)
    except Exception as error:  # the library raises nothing narrower
        raise ValueError(
            f"The folder's tokenizer cannot split a text: {error}. See the model in tokenizer.json."
        ) from error


def frame_of(backend: Tokenizer) -> Frame:
    """What a tokenizer puts around a text and between two, seen on a text with one token or more.

    Raises CheckpointError for a tokenizer that does more than that.
    """
    try:
        word, pieces = first_word(backend)
    except ValueError as error:
        raise CheckpointError(str(error)) from error
    single, pair = backend.encode(word), backend.encode(word, word)
    around, three = special_parts(single), special_parts(pair)
    whole: list[list[int]] = []
    if (len(around), len(three)) == (2, 3):
        whole += [around[0] + pieces + around[1]]
        whole += [three[0] + pieces + three[1] + pieces + three[2]]
    if whole != [single.ids, pair.ids] or any(single.type_ids):
        raise CheckpointError("The tokenizer's post_processor is not [special] text [special].")
    places = np.cumsum([0, len(three[0]), len(pieces), len(three[1]), len(pieces)]).tolist()
    # The type of a part is that of its first token; an empty part has none.
    types = (pair.type_ids[place] if place < len(pair.ids) else 0 for place in places)
    return Frame(tuple(around), tuple(three), tuple(types))


def first_word(backend: Tokenizer) -> tuple[str, list[int]]:
    """A word that has tokens, with their ids. Raises ValueError where there is none."""
    (first,) = encodings_of(backend.encode_batch, ["a"])
    if first.ids:
        return "a", first.ids
    for word in backend.get_vocab(with_added_tokens=False):  # slow, and hardly ever needed
        (found,) = encodings_of(backend.encode_batch, [word])
        if found.ids:
            return word, found.ids
    raise ValueError("The folder's tokenizer makes no token of any word. See tokenizer.json.")


def special_parts(encoding: Encoding) -> list[list[int]]:
    """The special ids before, between and after the texts of a row."""
    parts: list[list[int]] = [[]]
    texts = encoding.sequence_ids  # None at a special token, else which text it is of
    for id, text, previous in zip(encoding.ids, texts, [None, *texts][:-1], strict=True):
        if text is None:
            parts[-1].append(id)
        elif text != previous:
            parts.append([])
    return parts
