"""Keys of a request's body -> values of the types that a handler needs, with clear errors.

In every dialect null means absent, and keys that are not read are ignored. Each function raises
RequestError("validation") for a value of another type; a dialect gives it its status.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from reprlib import Repr
from typing import TYPE_CHECKING, Any, TypeVar

from minibert.common.arguments import type_of
from minibert.server.refusals import RequestError

if TYPE_CHECKING:
    from minibert.server.core import Input
    from minibert.server.settings import Settings

__all__ = [
    "check_text",
    "choice",
    "empty",
    "flag",
    "inputs",
    "integer",
    "is_one_input",
    "is_truncating",
    "model_name",
    "number",
    "optional_text",
    "text",
    "texts",
]

Body = Mapping[str, Any]
Choice = TypeVar("Choice", bound=str)

# How errors quote a value: its beginning, however long it is, and however deep.
QUOTED = Repr()
QUOTED.maxstring = QUOTED.maxother = 80  # characters

TOKEN_IDS = (
    "{key} holds token ids, which mean other words to this model. Send texts. LangChain's "
    "OpenAIEmbeddings does with check_embedding_ctx_length=False."
)


def model_name(body: Body) -> str | None:
    """Return the name of the model that a body asks for, or None."""
    return optional_text(body, "model")


def is_truncating(body: Body) -> bool:
    """Return whether long texts are truncated; False refuses them."""
    return bool(flag(body, "truncate", True))


def text(body: Body, key: str) -> str:
    """Return a text that must be there."""
    found = optional_text(body, key)
    if found is None:
        raise missing(key, "a text")
    return found


def optional_text(body: Body, key: str) -> str | None:
    """Return a text, or None."""
    value = body.get(key)
    return None if value is None else check_text(value, key)


def texts(body: Body, key: str, settings: Settings, *, one: bool = False) -> list[str]:
    """Return a list of texts that must be there; `one` lets a text stand for a list of one."""
    value = body.get(key)
    expected = "a text or a list of texts" if one else "a list of texts"
    if value is None:
        raise missing(key, expected)
    if one and isinstance(value, str):
        value = [value]
    if not isinstance(value, list):
        raise wrong(key, value, expected)
    check_number(value, key, settings)
    return [check_text(item, f"{key}[{number}]") for number, item in enumerate(value)]


def inputs(body: Body, key: str, settings: Settings) -> list[Input]:
    """Return texts, or token ids where the server accepts them: one or a list of them."""
    value = body.get(key)
    if value is None:
        raise missing(key, "a text or a list of texts")
    one = is_one_input(value)
    items = [value] if one else value
    if not isinstance(items, list):
        raise wrong(key, value, "a text or a list of texts")
    check_number(items, key, settings)
    return [
        check_input(item, key if one else f"{key}[{number}]", settings)
        for number, item in enumerate(items)
    ]


def is_one_input(value: object) -> bool:
    """Return whether a value is one text, or the token ids of one; not a list of them."""
    return isinstance(value, str) or (
        isinstance(value, list) and len(value) > 0 and all(map(is_integer, value))
    )


def check_input(value: object, key: str, settings: Settings) -> Input:
    """Return a text, or token ids where the server accepts them."""
    if isinstance(value, list) and value and all(map(is_integer, value)):
        if not settings.accept_token_ids:
            raise RequestError("token_ids", TOKEN_IDS.format(key=key), field=key)
        if min(value) < 0 or max(value) >= 2**31:
            raise wrong(key, value, "token ids from 0 up")
        return list(value)
    return check_text(value, key)


def check_text(value: object, key: str) -> str:
    """Return a text of whole characters."""
    if not isinstance(value, str):
        raise wrong(key, value, "a text")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise RequestError(
                "validation",
                f"{key} has a lone surrogate at character {error.start}, which is no character.",
                field=key,
            ) from None
    return value


def check_number(items: Sequence[object], key: str, settings: Settings) -> None:
    """Raise RequestError for more texts than a request may have."""
    if len(items) > settings.max_inputs:
        raise RequestError(
            "too_many_inputs",
            f"{key} has {len(items)} items; a request may have {settings.max_inputs} "
            "(--max-inputs of the server). Send fewer at a time.",
            field=key,
            limit=settings.max_inputs,
            given=len(items),
        )


def flag(body: Body, key: str, default: bool | None = None) -> bool | None:
    """Return true or false, else the default."""
    value = body.get(key)
    if value is None:
        return default
    if not isinstance(value, bool):
        raise wrong(key, value, "true or false")
    return value


def integer(body: Body, key: str, *, least: int = 0) -> int | None:
    """Return a whole number from `least` up, or None."""
    value = body.get(key)
    if value is None:
        return None
    if not is_integer(value) or value < least:
        raise wrong(key, value, f"a whole number from {least} up")
    return int(value)


def number(body: Body, key: str) -> float | None:
    """Return a finite number, or None."""
    value = body.get(key)
    if value is None:
        return None
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not abs(value) <= sys.float_info.max:  # also of whole numbers
        raise wrong(key, value, "a number")
    return float(value)


def choice(body: Body, key: str, allowed: Sequence[Choice], default: Choice) -> Choice:
    """Return one of the allowed words, whatever its case; else the default."""
    value = body.get(key)
    if value is None:
        return default
    for one in allowed:
        if isinstance(value, str) and value.lower() == one:
            return one
    raise wrong(key, value, " or ".join(repr(word) for word in allowed))


def is_integer(value: object) -> bool:
    """Return whether a value is a whole number; true and false are none."""
    return isinstance(value, int) and not isinstance(value, bool)


def missing(key: str, expected: str) -> RequestError:
    """Make the problem of a key that must be there."""
    return RequestError("validation", f"{key} is missing; expected {expected}.", field=key)


def empty(key: str) -> RequestError:
    """Make the problem of a list that must have an item."""
    return RequestError("empty", f"{key} is an empty list; expected one item at least.", field=key)


def wrong(key: str, value: object, expected: str) -> RequestError:
    """Make the problem of a value of another type."""
    shown = " ".join(QUOTED.repr(value).split())
    return RequestError(
        "validation", f"{key} is {type_of(value)} ({shown}); expected {expected}.", field=key
    )
