"""Fingerprints of models: digests that keep vectors of two models from being mixed.

A fingerprint has digests of all files of a model. Its weights may take seconds to read. So the
corpus's folder keeps the digests in digests.json, with the state of the files: paths, devices,
inodes, sizes and times. While the state is the same, no file is read again. The state is stored as
a digest, so that a corpus does not contain paths. digests.json is a cache: if it is missing or
damaged, the files are read. No documents are read here. Start at fingerprint_of.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from minibert.checkpoint.hub import commit_of
from minibert.checkpoint.save import digest_of_files, loaded_files
from minibert.common.arguments import type_of
from minibert.common.files import replacing
from minibert.corpus.manifest import json_bytes, sha256_of
from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["DIGESTS", "DigestCache", "Fingerprint", "check_is_model", "fingerprint_of"]

DIGESTS = "digests.json"
FORMAT = 1
KEPT = 8  # models whose digests a corpus keeps
# Two changes of a file within one tick of the file system's clock get the same time. FAT has the
# longest tick.
TICK = 2_000_000_000  # ns


class Fingerprint(NamedTuple):
    """Digests of a model's files, and the settings that its vectors depend on."""

    revision: str | None  # commit of a model from the hub
    weights_sha256: str  # of the weights of the BERT, as `minibert info` prints it
    files_sha256: str  # of the other files: vocabulary, sizes, the weights of other modules
    modules: tuple[str, ...]  # with their settings, as they stand now


def fingerprint_of(model: SentenceTransformer, cache: DigestCache) -> Fingerprint:
    """Compute the fingerprint of a model; files that `cache` does not know are read."""
    settings = model.transformer.settings
    tokenizing = {
        "do_lower_case": settings.do_lower_case,
        "tokenizer_args": settings.tokenizer_args,
        "config_args": settings.config_args,
    }
    digests = cache.digests_of(model)
    return Fingerprint(
        commit_of(model.saved_folder.path),
        digests.weights_sha256,
        digests.files_sha256,
        (
            described("Transformer", tokenizing),
            *(described(type(module).__name__, module._asdict()) for module in list(model)[1:]),  # type: ignore[union-attr]
        ),
    )


def check_is_model(model: object) -> None:
    """Raise TypeError for any object but a SentenceTransformer, as for the name of one."""
    if not isinstance(model, SentenceTransformer):
        hint = f", as SentenceTransformer({model!r:.80})" if isinstance(model, str) else ""
        raise TypeError(f"model is {type_of(model)}; expected a SentenceTransformer{hint}.")


def described(kind: str, settings: Mapping[str, Any]) -> str:
    """Write a module and its settings as a text, without its path."""
    told = (
        f"{name}={dict(value) if isinstance(value, Mapping) else value}"
        for name, value in settings.items()
        if name != "path"
    )
    return f"{kind}({', '.join(told)})"


class Digests(NamedTuple):
    """Digests of a model's files, and the state in which the files were read."""

    state: str  # see state_of
    read: int  # start of the reading, in nanoseconds since 1970
    weights_sha256: str  # of the weights of the BERT
    files_sha256: str  # of the other files


class DigestCache:
    """Digests of models' files, kept in digests.json in the folder of a corpus."""

    def __init__(self, folder: Path) -> None:
        """Open the cache of a folder; the folder may be missing."""
        self.path = folder / DIGESTS
        self.known = read_digests(self.path)
        self.is_written = True

    def digests_of(self, model: SentenceTransformer) -> Digests:
        """Return the digests of a model's files; read the files only if one may have changed."""
        folder, weights = model.saved_folder.path, model.checkpoint.files
        loaded = sorted(loaded_files(model.saved_folder))
        others = [name for name in loaded if folder / name not in weights]
        now = time.time_ns()  # before the first look at a file: later changes are newer
        state, changed = state_of([*weights, *(folder / name for name in others)])
        found = self.known.get(state)
        if found is not None and is_settled(changed, found.read):
            return found
        found = Digests(state, now, model.checkpoint.sha256(), digest_of_files(folder, others))
        self.known[state] = found
        self.is_written = False
        return found

    def write(self) -> None:
        """Write new digests to the file. If the folder cannot be written, do nothing."""
        if self.is_written:
            return
        latest = list(self.known.values())[-KEPT:]
        content = {"format": FORMAT, "models": [one._asdict() for one in latest]}
        # A search must work on a disk that is full or read-only, too.
        with suppress(OSError), replacing(self.path) as file:
            file.write(json_bytes({**content, "sha256": sha256_of(content)}))
        self.is_written = True


def read_digests(path: Path) -> dict[str, Digests]:
    """Read digests.json: state -> digests. A damaged or foreign file gives none."""
    try:
        content = json.loads(path.read_bytes())
        if content.pop("sha256") != sha256_of(content) or content["format"] != FORMAT:
            return {}
        found = [Digests(**one) for one in content["models"]]
    except (AttributeError, KeyError, OSError, RecursionError, TypeError, ValueError):
        return {}
    kinds = [str, int, str, str]
    return {one.state: one for one in found if [type(value) for value in one] == kinds}


def state_of(files: Iterable[Path]) -> tuple[str, int]:
    """Digest the system's data on files, without reading them; return the last change's time, too.

    The inode changes when another file takes the place. ctime changes even when a file gets its old
    mtime back after writing, as with `cp -p`.
    """
    state, times = [], [0]
    for path in files:
        status = path.stat()
        changed = status.st_mtime_ns, status.st_ctime_ns
        state.append([str(path.absolute()), status.st_dev, status.st_ino, status.st_size, *changed])
        times += changed
    return hashlib.sha256(json.dumps(state).encode()).hexdigest(), max(times)


def is_settled(changed: int, read: int) -> bool:
    """Return whether files were read long enough after their last change.

    Otherwise a change after the reading could have the same time as a change before it. Git calls
    such an entry "racily clean": https://git-scm.com/docs/racy-git
    """
    return changed < read - TICK
