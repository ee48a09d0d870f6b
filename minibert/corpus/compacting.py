"""A corpus -> the same corpus without its deleted documents, on the same disk. Start at compact.

    compact("my-corpus")

Shards never change. So all shards of the new corpus are written into another folder: those that
have deleted documents anew, the others as second names of the same files. Then one manifest takes
the place of the other, and the old folder is removed. Until then the old corpus is whole, from then
on the new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import NamedTuple

import numpy as np

from minibert.common.arrays import IntArray
from minibert.common.files import locked, new_folder, sync_folder
from minibert.corpus.corpus import Corpus, open_shard, shard_path, shards_folder
from minibert.corpus.graph import remove_stale_graph
from minibert.corpus.manifest import (
    Input,
    Manifest,
    chained,
    read_manifest,
    write_manifest,
)
from minibert.corpus.shards import DESCRIPTION, Shard, empty_texts, read_description, write_shard
from minibert.corpus.verifying import damage_of_files
from minibert.corpus.writer import clear_leftovers
from minibert.errors import CorpusError

__all__ = ["compact"]


class Part(NamedTuple):
    """A shard, and those of its documents that stay."""

    shard: Shard
    places: IntArray  # of the documents, rising

    @property
    def is_whole(self) -> bool:
        """True if all documents stay."""
        return len(self.places) == len(self.shard)


def compact(
    folder: str | os.PathLike[str], *, advance: Callable[[int], object] = lambda done: None
) -> tuple[Manifest, int]:
    """Rewrite the shards of a corpus without the deleted documents, of which no file keeps a byte.

    The vectors are copied, so no model is needed. Neighbouring small shards are joined. Documents
    keep their order and get new numbers. If the call is stopped, the corpus is the old or the new
    one, and the same call again does the rest. A graph is removed if it is of other shards.
    `advance` is called with the number of documents just copied. Returns the manifest, and the
    number of documents that were removed.

    Raises FileNotFoundError if there is no corpus, CorpusError for one that is damaged or not
    finished, OutputError if another process writes to it, OSError for a full disk.
    """
    path = Path(folder)
    read_manifest(path)
    with locked(path):
        corpus = Corpus(path)
        manifest = corpus.manifest
        manifest.check_complete(path, "compact")
        clear_leftovers(path, manifest)
        inputs, groups = planned(corpus)
        if len(corpus.deleted) or len(groups) < manifest.shards:
            try:
                manifest = rewritten(corpus, inputs, groups, advance)
                write_manifest(path, manifest)
            finally:
                # Of the two corpora, the one that is named by the manifest on the disk stays.
                clear_leftovers(path, read_manifest(path))
        remove_stale_graph(path, manifest)
        sync_folder(path)
        return manifest, len(corpus.deleted)


def planned(corpus: Corpus) -> tuple[list[Input], list[list[Part]]]:
    """Return the inputs of the new corpus, and the parts of old shards that make each new shard.

    The first input is compared when `build` is repeated, and the last one when `add` is. So these
    remain apart; those between them become one.
    """
    all_inputs = corpus.manifest.inputs
    inputs: list[Input] = []
    groups: list[list[Part]] = []
    shards = iter(corpus.shards)
    for joined in (all_inputs[:1], all_inputs[1:-1], all_inputs[1:][-1:]):
        count = sum(one.shards for one in joined)
        parts = [Part(shard, staying(shard, corpus.deleted)) for shard in islice(shards, count)]
        found = list(packed(parts, corpus.manifest))
        documents = sum(len(part.places) for part in parts)
        if joined:
            read = sum(one.read for one in joined)
            inputs.append(Input(len(found), documents, True, read - documents))
        groups += found
    return inputs, groups


def staying(shard: Shard, deleted: IntArray) -> IntArray:
    """Return the places of the documents of a shard that are not deleted."""
    start, end = np.searchsorted(deleted, [shard.first, shard.first + len(shard)])
    return np.setdiff1d(np.arange(len(shard)), deleted[start:end] - shard.first)


def packed(parts: Iterable[Part], manifest: Manifest) -> Iterator[list[Part]]:
    """Put neighbouring parts together, as long as a shard has room for all of both."""
    settings = manifest.settings
    group: list[Part] = []
    documents = size = 0
    for part in parts:
        if not len(part.places):
            continue
        more = fresh(part.shard, manifest).text_bytes(part.places)
        if group and (
            documents + len(part.places) > settings.shard_documents
            or size + more > settings.shard_characters
        ):
            yield group
            group, documents, size = [], 0, 0
        group.append(part)
        documents, size = documents + len(part.places), size + more
    if group:
        yield group


def fresh(shard: Shard, manifest: Manifest) -> Shard:
    """Open a shard once more, to be let go with the files that it maps.

    A mapped file takes one of the files that a process may open, and a corpus may have thousands.
    """
    return open_shard(shard.path, shard.first, manifest)[1]


def rewritten(
    corpus: Corpus,
    inputs: Sequence[Input],
    groups: Sequence[list[Part]],
    advance: Callable[[int], object],
) -> Manifest:
    """Write the shards of the new corpus, and return the manifest that is to name them."""
    manifest = replace(
        corpus.manifest,
        inputs=tuple(inputs),
        documents=sum(one.documents for one in inputs),
        deleted=0,
        deleted_sha256=None,
        generation=corpus.manifest.generation + 1,
    )
    shards_folder(corpus.folder, manifest).mkdir()
    sync_folder(corpus.folder)
    digest, counts = "", np.zeros(3, dtype=np.int64)
    for number, group in enumerate(groups):
        target = shard_path(corpus.folder, manifest, number)
        if not (len(group) == 1 and group[0].is_whole and linked(group[0].shard.path, target)):
            write_group(group, target, manifest)
        content, description = read_description(target)
        digest = chained(digest, content)
        counts += [description.truncated, description.empty, description.clipped]
        advance(description.documents)
    truncated, empty, clipped = counts.tolist()
    return replace(
        manifest, shards_sha256=digest, truncated=truncated, empty=empty, clipped=clipped
    )


def linked(source: Path, target: Path) -> bool:
    """Give the files of a shard a second name; return False on a disk that has no such names."""
    _, description = read_description(source)
    try:
        with new_folder(target) as partial:
            for name in (*description.files, DESCRIPTION):
                os.link(source / name, partial / name)
    except OSError:
        return False
    return True


def write_group(group: Sequence[Part], target: Path, manifest: Manifest) -> None:
    """Write parts of shards as one shard.

    Whether a document was truncated or clipped is not kept. So these counts are those of the old
    shards, with documents that are removed; and that of empty texts, if no texts are kept. Raises
    CorpusError for an old shard with other bytes than were written: they would get digests of
    their own, and look right.
    """
    shards = [fresh(part.shard, manifest) for part in group]
    for shard in shards:
        for fault in damage_of_files(shard.path):
            raise CorpusError(
                f"{fault} A shard cannot be rewritten from such a file: put back the one that "
                "minibert wrote, or build the corpus anew."
            )
    parts = [(shard, part.places) for shard, part in zip(shards, group, strict=True)]
    ids = [id.encode() for shard, places in parts for id in shard.ids(places)]
    empty, texts, rows = sum(shard.description.empty for shard in shards), [], []
    if manifest.settings.texts:
        texts = [text for shard, places in parts for text in shard.texts(places)]
        empty = empty_texts(texts)
    if manifest.settings.fields:
        rows = [row for shard, places in parts for row in shard.fields(places)]
    write_shard(
        target,
        np.concatenate([shard.vectors[places] for shard, places in parts]),
        ids,
        [text.encode() for text in texts],
        rows,
        keep_texts=manifest.settings.texts,
        truncated=sum(shard.description.truncated for shard in shards),
        empty=empty,
        clipped=sum(shard.description.clipped for shard in shards),
        digests=np.concatenate([shard.digests[places] for shard, places in parts]),
    )
