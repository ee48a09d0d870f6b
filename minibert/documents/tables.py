"""CSV and TSV -> documents: one from each row under a header. Start at Table, then read_csv."""

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

TSV_HINT = "For a file with quotes around its fields, pass --input-format tsv-quoted."


def read_csv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read one record a row under a header, quoted as in Python's csv module."""
    return read_quoted(stream, name, fields, ",")


def read_quoted_tsv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read the same with tabs instead of commas."""
    return read_quoted(stream, name, fields, "\t")


def read_quoted(stream: BinaryIO, name: str, fields: Fields, delimiter: str) -> Iterator[Document]:
    """Read the same with any delimiter; warn once of a row that may have swallowed others."""
    table, told = Table(name, fields), False
    for number, row in quoted_rows(stream, name, delimiter):
        document = table.document(number, row)
        if document is None:
            continue
        if not told and (inner := table.swallowed(row, delimiter)) is not None:
            told = True
            logger.warning(
                "%s: a quote that opens there closes some lines below. A line between them looks "
                "like a row, but is read as part of a text: %r. Check the quote.",
                document.origin,
                inner,
            )
        yield document


def quoted_rows(stream: BinaryIO, name: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """Yield each row with the number of its first line; a blank line has no fields.

    Raises ValueError, with the line, for wrong quotes.
    """
    import csv  # late: only tables need it

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
    """Read one record a line under a header; tabs divide fields, quotes are plain characters."""
    table, told = Table(name, fields, TSV_HINT), False
    for number, line in enumerate(lines_of(stream, name), start=1):
        row = line.split("\t") if line else []
        document = table.document(number, row)
        if document is None:
            continue
        if not told and any(map(is_quoted, row)):
            told = True
            logger.warning(
                "%s has a field with doubled quotes; they are read as part of the text. %s",
                document.origin,
                TSV_HINT,
            )
        yield document


def is_quoted(field: str) -> bool:
    """Return whether a field looks quoted: in quotes, with doubled quotes inside."""
    within = field[1:-1]
    is_around = len(field) > 1 and field[0] == field[-1] == '"'
    return is_around and '""' in within and '"' not in within.replace('""', "")


class Table:
    """A file's header, by which it makes a document of each row."""

    def __init__(self, name: str, fields: Fields, hint: str = "") -> None:
        self.name = name  # of the file, in errors
        self.make = Maker(fields)
        self.hint = hint  # advice in errors about rows that do not fit
        self.header: list[str] = []  # names of the columns, once the first row is read

    def document(self, number: int, row: list[str]) -> Document | None:
        """Make the document of a row; None for the header and for a blank line.

        Raises ValueError for a row with more or fewer fields than the header.
        """
        origin = f"{self.name}, line {number}"
        if not self.header:
            if row:
                check_header(row, origin, self.hint)
                self.make.names(row, origin)  # checked now: a file may have only this line
                self.header = row
            return None
        if not row and len(self.header) > 1:
            return None
        row = row or [""]  # one empty field
        if row == self.header and len(row) > 1:  # a lone field may equal its name
            raise ValueError(
                f"{origin} is the header once more. Were files joined? Give each file separately."
            )
        if len(row) != len(self.header):
            raise ValueError(
                f"{origin} has {len(row)} fields; the header has {len(self.header)}: "
                f"{', '.join(self.header):.200}. {self.hint}".rstrip()
            )
        return self.make.document(dict(zip(self.header, row, strict=True)), origin)

    def swallowed(self, row: list[str], delimiter: str) -> str | None:
        """Find a line inside a field that looks like a row, with a similar id; else None."""
        if self.make.id_field is None:
            return None
        at = self.header.index(self.make.id_field)
        for line in (line for field in row for line in field.split("\n")[1:]):
            parts = line.removesuffix("\r").split(delimiter)
            form = form_of_id(row[at])
            # A word is common in the id's place of any line; a number is not.
            is_whole = len(parts) == len(row) or ("0" in form and len(parts) > max(1, at))
            if is_whole and form_of_id(parts[at]) == form:
                return line
        return None


def form_of_id(id: str) -> str:
    """Replace numbers in an id by 0 and words by a; ids of one file then look alike."""
    return re.sub(r"[^\W\d_]+", "a", re.sub(r"\d+", "0", id))


def check_header(header: list[str], origin: str, hint: str) -> None:
    """Raise ValueError if a name stands twice, holds lines, or is in quotes that are not read."""
    if any("\r" in name for name in header):
        raise ValueError(
            f"{origin}: the header holds a carriage return, which ends no line here. Expected "
            "lines that end with a line feed."
        )
    if hint and all(name[:1] == name[-1:] == '"' for name in header):
        raise ValueError(f"{origin}: all names of the header stand in quotes. {hint}")
    twice = next((name for number, name in enumerate(header) if name in header[:number]), None)
    if twice is not None:
        raise ValueError(f"{origin}: the header names {twice!r} twice.")
