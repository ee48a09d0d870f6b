"""Read every byte of a corpus on disk and compare it with the digests. Start at verify."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from minibert.common.arrays import IntArray
from minibert.corpus.corpus import matches, open_shard, read_deleted, shard_path
from minibert.corpus.fields import order_of
from minibert.corpus.graph import DESCRIPTION as GRAPH_DESCRIPTION
from minibert.corpus.graph import GRAPH
from minibert.corpus.graph import read_description as read_graph_description
from minibert.corpus.manifest import Manifest, chained, key_of, read_manifest
from minibert.corpus.shards import (
    DESCRIPTION,
    Shard,
    digests_of,
    empty_texts,
    hashes_of,
    read_description,
)
from minibert.errors import CorpusError

__all__ = ["damage_of_files", "verify"]


def verify(folder: str | os.PathLike[str]) -> Iterator[str]:
    """Yield the faults of a corpus, one sentence per fault; nothing if it is whole.

    The lock and digests.json are no part of the corpus and are not read. It takes the memory of one
    shard. Raises FileNotFoundError if there is no corpus.
    """
    path = Path(folder)
    try:
        manifest = read_manifest(path)
    except CorpusError as error:
        yield str(error)
        return
    shards: list[Shard] = []
    digest, first = "", 0
    for number in range(manifest.shards):
        place = shard_path(path, manifest, number)
        damage = list(damage_of_files(place))
        yield from damage
        try:
            content, description = read_description(place)
        except CorpusError:
            first = -1  # the fault was yielded; the numbers of later documents are unknown
            continue
        digest = chained(digest, content)
        if not damage and first >= 0:
            try:
                _, shard = open_shard(place, first, manifest)
            except CorpusError as error:
                yield str(error)
            else:
                shards.append(shard)
                yield from damage_of_content(shard, manifest)
        first = first + description.documents if first >= 0 else -1
    if first >= 0 and digest != manifest.shards_sha256:
        yield f"A {DESCRIPTION} was edited: the manifest was written for others."
    yield from damage_of_counts(manifest, shards, first)
    yield from damage_of_graph(path)
    try:
        deleted = read_deleted(path, manifest)
    except CorpusError as error:
        yield str(error)
        return
    yield from damage_of_deleted(path, manifest, deleted)
    if len(shards) == manifest.shards:
        yield from duplicates(path, shards, set(deleted.tolist()))


def damage_of_files(path: Path) -> Iterator[str]:
    """Yield the differences between a shard's files and its description."""
    try:
        _, description = read_description(path)
    except CorpusError as error:
        yield str(error)
        return
    for name, file in description.files.items():
        yield from damage_of_file(path / name, file["sha256"], DESCRIPTION)


def damage_of_file(path: Path, sha256: str, description: str) -> Iterator[str]:
    """Yield a fault if a file is not the one that `description`, a file, has the digest of."""
    try:
        with path.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError as error:
        yield f"{path} cannot be read: {error.strerror}."
        return
    if digest != sha256:
        yield f"{path} was damaged: its sha256 is not that of {description}."


def damage_of_graph(folder: Path) -> Iterator[str]:
    """Yield the faults of the graph beside the shards, if any; it may be of fewer shards."""
    try:
        described = read_graph_description(folder)
    except FileNotFoundError:
        return
    except CorpusError as error:
        yield str(error)
        return
    yield from damage_of_file(folder / GRAPH, described["sha256"], GRAPH_DESCRIPTION)


def damage_of_content(shard: Shard, manifest: Manifest) -> Iterator[str]:
    """Yield faults in the content of a shard whose digests are right."""
    if shard.vectors.dtype.kind == "f":
        for place in np.flatnonzero(~np.isfinite(shard.vectors).all(axis=1)):
            yield f"{shard.path}: the vector of document {shard.first + place} is not finite."
    ids = [id.encode() for id in shard.ids()]
    hashes = hashes_of(ids)
    order = np.argsort(hashes, kind="stable")
    if not np.array_equal(shard.hashes, np.stack([hashes[order], order.astype(np.uint64)])):
        yield f"{shard.path / 'hashes.npy'} is not of the ids beside it."
    try:
        check_columns(shard)
        fields = shard.fields() if manifest.settings.fields else ()
    except CorpusError as error:
        yield str(error)
        return
    if not manifest.settings.texts:
        return
    texts = shard.texts()
    contents = (text.encode() for text in texts)
    if not np.array_equal(shard.digests, digests_of(ids, contents, fields)):
        beside = "ids, texts and fields" if fields else "ids and texts"
        yield f"{shard.path / 'documents.npy'} is not of the {beside} beside it."
    empty = empty_texts(texts)
    if empty != shard.description.empty:
        yield f"{shard.path} holds {empty} empty texts; it says {shard.description.empty}."


def check_columns(shard: Shard) -> None:
    """Raise CorpusError for values of fields that are out of order, or that no document has."""
    for number, column in enumerate(shard.columns):
        orders = map(order_of, map(column.value, range(len(column))))
        if any(before > after for before, after in pairwise(orders)):
            raise CorpusError(f"{shard.path}: the values of field {number} are not in order.")
        if len(np.unique(column.codes)) != len(column):
            raise CorpusError(f"{shard.path}: a value of field {number} is of no document.")


def damage_of_counts(manifest: Manifest, shards: list[Shard], documents: int) -> Iterator[str]:
    """Yield the counts of the manifest that are not the sums of the shards' counts."""
    sums: dict[str, Any] = {}
    if len(shards) == manifest.shards:
        sums = {
            name: sum(getattr(shard.description, name) for shard in shards)
            for name in ("documents", "truncated", "empty", "clipped")
        }
    elif documents >= 0:
        sums = {"documents": documents}
    sums["documents of its inputs"] = sum(one.documents for one in manifest.inputs)
    for name, total in sums.items():
        said = manifest.documents if name.startswith("documents") else getattr(manifest, name)
        if said != total:
            yield f"The manifest says {key_of(name)} {said}; the shards have {total}."


def damage_of_deleted(path: Path, manifest: Manifest, deleted: IntArray) -> Iterator[str]:
    """Yield the faults of the numbers of the deleted documents."""
    if not (np.diff(deleted) > 0).all() or not in_range(deleted, manifest.documents):
        yield f"{path}: the numbers of the deleted documents are not rising, or not all there."


def in_range(numbers: IntArray, documents: int) -> bool:
    """Return whether all are numbers of documents."""
    return bool(((numbers >= 0) & (numbers < documents)).all())


def duplicates(path: Path, shards: list[Shard], deleted: set[int]) -> Iterator[str]:
    """Yield a fault for each id of two documents that are not deleted."""
    for count, shard in enumerate(shards, start=1):
        numbers: dict[str, int] = {}
        for id, number in matches(shards[:count], dict.fromkeys(shard.ids())):
            if number in deleted:
                continue
            if id in numbers and number >= shard.first:
                yield f"{path}: documents {numbers[id]} and {number} have the same id, {id!r}."
            numbers.setdefault(id, number)
