"""A model on the hub: its files in the cache or fetched into it, and what is said where it is not.

The only file that may use the network. Its library is imported inside the functions here and in
hub.py, because a local folder needs none of it.
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
    "hub_errors",
    "lacking",
    "not_cached",
    "unavailable",
]


class HubOptions(NamedTuple):
    """The arguments of SentenceTransformer that say how a model of the hub is had."""

    revision: str | None = None
    cache_folder: str | None = None
    token: str | bool | None = None
    local_files_only: bool = False

    def as_arguments(self) -> list[str]:
        """The options by which the command line asks for the same."""
        return hub_options(self.revision, self.cache_folder)


DEFAULT_HUB = HubOptions()


class Repository(NamedTuple):
    """A model on the hub, the way it was asked for."""

    name: str  # OWNER/NAME
    hub: HubOptions = DEFAULT_HUB

    @property
    def cache(self) -> str | None:
        """The folder of the cache; None for the hub library's own."""
        return self.hub.cache_folder or os.environ.get("SENTENCE_TRANSFORMERS_HOME")

    @property
    def is_offline(self) -> bool:
        """Whether the caller, or HF_HUB_OFFLINE, forbids downloads."""
        from huggingface_hub import constants

        return self.hub.local_files_only or constants.is_offline_mode()

    @stderr_there()
    def snapshot(self, patterns: list[str], *, local_files_only: bool) -> Path:
        """Its folder in the cache, with the files whose paths match."""
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
        """The paths of all its files; none where the hub does not tell."""
        import huggingface_hub

        try:
            # Where the hub is not reached, list_repo_files would try for half a minute.
            info = huggingface_hub.model_info(
                self.name, revision=self.hub.revision, token=self.hub.token
            )
        except tuple(hub_errors()):
            return []
        return [file.rfilename for file in info.siblings or []]


def hub_errors() -> list[type[Exception]]:
    """What the hub's library raises where it does not get something."""
    from huggingface_hub.errors import HfHubHTTPError

    # The base of all that its HTTP client raises, whichever client its release uses.
    http_error = next(base for base in HfHubHTTPError.__mro__ if base.__name__ == "HTTPError")
    return [http_error, OSError, ValueError]  # ValueError: an answer that is no JSON


def not_cached(repository: Repository, reason: str) -> ModelUnavailableError:
    """The error for a model that is not in the cache, while downloads are off."""
    from huggingface_hub import constants

    return ModelUnavailableError(
        f"{repository.name}: {reason} ({repository.cache or constants.HF_HUB_CACHE}), and "
        "downloads are off (local_files_only or HF_HUB_OFFLINE). Download it once while online, "
        "or give the path of its folder."
    )


def unavailable(repository: Repository, error: Exception, reason: str) -> ModelUnavailableError:
    """The error for a model that the hub did not give, with what to do about it."""
    from huggingface_hub.errors import GatedRepoError

    if isinstance(error, GatedRepoError):
        return ModelUnavailableError(
            f"{repository.name}: {reason}, and the hub gives it to those alone who have accepted "
            f"its terms. Accept them at https://huggingface.co/{repository.name}, and set HF_TOKEN "
            "to a token of that account; or give the path of its folder."
        )
    return ModelUnavailableError(
        f"{repository.name}: {reason}, and the hub did not give it ({first_line(error)}). "
        "Check the name, the network and, for a private model, HF_TOKEN; or give the path of "
        "its folder."
    )


def lacking(repository: Repository, missing: str, files: list[str]) -> str:
    """What is said of a repository that does not have a file, and of what it has instead."""
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
    """The first line of an error's text, or its kind where it has none."""
    line = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return line.removeprefix("Got: ")  # huggingface_hub's own preface
