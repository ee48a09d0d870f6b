"""CSV and TSV -> records, documents: one from each row under a header. Start at Table."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Callable, Iterator
from typing import BinaryIO

from minibert.common.counts import counted
from minibert.documents.document import Document, Fields, Maker, Record
from minibert.documents.lines import decoded, lines_of

__all__ = [
    "csv_records",
    "quoted_tsv_records",
    "read_csv",
    "read_quoted_tsv",
    "read_tsv",
    "tsv_records",
]

logger = logging.getLogger(__name__)

CheckNames = Callable[[list[str], str], object]  # is given a header and its place
TSV_HINT = "For a file with quotes around its fields, pass --input-format tsv-quoted."


def read_csv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read one record a row under a header, quoted as in Python's csv module."""
    return read_quoted(stream, name, fields, ",")


def read_quoted_tsv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """Read the same with tabs instead of commas."""
    return read_quoted(stream, name, fields, "\t")


def read_quoted(stream: BinaryIO, name: str, fields: Fields, delimiter: str) -> Iterator[Document]:
    """Read the same with any delimiter; warn once of a row that may have swallowed others."""
    make, told = Maker(fields), False
    for record in quoted_records(stream, name, delimiter, make.names):
        document = make.document(record)
        if not told and (inner := swallowed(record, make.id_field, delimiter)) is not None:
            told = True
            logger.warning(
                "%s: a quote that opens there closes some lines below. A line between them looks "
                "like a row, but is read as part of a text: %r. Check the quote.",
                document.origin,
                inner,
            )
        yield document


def csv_records(stream: BinaryIO, name: str) -> Iterator[Record]:
    """Read the fields of each row under a header, quoted as in Python's csv module."""
    return quoted_records(stream, name, ",")


def quoted_tsv_records(stream: BinaryIO, name: str) -> Iterator[Record]:
    """Read the same with tabs instead of commas."""
    return quoted_records(stream, name, "\t")


def quoted_records(
    stream: BinaryIO, name: str, delimiter: str, check: CheckNames | None = None
) -> Iterator[Record]:
    """Read the same with any delimiter. Raises ValueError for a row that does not fit."""
    table = Table(name, check)
    for number, row in quoted_rows(stream, name, delimiter):
        if (record := table.record(number, row)) is not None:
            yield record


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
    make = Maker(fields)
    return map(make.document, tsv_records(stream, name, make.names))


def tsv_records(stream: BinaryIO, name: str, check: CheckNames | None = None) -> Iterator[Record]:
    """Read the fields of each line; warn once of fields that look quoted."""
    table, told = Table(name, check, TSV_HINT), False
    for number, line in enumerate(lines_of(stream, name), start=1):
        row = line.split("\t") if line else []
        record = table.record(number, row)
        if record is None:
            continue
        if not told and any(map(is_quoted, row)):
            told = True
            logger.warning(
                "%s has a field with doubled quotes; they are read as part of the text. %s",
                record.origin,
                TSV_HINT,
            )
        yield record


def is_quoted(field: str) -> bool:
    """Return whether a field looks quoted: in quotes, with doubled quotes inside."""
    within = field[1:-1]
    is_around = len(field) > 1 and field[0] == field[-1] == '"'
    return is_around and '""' in within and '"' not in within.replace('""', "")


class Table:
    """A file's header, by which it names the fields of each row."""

    def __init__(self, name: str, check: CheckNames | None = None, hint: str = "") -> None:
        self.name = name  # of the file, in errors
        self.check = check  # is given the header and its place, and may raise ValueError
        self.hint = hint  # advice in errors about rows that do not fit
        self.header: list[str] = []  # names of the columns, once the first row is read

    def record(self, number: int, row: list[str]) -> Record | None:
        """Name the fields of a row; None for the header and for a blank line.

        Raises ValueError for a row with more or fewer fields than the header.
        """
        origin = f"{self.name}, line {number}"
        if not self.header:
            if row:
                check_header(row, origin, self.hint)
                if self.check is not None:
                    self.check(row, origin)  # now: a file may have only this line
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
                f"{origin} has {counted(len(row), 'field')}; the header has {len(self.header)}: "
                f"{', '.join(self.header):.200}. {self.hint}".rstrip()
            )
        return Record(dict(zip(self.header, row, strict=True)), origin)


def swallowed(record: Record, id_field: str | None, delimiter: str) -> str | None:
    """Find a line inside a field that looks like a row, with a similar id; else None."""
    if id_field is None:
        return None
    row: list[str] = list(record.values.values())
    at = list(record.values).index(id_field)
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
