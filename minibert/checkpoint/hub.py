"""A model's name -> its folder on this machine. Start at find_model.

Functions import the hub's library themselves, because a local folder does not need it. A complete
model in the cache needs no network.
"""

from __future__ import annotations

import os
from pathlib import Path

from minibert.checkpoint.completeness import first_missing, has_pickle_for
from minibert.checkpoint.model_files import (
    PICKLES,
    SMALL_FILES,
    TO_READ,
    WEIGHTS,
    anywhere,
    is_pickle,
    matches,
    to_convert,
)
from minibert.checkpoint.repository import (
    DEFAULT_HUB,
    HubOptions,
    Repository,
    hub_errors,
    lacking,
    not_cached,
    unavailable,
)
from minibert.common.advice import MODELS
from minibert.common.arguments import folder_or_name
from minibert.errors import CheckpointError

__all__ = ["commit_of", "find_model", "find_pickles", "hub_name"]

NOT_CACHED = "it is not, or not completely, in the cache"

# Models of the hub whose names have no owner.
ORIGINAL_BERTS = {
    "bert-base-cased",
    "bert-base-cased-finetuned-mrpc",
    "bert-base-chinese",
    "bert-base-german-cased",
    "bert-base-german-dbmdz-cased",
    "bert-base-german-dbmdz-uncased",
    "bert-base-multilingual-cased",
    "bert-base-multilingual-uncased",
    "bert-base-uncased",
    "bert-large-cased",
    "bert-large-cased-whole-word-masking",
    "bert-large-cased-whole-word-masking-finetuned-squad",
    "bert-large-uncased",
    "bert-large-uncased-whole-word-masking",
    "bert-large-uncased-whole-word-masking-finetuned-squad",
}


def find_model(
    model_name_or_path: str | os.PathLike[str],
    hub: HubOptions = DEFAULT_HUB,
    *,
    owner: str = "sentence-transformers",
) -> Path:
    """Find a model's folder: a local one, or in the hub's cache, or downloaded into the cache.

    A local or completely cached model makes no network call. A name without an owner is completed
    by `owner`. The cache is the `cache_folder` of `hub`, or else SENTENCE_TRANSFORMERS_HOME, or
    else the hub library's own (HF_HOME). HF_HUB_OFFLINE forbids downloads.

    Raises FileNotFoundError for a missing path, ModelUnavailableError for a name that the hub does
    not give.
    """
    if folder := local_folder(model_name_or_path):
        return folder
    return model_of_hub(named(model_name_or_path, hub, owner))


def find_pickles(model_name_or_path: str | os.PathLike[str], hub: HubOptions) -> Path:
    """Find a model's folder with its pickles, fetched if they are the only weights.

    Raises as find_model does, and CheckpointError for a model of the hub without a pickle.
    """
    if folder := local_folder(model_name_or_path):
        return folder
    repository = named(model_name_or_path, hub)
    if repository.is_offline:
        try:
            # With one file asked for, the library returns the folder with all cached files.
            return repository.snapshot(["config.json"], local_files_only=True)
        except tuple(hub_errors()):
            raise not_cached(repository, NOT_CACHED) from None
    files = repository.files()
    wanted = to_convert(files) if files else anywhere(SMALL_FILES + WEIGHTS + PICKLES + TO_READ)
    if files and not any(map(is_pickle, wanted)):
        raise CheckpointError(
            f"{repository.name} has safetensors on the hub, so there is nothing to convert. Open "
            "it by its name."
            if any(matches(file, WEIGHTS) for file in wanted)
            else lacking(repository, "model.safetensors", files)
        )
    try:
        return repository.snapshot(wanted, local_files_only=False)
    except tuple(hub_errors()) as error:
        raise unavailable(repository, error, NOT_CACHED) from None


def local_folder(model_name_or_path: str | os.PathLike[str]) -> Path | None:
    """Return a local folder, or None for a possible name on the hub.

    Raises FileNotFoundError for anything else, TypeError for no text or path, and
    NotADirectoryError for a file.
    """
    text = folder_or_name(model_name_or_path)
    path = Path(os.path.expanduser(text))
    if text and path.is_dir():
        return path
    if text and path.exists():
        raise NotADirectoryError(f"{text!r} is a file. Expected the folder of a model.")
    if not is_hub_name(text):
        raise FileNotFoundError(
            f"There is no folder {text!r}. Expected the folder of a model, or a name on the hub, "
            "such as 'sentence-transformers/all-MiniLM-L6-v2'."
        )
    return None


def named(
    text: str | os.PathLike[str], hub: HubOptions, owner: str = "sentence-transformers"
) -> Repository:
    """Make the repository of a name. Raises FileNotFoundError for an impossible name."""
    from huggingface_hub.errors import HFValidationError
    from huggingface_hub.utils import validate_repo_id  # type: ignore[attr-defined]  # no __all__

    name = full_name(os.fspath(text), owner)
    try:
        validate_repo_id(name)
    except HFValidationError as error:
        raise FileNotFoundError(
            f"{os.fspath(text)!r} is no folder and no model's name: {error}"
        ) from error
    return Repository(name, hub, os.fspath(text))


def model_of_hub(repository: Repository) -> Path:
    """Find a model's folder in the cache, and download missing files.

    A folder with only pickled weights is returned, too: the error at loading has the command to
    convert it. Raises ModelUnavailableError, or CheckpointError for a repository that lacks a file.
    """
    folder, lack = cached(repository)
    if folder and not lack:
        return folder
    if repository.is_offline:
        if folder:
            return folder
        raise not_cached(repository, lack)
    try:
        # The weights come last: if they are in the cache, so are all other files.
        repository.snapshot(anywhere(SMALL_FILES), local_files_only=False)
        fetched = repository.snapshot(anywhere(SMALL_FILES + WEIGHTS), local_files_only=False)
    except tuple(hub_errors()) as error:
        if folder:
            return folder
        raise unavailable(repository, error, lack) from None
    missing = first_missing(fetched)
    if missing is None or has_pickle_for(fetched, missing):
        return fetched
    files = repository.files()
    if files and missing not in files:
        raise CheckpointError(lacking(repository, missing, files))
    # Without a connection, the library returns an incomplete folder.
    raise unavailable(repository, FileNotFoundError(f"{missing} was not fetched"), lack)


def cached(repository: Repository) -> tuple[Path | None, str]:
    """Find a model's folder in the cache: -> the folder, the reason why it is incomplete or "".

    Without weights, the folder is None, unless it has a pickle.
    """
    from huggingface_hub.errors import LocalEntryNotFoundError

    try:
        folder = repository.snapshot(anywhere(SMALL_FILES + WEIGHTS), local_files_only=True)
    except LocalEntryNotFoundError:
        return None, NOT_CACHED
    missing = first_missing(folder)
    if missing is None:
        return folder, ""
    reason = f"its cached copy is incomplete: {missing} is missing"
    return (folder if has_pickle_for(folder, missing) else None), reason


def is_hub_name(text: str) -> bool:
    """Return whether a text can be NAME or OWNER/NAME, and not a path."""
    return bool(text) and text.count("/") <= 1 and text[0] not in "./~" and "\\" not in text


def full_name(name: str, owner: str = "sentence-transformers") -> str:
    """Complete a name to OWNER/NAME; as in the reference, a bare name gets `owner`.

    Only the original BERTs have no owner on the hub.
    """
    return name if "/" in name or name.lower() in ORIGINAL_BERTS else f"{owner}/{name}"


def hub_name(model_name_or_path: str | os.PathLike[str], folder: Path) -> str | None:
    """Name of a model on the hub: as given, or by its folder's path; None if unknown."""
    text = os.fspath(model_name_or_path)
    if not Path(text).expanduser().is_dir():
        return full_name(text)
    for part in folder.resolve().parts:  # .../models--OWNER--NAME/snapshots/REVISION
        if part.startswith(MODELS):
            return part.removeprefix(MODELS).replace("--", "/", 1)
    return None


def commit_of(folder: Path) -> str | None:
    """Commit of a folder in the hub's cache, or None."""
    parts = folder.resolve().parts
    place = len(parts) - 2
    is_snapshot = place > 0 and parts[place] == "snapshots" and parts[place - 1].startswith(MODELS)
    return parts[-1] if is_snapshot else None
