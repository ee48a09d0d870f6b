"""A graph of a corpus's vectors, for quick answers that may miss some; by usearch, an extra.

`build_graph` writes it beside the shards, `open_graph` refuses a graph of other shards. The vectors
that a graph finds are scored exactly; the share that it misses is measured and told. A graph has
vectors only, no model and no texts: `search.Index` has a Graph, and asks it.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from minibert.common.advice import needing
from minibert.common.arrays import Array, IntArray
from minibert.common.files import locked, partial_of, place, replacing
from minibert.corpus.corpus import Corpus
from minibert.corpus.manifest import Manifest
from minibert.errors import CorpusError
from minibert.kernels.cores import thread_count
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS
from minibert.scoring.nearest import nearest, rescored

__all__ = ["Graph", "build_graph", "open_graph", "recall_of", "remove_stale_graph"]

GRAPH, DESCRIPTION = "graph.usearch", "graph.json"
NAMES = {"documents", "shards_sha256", "bytes", "sha256"}  # fields of the description
ROWS = 8192  # added at a time
# Neighbours of a vector; and vectors that are looked at when one is added, or searched for.
CONNECTIVITY, EXPANSION_ADD, EXPANSION_SEARCH = 16, 128, 64
SAMPLE = 1000


class Graph:
    """An open graph of the vectors of a corpus."""

    def __init__(self, corpus: Corpus, vectors: Stack, found: Any) -> None:
        """Take a corpus, its `vectors`, and their graph by usearch, `found`."""
        self.corpus = corpus
        self.vectors = vectors
        self.found = found

    def nearest(self, queries: Array, k: int) -> tuple[IntArray, Array]:
        """Find the k nearest vectors by the graph, scored exactly: (Q, D) -> (Q, k), (Q, k)."""
        k = min(k, len(self.corpus) - len(self.corpus.deleted))
        pairs = [self._nearest_of(query, k) for query in queries]
        numbers, scores = zip(*pairs, strict=True)
        return np.stack(numbers), np.stack(scores)

    def _nearest_of(self, query: Array, k: int) -> tuple[IntArray, Array]:
        """Find those of one query, (D,). Raises CorpusError if the graph finds too few."""
        corpus, asked = self.corpus, k
        while True:  # until enough of the found ones are not deleted
            asked = min(asked, len(corpus))
            keys = np.asarray(self.found.search(query, asked).keys, dtype=np.int64)
            left = keys[~np.isin(keys, corpus.deleted)]
            if len(left) >= k or asked == len(corpus):
                break
            asked *= 2
        if len(left) < k:
            raise CorpusError(
                f"The graph of {corpus.folder} finds {len(left)} documents of {k}. Search without "
                "--approximate."
            )
        metric = corpus.manifest.settings.metric
        numbers, scores = rescored(query[None], left[None], self.vectors, k, metric)
        return numbers[0], scores[0]


def build_graph(
    corpus: Corpus,
    vectors: Stack,
    advance: Callable[[int], object] = lambda done: None,
    *,
    threads: int | None = None,
) -> Graph:
    """Make the graph of a corpus's vectors and write it into the corpus's folder.

    `vectors` are those of the corpus. `advance` is called with the number of vectors just added.
    Raises ValueError for a metric that usearch does not have, OutputError if another process writes
    to the corpus.
    """
    graph, folder = empty_graph(corpus.manifest), corpus.folder
    threads = thread_count(threads)
    with locked(folder):  # another writer would remove files that are half written
        for numbers, stored in vectors.blocks(ROWS, None):
            rows = np.ascontiguousarray(vectors.vectors(stored), dtype=np.float32)
            graph.add(numbers.astype(np.uint64), rows, threads=threads)
            advance(len(numbers))
        with written(folder / GRAPH) as partial:
            graph.save(str(partial))
        with open(folder / GRAPH, "rb") as file:
            sha256 = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
        described = {**description_of(corpus.manifest), "bytes": size, "sha256": sha256}
        with replacing(folder / DESCRIPTION) as file:
            file.write(json.dumps(described).encode() + b"\n")
    return Graph(corpus, vectors, graph)


def open_graph(corpus: Corpus, vectors: Stack) -> Graph:
    """Open the graph beside a corpus, mapped.

    Raises FileNotFoundError if there is none, CorpusError for a graph of other shards.
    """
    folder = corpus.folder
    described, expected = read_description(folder), description_of(corpus.manifest)
    if {name: described[name] for name in expected} != expected:
        raise CorpusError(
            f"{folder / GRAPH} was made of other vectors than {folder} has now. `minibert index "
            "graph` makes it anew."
        )
    graph = empty_graph(corpus.manifest)
    try:
        # usearch does not check what it maps: a damaged file would end the process.
        if (size := os.stat(folder / GRAPH).st_size) != described["bytes"]:
            raise ValueError(f"it has {size} bytes, and had {described['bytes']}")
        graph.view(str(folder / GRAPH))
    except (FileNotFoundError, RuntimeError, ValueError) as error:  # usearch's are RuntimeErrors
        raise CorpusError(f"{folder / GRAPH} is missing or damaged: {error}.") from error
    if len(graph) != len(corpus):
        raise CorpusError(f"{folder / GRAPH} holds {len(graph)} vectors; expected {len(corpus)}.")
    return Graph(corpus, vectors, graph)


def remove_stale_graph(folder: Path, manifest: Manifest) -> None:
    """Remove the graph beside a corpus if it is of other shards: it has their vectors."""
    expected = description_of(manifest)
    try:
        described = read_description(folder)
        is_stale = {name: described[name] for name in expected} != expected
    except (FileNotFoundError, CorpusError):
        is_stale = True
    if is_stale:
        for name in (DESCRIPTION, GRAPH):
            (folder / name).unlink(missing_ok=True)


def read_description(folder: Path) -> dict[str, Any]:
    """Read graph.json, the description of the graph beside a corpus.

    Raises FileNotFoundError if there is none, CorpusError if it was damaged.
    """
    try:
        described = json.loads((folder / DESCRIPTION).read_bytes())
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{str(folder)!r} has no graph. `minibert index graph` makes one."
        ) from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{folder / DESCRIPTION} is not valid JSON: {error}.") from error
    if not isinstance(described, dict) or described.keys() != NAMES:
        raise CorpusError(
            f"{folder / DESCRIPTION} says {described!r:.80}; expected {', '.join(sorted(NAMES))}."
        )
    return described


def description_of(manifest: Manifest) -> dict[str, Any]:
    """Return all that a graph depends on; deleted documents stay in it, but are never returned."""
    return {"documents": manifest.documents, "shards_sha256": manifest.shards_sha256}


def empty_graph(manifest: Manifest) -> Any:
    """Make a graph without vectors, for those of a corpus.

    Raises MissingLibraryError without usearch, ValueError for a metric that usearch does not have.
    """
    with needing("usearch", "An approximate search", "usearch"):
        from usearch.index import Index as UsearchIndex
    settings = manifest.settings
    names = {name: row.usearch_name for name, row in METRICS.items() if row.usearch_name}
    if settings.metric not in names:
        raise ValueError(
            f"usearch has no {settings.metric} distance; expected one of {', '.join(names)}. "
            "Search exactly."
        )
    return UsearchIndex(
        ndim=settings.dimension,
        metric=names[settings.metric],
        dtype="f32",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )


def recall_of(
    graph: Graph, k: int = 10, sample: int = SAMPLE, *, threads: int | None = None
) -> float:
    """Measure the share of the k nearest that a graph finds, for a sample of the corpus's vectors.

    Neighbours of these are easier to find than those of questions. A vector that scores as high as
    the k-th nearest counts as found.
    """
    corpus = graph.corpus
    there = np.setdiff1d(np.arange(len(corpus)), corpus.deleted)
    sampled = np.random.default_rng(0).permutation(there)[:sample]
    queries = graph.vectors.take(np.sort(sampled)).astype(np.float32)
    metric = corpus.manifest.settings.metric
    _, exact = nearest(queries, graph.vectors, k, metric, threads=threads, excluded=corpus.deleted)
    _, found = graph.nearest(queries, k)
    return float((found >= exact[:, -1:]).mean())


@contextmanager
def written(path: Path) -> Iterator[Path]:
    """Give a path to write to; the file takes the place of `path` when it is whole."""
    partial = partial_of(path)
    try:
        yield partial
        descriptor = os.open(partial, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        place(partial, path)
    finally:
        partial.unlink(missing_ok=True)
