"""What makes a model the one that it is, so that vectors of two models are never mixed.

A model is told by digests of all its files, whose weights take seconds to read. A corpus's folder
keeps the digests in digests.json, and with them the state of the files: paths, devices, inodes,
sizes and times. While all of that is the same, no file is read again. The state is kept as a digest
of its own, so that a corpus does not tell where a model lies. digests.json is a cache: without it,
or where it is damaged, the files are read. Start at fingerprint_of.
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
from minibert.checkpoint.save import loaded_files
from minibert.common.files import replacing
from minibert.corpus.manifest import json_bytes, sha256_of
from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["DIGESTS", "DigestCache", "Fingerprint", "fingerprint_of"]

DIGESTS = "digests.json"
FORMAT = 1
KEPT = 8  # states of models that a corpus keeps the digests of
# Of two changes within a tick of a file system's clock, the second leaves the time as it is. The
# coarsest is FAT's.
TICK = 2_000_000_000  # ns


class Fingerprint(NamedTuple):
    """Digests of a model's files, and the settings that its vectors depend on."""

    revision: str | None  # the commit, of a model from the hub
    weights_sha256: str  # of the BERT's weights, as `minibert info` says it
    files_sha256: str  # of the other files: words, sizes, the weights of other modules
    modules: tuple[str, ...]  # with their settings, as they stand now


def fingerprint_of(model: SentenceTransformer, cache: DigestCache) -> Fingerprint:
    """Tell a model by the digests of its files; those that `cache` does not know are read."""
    settings = model.transformer.settings
    words = {
        "do_lower_case": settings.do_lower_case,
        "tokenizer_args": settings.tokenizer_args,
        "config_args": settings.config_args,
    }
    digests = cache.digests_of(model)
    return Fingerprint(
        commit_of(model.folder.path),
        digests.weights_sha256,
        digests.files_sha256,
        (
            described("Transformer", words),
            *(described(type(module).__name__, module._asdict()) for module in list(model)[1:]),  # type: ignore[union-attr]
        ),
    )


def described(kind: str, settings: Mapping[str, Any]) -> str:
    """A module and its settings, without the place where it lies."""
    told = (
        f"{name}={dict(value) if isinstance(value, Mapping) else value}"
        for name, value in settings.items()
        if name != "path"
    )
    return f"{kind}({', '.join(told)})"


class Digests(NamedTuple):
    """Digests of a model's files, and the state in which the files were read."""

    state: str  # see state_of
    read: int  # when reading began, in nanoseconds since 1970
    weights_sha256: str
    files_sha256: str


class DigestCache:
    """The digests that a corpus's folder keeps of its model's files, whose state may change."""

    def __init__(self, folder: Path) -> None:
        """Open the cache of a folder, which need not be there yet."""
        self.path = folder / DIGESTS
        self.known = read_digests(self.path)
        self.is_written = True

    def digests_of(self, model: SentenceTransformer) -> Digests:
        """The digests of a model's files, which are read only if one may have changed."""
        folder, weights = model.folder.path, model.checkpoint.files
        loaded = sorted(loaded_files(model.folder))
        others = [name for name in loaded if folder / name not in weights]
        now = time.time_ns()  # before any file is looked at: what changes from here on is newer
        state, changed = state_of([*weights, *(folder / name for name in others)])
        found = self.known.get(state)
        if found is not None and is_settled(changed, found.read):
            return found
        found = Digests(state, now, model.checkpoint.sha256(), digest_of_files(folder, others))
        self.known[state] = found
        self.is_written = False
        return found

    def write(self) -> None:
        """Keep what was read, for who opens the corpus next. Where that is not possible, do not."""
        if self.is_written:
            return
        latest = list(self.known.values())[-KEPT:]
        content = {"format": FORMAT, "models": [one._asdict() for one in latest]}
        # A corpus may lie on a disk that is full or cannot be written, and is read all the same.
        with suppress(OSError), replacing(self.path) as file:
            file.write(json_bytes({**content, "sha256": sha256_of(content)}))
        self.is_written = True


def read_digests(path: Path) -> dict[str, Digests]:
    """The digests in a file, by the state of what they are of; none if it is not as we write it."""
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
    """A digest of what tells that a file changed, over some files; and when the last one did.

    The inode tells of a file that was put in another's place. ctime tells of one that was written
    to and then given its old time back, as `cp -p` does.
    """
    state, times = [], [0]
    for path in files:
        status = path.stat()
        changed = status.st_mtime_ns, status.st_ctime_ns
        state.append([str(path.absolute()), status.st_dev, status.st_ino, status.st_size, *changed])
        times += changed
    return hashlib.sha256(json.dumps(state).encode()).hexdigest(), max(times)


def is_settled(changed: int, read: int) -> bool:
    """Whether a change after files were read would have another time than the change before.

    Git calls an entry for which it would not "racily clean":
    https://git-scm.com/docs/racy-git
    """
    return changed < read - TICK


def digest_of_files(folder: Path, names: Iterable[str]) -> str:
    """One digest over the names and the contents of files."""
    total = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name} {content}\n".encode())
    return total.hexdigest()
