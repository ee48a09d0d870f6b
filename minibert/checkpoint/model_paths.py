"""Files of a model, by their paths in its folder, under sentence-transformers' names."""

from __future__ import annotations

import os
from pathlib import Path, PureWindowsPath

from minibert.checkpoint.hub import named
from minibert.checkpoint.repository import HubOptions

__all__ = ["is_sentence_transformer_model", "load_dir_path", "load_file_path"]


def is_sentence_transformer_model(
    model_name_or_path: str | os.PathLike[str],
    token: bool | str | None = None,
    cache_folder: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> bool:
    """Return whether a folder, or a model of the hub, has a modules.json.

    The arguments and errors are those of load_file_path.
    """
    found = load_file_path(
        model_name_or_path,
        "modules.json",
        token=token,
        cache_folder=cache_folder,
        revision=revision,
        local_files_only=local_files_only,
    )
    return found is not None


def load_file_path(
    model_name_or_path: str | os.PathLike[str],
    filename: str | os.PathLike[str],
    subfolder: str = "",
    token: bool | str | None = None,
    cache_folder: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> str | None:
    """Return the path of one file of a model, fetched if needed; None if the model lacks it.

    Raises ValueError for a path that leaves the model's folder, and the hub library's own errors
    for a model or a hub that cannot be reached.
    """
    path = inner(subfolder) / inner(filename)
    hub = HubOptions(revision, cache_folder, token, local_files_only)
    folder = holding(model_name_or_path, path.as_posix(), hub)
    return None if folder is None or not (folder / path).exists() else str(folder / path)


def load_dir_path(
    model_name_or_path: str | os.PathLike[str],
    subfolder: str,
    token: bool | str | None = None,
    cache_folder: str | None = None,
    revision: str | None = None,
    local_files_only: bool = False,
) -> str | None:
    """Return the path of a folder in a model, its files fetched if needed; None if it lacks it.

    The arguments and errors are those of load_file_path.
    """
    path = inner(subfolder)
    hub = HubOptions(revision, cache_folder, token, local_files_only)
    folder = holding(model_name_or_path, "*" if path == Path() else f"{path.as_posix()}/*", hub)
    return None if folder is None or not (folder / path).is_dir() else str(folder / path)


def inner(path: str | os.PathLike[str]) -> Path:
    """Check a path within a folder. Raises ValueError for one that leaves it, on any system."""
    parts = PureWindowsPath(path)
    if parts.anchor or ".." in parts.parts or "\0" in str(path):
        raise ValueError(f"{os.fspath(path)!r} leaves the model's folder; expected a path in it.")
    return Path(path)


def holding(
    model_name_or_path: str | os.PathLike[str], pattern: str, hub: HubOptions
) -> Path | None:
    """Find the folder of a model, with the files that match; None if nothing is cached."""
    from huggingface_hub.errors import LocalEntryNotFoundError

    if (folder := Path(model_name_or_path)).is_dir():
        return folder
    try:
        repository = named(model_name_or_path, hub)
        return repository.snapshot([pattern], local_files_only=repository.is_offline)
    except (FileNotFoundError, LocalEntryNotFoundError):  # no possible name, or not cached
        return None
