"""One run that writes to a corpus on disk, alone; each of its steps leaves a whole corpus.

Start at Writer.take. The functions of `building.py` use it.
"""

from __future__ import annotations

import errno
import re
import shutil
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minibert.common.arrays import Array
from minibert.common.files import LOCK, not_writable, sync_folder
from minibert.corpus.corpus import SHARDS, Corpus, deleted_path, open_shard, shard_path
from minibert.corpus.fields import check_kinds
from minibert.corpus.manifest import (
    MANIFEST,
    Input,
    Manifest,
    Settings,
    chained,
    read_manifest,
    write_manifest,
)
from minibert.corpus.shards import Shard, digest_of, write_shard
from minibert.documents import Document, Scalar, check_scalar
from minibert.errors import CorpusError, OutputError
from minibert.models.sentence_transformer import SentenceTransformer
from minibert.scoring.quantization import quantize_embeddings, ranges_of
from minibert.tokens.truncation import OnLong, Truncation

__all__ = ["Advance", "Writer", "begin", "clear_leftovers", "make_folder"]

SLICE = 1024  # vectors that are turned into codes at a time

Advance = Callable[[int], object]


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


def make_folder(folder: Path) -> None:
    """Make the folder of a corpus, if it is not there. Raises OutputError if that fails."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except FileExistsError as error:
        raise OutputError(
            f"cannot write to {str(folder)!r}: it is a file. Expected the folder of the corpus, "
            "which is named before its input."
        ) from error
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise not_writable(folder, error) from error


def begin(folder: Path, settings: Settings) -> None:
    """Make a folder a corpus without documents, if it is none yet.

    Raises CorpusError for a corpus with other settings, OutputError for a folder with other files.
    """
    if (folder / MANIFEST).exists():
        manifest = read_manifest(folder)
        if manifest.documents:
            manifest.settings.check_same(asdict(settings), folder)
            return
    else:
        others = [path.name for path in folder.iterdir() if not is_ours(path)]
        if others:
            raise OutputError(
                f"{str(folder)!r} is no corpus and not empty; it holds {min(others)!r}. Choose "
                "another folder."
            )
    write_manifest(folder, Manifest(settings))
    sync_folder(folder.absolute().parent)


def is_ours(path: Path) -> bool:
    """Return whether a file may be in the folder before the first manifest is written."""
    return path.name == LOCK or (path.name.startswith(MANIFEST) and path.suffix == ".partial")


def clear_leftovers(folder: Path, manifest: Manifest) -> None:
    """Remove the files that a stopped run has left and the manifest does not name.

    Raises OutputError if the folder of shards is a link: it may lead to files of another program.
    """
    if (folder / SHARDS).is_symlink():
        raise OutputError(f"{str(folder / SHARDS)!r} is a link; move the folder as a whole.")
    named = {shard_path(folder, number) for number in range(manifest.shards)}
    for path in folder.glob(f"{SHARDS}/*"):
        if path not in named and re.fullmatch(r"[0-9]{5,}(\.partial)?", path.name):
            shutil.rmtree(path)
    kept = manifest.deleted_sha256 and deleted_path(folder, manifest.deleted_sha256)
    for path in [*folder.glob("*.partial"), *folder.glob("deleted-*.npy")]:
        if path != kept:
            # A reader may be writing digests.json, and may rename its file in the meantime.
            path.unlink(missing_ok=True)


class Writer:
    """One run that writes to a corpus. The caller holds the lock of the folder."""

    def __init__(
        self, folder: Path, model: SentenceTransformer, on_long: OnLong, advance: Advance
    ) -> None:
        """Open a corpus for writing; `advance` is called with the number of documents done."""
        self.folder = folder
        self.model = model
        self.on_long = on_long
        self.advance = advance
        self.new = 0  # documents written
        self.corpus = Corpus(folder)
        self.manifest = self.corpus.manifest
        self.kinds = self.corpus.kinds()  # of the values of each field
        clear_leftovers(folder, self.manifest)
        (folder / SHARDS).mkdir(exist_ok=True)

    def take(self, documents: Iterable[Document], number: int) -> None:
        """Compare documents with those of input `number`, and write the rest, shard by shard."""
        inputs = self.manifest.inputs
        shards, first = self.shards_of(number)
        items = numbered(documents, first, self.manifest.settings.fields)
        for shard in shards:
            self.compare(shard, items)
        if number < len(inputs) and inputs[number].complete:
            more = next(items, None)
            if more is not None:
                raise CorpusError(
                    f"{more.origin}: the input goes on after its document "
                    f"{inputs[number].documents - 1}, with which {self.folder} ends it. "
                    "`minibert index add` takes more documents."
                )
            return
        for group, is_last in self.groups(items):
            self.write(group, number, is_last)
        begun = [one for one in self.manifest.inputs[number:] if one.documents]
        if begun and not begun[0].complete:
            # The input ends here, but had more documents when the last shard was written.
            self.replace_manifest(self.manifest.with_last_input(complete=True))

    def shards_of(self, number: int) -> tuple[list[Shard], int]:
        """Return the shards of an input, and the number of its first document."""
        inputs = self.manifest.inputs
        start = sum(one.shards for one in inputs[:number])
        first = sum(one.documents for one in inputs[:number])
        end = start + (inputs[number].shards if number < len(inputs) else 0)
        return self.corpus.shards[start:end], first

    def compare(self, shard: Shard, items: Iterator[Item]) -> None:
        """Compare the next documents with those of a shard. Raises CorpusError for others."""
        for place in range(len(shard)):
            item = next(items, None)
            number = shard.first + place
            if item is None:
                raise CorpusError(
                    f"The input ends before document {number}, which {self.folder} has of it: it "
                    "is not the input that the corpus was begun with."
                )
            if item.digest != shard.digests[place].tobytes():
                [id] = shard.ids([place])
                raise CorpusError(
                    f"{item.origin}: document {number}, {item.id.decode()!r:.60}, is not the one "
                    f"that {self.folder} has in its place, {id!r:.60}, or its text or a field is "
                    "another. "
                    "Give the input that the corpus was begun with, or choose another folder."
                )
        self.advance(len(shard))

    def repeats_last(self, documents: Iterable[Document]) -> tuple[bool, Iterable[Document]]:
        """Return whether documents begin with the last input's first shard; and all of them."""
        last = len(self.manifest.inputs) - 1
        shards, first = self.shards_of(last)
        if last == 0:
            return False, documents
        rest, seen = iter(documents), []
        for place in range(len(shards[0])):
            document = next(rest, None)
            if document is None:
                break
            seen.append(document)
            item = item_of(document, first + place, self.manifest.settings.fields)
            if item.digest != shards[0].digests[place].tobytes():
                break
        else:
            return True, chain(seen, rest)
        if not self.manifest.inputs[last].complete:
            raise CorpusError(
                f"{self.folder} was stopped while other documents were added. Repeat that "
                "`minibert index add` first."
            )
        return False, chain(seen, rest)

    def groups(self, items: Iterator[Item]) -> Iterator[tuple[list[Item], bool]]:
        """Yield the documents of each new shard, and whether it is the last."""
        settings = self.manifest.settings
        item, group, characters = next(items, None), [], 0
        while item is not None:
            group.append(item)
            characters += len(item.text)
            item = next(items, None)
            if (
                item is None
                or len(group) == settings.shard_documents
                or characters >= settings.shard_characters
            ):
                yield group, item is None
                group, characters = [], 0

    def write(self, group: list[Item], number: int, is_last: bool) -> None:
        """Encode documents, write them as a shard, then replace the manifest by one with it."""
        manifest = self.manifest
        ids = [item.id for item in group]
        self.check_ids(group)
        for item in group:
            check_kinds(self.kinds, manifest.settings.fields, item.fields, item.origin)
        vectors, truncation = self.encoded(group)
        ranges = manifest.ranges or self.first_ranges(vectors)
        codes, clipped = coded(vectors, manifest.settings.precision, ranges)
        empty = sum(not item.text or item.text.isspace() for item in group)
        path = shard_path(self.folder, manifest.shards)
        description = write_shard(
            path,
            codes,
            ids,
            [item.content for item in group],
            [item.fields for item in group] if manifest.settings.fields else (),
            keep_texts=manifest.settings.texts,
            truncated=truncation.texts,
            empty=empty,
            clipped=clipped,
        )
        if number == len(manifest.inputs):
            manifest = replace(manifest, inputs=(*manifest.inputs, Input()))
        last = manifest.inputs[-1]
        manifest = replace(
            manifest,
            documents=manifest.documents + len(group),
            truncated=manifest.truncated + truncation.texts,
            empty=manifest.empty + empty,
            clipped=manifest.clipped + clipped,
            ranges=ranges,
            shards_sha256=chained(manifest.shards_sha256, description),
        ).with_last_input(
            shards=last.shards + 1, documents=last.documents + len(group), complete=is_last
        )
        first = self.manifest.documents
        self.replace_manifest(manifest)
        self.new += len(group)
        self.corpus.shards.append(open_shard(path, first, manifest)[1])

    def replace_manifest(self, manifest: Manifest) -> None:
        """Write a manifest, from which on the corpus has its state."""
        write_manifest(self.folder, manifest)
        self.manifest = manifest

    def check_ids(self, group: list[Item]) -> None:
        """Raise CorpusError for an id that stands twice, in the group or in the corpus."""
        origins: dict[bytes, str] = {}
        for item in group:
            if item.id in origins:
                raise CorpusError(
                    f"{item.origin}: the id {item.id.decode()!r} is also that of "
                    f"{origins[item.id]}. Every document needs one of its own."
                )
            origins[item.id] = item.origin
        for id, number, is_deleted in self.corpus.find(item.id.decode() for item in group):
            if not is_deleted:
                raise CorpusError(
                    f"{origins[id.encode()]}: the id {id!r} is also that of document {number} of "
                    f"{self.folder}. Delete that one first, or give this one another id."
                )

    def encoded(self, group: list[Item]) -> tuple[Array, Truncation]:
        """Encode documents: return vectors (n, D), and which texts were truncated."""
        # Imported late: reading a corpus loads no model.
        from minibert.models import encoding
        from minibert.models.model import job_of

        settings = self.manifest.settings
        texts = [item.text for item in group]
        job = job_of(
            self.model,
            len(texts),
            self.on_long,
            settings.prompt,
            task="document",
            pack_tokens=settings.pack_tokens,
            dimension=settings.dimension,
            normalize=settings.normalize,
        ).for_a_part()  # shards follow: a lone pack would be split, and round by the threads
        vectors, truncation = encoding.vectors(self.model, texts, job, self.advance)
        finite = np.isfinite(vectors).all(axis=1)
        if not finite.all():
            item = group[int(np.flatnonzero(~finite)[0])]
            raise ValueError(f"{item.origin}: the vector of {item.id.decode()!r} is not finite.")
        return vectors, truncation

    def first_ranges(self, vectors: Array) -> tuple[tuple[float, ...], ...] | None:
        """Return the ranges of the first shard if the precision is int8, else None."""
        if self.manifest.settings.precision != "int8":
            return None
        if len(vectors) < 2:
            raise ValueError(
                "int8 takes its ranges from the first shard, and that has one document. Give more, "
                "or choose another precision."
            )
        low, high = ranges_of(vectors, "int8", None).tolist()
        return tuple(low), tuple(high)


def numbered(documents: Iterable[Document], first: int, fields: tuple[str, ...]) -> Iterator[Item]:
    """Number documents from `first` on; a document without an id gets its number as the id."""
    for number, document in enumerate(documents, start=first):
        yield item_of(document, number, fields)


def item_of(document: Document, number: int, fields: tuple[str, ...]) -> Item:
    """Turn a document, its number and the names of the corpus's fields into an Item.

    Raises TypeError for any other object, ValueError for a text with a lone surrogate, and for a
    field that the corpus does not have or whose value is none.
    """
    if not isinstance(document, Document):
        raise TypeError(
            f"Document {number} is {document!r:.60}; expected a "
            "minibert.documents.Document, as Document(id, text, origin)."
        )
    id = str(number) if document.id is None else document.id
    unknown = document.fields.keys() - set(fields)
    if unknown:
        raise ValueError(
            f"{document.origin} has the field {min(unknown)!r}, which the corpus does not keep; it "
            f"keeps {', '.join(fields) or 'none'}. Name it in fields= of build, or leave it out."
        )
    for name, value in document.fields.items():
        check_scalar(value, name, document.origin)
    values = tuple(map(document.fields.get, fields))
    try:
        return Item(id.encode(), document.text, document.text.encode(), document.origin, values)
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{document.origin} has a lone surrogate, {error.object[error.start]!r}, which is no "
            "character."
        ) from None


def coded(vectors: Array, precision: str, ranges: Any) -> tuple[NDArray[Any], int]:
    """Convert vectors to a precision; return how many numbers int8's ranges clipped, too."""
    if precision == "float32":
        return vectors, 0
    if precision == "float16":
        largest = float(np.abs(vectors).max())
        if largest > float(np.finfo(np.float16).max):
            raise ValueError(
                f"float16 holds numbers up to 65504, and a vector has {largest:.6g}. Choose "
                "float32, or normalize."
            )
        return vectors.astype(np.float16), 0
    clipped, codes = 0, []
    for start in range(0, len(vectors), SLICE):
        part = vectors[start : start + SLICE]
        if precision == "int8":
            low, high = np.array(ranges, dtype=np.float32)
            clipped += int(((part < low) | (part > high)).sum())
        codes.append(quantize_embeddings(part, precision, ranges))  # type: ignore[call-overload]
    return np.concatenate(codes), clipped
