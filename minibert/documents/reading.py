"""Files and streams -> documents, one at a time, each with the place it came from.

    for document in read_documents(["corpus.jsonl.gz"]):
        document.id, document.text, document.origin   # "7", "Title text", "corpus.jsonl.gz, line 8"

A form is a row of FORMS. Nothing is kept, so a file may be larger than memory. Nothing is lost:
every line or row is a document, or an error that names it.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from minibert.common.advice import needing
from minibert.common.arguments import check_several
from minibert.common.progress import is_gone

__all__ = [
    "FORMS",
    "SUFFIXES",
    "Document",
    "Fields",
    "count_documents",
    "lines_in",
    "read_documents",
    "standard_input",
    "suffix_of",
]

logger = logging.getLogger(__name__)

STDIN = "-"
# Where no field is named: BEIR's names, and the one that tables have for an id.
ID_FIELDS = ("_id", "id")
TITLE, TEXT = "title", "text"
EXAMPLE = '{"_id": "1", "title": "A title", "text": "A text."}'
BATCH_ROWS = 1024  # of Parquet, held at a time
PIECE = 1 << 20  # bytes
HALF = re.compile("[\ud800-\udfff]")
TSV_HINT = "A file whose fields stand in quotes is of the format tsv-quoted (--input-format)."
# How files begin that are often taken for UTF-8: what is said of them.
BEGINNINGS = {
    b"\x1f\x8b": " It is gzipped: unpack it, or let its name end with .gz.",
    b"\xff\xfe": " It is UTF-16: save it as UTF-8.",
    b"\xfe\xff": " It is UTF-16: save it as UTF-8.",
}


class Document(NamedTuple):
    """A text with its id, and where it stands."""

    id: str | None  # None where the form has none; then its number in the corpus is its id
    text: str
    origin: str  # "FILE, line 3"


class Fields(NamedTuple):
    """Which fields of a form with names make up a document.

    Without names the id is "_id", else "id", else the document's number; the text is "title" and
    "text", of which the first may be absent.
    """

    id: str | None = None
    text: tuple[str, ...] = ()


def read_documents(
    files: Sequence[str | os.PathLike[str]], form: str | None = None, fields: Fields | None = None
) -> Iterator[Document]:
    """The documents of files, one file after another; "-" is standard input.

    `form` is one of FORMS, else the one of a file's suffix: .txt, .jsonl, .csv, .tsv or .parquet,
    but for Parquet with .gz behind it or not. A tsv has no quotes; tsv-quoted has those of csv. A
    folder is a BEIR data set, of which corpus.jsonl is read. The texts of several fields are joined
    by one space, and stripped.

    Raises FileNotFoundError at once if a file is not there, or if standard input is closed;
    TypeError for one name instead of a list; MissingLibraryError for Parquet without pyarrow;
    ValueError for a name that tells no form, and, with the file and the line, for what cannot be
    read as one.
    """
    check_several(files=files)
    if STDIN in (files or [STDIN]):
        standard_input()
    paths = [path_of(name) for name in files or [STDIN]]
    chosen = [form or form_of(path) for path in paths]
    if form is not None and form not in FORMS:
        raise ValueError(f"The format is {form!r}; expected one of {', '.join(FORMS)}.")
    documents = all_documents(paths, chosen, fields or Fields())
    is_guessed = form is None and chosen[0] == "text"
    return telling_of_records(documents) if is_guessed else documents


def all_documents(paths: list[str], forms: list[str], fields: Fields) -> Iterator[Document]:
    """The documents of files whose forms are known."""
    for path, form in zip(paths, forms, strict=True):
        with opened(path, form) as stream:
            yield from FORMS[form](stream, shown(path), fields)


def telling_of_records(documents: Iterator[Document]) -> Iterator[Document]:
    """Documents of forms that nobody named; it is said if the first text is a JSON object."""
    first = next(documents, None)
    if first is None:
        return
    if looks_like_json(first.text):
        logger.warning(
            "%s is a JSON object, and is read as a text; --input-format jsonl reads its fields.",
            first.origin,
        )
    yield first
    yield from documents


def looks_like_json(text: str) -> bool:
    """Whether a text is a JSON object."""
    if not text.startswith("{"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def path_of(name: str | os.PathLike[str]) -> str:
    """The file that a name stands for. Raises FileNotFoundError if there is none."""
    name = os.fspath(name)
    if name == STDIN:
        return name
    path = Path(name)
    if path.is_dir():
        candidates = [path / "corpus.jsonl", path / "corpus.jsonl.gz"]
        found = next((file for file in candidates if file.is_file()), None)
        if found is None:
            raise FileNotFoundError(
                f"{name!r} is a folder without corpus.jsonl. Expected a file, or a BEIR folder."
            )
        return str(found)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {name!r}.")
    return name


def form_of(path: str) -> str:
    """The form that a file's name tells. Raises ValueError if it tells none."""
    if path == STDIN:
        return "text"
    suffix = suffix_of(path)
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path!r} tells no format by its suffix. Give --input-format: {', '.join(FORMS)}."
        )
    return SUFFIXES[suffix]


def suffix_of(path: str) -> str:
    """How a file's name ends, ".gz" apart, in small letters."""
    return os.path.splitext(path[:-3] if is_gzipped(path) else path)[1].lower()


def is_gzipped(path: str) -> bool:
    """Whether a file is gzipped by its name."""
    return path.lower().endswith(".gz")


def opened(path: str, form: str) -> AbstractContextManager[Any]:
    """A file's bytes, unpacked if its name ends with .gz; standard input stays open afterwards."""
    if path == STDIN:
        return nullcontext(standard_input())
    if is_gzipped(path) and form != "parquet":
        import gzip

        return gzip.open(path, "rb")
    return open(path, "rb")


def standard_input() -> BinaryIO:
    """The bytes of standard input. Raises FileNotFoundError where there are none."""
    if is_gone(sys.stdin):  # `<&-` in a shell, a daemon, pythonw
        raise FileNotFoundError("Standard input is closed. Give a file, or pipe something into it.")
    if not hasattr(sys.stdin, "buffer"):  # a program, or a notebook, may have put it there
        raise FileNotFoundError(
            "Standard input is a stream of text, which holds no bytes. Give a file."
        )
    return sys.stdin.buffer


def shown(path: str) -> str:
    """What a file is called in a message."""
    return "standard input" if path == STDIN else path


def decoded(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a stream as text, each with its end: only a line feed is one.

    Raises ValueError, with the stream's name and the line's number, for what is not UTF-8, for a
    NUL byte, and for no gzip where it should be.
    """
    from gzip import BadGzipFile  # here, so that embedding an argument does not wait for it

    lines, number = iter(stream), 0
    while True:
        number += 1
        try:
            line = next(lines)
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except StopIteration:
            return
        except UnicodeDecodeError as error:
            hint = BEGINNINGS.get(line[:2], "") if number == 1 else ""
            raise ValueError(f"{name}, line {number} is not UTF-8: {error}.{hint}") from error
        except (BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(
                f"{name} is no gzip file, or a damaged one, after line {number - 1}: {error}."
            ) from error
        if "\0" in text:  # what is not text has it, UTF-16 above all
            raise ValueError(
                f"{name}, line {number} holds a NUL byte, which is in no text. Expected UTF-8; is "
                "it UTF-16?"
            )
        yield text


def lines_of(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a stream as text, without their ends. Raises ValueError as `decoded` does."""
    for line in decoded(stream, name):
        yield line.removesuffix("\n").removesuffix("\r")


def lines_in(path: str) -> Iterator[str]:
    """The lines of a text file, gzipped or not, or of standard input for "-"."""
    with opened(path, "text") as stream:
        yield from lines_of(stream, shown(path))


# The forms.


def read_text(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """A document a line, an empty one too."""
    if fields != Fields():
        raise ValueError(f"{name}: text has no fields; name them for jsonl, csv, tsv or parquet.")
    for number, line in enumerate(lines_of(stream, name), start=1):
        yield Document(None, line, f"{name}, line {number}")


def read_jsonl(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """A JSON object a line; blank lines are skipped."""
    make = Maker(fields)
    for number, line in enumerate(lines_of(stream, name), start=1):
        if not line or line.isspace():
            continue
        origin = f"{name}, line {number}"
        try:
            content = json.loads(line, object_pairs_hook=record_of)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{origin} is not JSON: {error}. Expected an object a line, as {EXAMPLE}."
            ) from error
        if not isinstance(content, dict):
            raise ValueError(
                f"{origin} holds a {type(content).__name__}; expected an object, as {EXAMPLE}."
            )
        if isinstance(content, Doubled):
            raise ValueError(
                f"{origin} has two fields {content.name!r}; expected one, or a text would be lost."
            )
        document = make.document(content, origin)
        if "\\u" in line:
            check_characters(document)
        yield document


def check_characters(document: Document) -> None:
    """Raise ValueError for half of a character, which JSON can write and UTF-8 cannot."""
    half = HALF.search((document.id or "") + document.text)
    if half is not None:
        raise ValueError(
            f"{document.origin} has a lone surrogate, {half.group()!r}, which is no character."
        )


class Doubled(dict[str, Any]):
    """A JSON object in which a name stood twice, of which Python would keep the last."""

    def __init__(self, pairs: list[tuple[str, Any]]) -> None:
        super().__init__(pairs)
        names = [name for name, _ in pairs]
        self.name = next(name for name in names if names.count(name) > 1)


def record_of(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """What stands in a JSON object; Doubled if a name stands there twice."""
    record = dict(pairs)
    return record if len(record) == len(pairs) else Doubled(pairs)


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
    import csv

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


def read_parquet(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """A row of a Parquet file, which must be one that can be read from its end."""
    with needing("pyarrow", f"{name}: reading Parquet", "parquet"):
        import pyarrow
        import pyarrow.parquet
    if not stream.seekable():
        raise ValueError(f"{name}: Parquet is read from its end; give a file, not a pipe.")
    make, number = Maker(fields), 0
    try:
        file = pyarrow.parquet.ParquetFile(stream)
        columns = make.names(file.schema_arrow.names, name)
        for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=columns):
            for row in batch.to_pylist():
                number += 1
                yield make.document(row, f"{name}, row {number}")
    except pyarrow.ArrowException as error:
        raise ValueError(f"{name} is no Parquet file that can be read: {error}.") from error


# A form's name -> what reads it.
FORMS: dict[str, Callable[[BinaryIO, str, Fields], Iterator[Document]]] = {
    "text": read_text,
    "jsonl": read_jsonl,
    "csv": read_csv,
    "tsv": read_tsv,
    "tsv-quoted": read_quoted_tsv,
    "parquet": read_parquet,
}
SUFFIXES = {
    "": "text",
    ".txt": "text",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".csv": "csv",
    ".tsv": "tsv",
    ".parquet": "parquet",
}


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


def count_documents(files: Sequence[str], form: str | None = None) -> int | None:
    """How many documents files hold if that is soon told, else None; blank lines count, too."""
    counts = [count_of(path, form or form_of(path)) for path in map(path_of, files or [STDIN])]
    return None if None in counts else sum(count or 0 for count in counts)


def count_of(path: str, form: str) -> int | None:
    """How many documents a file holds: its lines, or what Parquet says of itself."""
    if is_gzipped(path) or not os.path.isfile(path):  # a pipe can be read only once
        return None
    if form == "parquet":
        try:
            import pyarrow.parquet

            return int(pyarrow.parquet.read_metadata(path).num_rows)
        except (ImportError, ValueError, OSError):
            return None  # reading it will say what is wrong
    if form not in ("text", "jsonl"):
        return None
    lines, last = 0, b"\n"
    with open(path, "rb") as file:
        while piece := file.read(PIECE):
            lines += piece.count(b"\n")
            last = piece[-1:]
    return lines + (last != b"\n")
