"""CSV and TSV -> documents: a row each, under a header. Start at Table, then read_csv."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterator
from typing import BinaryIO

from minibert.documents.document import Document, Fields, Maker
from minibert.documents.lines import decoded, lines_of

__all__ = ["read_csv", "read_quoted_tsv", "read_tsv"]

logger = logging.getLogger(__name__)

TSV_HINT = "A file whose fields stand in quotes is of the format tsv-quoted (--input-format)."


def read_csv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """A record a row under a header, quoted as Python's csv module reads it."""
    return read_quoted(stream, name, fields, ",")


def read_quoted_tsv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """The same with tabs."""
    return read_quoted(stream, name, fields, "\t")


def read_quoted(stream: BinaryIO, name: str, fields: Fields, delimiter: str) -> Iterator[Document]:
    """The same with any delimiter; a row that may have swallowed others is warned of, once."""
    table, told = Table(name, fields), False
    for number, row in quoted_rows(stream, name, delimiter):
        document = table.document(number, row)
        if document is None:
            continue
        if not told and (inner := table.swallowed(row, delimiter)) is not None:
            told = True
            logger.warning(
                "%s: a quote that opens there closes lines below, and a line between looks like a "
                "row: %r. It is part of one text now; is the quote meant so?",
                document.origin,
                inner,
            )
        yield document


def quoted_rows(stream: BinaryIO, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Each row and the line that it begins in; a blank line has no fields."""
    import csv  # here, so that no other form waits for it

    csv.field_size_limit(sys.maxsize)  # a text may be longer than the module's 128 KB
    rows = csv.reader(decoded(stream, name), delimiter=delimiter, strict=True)
    while True:
        number = rows.line_num + 1
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{name}, line {number} is no row: {error}. Expected fields between {delimiter!r}, "
                "with quotes around one that holds it or a quote, and the quotes within doubled."
            ) from error
        yield number, row


def read_tsv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """A record a line under a header; tabs divide its fields, and a quote is a character."""
    table, told = Table(name, fields, TSV_HINT), False
    for number, line in enumerate(lines_of(stream, name), start=1):
        row = line.split("\t") if line else []
        document = table.document(number, row)
        if document is None:
            continue
        if not told and any(map(is_quoted, row)):
            told = True
            logger.warning(
                "%s has a field whose quotes are doubled; they are read as part of it. %s",
                document.origin,
                TSV_HINT,
            )
        yield document


def is_quoted(field: str) -> bool:
    """Whether a field looks as a program wrote it that quotes: in quotes, those within doubled."""
    within = field[1:-1]
    is_around = len(field) > 1 and field[0] == field[-1] == '"'
    return is_around and '""' in within and '"' not in within.replace('""', "")


class Table:
    """The header of a file, and what makes a document of each row below it."""

    def __init__(self, name: str, fields: Fields, hint: str = "") -> None:
        self.name = name
        self.make = Maker(fields)
        self.hint = hint  # what is said of rows that do not fit
        self.header: list[str] = []

    def document(self, number: int, row: list[str]) -> Document | None:
        """The document of a row; None for the header, and for a line that is blank.

        Raises ValueError for a row that has not the header's fields.
        """
        origin = f"{self.name}, line {number}"
        if not self.header:
            if row:
                check_header(row, origin, self.hint)
                self.make.names(row, origin)  # now: a lone first line may be meant as a document
                self.header = row
            return None
        if not row and len(self.header) > 1:
            return None
        row = row or [""]  # of one field, which is empty
        if row == self.header and len(row) > 1:  # the only field may say what its name does
            raise ValueError(
                f"{origin} is the header once more. Were files joined? Give each by itself."
            )
        if len(row) != len(self.header):
            raise ValueError(
                f"{origin} has {len(row)} fields; the header has {len(self.header)}: "
                f"{', '.join(self.header):.200}. {self.hint}".rstrip()
            )
        return self.make.document(dict(zip(self.header, row, strict=True)), origin)

    def swallowed(self, row: list[str], delimiter: str) -> str | None:
        """A line within a field that looks like a row, with an id like this row's; else None."""
        if self.make.id_field is None:
            return None
        at = self.header.index(self.make.id_field)
        for line in (line for field in row for line in field.split("\n")[1:]):
            parts = line.removesuffix("\r").split(delimiter)
            form = form_of_id(row[at])
            # Words are common in any text; a number in the id's place is not.
            is_whole = len(parts) == len(row) or ("0" in form and len(parts) > max(1, at))
            if is_whole and form_of_id(parts[at]) == form:
                return line
        return None


def form_of_id(id: str) -> str:
    """An id with 0 for its numbers and a for its words, by which those of one file are alike."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", id))


def check_header(header: list[str], origin: str, hint: str) -> None:
    """Raise ValueError if a name stands twice, holds lines, or is in quotes that nobody reads."""
    if any("\r" in name for name in header):
        raise ValueError(
            f"{origin}: the header holds a carriage return that is no end of a line here. Expected "
            "lines that end with a line feed."
        )
    if hint and all(name[:1] == name[-1:] == '"' for name in header):
        raise ValueError(f"{origin}: all names of the header stand in quotes. {hint}")
    twice = next((name for number, name in enumerate(header) if name in header[:number]), None)
    if twice is not None:
        raise ValueError(f"{origin}: the header names {twice!r} twice.")
