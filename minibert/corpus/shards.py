"""One shard of a corpus: some documents with their vectors, in files that never change.

    vectors.npy    (n, W), of the dtype of the precision
    ids.utf8       the ids end to end; ids.npy, their beginnings and the end: (n + 1,) int64
    texts.utf8     the same for the texts, if they are kept; texts.npy
    fields.npy     codes of the values of the fields, if there are any: (F, n) int32
    values.utf8    the different values of each field, in order, as JSON; values.npy
    documents.npy  a digest of each id and text, with its fields: (n, 16) uint8
    hashes.npy     hashes of the ids, rising, and the places of these ids: (2, n) uint64
    shard.json     counts; the size and sha256 of each file

All files are mapped; none is run. write_shard() makes a shard, Shard opens it.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cached_property
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minibert.common.arrays import IntArray
from minibert.common.files import npy_chunks, place, sync, sync_folder
from minibert.corpus.fields import Column, Values, coded_fields, json_of
from minibert.corpus.manifest import key_of, keyed
from minibert.documents import Scalar
from minibert.errors import CorpusError

__all__ = [
    "DESCRIPTION",
    "Description",
    "Shard",
    "digest_of",
    "digests_of",
    "empty_texts",
    "hashes_of",
    "read_description",
    "write_shard",
]

DESCRIPTION = "shard.json"
NAMES = {"vectors.npy", "documents.npy", "hashes.npy", "ids.utf8", "ids.npy"}
NAMES_OF_TEXTS = {"texts.utf8", "texts.npy"}
NAMES_OF_FIELDS = {"fields.npy", "values.utf8", "values.npy"}
DIGEST_BYTES = 16  # of a document; by chance two are the same once in 2^64

Numbers = Sequence[int] | IntArray


@dataclass(frozen=True)
class Description:
    """Content of shard.json."""

    documents: int  # number of documents
    truncated: int  # texts longer than max_seq_length; the key on disk is "cut"
    empty: int  # texts without a character, or blank
    clipped: int  # numbers outside of the ranges of int8
    files: dict[str, dict[str, Any]]  # name -> {"bytes": ..., "sha256": ...}


# Writing.


def write_shard(
    target: Path,
    vectors: NDArray[Any],
    ids: Sequence[bytes],
    texts: Sequence[bytes],
    fields: Sequence[Values] = (),
    *,
    keep_texts: bool,
    truncated: int,
    empty: int,
    clipped: int,
    digests: NDArray[np.uint8] | None = None,
) -> bytes:
    """Write a shard's folder and return the bytes of shard.json.

    The folder gets its name when all of it is on the disk. `ids` and `texts` are UTF-8; `fields`
    are the values of each document, in the order of the corpus's fields, or empty without any.
    `digests`, if they are known, need no texts. If writing fails, nothing is left.
    """
    files: dict[str, Iterable[Any]] = {"vectors.npy": npy_chunks(vectors)}
    strings_of = {"ids": ids, **({"texts": texts} if keep_texts else {})}
    if fields:
        codes, strings_of["values"] = coded_fields(fields)
        files["fields.npy"] = npy_chunks(codes)
    for name, strings in strings_of.items():
        ends = np.cumsum([0, *map(len, strings)], dtype=np.int64)
        files |= {f"{name}.utf8": [b"".join(strings)], f"{name}.npy": npy_chunks(ends)}
    hashes = hashes_of(ids)
    order = np.argsort(hashes, kind="stable")
    files["documents.npy"] = npy_chunks(
        digests_of(ids, texts, fields) if digests is None else digests
    )
    files["hashes.npy"] = npy_chunks(np.stack([hashes[order], order.astype(np.uint64)]))
    partial = target.with_name(f"{target.name}.partial")
    try:
        partial.mkdir()
        written = {name: write(partial / name, chunks) for name, chunks in files.items()}
        description = json.dumps(
            keyed(asdict(Description(len(ids), truncated, empty, clipped, written))), indent=1
        ).encode()
        write(partial / DESCRIPTION, [description])
        sync_folder(partial)
        place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return description


def write(path: Path, chunks: Iterable[Any]) -> dict[str, Any]:
    """Write a file and wait until it is on the disk; return its size and digest."""
    digest, size = hashlib.sha256(), 0
    with open(path, "wb") as file:
        for chunk in chunks:
            file.write(chunk)
            digest.update(chunk)
            size += len(chunk)
        sync(file)
    return {"bytes": size, "sha256": digest.hexdigest()}


def digests_of(
    ids: Iterable[bytes], texts: Iterable[bytes], fields: Sequence[Values] = ()
) -> NDArray[np.uint8]:
    """Compute a digest of each document: n ids, texts and rows of fields -> (n, 16) uint8."""
    found = b"".join(map(digest_of, ids, texts, fields or repeat(())))
    return np.frombuffer(found, dtype=np.uint8).reshape(-1, DIGEST_BYTES)


def digest_of(id: bytes, text: bytes, fields: Values = ()) -> bytes:
    """Compute the digest of a document. The lengths go first, so that id and text have an end.

    Without fields, only the id needs one.
    """
    content = b"%d:%b%b" % (len(id), id, text)
    if fields:
        content = b"%d:%b%b" % (len(text), content, json_of(fields).encode())
    return hashlib.blake2b(content, digest_size=DIGEST_BYTES).digest()


def empty_texts(texts: Iterable[str]) -> int:
    """Count the texts without a character, and blank ones."""
    return sum(not text or text.isspace() for text in texts)


def hashes_of(ids: Iterable[bytes]) -> NDArray[np.uint64]:
    """Compute a hash of 64 bits of each id: n -> (n,)."""
    found = b"".join(hashlib.blake2b(id, digest_size=8).digest() for id in ids)
    return np.frombuffer(found, dtype="<u8").astype(np.uint64)


# Reading.


class Shard:
    """An open shard.

    A place is a document's number in it, from 0; its number in the corpus is `first` + place.
    """

    def __init__(
        self,
        path: Path,
        first: int,
        description: Description,
        columns: int,
        dtype: str,
        *,
        fields: int = 0,
    ) -> None:
        """Map the vectors, (n, `columns`) of a `dtype`, of documents with a number of `fields`.

        Raises CorpusError for a file whose size differs from the description, for vectors of
        another shape or dtype, and for fields that are missing.
        """
        self.path = path  # path of its folder
        self.first = first  # number of its first document in the corpus
        self.description = description  # content of its shard.json
        self._maps: dict[str, NDArray[Any]] = {}  # name of a file -> the mapped file
        for name, file in description.files.items():
            size = os.stat(path / name).st_size if (path / name).is_file() else None
            if size != file["bytes"]:
                found = "missing" if size is None else f"of {size} bytes"
                raise CorpusError(
                    f"{path / name} is {found}; {DESCRIPTION} says {file['bytes']} bytes. "
                    "`minibert index verify` lists all faults."
                )
        if fields and "fields.npy" not in description.files:
            raise CorpusError(f"{path} has no fields; the manifest names {fields}.")
        self._fields = fields  # number of the corpus's fields
        # Vectors or codes, mapped: (n, W).
        self.vectors = self._array("vectors", (len(self), columns), dtype)

    def __len__(self) -> int:
        return self.description.documents

    def ids(self, places: Numbers | None = None) -> list[str]:
        """Read the ids of the documents at `places`, or of all."""
        return self._strings("ids", places)

    def texts(self, places: Numbers | None = None) -> list[str]:
        """Read the texts of the documents at `places`, or of all.

        Raises CorpusError if they were not kept.
        """
        if "texts.utf8" not in self.description.files:
            raise CorpusError(f"{self.path.parent.parent} holds no texts (--no-texts).")
        return self._strings("texts", places)

    def fields(self, places: Numbers | None = None) -> list[tuple[Scalar, ...]]:
        """Read the values of the documents at `places`, or of all, in the order of the fields."""
        wanted = range(len(self)) if places is None else np.asarray(places, dtype=np.int64)
        return [
            tuple(column.value(int(column.codes[place])) for column in self.columns)
            for place in wanted
        ]

    @cached_property
    def columns(self) -> list[Column]:
        """Fields of the documents, F. Raises CorpusError for codes that no value has."""
        if not self._fields:
            return []
        codes = np.asarray(self._array("fields", (self._fields, len(self)), "int32"))
        # A field's codes go from 0 to its number of values.
        firsts = np.cumsum([0, *(codes.max(axis=1, initial=-1).astype(np.int64) + 1)])
        if codes.min(initial=0) < 0:
            raise CorpusError(f"{self.path / 'fields.npy'} was damaged: a code is negative.")
        content, ends = self._blob("values", int(firsts[-1]))
        return [
            Column(of_field, content, ends[first : end + 1], f"{self.path / 'values.utf8'}")
            for of_field, (first, end) in zip(codes, pairwise(firsts.tolist()), strict=True)
        ]

    def text_bytes(self, places: IntArray) -> int:
        """Return the size of the texts of the documents at `places`; 0 if they are not kept."""
        if "texts.npy" not in self.description.files:
            return 0
        ends = np.asarray(self._array("texts", (len(self) + 1,), "int64"))
        return int(np.diff(ends)[places].sum())

    def hold(self) -> None:
        """Map the files that readers may need later, so that they last when compact removes them.

        Raises CorpusError for a damaged one.
        """
        for name in self.description.files.keys() - {"documents.npy"}:  # only writers read that
            self._mapped(name)

    @cached_property
    def digests(self) -> NDArray[np.uint8]:
        """Digests of the documents: (n, 16)."""
        return self._array("documents", (len(self), DIGEST_BYTES), "uint8")

    @cached_property
    def hashes(self) -> NDArray[np.uint64]:
        """Hashes of the ids, rising, and the places of these ids: (2, n)."""
        return self._array("hashes", (2, len(self)), "uint64")

    def candidates(self, hashes: NDArray[np.uint64]) -> Iterator[tuple[int, int]]:
        """Find documents whose ids have these hashes: yield an index into `hashes`, and a place."""
        mine = self.hashes[0]
        starts, ends = (np.searchsorted(mine, hashes, side) for side in ("left", "right"))
        for index in np.flatnonzero(ends > starts):
            for position in range(starts[index], ends[index]):
                yield int(index), int(self.hashes[1, position])

    def _blob(self, name: str, count: int) -> tuple[NDArray[np.uint8], IntArray]:
        """Map the bytes of `count` strings, and the beginnings of each with the end."""
        # Without the class memmap, a slice of which costs more than the string.
        blob, ends = self._mapped(f"{name}.utf8"), self._array(name, (count + 1,), "int64")
        return np.asarray(blob), np.asarray(ends)

    def _strings(self, name: str, places: Numbers | None) -> list[str]:
        blob, ends = self._blob(name, len(self))
        wanted = range(len(self)) if places is None else np.asarray(places, dtype=np.int64)
        return [blob[ends[place] : ends[place + 1]].tobytes().decode() for place in wanted]

    def _array(self, name: str, shape: tuple[int, ...], dtype: str) -> NDArray[Any]:
        array = self._mapped(f"{name}.npy")
        if array.shape != shape or array.dtype != np.dtype(dtype):
            raise CorpusError(
                f"{self.path / name}.npy holds {array.shape} of {array.dtype}; expected {shape} of "
                f"{dtype}."
            )
        return array

    def _mapped(self, name: str) -> NDArray[Any]:
        """Map a file, or return it as it was mapped: an array, or bytes."""
        if name not in self._maps:
            path, size = self.path / name, self.description.files[name]["bytes"]
            try:
                # Not np.load: it reads other kinds of files, too.
                self._maps[name] = (
                    np.lib.format.open_memmap(path, mode="r")
                    if name.endswith(".npy")
                    # An empty file cannot be mapped.
                    else np.memmap(path, np.uint8, mode="r")
                    if size
                    else np.zeros(0, np.uint8)
                )
            except FileNotFoundError as error:
                raise CorpusError(
                    f"{path} is gone: `minibert index compact` has rewritten the corpus since it "
                    "was opened. Open it again."
                ) from error
            except (ValueError, OverflowError) as error:
                raise CorpusError(f"{path} is no file of NumPy: {error}.") from error
        return self._maps[name]


def read_description(path: Path) -> tuple[bytes, Description]:
    """Read shard.json: return its bytes and its content. Raises CorpusError for a damaged one."""
    try:
        content = (path / DESCRIPTION).read_bytes()
        names = {key_of(one.name): one.name for one in fields(Description)}
        found = json.loads(content)
        description = Description(**{names.get(key, key): value for key, value in found.items()})
        unknown = description.files.keys() - NAMES - NAMES_OF_TEXTS - NAMES_OF_FIELDS
        if unknown:  # a name must not lead out of the folder
            raise ValueError(f"it names {min(unknown)!r}, which no shard has")
        check_description(description)
    except (AttributeError, FileNotFoundError, RecursionError, TypeError, ValueError) as error:
        raise CorpusError(f"{path / DESCRIPTION} is missing or damaged: {error}.") from error
    return content, description


def check_description(description: Description) -> None:
    """Raise ValueError or AttributeError for a field that is missing or of another type."""
    files = description.files
    known = [NAMES, NAMES | NAMES_OF_TEXTS]
    if files.keys() not in [*known, *(names | NAMES_OF_FIELDS for names in known)]:
        raise ValueError(f"it names {', '.join(sorted(files))} alone")
    counts = [description.documents, description.truncated, description.empty, description.clipped]
    for count in (*counts, *(file.get("bytes") for file in files.values())):
        if type(count) is not int or count < 0:
            raise ValueError(f"{count!r:.40} is no count")
    if not all(isinstance(file.get("sha256"), str) for file in files.values()):
        raise ValueError("a sha256 is no text")
