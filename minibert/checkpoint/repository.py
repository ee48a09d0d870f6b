"""A model on the hub: its files, cached or fetched, and the errors if it is unavailable.

In this folder, only this file and push.py may use the network. Functions here and in hub.py import
the hub's library themselves, because a local folder does not need it.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import NamedTuple

from minibert.checkpoint.model_files import FORMATS, OTHER_FORMATS, in_same_folder, matches
from minibert.common.advice import convert_command, hub_options, tokenizer_command
from minibert.common.progress import stderr_there
from minibert.common.safetensors_files import PICKLED_WEIGHTS
from minibert.errors import ModelUnavailableError

__all__ = [
    "DEFAULT_HUB",
    "HubOptions",
    "Repository",
    "first_line",
    "hub_errors",
    "lacking",
    "not_cached",
    "unavailable",
]


class HubOptions(NamedTuple):
    """Arguments of SentenceTransformer for models of the hub."""

    revision: str | None = None  # branch, tag or commit
    cache_folder: str | None = None  # None: see Repository.cache
    token: str | bool | None = None  # for private models
    local_files_only: bool = False  # forbids downloads

    def as_arguments(self) -> list[str]:
        """Options of a command for the same model."""
        return hub_options(self.revision, self.cache_folder)


DEFAULT_HUB = HubOptions()


class Repository(NamedTuple):
    """A model on the hub, with the options of a call."""

    name: str  # OWNER/NAME
    hub: HubOptions = DEFAULT_HUB  # revision, cache, token
    given: str | None = None  # as the caller named it; None for the full name

    @property
    def as_looked_for(self) -> str:
        """Beginning of a message: that no folder has the given name; then the name on the hub."""
        return f"There is no folder {self.given or self.name!r}. The hub's {self.name}"

    @property
    def cache(self) -> str | None:
        """Folder of the cache; None for the hub library's own."""
        return self.hub.cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME")

    @property
    def is_offline(self) -> bool:
        """True if the caller, or HF_HUB_OFFLINE, forbids downloads."""
        from huggingface_hub import constants

        return self.hub.local_files_only or constants.is_offline_mode()

    @stderr_there()
    def snapshot(self, patterns: list[str], *, local_files_only: bool) -> Path:
        """Fetch the files whose paths match, and return their folder in the cache."""
        import huggingface_hub

        folder = huggingface_hub.snapshot_download(
            self.name,
            revision=self.hub.revision,
            cache_dir=self.cache,
            token=self.hub.token,
            allow_patterns=patterns,
            ignore_patterns=OTHER_FORMATS,
            local_files_only=local_files_only,
        )
        return Path(str(folder))

    def files(self) -> list[str]:
        """Ask the hub for the paths of all files; [] if it does not answer."""
        import huggingface_hub

        try:
            # Without a connection, list_repo_files would try for half a minute.
            info = huggingface_hub.model_info(
                self.name, revision=self.hub.revision, token=self.hub.token
            )
        except tuple(hub_errors()):
            return []
        return [file.rfilename for file in info.siblings or []]


def hub_errors() -> list[type[Exception]]:
    """Errors that the hub's library raises if it does not get a file."""
    from huggingface_hub.errors import HfHubHTTPError

    # The base of its HTTP client's errors; releases use different clients.
    http_error = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
    return [http_error, OSError, ValueError]  # ValueError for an answer that is no JSON


def not_cached(repository: Repository, reason: str) -> ModelUnavailableError:
    """Make the error for a model that is not in the cache, if downloads are off."""
    from huggingface_hub import constants

    return ModelUnavailableError(
        f"{repository.as_looked_for}: {reason} ({repository.cache or constants.HF_HUB_CACHE}), "
        "and downloads are off (--offline, local_files_only or HF_HUB_OFFLINE). Download it once "
        "while online, or give the path of its folder."
    )


def unavailable(repository: Repository, error: Exception, reason: str) -> ModelUnavailableError:
    """Make the error for a model that the hub did not give, with advice."""
    from huggingface_hub.errors import GatedRepoError

    if isinstance(error, GatedRepoError):
        return ModelUnavailableError(
            f"{repository.as_looked_for}: {reason}, and the hub gives it only to accounts that "
            "have accepted its terms. Accept them at "
            f"https://huggingface.co/{repository.name}, and set HF_TOKEN to a token of that "
            "account; or give the path of its folder."
        )
    return ModelUnavailableError(
        f"{repository.as_looked_for}: {reason}, and the hub did not give it ({first_line(error)}). "
        "Check the name, the network and, for a private model, HF_TOKEN; or give the path of "
        "its folder."
    )


def lacking(repository: Repository, missing: str, files: list[str]) -> str:
    """Message about a missing file of a repository, with the files that it has instead."""
    name = repository.name
    if not missing.endswith("model.safetensors"):
        sentencepiece = next((file for file in files if file.endswith(".model")), None)
        if missing.endswith("tokenizer.json") and sentencepiece:
            return (
                f"{name} has no {missing} on the hub, and a sentencepiece model alone "
                f"({sentencepiece}) is not read. Where transformers and sentencepiece are "
                f"installed, this writes one into a new folder: {tokenizer_command(name)[0]}"
            )
        return f"{name} has no {missing} on the hub, so it is no model that minibert can open."
    pickles = [
        file for file in files if matches(file, PICKLED_WEIGHTS) and in_same_folder(missing, file)
    ]
    if pickles:
        return (
            f"{name} has its weights on the hub in {pickles[0]} only. That is a pickle, which can "
            "run code, so minibert never opens one. Write the model into a new folder without it, "
            f"and open that: {convert_command(name, *repository.hub.as_arguments())}"
        )
    others = {FORMATS[form]: file for file in files for form in FORMATS if matches(file, [form])}
    found = ", ".join(f"{file} ({kind})" for kind, file in sorted(others.items()))
    return (
        f"{name} has no {missing} on the hub, and minibert reads no other weights. "
        + (f"It has {found}. " if found else "")
        + "Choose another model, or ask its owner for safetensors."
    )


def first_line(error: Exception) -> str:
    """First line of an error's text, or its type's name if it has none."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.removeprefix("Got: ")  # huggingface_hub adds it
