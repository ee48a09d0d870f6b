"""Documents, and the fields of a record that make one. No files. Start at Maker."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

__all__ = ["Document", "Fields", "Maker"]

# Where no field is named: BEIR's names, and the one that tables have for an id.
ID_FIELDS = ("_id", "id")
TITLE, TEXT = "title", "text"


class Document(NamedTuple):
    """A text with its id, and where it stands."""

    id: str | None  # None where the form has none; then its number in the corpus is its id
    text: str  # what is encoded
    origin: str  # "FILE, line 3"


class Fields(NamedTuple):
    """Which fields of a form with names make up a document.

    Without names the id is "_id", else "id", else the document's number; the text is "title" and
    "text", of which the first may be absent.
    """

    id: str | None = None  # the name of the field with the id; None if there is none
    text: tuple[str, ...] = ()  # the names of the fields that the text is joined from


class Maker:
    """Makes documents of records, which must all have an id or none."""

    def __init__(self, fields: Fields) -> None:
        self.fields = fields
        self.id_field: str | None = fields.id
        self.begun = False

    def names(self, there: list[str], name: str) -> list[str]:
        """Which columns of a table are read."""
        texts = self.fields.text or (TEXT,)
        for field in [*texts, *([self.fields.id] if self.fields.id else [])]:
            if field not in there:
                raise ValueError(missing(name, field, there))
            if there.count(field) > 1:
                raise ValueError(f"{name} has two columns {field!r}; expected one.")
        ids = [self.fields.id] if self.fields.id else [id for id in ID_FIELDS if id in there][:1]
        titles = [TITLE] if not self.fields.text and TITLE in there else []
        return list(dict.fromkeys([*ids, *titles, *texts]))

    def document(self, record: dict[str, Any], origin: str) -> Document:
        """The document of one record."""
        if not self.begun:
            self.id_field = self.fields.id or next((id for id in ID_FIELDS if id in record), None)
            self.begun = True
        return Document(self.id(record, origin), self.text(record, origin), origin)

    def id(self, record: dict[str, Any], origin: str) -> str | None:
        """A record's id, as text."""
        if self.id_field is None:
            late = next((id for id in ID_FIELDS if id in record), None)
            if late is not None:
                raise ValueError(f"{origin} has an {late!r}, and what comes before it has none.")
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
        """The text of its fields."""
        titled = (TITLE, TEXT) if record.get(TITLE) is not None else (TEXT,)
        parts = []
        for field in self.fields.text or titled:
            part = field_of(record, field, origin)
            if not isinstance(part, str):
                raise ValueError(f"{origin}: {field} is {part!r:.60}; expected a text.")
            parts.append(part)
        return " ".join(parts).strip()


def field_of(record: dict[str, Any], field: str, origin: str) -> Any:
    """A field that has to be there."""
    if field not in record:
        raise ValueError(missing(origin, field, list(record)))
    return record[field]


def missing(origin: str, field: str, there: Sequence[str]) -> str:
    """What is said of a field that is not there."""
    found = ", ".join(map(str, there)) or "none"
    return (
        f"{origin} has no field {field!r}; it has {found:.200}. Expected _id, title and text, or "
        "what --id-field and --text-field name."
    )
