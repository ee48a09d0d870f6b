"""The manifest of a corpus, manifest.json: read, checked and replaced as a whole.

It names no files, so it cannot lead out of the folder. It holds no times and no paths of inputs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

from minibert.common.files import replacing
from minibert.errors import CorpusError

__all__ = [
    "MANIFEST",
    "Input",
    "Manifest",
    "Settings",
    "chained",
    "json_bytes",
    "key_of",
    "keyed",
    "read_manifest",
    "sha256_of",
    "write_manifest",
]

MANIFEST = "manifest.json"
FORMAT = 1
# A field -> its key in manifest.json and shard.json, where they differ. A key on disk keeps its
# name, so that corpora that are there already stay readable.
KEYS = {"truncated": "cut"}
# The settings that differ between two models.
MODEL = ("weights_sha256", "files_sha256", "modules")
# The settings of the kinds of fields.
DECLARED = ("number_fields", "flag_fields")


@dataclass(frozen=True)
class Settings:
    """All settings that the vectors depend on, but the documents and the machine."""

    model: str  # as named by the user; another name of the same files is the same model
    revision: str | None  # commit of a model from the hub
    weights_sha256: str  # digest of the weights of the BERT
    files_sha256: str  # digest of the model's other files
    modules: tuple[str, ...]  # the model's modules with their settings
    dimension: int  # of the vectors, D
    metric: str  # a name in METRICS
    precision: str  # "float32", "float16", "int8" or "binary"
    prompt: str  # text before every document
    truncate_dim: int | None  # dimensions that are kept; None for all
    normalize: bool  # True for vectors of length 1
    max_seq_length: int | None  # tokens of a text, at most
    long_texts: str  # "cut" (truncated) or "window"
    pack_tokens: int  # tokens of a pack
    reproducible: bool  # True for a pack per text
    device: str  # "cpu" or "cuda"; the two round in different ways
    dtype: str  # of the computation, whatever the precision on disk
    texts: bool  # True if the texts are kept
    shard_documents: int  # documents of a shard, at most
    shard_characters: int  # a shard ends with the document that reaches these
    # On disk only if there are any: names of the fields that are kept, and of those among them that
    # were declared as numbers, and as true or false.
    fields: tuple[str, ...] = ()
    number_fields: tuple[str, ...] = ()
    flag_fields: tuple[str, ...] = ()

    def check_same(self, others: dict[str, Any], folder: Path) -> None:
        """Raise CorpusError, with the differences, for settings that would give other bytes."""
        differing = {
            name: f"{name} is {beginning(getattr(self, name))} there and {beginning(value)} here"
            for name, value in others.items()
            if name != "model" and value != getattr(self, name) and not self.may_lack(name)
        }
        told = f"was made in another way: {'; '.join(differing.values())}."
        if any(name in differing for name in MODEL):
            raise CorpusError(
                f"{folder} is of another model, {self.model!r}. Give that one (--model tells where "
                f"it lies now), or choose another folder. It {told}"
            )
        if differing:
            raise CorpusError(f"{folder} {told} {self.way_on(differing)}")

    def may_lack(self, name: str) -> bool:
        """Return whether a setting may be missing: earlier versions kept no declared kinds."""
        return name in DECLARED and not getattr(self, name)

    def way_on(self, differing: Collection[str]) -> str:
        """Return the advice of an error for settings that differ."""
        if "device" in differing:
            return (
                "A CPU and a GPU round in different ways, so all of a corpus is of one of them. Go "
                f"on with --device {self.device}, or build it anew in another folder. Searching it "
                "works on both."
            )
        return "Repeat the settings that it was made with, or choose another folder."


@dataclass(frozen=True)
class Input:
    """One input, read by build or add: its shards, and whether it was read to its end."""

    shards: int = 0  # number of its shards
    documents: int = 0  # number of its documents
    complete: bool = False  # True if it was read to its end
    removed: int = 0  # number of its further documents, which compact has removed

    @property
    def read(self) -> int:
        """Number of the documents that were read of it."""
        return self.documents + self.removed


@dataclass(frozen=True)
class Manifest:
    """State of a corpus. Every change replaces it."""

    settings: Settings  # of all its vectors
    inputs: tuple[Input, ...] = (Input(),)  # in the order of their documents
    documents: int = 0  # with the deleted ones: their numbers stay taken
    truncated: int = 0  # texts longer than max_seq_length; the key on disk is "cut"
    empty: int = 0  # texts without a character, or blank
    clipped: int = 0  # numbers outside of the ranges of int8
    # The minimum and maximum of each dimension, for int8: those of the first shard.
    ranges: tuple[tuple[float, ...], ...] | None = None
    # Digest of the descriptions of all shards; each description has the digests of its files.
    shards_sha256: str = ""
    deleted: int = 0  # deleted documents
    deleted_sha256: str | None = None  # digest of the file with their numbers
    generation: int = 0  # how often compact has rewritten the shards: each time in another folder

    @property
    def shards(self) -> int:
        """Number of shards."""
        return sum(one.shards for one in self.inputs)

    @property
    def read(self) -> int:
        """Number of all documents that were ever read, with those that compact has removed."""
        return sum(one.read for one in self.inputs)

    @property
    def complete(self) -> bool:
        """True if every input was read to its end."""
        return all(one.complete for one in self.inputs)

    def check_complete(self, folder: Path, asked: str) -> None:
        """Raise CorpusError if an input was not read to its end; `asked` is what to do with it."""
        if not self.complete:
            raise CorpusError(
                f"{folder} is not finished; repeat the command that was stopped, then {asked}."
            )

    # Any: a value of any field of an input.
    def with_last_input(self, **changes: Any) -> Manifest:
        """Return a copy with changes of the last input."""
        *before, last = self.inputs
        return replace(self, inputs=(*before, replace(last, **changes)))


def chained(shards_sha256: str, description: bytes) -> str:
    """Extend the digest of all shards by the description of one more."""
    return hashlib.sha256(shards_sha256.encode() + description).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest; return when the new one is on the disk."""
    content = {"format": FORMAT, **content_of(manifest)}
    with replacing(folder / MANIFEST) as file:
        file.write(json_bytes({**content, "sha256": sha256_of(content)}))


def content_of(manifest: Manifest) -> dict[str, Any]:
    """Make a JSON object of a manifest, without fields, kinds of them and counts that are empty.

    So the bytes of a corpus without them are those of earlier versions.
    """
    content = keyed(asdict(manifest))
    for name in ("fields", *DECLARED):
        if not content["settings"][name]:
            del content["settings"][name]
    for one in [content, *content["inputs"]]:
        for name in ("generation", "removed"):
            if one.get(name) == 0:
                del one[name]
    return content


def read_manifest(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises FileNotFoundError if there is none, CorpusError if it was damaged or edited, or is of
    another format.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        name = repr(str(folder))
        fault = f"{name} holds no {MANIFEST}, so it is no corpus"
        raise FileNotFoundError(
            f"{fault if folder.exists() else f'There is no folder {name}'}. `minibert index build` "
            "makes a corpus."
        ) from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise CorpusError(f"{path}: format is {found!r:.40}; this minibert reads {FORMAT}.")
    if content.pop("sha256", None) != sha256_of(content):
        raise CorpusError(
            f"{path} was damaged or edited: its content does not agree with its sha256. Put back "
            "the file as minibert wrote it, or build the corpus anew."
        )
    try:
        return manifest_of(content)
    except (KeyError, TypeError) as error:
        raise CorpusError(f"{path} holds other fields than a manifest's: {error}.") from error


def manifest_of(content: dict[str, Any]) -> Manifest:
    """Make a manifest of a JSON object. Raises KeyError or TypeError for other fields."""
    content = {"generation": 0, **content}
    content = {one.name: tuples(content[key_of(one.name)]) for one in fields(Manifest)}
    content["settings"] = Settings(**content["settings"])
    content["inputs"] = tuple(Input(**one) for one in content["inputs"])
    return Manifest(**content)


def key_of(name: str) -> str:
    """Return the key on disk of a field of Manifest or Description."""
    return KEYS.get(name, name)


def keyed(values: dict[str, Any]) -> dict[str, Any]:
    """Return the values of fields under their keys on disk, in the same order."""
    return {key_of(name): value for name, value in values.items()}


def tuples(content: Any) -> Any:
    """Turn the lists of JSON into tuples, within dicts, too."""
    if isinstance(content, list):
        return tuple(map(tuples, content))
    if isinstance(content, dict):
        return {name: tuples(value) for name, value in content.items()}
    return content


def beginning(value: object) -> str:
    """Write a value for a message; of a long one only the beginning, with a mark."""
    shown = repr(value)
    return shown if len(shown) <= 200 else f"{shown[:200]}…"


def sha256_of(content: dict[str, Any]) -> str:
    """Compute the digest of a JSON object, as in the object's own file."""
    return hashlib.sha256(json_bytes(content)).hexdigest()


def json_bytes(content: dict[str, Any]) -> bytes:
    """Write JSON: the same content gives the same bytes."""
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
