"""Texts as callers give them: checked, listed, with their prompts. Nothing is tokenised here.

Start at check_texts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Sized
from typing import Any, TypeAlias

import numpy as np

from minibert.common.arguments import type_of

__all__ = [
    "Text",
    "characters_of",
    "check_texts",
    "is_one",
    "list_of",
    "listed",
    "no_list",
    "prompt_of",
    "single_texts",
    "text_slices",
    "with_prompt",
]

# A text, or a pair of texts: a model gets either as one row of tokens.
Text: TypeAlias = str | tuple[str, str]

# At most so many texts, and characters of texts, are held as tokens at a time.
MAX_TEXTS = 4096
MAX_CHARACTERS = 4_000_000


def is_one(inputs: object) -> bool:
    """Return whether `inputs` is one text, not a list; {"text": ...} is one text, too."""
    return isinstance(inputs, str | Mapping)


def list_of(inputs: object, caller: str, expected: str = "a str or a list of str") -> list[object]:
    """List the texts of anything that has a length: one text becomes a list of one.

    Lists, tuples, arrays, and columns of tables: of pandas, polars, Arrow or datasets. A list stays
    the same object. Raises TypeError that names `caller`, for anything else.
    """
    if is_one(inputs):
        return [inputs]
    if isinstance(inputs, list):
        return inputs
    if not isinstance(inputs, Sized):  # a generator, which `listed` takes
        raise no_list(inputs, caller, expected)
    return listed(inputs, caller, expected)


def listed(inputs: object, caller: str, expected: str = "a list of str") -> list[object]:
    """List the texts of any ordered iterable, generators too.

    Raises TypeError that names `caller`, for anything else. Tables and dicts are refused, too: they
    would list columns and keys.
    """
    if isinstance(inputs, np.ndarray) and inputs.ndim >= 1:
        return list(inputs.tolist())
    is_other = isinstance(
        inputs, str | bytes | bytearray | Mapping | set | frozenset | np.ndarray
    ) or any(hasattr(type(inputs), name) for name in ("columns", "as_py"))
    if is_other or not isinstance(inputs, Iterable):
        raise no_list(inputs, caller, expected)
    texts: Any = inputs  # an Arrow array would list values of Arrow
    return list(texts.to_pylist() if hasattr(type(texts), "to_pylist") else texts)


def no_list(inputs: object, caller: str, expected: str) -> TypeError:
    """Make the TypeError for `inputs` that is no list of texts; it says what to pass instead."""
    given = " ".join(f"{inputs!r:.40}".split())  # in one line, as a table is not
    return TypeError(
        f"{caller} got {type_of(inputs)} ({given}). Pass {expected}{instead_of(inputs)}."
    )


def instead_of(inputs: object) -> str:
    """Code that makes a list of `inputs`, as the end of a sentence; "" where none is known."""
    kind = type(inputs)
    if isinstance(inputs, bytes | bytearray):
        return "; of bytes, text.decode()"
    if hasattr(kind, "columns"):  # asked of the type: on an instance, some tables would compute
        lists = hasattr(kind, "to_pylist")
        column = 'table["text"].to_pylist()' if lists else 'list(table["text"])'
        return f"; a column of a table is {column}"
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
    """Check the texts and pairs of a list, and return them.

    A pair is a tuple or list of two str, and {"text": x} counts as x. Raises TypeError for the
    first item that is neither text nor pair, ValueError for a text that UTF-8 cannot hold.
    """
    texts: list[Any] = []
    for index, given in enumerate(inputs):
        text: Any = given["text"] if isinstance(given, dict) and given.keys() == {"text"} else given
        is_pair = isinstance(text, tuple | list) and len(text) == 2
        text = tuple(text) if is_pair else text
        for part in text if is_pair else (text,):
            if not isinstance(part, str):
                raise TypeError(
                    f"Text {index} of {len(inputs)} is {type_of(given)} ({given!r:.40}). "
                    "Every text must be a str, which may be empty, or a pair of str"
                    f"{in_place_of(part)}."
                )
            if not part.isascii():
                check_surrogates(part, index, len(inputs))
        texts.append(text)
    return texts


def single_texts(inputs: object, caller: str) -> list[str]:
    """Check the texts of a list without pairs, and return them; one text is a list of one.

    Raises as `listed` and `check_texts` do, and TypeError for a pair.
    """
    texts = check_texts([inputs] if isinstance(inputs, str) else listed(inputs, caller))
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(
                f"Text {index} of {len(texts)} is a pair ({text!r:.40}); {caller} takes no pairs."
            )
    return [text for text in texts if isinstance(text, str)]


def in_place_of(part: object) -> str:
    """Advice about an item that is no text, as the end of a sentence; "" where none is known."""
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
    """Raise ValueError if a text holds half of a surrogate pair, which is no character.

    `index` and `count` say which text of how many it is.
    """
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ValueError(
            f"Text {index} of {count} has a lone surrogate, {text[error.start]!r}, at character "
            f"{error.start}. It was decoded wrongly; decode it again, for example with "
            'errors="replace".'
        ) from None


def prompt_of(prompts: dict[str, str], prompt: str | None, name: str | None) -> str:
    """Return `prompt` if it is given, else the prompt called `name`, else "".

    Raises ValueError for a name that `prompts` lacks, TypeError for a prompt that is no text.
    """
    if prompt is None:
        if name is None:
            return ""
        if name not in prompts:
            names = ", ".join(map(repr, prompts)) or "none"
            raise ValueError(f"There is no prompt {name!r}; this model has {names}.")
        prompt = prompts[name]
    if not isinstance(prompt, str):
        raise TypeError(f"The prompt is {type_of(prompt)} ({prompt!r:.40}), no str.")
    check_texts([prompt])
    return prompt


def with_prompt(prompt: str, texts: Sequence[Text]) -> Sequence[Text]:
    """Put a prompt before each text; of a pair, before its first text."""
    if not prompt:
        return texts
    return [
        prompt + text if isinstance(text, str) else (prompt + text[0], text[1]) for text in texts
    ]


def characters_of(text: Text) -> int:
    """Number of characters in a text or a pair."""
    return len(text) if isinstance(text, str) else len(text[0]) + len(text[1])


def text_slices(
    texts: Sequence[Text],
    prompt_length: int = 0,
    max_texts: int = MAX_TEXTS,
    max_characters: int = MAX_CHARACTERS,
) -> Iterator[slice]:
    """Yield slices of a list of texts, so that memory for tokens does not grow with the list.

    A slice has at most `max_texts` texts and `max_characters` characters. `prompt_length` is the
    number of the prompt's characters, which count for every text. A longer text is a slice of its
    own.
    """
    start, characters = 0, 0
    for end, text in enumerate(texts):
        more = prompt_length + characters_of(text)
        full = end - start == max_texts or characters + more > max_characters
        if full and end > start:
            yield slice(start, end)
            start, characters = end, 0
        characters += more
    if start < len(texts):
        yield slice(start, len(texts))
