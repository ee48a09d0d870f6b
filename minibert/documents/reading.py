"""Files and streams -> documents, one at a time, each with its place.

    for document in read_documents(["corpus.jsonl.gz"]):
        document.id, document.text, document.origin   # "7", "Title text", "corpus.jsonl.gz, line 8"

A form is a row of FORMS. One document is in memory at a time, so a file may be larger than memory.
Nothing is lost: every line or row is a document, or an error names it.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence

from minibert.common.arguments import check_choice, check_several
from minibert.documents.document import Document, Fields, Record, checked_fields
from minibert.documents.forms import FORMS, Form, form_by_suffix, form_of
from minibert.documents.sources import (
    STDIN,
    display_name,
    is_gzipped,
    opened,
    path_of,
    standard_input,
)

__all__ = ["count_documents", "read_documents", "read_records"]

logger = logging.getLogger(__name__)


def read_documents(
    files: Sequence[str | os.PathLike[str]],
    form: str | None = None,
    *,
    fields: Fields | Sequence[str] | None = None,
) -> Iterator[Document]:
    """Read the documents of files, one file after another; "-" is standard input.

    `form` is one of FORMS. By default a file's suffix decides: .txt, .jsonl, .csv, .tsv or
    .parquet; all but Parquet may have .gz behind it. A tsv has no quotes; tsv-quoted has quotes as
    in csv. A folder is a BEIR data set, and its corpus.jsonl is read. The texts of several fields
    are joined by one space, and stripped. `fields` are names of fields to keep beside the text, or
    Fields, which name those of the id and the text, too.

    Raises FileNotFoundError at once if a file is missing or standard input closed, TypeError for
    one name instead of a list, MissingLibraryError for Parquet without pyarrow. Raises ValueError
    for an unknown suffix, for Fields that contradict themselves, and, with file and line, for
    content that does not fit the form.
    """
    check_several(files=files)
    if STDIN in (files or [STDIN]):
        standard_input()
    paths = [path_of(name) for name in files or [STDIN]]
    forms = [form or form_of(path) for path in paths]
    if form is not None:
        check_choice("form", form, FORMS)
    documents = all_documents(paths, forms, checked_fields(fields))
    is_guessed = form is None and forms[0] == "text"
    return warn_of_json(documents) if is_guessed else documents


def all_documents(paths: list[str], forms: list[str], fields: Fields) -> Iterator[Document]:
    """Yield the documents of files with known forms."""
    for path, form in zip(paths, forms, strict=True):
        row = FORMS[form]
        with opened(path, row.may_be_gzipped) as stream:
            yield from row.read(stream, display_name(path), fields)


def read_records(file: str | os.PathLike[str], form: str | None = None) -> Iterator[Record]:
    """Read the records of one file: all named fields of each line or row, one at a time.

    `file` and `form` are as in `read_documents`, but the form must have named fields: jsonl, csv,
    tsv, tsv-quoted or parquet. Raises as `read_documents` does.
    """
    path = path_of(file)
    known = [name for name, row in FORMS.items() if row.records]
    if form is None:
        form = form_by_suffix(path)
        if form not in known:
            raise ValueError(
                f"{path!r} has no suffix of a form with named fields. Give form= (for the command: "
                f"--input-format), one of {', '.join(known)}."
            )
    check_choice("form", form, known)
    return records_of(path, FORMS[form])


def records_of(path: str, form: Form) -> Iterator[Record]:
    """Yield the records of a file."""
    assert form.records is not None
    with opened(path, form.may_be_gzipped) as stream:
        yield from form.records(stream, display_name(path))


def warn_of_json(documents: Iterator[Document]) -> Iterator[Document]:
    """Yield documents that are read as text by default; warn if the first is a JSON object."""
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
    """Return whether a text is a JSON object."""
    if not text.startswith("{"):
        return False
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def count_documents(files: Sequence[str], form: str | None = None) -> int | None:
    """Count the documents of files, blank lines too; None if that would take long."""
    counts = [count_of(path, form or form_of(path)) for path in map(path_of, files or [STDIN])]
    return None if None in counts else sum(count or 0 for count in counts)


def count_of(path: str, form: str) -> int | None:
    """Count the documents of a file; None if it is gzipped or a pipe, or its form cannot."""
    count = FORMS[form].count if form in FORMS else None
    if count is None or is_gzipped(path) or not os.path.isfile(path):  # a pipe is read only once
        return None
    return count(path)
