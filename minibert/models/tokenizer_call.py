"""Arguments of a tokenizer's call, checked, and its results: of the library's encodings, or padded.

No tokenizer here: that is in `hf_tokenizer.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, TypedDict

import numpy as np

from minibert.common.arrays import IntArray
from minibert.models.tensors import as_tensors, check_torch
from minibert.tokens.texts import Text, check_texts, listed, single_texts

if TYPE_CHECKING:
    from tokenizers import Encoding

__all__ = [
    "PADDINGS",
    "TRUNCATIONS",
    "Padding",
    "TokenizerOptions",
    "arrays_of",
    "check_tensors",
    "checked_stride",
    "choice",
    "list_of_ids",
    "listed_by_name",
    "padded",
    "rows_of_ids",
    "texts_of_call",
    "values_of",
    "with_overflow",
]

# Values of two arguments of a call -> the library's words for them; None does nothing.
TRUNCATIONS = {
    True: "longest_first",
    False: None,
    "longest_first": "longest_first",
    "only_first": "only_first",
    "only_second": "only_second",
    "do_not_truncate": None,
}
PADDINGS = {
    True: "longest",
    False: None,
    "longest": "longest",
    "max_length": "max_length",
    "do_not_pad": None,
}
# The name of a value that a call returns -> its function of an encoding of the library.
FIELDS: dict[str, Callable[[Encoding], Any]] = {
    "input_ids": lambda encoding: encoding.ids,
    "token_type_ids": lambda encoding: encoding.type_ids,
    "attention_mask": lambda encoding: encoding.attention_mask,
    "special_tokens_mask": lambda encoding: encoding.special_tokens_mask,
    "offset_mapping": lambda encoding: encoding.offsets,
    "length": lambda encoding: len(encoding.ids),
}


class TokenizerOptions(TypedDict, total=False):
    """Arguments of a call that change no type of its result."""

    add_special_tokens: bool
    padding: bool | str
    truncation: bool | str | None
    max_length: int | None
    stride: int
    is_split_into_words: bool
    pad_to_multiple_of: int | None
    padding_side: str | None
    return_token_type_ids: bool | None
    return_attention_mask: bool | None
    return_overflowing_tokens: bool
    return_special_tokens_mask: bool
    return_offsets_mapping: bool
    return_length: bool
    verbose: bool


class Padding(NamedTuple):
    """Settings of Tokenizer.pad."""

    kind: str | None  # "longest" or "max_length"; None pads nothing
    max_length: int  # in tokens
    multiple: int  # of which a padded length is one
    side: str  # "left" or "right"
    pad_id: int  # token of the padding
    has_mask: bool  # whether there is an attention_mask


def choice(name: str, given: Any, choices: Mapping[Any, str | None]) -> str | None:
    """Return the library's word for an argument; ValueError for one that is not in `choices`."""
    value = getattr(given, "value", given)  # transformers has enumerations, too
    if not isinstance(value, str | bool) or value not in choices:
        expected = ", ".join(map(repr, choices))
        raise ValueError(f"{name} is {given!r}; expected one of {expected}.")
    return choices[value]


def checked_stride(stride: object) -> int:
    """Return a whole number from 0 up. Raises ValueError for any other stride."""
    if not isinstance(stride, int) or isinstance(stride, bool) or stride < 0:
        raise ValueError(f"stride is {stride!r}; expected a whole number from 0 up.")
    return stride


def check_tensors(return_tensors: object) -> None:
    """Raise ValueError for another word than "np" and "pt", and MissingLibraryError without torch.

    Called before a text is tokenised.
    """
    if return_tensors not in (None, "np", "pt"):
        raise ValueError(
            f'return_tensors is {return_tensors!r}; expected "np" for NumPy arrays, or "pt" for '
            "tensors of torch."
        )
    check_torch(return_tensors == "pt", 'return_tensors="pt" (pass "np" for NumPy arrays)')


def texts_of_call(text: Any, text_pair: Any, is_split: bool) -> tuple[list[Any], bool]:
    """Check the texts of a call: -> texts and pairs for the library, whether it is one of them.

    With `is_split` a text is a list of words.
    """
    if is_split:
        return split_texts_of_call(text, text_pair)
    single = isinstance(text, str)
    texts = check_texts([text] if single else listed(text, "The tokenizer"))
    if text_pair is not None:
        seconds = [text_pair] if isinstance(text_pair, str) else listed(text_pair, "text_pair")
        texts = paired(texts, seconds)
    return list(texts), single


def split_texts_of_call(text: Any, text_pair: Any) -> tuple[list[Any], bool]:
    """Check texts that are lists of words, as `texts_of_call` does.

    The words of a text are the items of one list, and several texts a list of such lists.
    """
    rows = listed(text, "The tokenizer")
    single = all(isinstance(row, str) for row in rows)
    firsts = [listed_str(row, "The tokenizer") for row in ([rows] if single else rows)]
    if text_pair is None:
        return list(firsts), single
    others = listed(text_pair, "text_pair")
    seconds = [listed_str(row, "text_pair") for row in ([others] if single else others)]
    if len(firsts) != len(seconds):
        raise ValueError(f"There are {len(firsts)} texts and {len(seconds)} second ones.")
    return list(zip(firsts, seconds, strict=True)), single


def listed_str(text: object, caller: str) -> list[str]:
    """Check the words of a text that is split already. TypeError for anything but a list of str."""
    return single_texts(listed(text, caller), caller)


def listed_by_name(given: Mapping[str, Any] | Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Return results of calls as new lists by name; arrays and tensors become lists.

    Raises ValueError where there are no input_ids.
    """
    if not isinstance(given, Mapping):
        examples = list(given)
        given = {name: [row[name] for row in examples] for name in (examples or [{}])[0]}
    if "input_ids" not in given:
        raise ValueError(f"There are no input_ids to pad; there are {', '.join(given) or 'none'}.")
    return {name: plain(value) for name, value in given.items()}


def plain(value: Any) -> Any:
    """Turn arrays and tensors, also those in a list, into lists and numbers of Python."""
    if hasattr(value, "tolist"):
        return value.tolist()
    return list(map(plain, value)) if isinstance(value, list | tuple) else value


def arrays_of(values: Mapping[str, list[Any]], return_tensors: str) -> dict[str, Any]:
    """Return lists of numbers as int64 arrays, or with "pt" as tensors of torch.

    Raises ValueError for rows of several lengths.
    """
    try:
        found: dict[str, IntArray] = {
            name: np.array(rows, np.int64) if rows else np.zeros((0, 0), np.int64)
            for name, rows in values.items()
        }
    except ValueError as error:
        raise ValueError("The texts have different lengths; pass padding=True.") from error
    return as_tensors(found) if return_tensors == "pt" else found


def paired(texts: Sequence[Text], seconds: Sequence[Any]) -> list[Text]:
    """Pair texts with their second texts."""
    if len(texts) != len(seconds) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"There are {len(texts)} texts and {len(seconds)} second ones.")
    pairs: list[Any] = list(zip(texts, check_texts(seconds), strict=True))
    return pairs


def with_overflow(encodings: list[Encoding], is_asked: bool) -> tuple[list[Encoding], list[int]]:
    """Add to each encoding those of the tokens that it lost, if asked for: -> rows, their texts."""
    rows = [[encoding, *(encoding.overflowing if is_asked else [])] for encoding in encodings]
    numbers = [number for number, of_text in enumerate(rows) for _ in of_text]
    return [encoding for of_text in rows for encoding in of_text], numbers


def values_of(encodings: list[Encoding], **names: bool) -> dict[str, list[Any]]:
    """Return the lists that are asked for by name, a row for each encoding; ids come first."""
    asked = ["input_ids", *(name for name, is_asked in names.items() if is_asked)]
    return {name: list(map(FIELDS[name], encodings)) for name in asked}


def padded(values: dict[str, list[Any]], how: Padding) -> dict[str, list[Any]]:
    """Pad rows by name, or one row of each name, to one length."""
    single = bool(values["input_ids"]) and not isinstance(values["input_ids"][0], list)
    if single:
        values = {name: [row] for name, row in values.items()}
    rows = values["input_ids"]
    if how.has_mask:
        values.setdefault("attention_mask", [[1] * len(row) for row in rows])
    longest = {None: 0, "max_length": how.max_length}.get(how.kind, max(map(len, rows), default=0))
    length = -(-longest // how.multiple) * how.multiple
    fill = {"input_ids": how.pad_id, "special_tokens_mask": 1}
    fill |= {"token_type_ids": 0, "attention_mask": 0}
    for name in values.keys() & fill.keys():
        more = [[fill[name]] * max(0, length - len(row)) for row in values[name]]
        both = zip(values[name], more, strict=True)
        values[name] = [m + row if how.side == "left" else row + m for row, m in both]
    return {name: row[0] for name, row in values.items()} if single else values


def list_of_ids(given: Any) -> list[int]:
    """Return an id, or several in a list, array or tensor, as a list; ValueError for others."""
    found = plain(given)
    is_list = isinstance(found, Iterable) and not isinstance(found, str)
    ids = plain(list(found)) if is_list else [found]
    # The library counts in 32 bits.
    if not all(isinstance(id, int) and 0 <= id < 1 << 32 for id in ids):
        raise ValueError(
            f"The ids are {given!r:.80}; expected whole numbers from 0 up, an id or a list of them."
        )
    return list(map(int, ids))


def rows_of_ids(given: Any) -> list[list[int]] | None:
    """Return rows of ids as lists; None where `given` is no list of lists, and no matrix."""
    rows = plain(given)
    if not isinstance(rows, list) or not rows:
        return None
    are_rows = all(isinstance(row, list) for row in rows)
    return [list_of_ids(row) for row in rows] if are_rows else None
