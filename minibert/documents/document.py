"""Documents, and the fields of a record that they consist of. No files. Start at Maker."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from datetime import date, time
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minibert.common.arguments import check_several, type_of

__all__ = [
    "HALF",
    "Document",
    "Fields",
    "Maker",
    "Record",
    "Scalar",
    "checked_fields",
    "is_plain_number",
    "number_in",
    "scalar_of",
]

Scalar: TypeAlias = str | int | float | bool | None  # a value of a field that is kept

# Fields that are read by default: those of BEIR, and "id", as in many tables.
ID_FIELDS = ("_id", "id")
TITLE, TEXT = "title", "text"
HALF = re.compile("[\ud800-\udfff]")  # half of a surrogate pair
WHOLE = re.compile("[+-]?[0-9]+")
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
CODE = re.compile("[+-]?0[0-9]")  # the beginning of a code that is no number, as 007
FLAGS = {"true": True, "false": False, "": None}  # in small letters


class Record(NamedTuple):
    """A line or row with named fields, and its place in a file."""

    values: dict[str, Any]  # name of a field -> its value, as the form has it; in a table a str
    origin: str  # its place, as "FILE, line 3"


class Document(NamedTuple):
    """A text with its id and its place in a file."""

    id: str | None  # None in a form without ids; then the id is the number in the corpus
    text: str  # one text, joined from the fields of a record
    origin: str = ""  # its place, as "FILE, line 3"; messages without one have the number and id
    # Values that are kept beside the text; never changed. None if no fields were read: a corpus
    # that keeps some refuses the document, and takes one with {}, which has no values.
    fields: Mapping[str, Scalar] | None = None


class Fields(NamedTuple):
    """Names of the fields that a document consists of, in a form with named fields.

    By default the id is "_id", or else "id", or else the document's number. The text is by default
    "title" and "text"; "title" may be absent. A table must have the columns that are kept.
    """

    id: str | None = None  # None for the default
    text: tuple[str, ...] = ()  # joined by spaces; empty for the default
    kept: tuple[str, ...] = ()  # kept beside the text; one that a record lacks is None
    numbers: tuple[str, ...] = ()  # those of them whose texts are read as numbers
    flags: tuple[str, ...] = ()  # those of them whose texts are read as true or false


def checked_fields(given: Fields | Sequence[str] | None) -> Fields:
    """Return Fields of names alone, which are kept, or of None; check those that are given.

    Raises TypeError for one text instead of several names; ValueError for a name that is empty or
    stands twice, and for a number or a flag that is not kept, or is both.
    """
    if not isinstance(given, Fields):
        check_several(fields=given)
        given = Fields(kept=tuple(given or ()))
    lists = {name: value for name, value in given._asdict().items() if name != "id"}
    check_several(**lists)
    fields = Fields(given.id, **{name: tuple(value) for name, value in lists.items()})
    for name in fields.kept:
        if not isinstance(name, str) or not name or fields.kept.count(name) > 1:
            raise ValueError(
                f"fields has {name!r:.60}; expected names that are not empty, each of them once."
            )
    for kind in ("numbers", "flags"):
        for name in getattr(fields, kind):
            if name not in fields.kept:
                raise ValueError(
                    f"{kind} has {name!r:.60}, which is not kept; expected names among "
                    f"{', '.join(fields.kept) or 'kept, which is empty'}."
                )
    if both := sorted({*fields.numbers} & {*fields.flags}):
        raise ValueError(f"numbers and flags both have {both[0]!r:.60}; expected one of them.")
    return fields


class Maker:
    """Makes documents of records. Either all records have an id, or none has."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields  # as the caller named them
        self.id_field: str | None = fields.id  # by default known from the first record
        self.absent = list(fields.kept)  # fields to keep that no record has had
        self._has_begun = False

    def names(self, columns: list[str], name: str) -> list[str]:
        """Names of the columns of a table that are read; `name` is the table's, for errors.

        Raises ValueError for a column that is missing or there twice.
        """
        texts, kept = self.fields.text or (TEXT,), self.fields.kept
        for field in [*texts, *([self.fields.id] if self.fields.id else []), *kept]:
            if field not in columns:
                raise ValueError(missing(name, field, columns))
            if columns.count(field) > 1:
                raise ValueError(f"{name} has two columns {field!r}; expected one.")
        ids = [self.fields.id] if self.fields.id else [id for id in ID_FIELDS if id in columns][:1]
        titles = [TITLE] if not self.fields.text and TITLE in columns else []
        return list(dict.fromkeys([*ids, *titles, *texts, *kept]))

    def document(self, record: Record) -> Document:
        """Make the document of one record. Raises ValueError for a bad id, text or field."""
        values, origin = record
        if not self._has_begun:
            self.id_field = self.fields.id or next((id for id in ID_FIELDS if id in values), None)
            self._has_begun = True
        kept = {name: self.kept(values, name, origin) for name in self.fields.kept} or None
        if self.absent:
            self.absent = [name for name in self.absent if name not in values]
        return Document(self.id(values, origin), self.text(values, origin), origin, kept)

    def id(self, record: dict[str, Any], origin: str) -> str | None:
        """Id of a record, as text; None if the records have none."""
        if self.id_field is None:
            late = next((id for id in ID_FIELDS if id in record), None)
            if late is not None:
                raise ValueError(
                    f"{origin} has an {late!r}, but no record before it has one. "
                    "Give every record an id, or none."
                )
            return None
        id = field_of(record, self.id_field, origin)
        if isinstance(id, int) and not isinstance(id, bool):
            return str(id)
        if not isinstance(id, str) or not id:
            raise ValueError(
                f"{origin}: {self.id_field} is {id!r:.60}; expected a text that is not empty, or a "
                "whole number."
            )
        return id

    def text(self, record: dict[str, Any], origin: str) -> str:
        """Text of a record: of its fields, joined by spaces and stripped."""
        titled = (TITLE, TEXT) if record.get(TITLE) is not None else (TEXT,)
        parts = []
        for field in self.fields.text or titled:
            part = field_of(record, field, origin)
            if not isinstance(part, str):
                raise ValueError(f"{origin}: {field} is {part!r:.60}; expected a text.")
            parts.append(part)
        return " ".join(parts).strip()

    def kept(self, record: dict[str, Any], name: str, origin: str) -> Scalar:
        """Value of a field that is kept; None if the record lacks it."""
        value = record.get(name)
        if name in self.fields.numbers and isinstance(value, str):
            return number_in(value, name, origin)
        if name in self.fields.flags and isinstance(value, str):
            return flag_in(value, name, origin)
        return scalar_of(value, name, origin)


def flag_in(text: str, name: str, origin: str) -> bool | None:
    """Read true or false from a text; None from a blank one. Raises ValueError for any other."""
    word = text.strip().lower()
    if word not in FLAGS:
        raise ValueError(f"{origin}: {name} is {text!r:.60}; expected true, false, or nothing.")
    return FLAGS[word]


def is_plain_number(text: str) -> bool:
    """Return whether a text is a number, maybe between blanks, and no code as 007."""
    text = text.strip()
    return bool(NUMBER.fullmatch(text)) and not CODE.match(text)


def number_in(text: str, name: str, origin: str) -> int | float | None:
    """Read a number from a text; None from a blank one. Raises ValueError for any other."""
    text = text.strip()
    if not text:
        return None
    if NUMBER.fullmatch(text) and math.isfinite(number := float(text)):
        return int(text) if WHOLE.fullmatch(text) else number
    raise ValueError(f"{origin}: {name} is {text!r:.60}; expected a number, or nothing.")


def scalar_of(value: object, name: str, origin: str) -> Scalar:
    """Return a value of a field: Python's own for NumPy's number, and a text for a date or time.

    The text is that of ISO 8601, as 2020-02-29. Raises ValueError for a list, NaN, half a character
    and others.
    """
    if isinstance(value, np.number | np.bool_) and not isinstance(value, np.timedelta64):
        value = value.item()
    # pandas' NaT is a time by its class; like NaN, it differs from itself.
    if isinstance(value, date | time) and value == value:
        value = value.isoformat()
    if not (value is None or isinstance(value, str | int | float)):
        expected = (
            f"a text, a number, true, false or null (in Python None), and it is {type_of(value)}"
        )
    elif isinstance(value, float) and not math.isfinite(value):
        expected = "a finite number, or null (in Python None) for no value"
    elif isinstance(value, str) and (half := HALF.search(value)):
        expected = f"whole characters, and {half.group()!r} is a lone surrogate"
    else:
        return value
    raise ValueError(f"{origin}: {name} is {value!r:.60}; expected {expected}.")


def field_of(record: dict[str, Any], field: str, origin: str) -> Any:
    """Value of a field of a record. Raises ValueError if it is missing."""
    if field not in record:
        raise ValueError(missing(origin, field, list(record)))
    return record[field]


def missing(origin: str, field: str, fields: Sequence[str]) -> str:
    """Message about a missing field; `fields` are those that exist."""
    found = ", ".join(map(str, fields)) or "none"
    return (
        f"{origin} has no field {field!r}; it has {found:.200}. Expected _id, title and text, or "
        "the fields that --id-field, --text-field and --fields name."
    )
