"""JSON Lines -> records, documents: one object on each line, as in BEIR. Start at read_jsonl."""

from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from typing import Any, BinaryIO

from minibert.common.arguments import type_of
from minibert.documents.document import HALF, Document, Fields, Maker, Record
from minibert.documents.lines import lines_of

__all__ = ["jsonl_records", "read_jsonl"]

logger = logging.getLogger(__name__)

DOCUMENT = '{"_id": "1", "title": "A title", "text": "A text."}'
RECORD = '{"query": "A question", "positive": "Its answer."}'


def read_jsonl(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read one JSON object from each line; blank lines are skipped.

    Warns at the end of a field to keep that no object has. Raises ValueError, with the line, for
    anything else and for a name that stands twice.
    """
    make = Maker(fields)
    for line, record in objects(stream, name, DOCUMENT):
        document = make.document(record)
        if "\\u" in line:
            check_characters(document)
        yield document
    if make.absent:
        told = ", ".join(map(repr, make.absent))
        which = f"fields {told}, so they are" if make.absent[1:] else f"field {told}, so it is"
        logger.warning("%s: no document has the %s null in all.", name, which)


def jsonl_records(stream: BinaryIO, name: str) -> Iterator[Record]:
    """Read the fields of one JSON object from each line. Raises ValueError as `read_jsonl` does.

    A text may hold half of a surrogate pair, which has no bytes.
    """
    return (record for _, record in objects(stream, name, RECORD))


def objects(stream: BinaryIO, name: str, example: str) -> Iterator[tuple[str, Record]]:
    """Yield each line that is not blank, and the object on it.

    Raises ValueError, with an example of a line, for any other.
    """
    for number, line in enumerate(lines_of(stream, name), start=1):
        if not line or line.isspace():
            continue
        origin = f"{name}, line {number}"
        try:
            content = json.loads(line, object_pairs_hook=record_of)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{origin} is not JSON: {error}. Expected one object on each line, as {example}."
            ) from error
        if not isinstance(content, dict):
            raise ValueError(
                f"{origin} holds {type_of(content)}; expected an object, as {example}."
            )
        if isinstance(content, Doubled):
            raise ValueError(
                f"{origin} has two fields {content.name!r}; expected one, or a text would be lost."
            )
        yield line, Record(content, origin)


def check_characters(document: Document) -> None:
    """Raise ValueError for half of a surrogate pair, which JSON can write and UTF-8 cannot."""
    half = HALF.search((document.id or "") + document.text)
    if half is not None:
        raise ValueError(
            f"{document.origin} has a lone surrogate, {half.group()!r}, which is no character."
        )


class Doubled(dict[str, Any]):
    """A JSON object in which a name stands twice; Python would keep the last of the two."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.name = next(name for name in names if names.count(name) > 1)  # that stands twice


def record_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict of a JSON object's pairs; Doubled if a name stands there twice."""
    record = dict(pairs)
    return record if len(record) == len(pairs) else Doubled(pairs)
