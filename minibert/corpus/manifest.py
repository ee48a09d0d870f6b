"""What a corpus on disk says of itself: manifest.json, read, checked and replaced as a whole.

It names no file, so nothing in it leads anywhere, and it holds no time and no path of an input.
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
    "read_manifest",
    "sha256_of",
    "write_manifest",
]

MANIFEST = "manifest.json"
FORMAT = 1
# The settings that tell one model from another.
MODEL = ("weights_sha256", "files_sha256", "modules")


@dataclass(frozen=True)
class Settings:
    """What the vectors depend on, beside the documents and the machine."""

    model: str  # as it was named; another name of the same files is the same model
    revision: str | None  # this and the next three: see fingerprint.py
    weights_sha256: str
    files_sha256: str
    modules: tuple[str, ...]
    dimension: int
    metric: str
    precision: str
    prompt: str
    truncate_dim: int | None
    normalize: bool
    max_seq_length: int | None
    long_texts: str  # "cut" or "window"
    pack_tokens: int
    reproducible: bool
    device: str  # "cpu" or "cuda": each rounds in its way
    dtype: str  # in which the layers were computed, whatever the precision of what is kept
    texts: bool  # whether they are kept
    shard_documents: int
    shard_characters: int

    def check_same(self, others: dict[str, Any], folder: Path) -> None:
        """Raise CorpusError, naming what differs, for settings that would make other bytes."""
        differing = {
            name: f"{name} is {beginning(getattr(self, name))} there and {beginning(value)} here"
            for name, value in others.items()
            if name != "model" and value != getattr(self, name)
        }
        told = f"was made in another way: {'; '.join(differing.values())}."
        if any(name in differing for name in MODEL):
            raise CorpusError(
                f"{folder} is of another model, {self.model!r}. Give that one (--model tells where "
                f"it lies now), or choose another folder. It {told}"
            )
        if differing:
            raise CorpusError(f"{folder} {told} {self.way_on(differing)}")

    def way_on(self, differing: Collection[str]) -> str:
        """What to do where these settings differ."""
        if "device" in differing:
            return (
                "A CPU and a GPU round in different ways, so all of a corpus is of one of them. Go "
                f"on with --device {self.device}, or build it anew in another folder. Searching it "
                "works on both."
            )
        return "Repeat what it was made with, or choose another folder."


@dataclass(frozen=True)
class Input:
    """What one build or add read: some of the shards, and whether it came to its end."""

    shards: int = 0
    documents: int = 0
    complete: bool = False


@dataclass(frozen=True)
class Manifest:
    """A corpus as it stands. Every change replaces it."""

    settings: Settings  # all that the vectors depend on
    inputs: tuple[Input, ...] = (Input(),)  # one for each build or add, in their order
    documents: int = 0  # deleted ones too: their numbers stay taken
    cut: int = 0  # texts that lost their ends
    empty: int = 0  # texts without a character, or blank
    clipped: int = 0  # numbers outside of the ranges of int8
    # The minimum and maximum of each dimension, for int8: those of the first shard.
    ranges: tuple[tuple[float, ...], ...] | None = None
    # Over the descriptions of all shards, one after another; each of those has its files' digests.
    shards_sha256: str = ""
    deleted: int = 0  # how many documents are deleted
    deleted_sha256: str | None = None  # of the file of their numbers; None if there is none

    @property
    def shards(self) -> int:
        """How many shards there are."""
        return sum(one.shards for one in self.inputs)

    @property
    def complete(self) -> bool:
        """Whether every input was read to its end."""
        return all(one.complete for one in self.inputs)

    # Any: a value of any field of an input.
    def with_last_input(self, **changes: Any) -> Manifest:
        """The same with changes of the last input."""
        *before, last = self.inputs
        return replace(self, inputs=(*before, replace(last, **changes)))


def chained(shards_sha256: str, description: bytes) -> str:
    """The digest over all shards, with one more."""
    return hashlib.sha256(shards_sha256.encode() + description).hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Replace the manifest by another, which then lies on the disk."""
    content = {"format": FORMAT, **asdict(manifest)}
    with replacing(folder / MANIFEST) as file:
        file.write(json_bytes({**content, "sha256": sha256_of(content)}))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a folder.

    Raises FileNotFoundError if there is none, CorpusError if it was damaged or edited, or is of
    another format.
    """
    path = folder / MANIFEST
    try:
        content = json.loads(path.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(
            f"{str(folder)!r} holds no {MANIFEST}, so it is no corpus. `minibert index build` "
            "makes one."
        ) from None
    except (ValueError, RecursionError) as error:
        raise CorpusError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, dict) or content.get("format") != FORMAT:
        found = content.get("format") if isinstance(content, dict) else content
        raise CorpusError(f"{path}: format is {found!r:.40}; this minibert reads {FORMAT}.")
    if content.pop("sha256", None) != sha256_of(content):
        raise CorpusError(
            f"{path} was damaged or edited: its content is not what its sha256 says. Put back the "
            "file as minibert wrote it, or build the corpus anew."
        )
    try:
        return manifest_of(content)
    except (KeyError, TypeError) as error:
        raise CorpusError(f"{path} holds other fields than a manifest's: {error}.") from error


def manifest_of(content: dict[str, Any]) -> Manifest:
    """The manifest that a JSON object says. Raises KeyError or TypeError for another object."""
    content = {name: tuples(content[name]) for name in (one.name for one in fields(Manifest))}
    content["settings"] = Settings(**content["settings"])
    content["inputs"] = tuple(Input(**one) for one in content["inputs"])
    return Manifest(**content)


def tuples(content: Any) -> Any:
    """JSON's lists as tuples, within dicts too."""
    if isinstance(content, list):
        return tuple(map(tuples, content))
    if isinstance(content, dict):
        return {name: tuples(value) for name, value in content.items()}
    return content


def beginning(value: object) -> str:
    """A value as a message shows it: long ones cut, and seen to be."""
    shown = repr(value)
    return shown if len(shown) <= 200 else f"{shown[:200]}…"


def sha256_of(content: dict[str, Any]) -> str:
    """The digest of a JSON object, as it stands in the object's own file."""
    return hashlib.sha256(json_bytes(content)).hexdigest()


def json_bytes(content: dict[str, Any]) -> bytes:
    """JSON that is the same bytes whenever it is the same content."""
    return (json.dumps(content, ensure_ascii=False, indent=1) + "\n").encode()
