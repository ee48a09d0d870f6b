"""Checks of arguments that several classes and functions share."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from functools import wraps
from numbers import Integral, Real
from typing import Any, TypeGuard, TypeVar, cast

__all__ = [
    "check_choice",
    "check_counts",
    "check_given_counts",
    "check_prompts",
    "check_several",
    "folder_or_name",
    "fullname",
    "is_count",
    "is_number",
    "older_names",
    "one_name",
    "type_of",
]

Function = TypeVar("Function", bound=Callable[..., Any])


def is_count(value: object) -> bool:
    """Return whether a value is a whole number from 1 up, also of NumPy; True is not one."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a real number, also of NumPy; True is not one."""
    return isinstance(value, Real) and not isinstance(value, bool)


def type_of(value: object) -> str:
    """Return the name of a value's type with its article, for messages: "an int"."""
    name = type(value).__name__
    return f"{'an' if name.startswith((*'aeioAEIO', 'nd')) else 'a'} {name}"


def folder_or_name(given: object) -> str:
    """Return the name or the folder of a model as a text. Raises TypeError for anything else."""
    if isinstance(given, str | os.PathLike):
        return str(os.fspath(given))
    is_model = hasattr(given, "save_pretrained")
    what = f"{type_of(given)}, a model that is open" if is_model else f"{given!r:.60}"
    raise TypeError(
        f"model_name_or_path is {what}; expected a folder or a name, as "
        "'sentence-transformers/all-MiniLM-L6-v2'."
    )


def fullname(obj: object) -> str:
    """Return the name of a class, or of an object's class, with its module: "NoneType" for None."""
    kind = obj if isinstance(obj, type) else type(obj)
    return kind.__name__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__name__}"


def check_counts(**counts: object) -> None:
    """Raise ValueError for an argument that is neither None nor a whole number from 1 up."""
    check_given_counts(**{name: count for name, count in counts.items() if count is not None})


def check_given_counts(**counts: object) -> None:
    """Raise ValueError for an argument that is no whole number from 1 up; None is none."""
    for name, count in counts.items():
        if not is_count(count):
            raise ValueError(f"{name} is {count!r}; expected a whole number from 1 up.")


def check_choice(name: str, value: object, choices: Iterable[object]) -> None:
    """Raise ValueError for a value of the argument `name` that is not among `choices`."""
    known = list(choices)
    if value not in known:
        raise ValueError(f"{name} is {value!r}; expected one of {', '.join(map(repr, known))}.")


def check_several(**lists: object) -> None:
    """Raise TypeError for an argument that is one text or path instead of a list.

    Python would take a text for a list of its characters.
    """
    for name, given in lists.items():
        if isinstance(given, str | os.PathLike):
            kind = "text" if isinstance(given, str) else "file"
            raise TypeError(f"{name} is one {kind}, {given!r:.40}; expected a list of them.")


def check_prompts(prompts: object) -> None:
    """Raise ValueError for prompts that are neither None nor a dict of names and texts."""
    if prompts is not None and not (
        isinstance(prompts, dict) and all(isinstance(text, str) for text in prompts.values())
    ):
        raise ValueError(
            f'prompts is {prompts!r:.80}; expected names and texts, as {{"query": "query: "}}.'
        )


def one_name(**given: Any) -> Any:
    """Value of an argument with two names, or None. Raises TypeError if both were given."""
    found = [value for value in given.values() if value is not None]
    if len(found) > 1:
        raise TypeError(f"{' and '.join(given)} are two names of one argument; give one.")
    return found[0] if found else None


def older_names(**renamed: str | None) -> Callable[[Function], Function]:
    """Let a function take arguments by older names, too: older name -> the name in its signature.

    An argument that changes nothing has None there. The function raises TypeError if both names of
    one were given.
    """

    def decorate(function: Function) -> Function:
        @wraps(function)
        def with_older_names(*positional: Any, **named: Any) -> Any:
            for older in renamed.keys() & named.keys():
                name, value = renamed[older], named.pop(older)
                if name is not None:
                    named[name] = one_name(**{name: named.get(name), older: value})
            return function(*positional, **named)

        return cast("Function", with_older_names)

    return decorate
