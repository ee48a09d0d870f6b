"""Files and streams -> documents, one at a time, each with the place it came from.

    for document in read_documents(["corpus.jsonl.gz"]):
        document.id, document.text, document.origin   # "7", "Title text", "corpus.jsonl.gz, line 8"

A form is a row of FORMS. Nothing is kept, so a file may be larger than memory.
"""

from __future__ import annotations

import json
import os
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

__all__ = ["FORMS", "Document", "Fields", "count_documents", "lines_of", "read_documents"]

STDIN = "-"
# Where no field is named: BEIR's names, and the one that tables have for an id.
ID_FIELDS = ("_id", "id")
TITLE, TEXT = "title", "text"
EXAMPLE = '{"_id": "1", "title": "A title", "text": "A text."}'
BATCH_ROWS = 1024  # of Parquet, held at a time
PIECE = 1 << 20  # bytes


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
    files: Sequence[str], form: str | None = None, fields: Fields | None = None
) -> Iterator[Document]:
    """The documents of files, one file after another; "-" is standard input.

    `form` is one of FORMS, else the one of a file's suffix: .txt, .jsonl, .csv, .tsv or .parquet,
    but for Parquet with .gz behind it or not. A folder is a BEIR data set, of which corpus.jsonl is
    read. The texts of several fields are joined by one space, and stripped.

    Raises FileNotFoundError at once if a file is not there; ValueError for a name that tells no
    form, and, with the file and the line, for what cannot be read as one.
    """
    paths = [path_of(name) for name in files or [STDIN]]
    chosen = [form or form_of(path) for path in paths]
    if form is not None and form not in FORMS:
        raise ValueError(f"The format is {form!r}; expected one of {', '.join(FORMS)}.")
    return all_documents(paths, chosen, fields or Fields())


def all_documents(paths: list[str], forms: list[str], fields: Fields) -> Iterator[Document]:
    """The documents of files whose forms are known."""
    for path, form in zip(paths, forms, strict=True):
        with opened(path, form) as stream:
            yield from FORMS[form](stream, shown(path), fields)


def path_of(name: str) -> str:
    """The file that a name stands for. Raises FileNotFoundError if there is none."""
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
    suffix = os.path.splitext(path.removesuffix(".gz"))[1].lower()
    if suffix not in SUFFIXES:
        raise ValueError(
            f"{path!r} tells no format by its suffix. Give --format: {', '.join(FORMS)}."
        )
    return SUFFIXES[suffix]


def opened(path: str, form: str) -> AbstractContextManager[Any]:
    """A file's bytes, unpacked if its name ends with .gz; standard input stays open afterwards."""
    if path == STDIN:
        return nullcontext(sys.stdin.buffer)
    if path.endswith(".gz") and form != "parquet":
        import gzip

        return gzip.open(path, "rb")
    return open(path, "rb")


def shown(path: str) -> str:
    """What a file is called in a message."""
    return "standard input" if path == STDIN else path


def decoded(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a stream as text, each with its end: only a line feed is one.

    Raises ValueError, with the stream's name and the line's number, for what is not UTF-8 or no
    gzip where it should be.
    """
    from gzip import BadGzipFile  # here, so that embedding an argument does not wait for it

    lines, number = iter(stream), 0
    while True:
        number += 1
        try:
            line = next(lines)
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except StopIteration:
            return
        except UnicodeDecodeError as error:
            raise ValueError(f"{name}, line {number} is not UTF-8: {error}.") from error
        except (BadGzipFile, EOFError, zlib.error) as error:
            raise ValueError(
                f"{name} is no gzip file, or a damaged one, after line {number - 1}: {error}."
            ) from error


def lines_of(stream: Iterable[bytes], name: str) -> Iterator[str]:
    """The lines of a stream as text, without their ends. Raises ValueError as `decoded` does."""
    for line in decoded(stream, name):
        yield line.removesuffix("\n").removesuffix("\r")


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
            content = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise ValueError(
                f"{origin} is not JSON: {error}. Expected an object a line, as {EXAMPLE}."
            ) from error
        if not isinstance(content, dict):
            raise ValueError(
                f"{origin} holds a {type(content).__name__}; expected an object, as {EXAMPLE}."
            )
        yield make.document(content, origin)


def read_csv(
    stream: BinaryIO, name: str, fields: Fields, delimiter: str = ","
) -> Iterator[Document]:
    """A record a row under a header, quoted as Python's csv module reads it."""
    import csv

    csv.field_size_limit(sys.maxsize)  # a text may be longer than the module's 128 KB
    rows = csv.reader(decoded(stream, name), delimiter=delimiter, strict=True)
    make, header, origin = Maker(fields), None, f"{name}, line 1"
    while True:
        origin = f"{name}, line {rows.line_num + 1}"
        try:
            row = next(rows)
        except StopIteration:
            return
        except csv.Error as error:
            raise ValueError(
                f"{origin} is no row: {error}. Expected fields between {delimiter!r}, with quotes "
                "around one that holds it or a quote, and the quotes within doubled."
            ) from error
        if not row:
            continue
        if header is None:
            header = row
            check_header(header, origin)
            continue
        if len(row) != len(header):
            raise ValueError(
                f"{origin} has {len(row)} fields; the header has {len(header)}: "
                f"{', '.join(header)}."
            )
        yield make.document(dict(zip(header, row, strict=True)), origin)


def read_tsv(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """The same with tabs."""
    return read_csv(stream, name, fields, delimiter="\t")


def read_parquet(stream: BinaryIO, name: str, fields: Fields) -> Iterator[Document]:
    """A row of a Parquet file, which must be one that can be read from its end."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise ValueError(
            f"{name}: Parquet is read by pyarrow, which is not installed: "
            "pip install 'minibert-numpy[parquet]'."
        ) from None
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

    def names(self, there: Sequence[str], name: str) -> list[str]:
        """Which columns of a table are read."""
        texts = self.fields.text or (TEXT,)
        for field in [*texts, *([self.fields.id] if self.fields.id else [])]:
            if field not in there:
                raise ValueError(missing(name, field, there))
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
        f"{origin} has no field {field!r}; it has {found:.200}. Expected _id, title and text, or, "
        "for `minibert index`, what --id-field and --text-field name."
    )


def check_header(header: list[str], origin: str) -> None:
    """Raise ValueError if a name stands twice."""
    twice = next((name for number, name in enumerate(header) if name in header[:number]), None)
    if twice is not None:
        raise ValueError(f"{origin}: the header names {twice!r} twice.")


def count_documents(files: Sequence[str], form: str | None = None) -> int | None:
    """How many documents files hold if that is soon told, else None; blank lines count, too."""
    counts = [count_of(path, form or form_of(path)) for path in map(path_of, files or [STDIN])]
    return None if None in counts else sum(count or 0 for count in counts)


def count_of(path: str, form: str) -> int | None:
    """How many documents a file holds: its lines, or what Parquet says of itself."""
    if path.endswith(".gz") or not os.path.isfile(path):  # a pipe can be read only once
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
