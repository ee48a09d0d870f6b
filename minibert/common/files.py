"""Writing files so that each is there whole, or not at all, and stays when the power fails.

Of what is in them, this knows only how NumPy writes an array. Start at replacing().
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from minibert.errors import OutputError

__all__ = [
    "LOCK",
    "locked",
    "not_writable",
    "npy_chunks",
    "partial_of",
    "place",
    "replacing",
    "sync",
    "sync_folder",
]

LOCK = "lock"


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


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Be the only one who writes to a folder. Raises OutputError if another does, or nobody can.

    The lock is the operating system's, so it goes with the process, however that ends.
    """
    from filelock import FileLock, Timeout  # late: a program that only reads starts without it

    try:
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        lock = FileLock(folder / LOCK)
        lock.acquire(blocking=False)
    except Timeout:
        raise OutputError(
            f"{folder} is being written by another process. Wait for it, or choose another folder."
        ) from None
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise not_writable(folder, error) from error
    try:
        yield
    finally:
        lock.release()


def not_writable(folder: Path, error: OSError) -> OutputError:
    """An error that says which folder cannot be written to."""
    return OutputError(f"cannot write to {str(folder)!r}: {error.strerror}.")


def npy_chunks(array: NDArray[Any]) -> Iterator[bytes | memoryview]:
    """Give an array as np.load reads it: a header, then its numbers, row after row."""
    # The header says whether rows or columns lie together, so it is written of what follows it.
    rows = np.asarray(array, order="C")
    # Not np.save: it asks a file for its position, which a pipe has not.
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(rows))
    yield header.getvalue()
    yield rows.reshape(-1).view(np.uint8).data
