"""Writing a file so that it is there whole, or not at all, and stays when the power fails."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

__all__ = ["partial_of", "place", "replacing", "sync", "sync_folder"]


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of `path` when the block ends well."""
    partial = partial_of(path)
    try:
        with open(partial, "wb") as file:
            yield file
            sync(file)
        place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def partial_of(path: Path) -> Path:
    """Where a file is written before it is whole: beside its place, so on the same disk."""
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def place(partial: Path, path: Path) -> None:
    """Give a file, or a folder, that is written and synced its name, in place of an older file."""
    os.replace(partial, path)
    sync_folder(path.parent)


def sync(file: BinaryIO) -> None:
    """Wait until what was written lies on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until a folder's names lie on the disk: a rename alone does not."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
