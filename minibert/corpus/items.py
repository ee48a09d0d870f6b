"""Documents -> what a corpus writes of them, or errors that name the document. Start at item_of."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import NamedTuple

from minibert.corpus.shards import digest_of
from minibert.documents import Document, Scalar, scalar_of
from minibert.errors import CorpusError

__all__ = ["Item", "begun", "check_ids_differ", "item_of", "numbered"]


class Item(NamedTuple):
    """A document, ready to be written."""

    id: bytes  # UTF-8
    text: str
    content: bytes  # the text in UTF-8
    origin: str  # file and line, for messages
    fields: tuple[Scalar, ...]  # values, in the order of the corpus's fields

    @property
    def digest(self) -> bytes:
        """Digest of the document."""
        return digest_of(self.id, self.content, self.fields)


def check_ids_differ(group: list[Item]) -> dict[bytes, str]:
    """Return the place of each id in the input. Raises CorpusError for an id that stands twice."""
    origins: dict[bytes, str] = {}
    for item in group:
        if item.id in origins:
            raise CorpusError(
                f"{item.origin}: the id {item.id.decode()!r} is also that of {origins[item.id]}. "
                "Every document needs one of its own."
            )
        origins[item.id] = item.origin
    return origins


def numbered(documents: Iterable[Document], first: int, fields: tuple[str, ...]) -> Iterator[Item]:
    """Number documents from `first` on; a document without an id gets its number as the id."""
    for number, document in enumerate(documents, start=first):
        yield item_of(document, number, fields)


def begun(documents: Iterable[Document], fields: tuple[str, ...]) -> Iterator[Document]:
    """Read the first document, and return all: an input that cannot be read makes no folder.

    Raises the errors of item_of for the first document, and those of reading it.
    """
    rest = iter(documents)
    for first in rest:
        item_of(first, 0, fields)
        return chain([first], rest)
    return rest


def item_of(document: Document, number: int, fields: tuple[str, ...]) -> Item:
    """Turn a document, its number and the names of the corpus's fields into an Item.

    Raises TypeError for any other object, and for an id, a text or fields of another type;
    ValueError for an empty id, for a text with a lone surrogate, and for fields that were not read,
    that the corpus does not have, or whose value is none.
    """
    if not isinstance(document, Document):
        raise TypeError(
            f"Document {number} is {document!r:.60}; expected a "
            "minibert.documents.Document, as Document(id, text)."
        )
    id = str(number) if document.id is None else document.id
    origin = document.origin or f"document {number}, {id!r:.60}"
    check_document(document, origin, fields)
    values: Mapping[str, Scalar] = document.fields or {}
    unknown = values.keys() - set(fields)
    if unknown:
        raise ValueError(
            f"{origin} has the field {min(unknown)!r}, which the corpus does not keep; it "
            f"keeps {', '.join(fields) or 'none'}. Name it in fields= of build, or leave it out."
        )
    kept = tuple(scalar_of(values.get(name), name, origin) for name in fields)
    try:
        return Item(id.encode(), document.text, document.text.encode(), origin, kept)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{origin} has a lone surrogate, {error.object[error.start]!r}, which is no character."
        ) from None


def check_document(document: Document, origin: str, fields: tuple[str, ...]) -> None:
    """Raise the errors of item_of for an id, a text or fields that a document cannot have."""
    id, text, _, values = document
    if not isinstance(id, str | None):
        raise TypeError(
            f"{origin}: the id is {id!r:.60}; expected a text, as {str(id)!r:.60}, or None."
        )
    if id == "":
        raise ValueError(f"{origin}: the id is ''; expected a text that is not empty, or None.")
    if not isinstance(text, str):
        raise TypeError(f"{origin}: the text is {text!r:.60}; expected a str.")
    if values is None and fields:
        raise ValueError(
            f"{origin} was read without fields, and the corpus keeps {', '.join(fields):.200}: its "
            "values would be lost. Read with fields=Corpus(folder).record_fields(), or in build "
            "with the same fields=; a Document made here says fields={} for no values."
        )
    if not isinstance(values, Mapping | None):
        raise TypeError(
            f"{origin}: fields is {values!r:.60}; expected a dict of names and values, or None."
        )
