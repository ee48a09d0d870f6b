"""One run that writes to a corpus on disk, alone; each of its steps leaves a whole corpus.

Start at Writer.take. The functions of `building.py` use it.
"""

from __future__ import annotations

import errno
import hashlib
import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import asdict, replace
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minibert.common.arrays import Array, IntArray
from minibert.common.files import LOCK, not_writable, npy_chunks, replacing, sync_folder
from minibert.corpus.corpus import (
    SHARDS,
    Corpus,
    deleted_path,
    open_shard,
    shard_path,
    shards_folder,
)
from minibert.corpus.fields import check_kinds
from minibert.corpus.items import Item, check_ids_differ, item_of, numbered
from minibert.corpus.manifest import (
    MANIFEST,
    Input,
    Manifest,
    Settings,
    chained,
    read_manifest,
    write_manifest,
)
from minibert.corpus.shards import Shard, empty_texts, write_shard
from minibert.documents import Document
from minibert.errors import CorpusError, OutputError
from minibert.models.sentence_transformer import SentenceTransformer
from minibert.scoring.quantization import quantize_embeddings, ranges_of
from minibert.tokens.truncation import OnLong, Truncation

__all__ = [
    "Advance",
    "Writer",
    "begin",
    "clear_leftovers",
    "make_folder",
    "with_deleted",
]

SLICE = 1024  # vectors that are turned into codes at a time

Advance = Callable[[int], object]


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
        if manifest.read:
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

    Raises OutputError if a folder of shards is a link: it may lead to files of another program.
    """
    named = {shard_path(folder, manifest, number) for number in range(manifest.shards)}
    for shards in folder.glob(f"{SHARDS}*"):
        if not re.fullmatch(rf"{SHARDS}(-[0-9]+)?", shards.name):
            continue
        if shards.is_symlink():
            raise OutputError(f"{str(shards)!r} is a link; move the folder as a whole.")
        for path in shards.iterdir():
            if path not in named and re.fullmatch(r"[0-9]{5,}((\.[0-9]+)?\.partial)?", path.name):
                shutil.rmtree(path)
        if shards != shards_folder(folder, manifest):
            with suppress(OSError):  # files that no run wrote stay
                shards.rmdir()
    kept = manifest.deleted_sha256 and deleted_path(folder, manifest.deleted_sha256)
    for path in [*folder.glob("*.partial"), *folder.glob("deleted-*.npy")]:
        if path != kept:
            # A reader may be writing digests.json, and may rename its file in the meantime.
            path.unlink(missing_ok=True)


def with_deleted(folder: Path, manifest: Manifest, numbers: IntArray) -> Manifest:
    """Write the numbers of all deleted documents; return the manifest that is to name the file."""
    content = b"".join(map(bytes, npy_chunks(numbers)))
    digest = hashlib.sha256(content).hexdigest()
    with replacing(deleted_path(folder, digest)) as file:
        file.write(content)
    return replace(manifest, deleted=len(numbers), deleted_sha256=digest)


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
        shards_folder(folder, self.manifest).mkdir(exist_ok=True)

    def take(self, documents: Iterable[Document], number: int) -> None:
        """Compare documents with those of input `number`, and write the rest, shard by shard."""
        inputs = self.manifest.inputs
        first = sum(one.read for one in inputs[:number])
        items = numbered(documents, first, self.manifest.settings.fields)
        self.compare(number, items)
        if number < len(inputs) and inputs[number].complete:
            more = next(items, None)
            if more is not None:
                raise CorpusError(
                    f"{more.origin}: the input goes on after its document "
                    f"{inputs[number].read - 1}, with which {self.folder} ends it. "
                    "Put the new documents alone into a file, which `minibert index add` takes; if "
                    "they have ids, `minibert index replace` takes the whole input, too."
                )
            return
        for group, is_last in self.groups(items):
            self.check_ids(group)
            self.write(group, number, is_last)
        begun = [one for one in self.manifest.inputs[number:] if one.documents]
        if begun and not begun[0].complete:
            # The input ends here, but had more documents when the last shard was written.
            self.replace_manifest(self.manifest.with_last_input(complete=True))

    def shards_of(self, number: int) -> list[Shard]:
        """Return the shards of an input; none of one that is new."""
        inputs = self.manifest.inputs
        start = sum(one.shards for one in inputs[:number])
        return self.corpus.shards[start : start + sum(one.shards for one in inputs[number:][:1])]

    def compare(self, number: int, items: Iterator[Item]) -> None:
        """Compare documents with all those of input `number`. Raises CorpusError for others.

        Nothing is left of a document that compact has removed. So as many that differ are taken for
        removed ones.
        """
        inputs = self.manifest.inputs
        at = sum(one.read for one in inputs[:number])  # the number of the next document
        removed = sum(one.removed for one in inputs[number:][:1])
        for shard in self.shards_of(number):
            for place in range(len(shard)):
                item = self.expected(items, at)
                while item.digest != shard.digests[place].tobytes():
                    if not removed:
                        [id] = shard.ids([place])
                        raise CorpusError(
                            f"{item.origin}: document {at}, {item.id.decode()!r:.60}, is not the "
                            f"one that {self.folder} has in its place, {id!r:.60}, or its text or "
                            "a field is another. Give the input that the corpus was begun with, or "
                            "choose another folder. `minibert index replace` takes what changed."
                        )
                    removed, at = removed - 1, at + 1
                    item = self.expected(items, at)
                at += 1
            self.advance(len(shard))
        for last in range(at, at + removed):
            self.expected(items, last)

    def expected(self, items: Iterator[Item], number: int) -> Item:
        """Return the next document, which is to be there. Raises CorpusError if it is not."""
        item = next(items, None)
        if item is None:
            raise CorpusError(
                f"The input ends before document {number}, which {self.folder} has of it: it is "
                "not the input that the corpus was begun with."
            )
        return item

    def repeats_last(self, documents: Iterable[Document]) -> tuple[bool, Iterable[Document]]:
        """Return whether documents begin with the last input's first shard; and all of them."""
        *before, last = self.manifest.inputs
        shards = self.shards_of(len(before))
        if not before or not shards:
            return False, documents
        rest, seen, place = iter(documents), list[Document](), 0
        first = sum(one.read for one in before)
        # Of documents that compact has removed, a shard's number: all that are seen are in memory.
        removed = min(last.removed, self.manifest.settings.shard_documents)
        for document in rest:
            item = item_of(document, first + len(seen), self.manifest.settings.fields)
            seen.append(document)
            if item.digest == shards[0].digests[place].tobytes():
                place += 1
            elif removed:
                removed -= 1
            else:
                break
            if place == len(shards[0]):
                return True, chain(seen, rest)
        if not last.complete:
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

    def write(
        self, group: list[Item], number: int, is_last: bool, *, replaced: Sequence[int] = ()
    ) -> None:
        """Encode documents, write them as a shard, then replace the manifest by one with it.

        From the same moment on, the documents whose numbers are `replaced` are deleted.
        """
        manifest = self.manifest
        ids = [item.id for item in group]
        for item in group:
            check_kinds(self.kinds, manifest.settings.fields, item.fields, item.origin)
        vectors, truncation = self.encoded(group)
        ranges = manifest.ranges or self.first_ranges(vectors)
        codes, clipped = coded(vectors, manifest.settings.precision, ranges)
        empty = empty_texts(item.text for item in group)
        path = shard_path(self.folder, manifest, manifest.shards)
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
        deleted = np.union1d(self.corpus.deleted, np.array(replaced, dtype=np.int64))
        if len(replaced):
            manifest = with_deleted(self.folder, manifest, deleted)
        first = self.manifest.documents
        self.replace_manifest(manifest)
        self.corpus.deleted = deleted
        self.new += len(group)
        self.corpus.shards.append(open_shard(path, first, manifest)[1])

    def replace_manifest(self, manifest: Manifest) -> None:
        """Write a manifest, from which on the corpus has its state."""
        write_manifest(self.folder, manifest)
        self.manifest = self.corpus.manifest = manifest

    def check_ids(self, group: list[Item]) -> None:
        """Raise CorpusError for an id that stands twice, in the group or in the corpus."""
        origins = check_ids_differ(group)
        for id, number, is_deleted in self.corpus.find(item.id.decode() for item in group):
            if not is_deleted:
                raise CorpusError(
                    f"{origins[id.encode()]}: the id {id!r} is also that of document {number} of "
                    f"{self.folder}. Delete that one first, give this one another id, or let "
                    "`minibert index replace` replace that one."
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
