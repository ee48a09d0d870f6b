"""Conditions on fields, as they are typed: "year>=2000" -> {"year": {">=": 2000}}."""

from __future__ import annotations

import argparse
import json
import re
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from minibert.documents import Scalar
from minibert.documents.document import number_in

__all__ = ["Typed", "add_where", "where_of"]

CONDITION = re.compile("(.+?)(!=|>=|<=|==|=|>|<)(.*)", re.DOTALL)
LISTED = ("=", "!=")  # operators that may stand several times for one field
WORDS: dict[str, Scalar] = {"null": None, "true": True, "false": False}


class Typed(NamedTuple):
    """A condition as it is typed."""

    name: str  # of a field
    operator: str  # a name in corpus.filters.OPERATORS
    text: str  # of the value


def add_where(command: argparse.ArgumentParser) -> None:
    """Add the conditions of a search."""
    command.add_argument(
        "--where",
        type=typed,
        action="append",
        default=[],
        metavar="CONDITION",
        help="find only documents whose field meets the condition, as lang=de, lang!=de or "
        "'year>=2000'; all conditions must hold, but of several lang=... one is enough; null "
        "stands for no value, and what is in double quotes for a text as it is, as "
        "'lang=\"null\"'",
    )


def typed(text: str) -> Typed:
    """Split a condition into a field, an operator and a value, for argparse."""
    found = CONDITION.fullmatch(text)
    if found is None:
        raise argparse.ArgumentTypeError(
            f"{text!r} is no condition; expected a field, one of = != > >= < <= and a value, as "
            "lang=de"
        )
    name, operator, value = found.groups()
    return Typed(name.strip(), "=" if operator == "==" else operator, value.strip())


def where_of(conditions: Iterable[Typed], kinds: Mapping[str, int]) -> dict[str, dict[str, Any]]:
    """Collect conditions by their fields; values are read as those of their field are.

    `kinds` are those of `Corpus.kinds`. Raises ValueError for a value of another kind, and for an
    operator of order that stands twice for a field.
    """
    where: dict[str, dict[str, Any]] = {}
    for condition in conditions:
        operators = where.setdefault(condition.name, {})
        value = value_of(condition, kinds.get(condition.name))
        if condition.operator in LISTED:
            operators.setdefault(condition.operator, []).append(value)
        elif condition.operator in operators:
            raise ValueError(
                f"--where has {condition.name}{condition.operator} twice; expected one of them."
            )
        else:
            operators[condition.operator] = value
    return where


def value_of(condition: Typed, kind: int | None) -> Scalar:
    """Read the value of a condition, as one of a kind of values; None for an unknown kind."""
    from minibert.corpus.fields import FLAGS, NUMBERS  # late: a corpus loads a model's code

    if condition.text == "null" or (kind == FLAGS and condition.text in WORDS):
        return WORDS[condition.text]
    if kind == NUMBERS:
        number = number_in(condition.text, condition.name, "--where")
        if number is None:
            raise ValueError(f"--where: {condition.name} has no value; expected a number, or null.")
        return number
    if kind == FLAGS:
        raise ValueError(
            f"--where: {condition.name} is {condition.text!r:.60}; expected true, false or null."
        )
    return unquoted(condition.text)


def unquoted(text: str) -> str:
    """Read a text as JSON if it is in double quotes; any other, or no JSON, is itself."""
    if len(text) > 1 and text[0] == text[-1] == '"':
        with suppress(ValueError):
            return str(json.loads(text))
    return text
