"""What makes a model the one that it is, so that vectors of two models are never mixed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from minibert.checkpoint.hub import commit_of
from minibert.checkpoint.save import loaded_files
from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["Fingerprint", "fingerprint_of"]


class Fingerprint(NamedTuple):
    """Digests of a model's files, and the settings that its vectors depend on."""

    revision: str | None  # the commit, of a model from the hub
    weights_sha256: str  # of the BERT's weights, as `minibert info` says it
    files_sha256: str  # of the other files: words, sizes, the weights of other modules
    modules: tuple[str, ...]  # with their settings, as they stand now


def fingerprint_of(model: SentenceTransformer) -> Fingerprint:
    """Read all of a model's files once more, and tell them by their digests."""
    folder, weights = model.folder.path, set(model.checkpoint.files)
    others = sorted(name for name in loaded_files(model.folder) if folder / name not in weights)
    settings = model.transformer.settings
    words = {
        "do_lower_case": settings.do_lower_case,
        "tokenizer_args": settings.tokenizer_args,
        "config_args": settings.config_args,
    }
    return Fingerprint(
        commit_of(folder),
        model.checkpoint.sha256(),
        digest_of_files(folder, others),
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


def digest_of_files(folder: Path, names: Iterable[str]) -> str:
    """One digest over the names and the contents of files."""
    total = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name} {content}\n".encode())
    return total.hexdigest()
