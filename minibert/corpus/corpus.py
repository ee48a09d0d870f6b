"""A corpus on disk, opened for reading: vectors, ids and texts of many documents, mapped.

    corpus = Corpus("my-corpus")
    for shard in corpus.shards:
        shard.first, shard.vectors      # the number of its first document, (n, W)
    corpus.ids([0, 7]), corpus.texts([0, 7])

A document's number is its place in the order of the input; deleted documents keep theirs. An open
corpus does not change while a writer adds. `building.py` writes, `verifying.py` checks every byte;
docs/corpus.md describes the files.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TypeVar

import numpy as np

from minibert.common.arguments import check_several
from minibert.common.arrays import Array, IntArray
from minibert.corpus.fields import FLAGS, NUMBERS
from minibert.corpus.fingerprint import DigestCache, fingerprint_of
from minibert.corpus.manifest import MANIFEST, Manifest, Settings, chained, read_manifest
from minibert.corpus.shards import Shard, hashes_of, read_description
from minibert.documents import Fields, Scalar
from minibert.errors import CorpusError, ModelUnavailableError
from minibert.models.sentence_transformer import SentenceTransformer
from minibert.scoring.matrices import Stack
from minibert.scoring.quantization import STORED_DTYPES, code_shape, dequantize_embeddings

__all__ = [
    "SHARDS",
    "Corpus",
    "deleted_path",
    "matches",
    "open_shard",
    "place_of_model",
    "shard_path",
    "shards_folder",
    "telling_whose_model",
]

SHARDS = "shards"
# Shards of a corpus whose files are all mapped at once. A mapped file takes one of the files that a
# process may open, often 1024 in all; a shard has up to nine.
HELD = 32

Found = TypeVar("Found")  # of a document


class Corpus:
    """A corpus as it was when it was opened. Threads may share one."""

    folder: Path  # path of the folder
    manifest: Manifest  # model, settings and counts
    deleted: IntArray  # numbers of the deleted documents, rising
    shards: list[Shard]  # in the order of the documents' numbers

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        """Open a folder.

        Raises FileNotFoundError if it holds no corpus, CorpusError if the manifest was edited or
        a shard does not agree with it. Only sizes and shapes are compared: `minibert index
        verify` reads every byte.
        """
        self.folder = Path(folder)
        self.manifest = read_manifest(self.folder)
        while True:
            try:
                self.deleted = read_deleted(self.folder, self.manifest)  # rising
                self.shards = open_shards(self.folder, self.manifest)
                for shard in self.shards if len(self.shards) <= HELD else ():
                    shard.hold()
                return
            except (CorpusError, FileNotFoundError):
                newer = read_manifest(self.folder)
                if newer == self.manifest:
                    raise
                self.manifest = newer  # a writer has replaced it and removed a file

    def __len__(self) -> int:
        """Return the number of all documents, with the deleted ones.

        The length of an Index is the number of documents that are not deleted.
        """
        return self.manifest.documents

    def ids(self, numbers: Sequence[int] | IntArray) -> list[str]:
        """Read the ids of documents, by their numbers."""
        return self._collected(numbers, Shard.ids)

    def texts(self, numbers: Sequence[int] | IntArray) -> list[str]:
        """Read the texts of documents, by their numbers. Raises CorpusError if there are none."""
        return self._collected(numbers, Shard.texts)

    def digests(self, numbers: Sequence[int] | IntArray) -> list[bytes]:
        """Read the digests of documents, by their numbers."""
        return self._collected(
            numbers, lambda shard, places: [row.tobytes() for row in shard.digests[places]]
        )

    def fields(self, numbers: Sequence[int] | IntArray) -> list[dict[str, Scalar]]:
        """Read the fields of documents, by their numbers; a field without a value is None.

        In a corpus without fields, each is an empty dict.
        """
        names = self.manifest.settings.fields
        rows = self._collected(numbers, Shard.fields)
        return [dict(zip(names, row, strict=True)) for row in rows]

    def kinds(self) -> dict[str, int]:
        """Return the kinds of the fields' values, places in KINDS, by the names of the fields.

        A field that has no value but None, and no declared kind, is left out.
        """
        settings = self.manifest.settings
        found = dict.fromkeys(settings.number_fields, NUMBERS)
        found |= dict.fromkeys(settings.flag_fields, FLAGS)
        for place, name in enumerate(self.manifest.settings.fields):
            kinds = (shard.columns[place].kind for shard in self.shards)
            if kind := next(filter(None, kinds), 0):
                found[name] = kind
        return found

    def record_fields(self) -> Fields:
        """Return the Fields by which `read_documents` reads further documents for this corpus.

        They keep its fields, and read texts as numbers, or as true or false, where it has these.
        """
        kinds = self.kinds()
        numbers, flags = (
            tuple(name for name, kind in kinds.items() if kind == wanted)
            for wanted in (NUMBERS, FLAGS)
        )
        return Fields(kept=self.manifest.settings.fields, numbers=numbers, flags=flags)

    def codes(self) -> Stack:
        """Return the codes of all shards, mapped, as one stack: (n, W)."""
        names = [f"shard {shard.path}" for shard in self.shards]
        return Stack([shard.vectors for shard in self.shards], names)

    def vectors(self) -> Stack:
        """Return the vectors of all shards as one stack, decoded whenever they are read: (n, D)."""
        codes = self.codes()
        return Stack(codes.matrices, codes.names, decode=self._decode())

    def numbers(self, ids: Iterable[str]) -> dict[str, int]:
        """Find documents by their ids: id -> number. Unknown and deleted ones are left out."""
        return {id: number for id, number, is_deleted in self.find(ids) if not is_deleted}

    def find(self, ids: Iterable[str]) -> Iterator[tuple[str, int, bool]]:
        """Find all documents with these ids: yield id, number, and whether it is deleted."""
        check_several(ids=ids)
        for id, number in matches(self.shards, ids):
            yield id, number, self.is_deleted(number)

    def is_deleted(self, number: int) -> bool:
        """Return whether a document was deleted."""
        at = int(np.searchsorted(self.deleted, number))
        return at < len(self.deleted) and int(self.deleted[at]) == number

    def check_model(self, model: SentenceTransformer) -> None:
        """Raise CorpusError, with the differences, if the vectors are of another model.

        The model's files are read once, and again when one has changed: see fingerprint.py.
        """
        cache = DigestCache(self.folder)
        found = fingerprint_of(model, cache)._asdict()
        del found["revision"]  # several revisions may have the same files
        self.manifest.settings.check_same(found, self.folder)
        cache.write()

    def _decode(self) -> partial[Array] | None:
        """Return the function that decodes codes; None if vectors are stored."""
        settings = self.manifest.settings
        if settings.precision not in ("int8", "binary"):
            return None
        return partial(
            dequantize_embeddings,
            precision=settings.precision,
            dimension=settings.dimension,
            ranges=self.manifest.ranges,
        )

    def _collected(
        self, numbers: Sequence[int] | IntArray, read: Callable[[Shard, IntArray], list[Found]]
    ) -> list[Found]:
        """Call `read` of each shard, and return the results in the order of the numbers."""
        if np.ndim(numbers) != 1:
            raise TypeError(f"numbers is {numbers!r:.60}; expected a list of them, as [0, 7].")
        wanted = np.asarray(numbers, dtype=np.int64)
        outside = wanted[(wanted < 0) | (wanted >= len(self))]
        if len(outside):
            raise IndexError(
                f"There is no document {outside[0]}; numbers go from 0 to {len(self) - 1}."
            )
        of_shard = np.searchsorted([shard.first for shard in self.shards], wanted, side="right") - 1
        found: dict[int, Found] = {}
        for number in np.unique(of_shard):
            shard, places = self.shards[number], np.flatnonzero(of_shard == number)
            found.update(
                zip(places.tolist(), read(shard, wanted[places] - shard.first), strict=True)
            )
        return [found[place] for place in range(len(wanted))]


def place_of_model(folder: Path, settings: Settings) -> str:
    """Find the model that a manifest names: return its name on the hub, or the path of its folder.

    A manifest holds a path as it was typed, so that its bytes do not depend on the place of the
    corpus. A relative path is tried from the working folder, then from each folder above the
    corpus. The digests of the model are checked later, as for any model. Raises FileNotFoundError
    if the model was a folder, which has no revision, and is gone: the hub may have another model of
    the folder's name.
    """
    name = settings.model
    bases = [Path(), *folder.absolute().parents]
    places = (base / Path(name).expanduser() for base in bases)
    found = next((str(place) for place in places if is_model(place)), None)
    if found is None and settings.revision is None:
        raise FileNotFoundError(f"There is no folder {name!r} with a model.")
    return name if found is None else found


def is_model(place: Path) -> bool:
    """Return whether a folder looks like that of a model."""
    return any((place / name).is_file() for name in ("modules.json", "config.json"))


@contextmanager
def telling_whose_model(
    folder: str | os.PathLike[str], advice: str = "name it: --model"
) -> Iterator[None]:
    """Add to the error for a missing model that a corpus needs it, and how to name another."""
    try:
        yield
    except (FileNotFoundError, ModelUnavailableError) as error:
        raise type(error)(
            f"{error} It is the model that {os.fspath(folder)!r} was made with; if it lies "
            f"elsewhere now, {advice}."
        ) from None


def matches(shards: Sequence[Shard], ids: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Find all documents of some shards with these ids: yield id and number, shard after shard.

    Raises TypeError for an id that is no text.
    """
    wanted = list(ids)
    for id in wanted:
        if not isinstance(id, str):
            hint = f", as {str(id)!r}" if isinstance(id, int) else ""
            raise TypeError(f"An id is {id!r:.60}; expected a text{hint}.")
    # No stored id has a lone surrogate, but one may be asked for.
    hashes = hashes_of(id.encode(errors="surrogatepass") for id in wanted)
    for shard in shards:
        for index, place in shard.candidates(hashes):
            if shard.ids([place]) == [wanted[index]]:
                yield wanted[index], shard.first + place


def shards_folder(folder: Path, manifest: Manifest) -> Path:
    """Return the folder of the shards: no two generations share one, so none has two contents."""
    generation = manifest.generation
    return folder / (f"{SHARDS}-{generation}" if generation else SHARDS)


def shard_path(folder: Path, manifest: Manifest, number: int) -> Path:
    """Return the path of a shard."""
    return shards_folder(folder, manifest) / f"{number:05}"


def open_shard(path: Path, first: int, manifest: Manifest) -> tuple[bytes, Shard]:
    """Open a shard: return the bytes of its description, and the shard. Raises CorpusError."""
    content, description = read_description(path)
    precision = manifest.settings.precision
    columns = code_shape(manifest.settings.dimension, precision)
    shard = Shard(
        path,
        first,
        description,
        columns,
        STORED_DTYPES[precision],
        fields=len(manifest.settings.fields),
    )
    return content, shard


def open_shards(folder: Path, manifest: Manifest) -> list[Shard]:
    """Open all shards of a manifest. Raises CorpusError for shards with another digest."""
    shards: list[Shard] = []
    digest, first = "", 0
    for number in range(manifest.shards):
        content, shard = open_shard(shard_path(folder, manifest, number), first, manifest)
        digest = chained(digest, content)
        shards.append(shard)
        first += len(shard)
    if (digest, first) != (manifest.shards_sha256, manifest.documents):
        raise CorpusError(
            f"{shards_folder(folder, manifest)} was damaged or edited: the shards' descriptions "
            "are not those that the manifest was written for."
        )
    return shards


def deleted_path(folder: Path, sha256: str) -> Path:
    """Return the path of the deleted documents' numbers: each change writes another file."""
    return folder / f"deleted-{sha256[:16]}.npy"


def read_deleted(folder: Path, manifest: Manifest) -> IntArray:
    """Read the numbers of the deleted documents, rising. Raises CorpusError for a damaged file."""
    if manifest.deleted_sha256 is None:
        return np.empty(0, dtype=np.int64)
    path = deleted_path(folder, manifest.deleted_sha256)
    try:
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != manifest.deleted_sha256:
            raise ValueError(f"its sha256 is not that of {MANIFEST}")
        numbers: IntArray = np.lib.format.read_array(BytesIO(content), allow_pickle=False)
    except (FileNotFoundError, ValueError) as error:
        raise CorpusError(f"{path} is missing or damaged: {error}.") from error
    if numbers.dtype != np.int64 or numbers.shape != (manifest.deleted,):
        raise CorpusError(
            f"{path} holds {numbers.shape} of {numbers.dtype}; expected ({manifest.deleted},) of "
            "int64."
        )
    return numbers
