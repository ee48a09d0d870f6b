"""Documents that have changed -> a corpus that has them in place of the old ones. Start at replace.

    replace("my-corpus", read_documents(["changed.jsonl"]), model)

A new shard appears and the documents that it replaces are deleted by one and the same manifest. So
at every moment each id has one document, the old or the new one. The same call again finds what is
done already, and does the rest: there is nothing to be finished before another call.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from minibert.common.files import locked
from minibert.corpus.building import checked, continuing
from minibert.corpus.items import Item, check_ids_differ, item_of
from minibert.corpus.manifest import Manifest, read_manifest
from minibert.corpus.writer import Advance, Writer, clear_leftovers
from minibert.documents import Document
from minibert.errors import CorpusError
from minibert.models.sentence_transformer import SentenceTransformer
from minibert.tokens.truncation import OnLong

__all__ = ["Replaced", "replace"]

logger = logging.getLogger(__name__)


class Replaced(NamedTuple):
    """Numbers of the documents of one input, by what became of them."""

    replaced: int  # in place of one with the same id
    added: int  # whose id was not there, or was deleted
    unchanged: int  # whose text and fields are those of the corpus


def replace(
    folder: str | os.PathLike[str],
    documents: Iterable[Document],
    model: SentenceTransformer,
    *,
    on_long: OnLong | None = None,
    advance: Advance = lambda done: None,
) -> tuple[Manifest, Replaced]:
    """Put documents in place of those with the same ids; add those whose ids are not there.

    A document whose text and fields are as in the corpus is kept, and not encoded. The settings are
    those of the corpus. A call that was stopped is repeated. New documents get new numbers; those
    of replaced ones stay taken until `compact`. Returns the manifest, and how many documents were
    replaced, added and unchanged.

    Raises the errors of add; CorpusError for a document without an id, too, and for a corpus whose
    `build` or `add` was stopped.
    """
    path = checked(folder, model)
    read_manifest(path)
    with locked(path):
        writer = continuing(path, model, on_long, advance)
        writer.manifest.check_complete(path, "replace")
        changes, replaced = Changes(writer), 0
        for group, _ in writer.groups(changes.changed(documents)):
            numbers = changes.replaced_by(group)
            writer.write(group, len(writer.manifest.inputs), True, replaced=numbers)
            replaced += len(numbers)
        clear_leftovers(path, writer.manifest)
        for name in changes.absent if writer.new else ():
            logger.warning(
                "No document has the field %r, which the corpus keeps, so it is null in all that "
                "were written.",
                name,
            )
        unchanged = int(changes.kept.sum())
        return writer.manifest, Replaced(replaced, writer.new - replaced, unchanged)


class Changes:
    """Comparison of documents with those of a corpus that have the same ids."""

    def __init__(self, writer: Writer) -> None:
        """Take the run that writes the changes."""
        self.writer = writer
        # Number of a document from before -> True if the input has it unchanged.
        self.kept = np.zeros(len(writer.corpus), dtype=bool)
        # Fields of the corpus that no document has named.
        self.absent = dict.fromkeys(writer.manifest.settings.fields)

    def changed(self, documents: Iterable[Document]) -> Iterator[Item]:
        """Yield the documents that the corpus does not have as they are, in their order."""
        for some, _ in self.writer.groups(self.items(documents)):  # no more than a shard's number
            numbers = self.writer.corpus.numbers([item.id.decode() for item in some])
            there = self.writer.corpus.digests(list(numbers.values()))
            digests = dict(zip(numbers, there, strict=True))
            # All of them are looked at before the first is yielded, and perhaps written.
            new = []
            for item in some:
                id = item.id.decode()
                if digests.get(id) != item.digest:
                    new.append(item)
                    continue
                self.check_is_first(item, numbers[id])
                self.kept[numbers[id]] = True
            self.writer.advance(len(some) - len(new))
            yield from new

    def items(self, documents: Iterable[Document]) -> Iterator[Item]:
        """Yield documents as Items. Raises CorpusError for one without an id."""
        fields = self.writer.manifest.settings.fields
        for number, document in enumerate(documents):
            item = item_of(document, number, fields)
            if document.id is None:
                raise CorpusError(
                    f"{item.origin} has no id, by which the document that it replaces is "
                    "found. Give every document one (--id-field names its field)."
                )
            for name in document.fields or ():
                self.absent.pop(name, None)
            yield item

    def replaced_by(self, group: list[Item]) -> list[int]:
        """Return the numbers of the documents with the ids of a group.

        Raises CorpusError for an id that the input has twice.
        """
        check_ids_differ(group)
        numbers = self.writer.corpus.numbers([item.id.decode() for item in group])
        for item in group:
            if (number := numbers.get(item.id.decode())) is not None:
                self.check_is_first(item, number)
        return list(numbers.values())

    def check_is_first(self, item: Item, number: int) -> None:
        """Raise CorpusError if document `number` comes from an earlier place of the same input."""
        if number >= len(self.kept) or self.kept[number]:
            raise CorpusError(
                f"{item.origin}: the id {item.id.decode()!r} stands twice in the input. Every "
                "document needs one of its own."
            )
