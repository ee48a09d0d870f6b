"""Texts -> vectors of unit length by a model, kept in a folder for the next time.

A file of the folder is an array of NumPy, without objects, which are pickles. Its name has a digest
of the model, the prompt and the texts. Start at embed.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from minibert.common.arrays import Array
from minibert.common.files import npy_chunks, replacing

__all__ = ["Embeds", "Side", "embed", "processes_of"]

logger = logging.getLogger(__name__)


class Embeds(Protocol):
    """A model, as far as texts are embedded and their vectors are scored."""

    @property
    def similarity_fn_name(self) -> str: ...

    # No signatures: the overloads of SentenceTransformer would not match shorter ones.
    @property
    def encode_query(self) -> Callable[..., Any]: ...

    @property
    def encode_document(self) -> Callable[..., Any]: ...

    @property
    def start_multi_process_pool(self) -> Callable[..., Any]: ...

    @property
    def stop_multi_process_pool(self) -> Callable[..., Any]: ...

    def fingerprint(self) -> str: ...


class Side(NamedTuple):
    """Texts that get the same prompt: the queries, or the documents."""

    name: str  # "query" or "corpus", which begins the names of files
    texts: Sequence[str]
    prompt_name: str | None
    prompt: str | None


@contextmanager
def processes_of(
    model: Any,  # of either kind: both start and stop processes
    devices: bool | Sequence[str],
) -> Iterator[Callable[[], Any]]:  # whatever the model starts
    """Yield a function that starts processes for a model's work, at its first call.

    They end with the block. Without devices, the function returns None. True is a process for each
    core.
    """
    pool = None

    def start() -> Any:
        nonlocal pool
        if pool is None and devices:
            pool = model.start_multi_process_pool(None if isinstance(devices, bool) else devices)
        return pool

    try:
        yield start
    finally:
        if pool is not None:
            model.stop_multi_process_pool(pool)


def embed(
    model: Embeds,
    queries: Side,
    documents: Side,
    *,
    devices: bool | Sequence[str] = False,
    cache_folder: str | os.PathLike[str] | None = None,
    **options: Any,  # of encode
) -> tuple[Array, Array]:
    """Return the vectors of queries and of documents: (Q, D), (N, D), of unit length.

    `devices` are those of processes that share the work. With a `cache_folder`, vectors that it has
    are read, and others are kept there.

    Raises OSError for a folder that cannot be written, ValueError for a file there that holds no
    such vectors, and UnsavedError for a model that was trained and is in no folder.
    """
    folder, digest = None, ""
    if cache_folder is not None:
        folder, digest = Path(cache_folder), model.fingerprint()
        folder.mkdir(parents=True, exist_ok=True)
    with processes_of(model, devices) as start:

        def vectors_of(side: Side, encode: Callable[..., Any]) -> Array:
            path = None if folder is None else folder / file_name(side, digest)
            if path is not None and path.exists():
                return read_vectors(path, len(side.texts))
            vectors = np.asarray(
                encode(
                    side.texts, prompt_name=side.prompt_name, prompt=side.prompt,
                    normalize_embeddings=True, pool=start(), **options,
                )
            )  # fmt: skip
            if path is not None:
                write_vectors(path, vectors)
            return vectors

        embedded = vectors_of(documents, model.encode_document)
        return vectors_of(queries, model.encode_query), embedded


def file_name(side: Side, model_digest: str) -> str:
    """Return the name of the file with the vectors of one side."""
    content = [model_digest, side.name, side.prompt_name, side.prompt, list(side.texts)]
    digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
    return f"{side.name}_embeddings_{digest}.npy"


def read_vectors(path: Path, count: int) -> Array:
    """Read the kept vectors of `count` texts. Raises ValueError for a file of other content."""
    try:
        vectors = np.load(path, allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise ValueError(f"{path} holds no array of numbers: {error} Remove the file.") from error
    if vectors.ndim != 2 or len(vectors) != count or vectors.dtype.kind != "f":
        raise ValueError(
            f"{path} holds {vectors.dtype} of the shape {vectors.shape}; expected {count} vectors. "
            "Remove the file."
        )
    logger.info("the vectors of %d texts were kept in %s.", count, path)
    return np.asarray(vectors)


def write_vectors(path: Path, vectors: Array) -> None:
    """Keep vectors in a file, which appears when it is whole."""
    with replacing(path) as file:
        for chunk in npy_chunks(vectors):
            file.write(chunk)
