"""Files that are written whole or not at all, and that stay when the power fails.

Of their content, only NumPy's format of arrays is known here. Start at replacing().
"""

from __future__ import annotations

import errno
import os
import shutil
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
    "append",
    "locked",
    "new_folder",
    "not_writable",
    "npy_chunks",
    "partial_of",
    "place",
    "replacing",
    "sync",
    "sync_folder",
    "sync_tree",
]

LOCK = "lock"  # name of the file in a folder that is written


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Open a file to write, which takes the place of `path` if the block raises nothing."""
    partial = partial_of(path)
    try:
        with open(partial, "wb") as file:
            yield file
            sync(file)
        place(partial, path)
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def new_folder(path: Path) -> Iterator[Path]:
    """Make a folder to fill, which gets the name `path` if the block raises nothing.

    By then all of its content lies on the disk. If the block raises an error, nothing is left.
    """
    partial = partial_of(path)
    try:
        partial.mkdir()
        yield partial
        sync_tree(partial)
        place(partial, path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def partial_of(path: Path) -> Path:
    """Path of a file that is not yet whole: in the folder of `path`, so on the same disk."""
    return path.with_name(f"{path.name}.{os.getpid()}.partial")


def place(partial: Path, path: Path) -> None:
    """Give a written and synced file or folder its name; an older file there is replaced."""
    os.replace(partial, path)
    sync_folder(path.parent)


def append(file: BinaryIO, content: bytes) -> None:
    """Write bytes to a file without a buffer, all of them.

    A disk that is nearly full takes a part, and refuses the next one with an OSError.
    """
    left = memoryview(content)
    while left:
        left = left[file.write(left) :]


def sync(file: BinaryIO) -> None:
    """Wait until the written content lies on the disk."""
    file.flush()
    os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Wait until the names in a folder lie on the disk: a rename does not wait."""
    if not hasattr(os, "O_DIRECTORY"):  # Windows opens no folder
        return
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Wait until all files and names in a folder, and in the folders in it, lie on the disk."""
    for place_of, _, names in os.walk(folder, topdown=False):
        for name in names:
            with open(os.path.join(place_of, name), "r+b") as file:
                sync(file)
        sync_folder(Path(place_of))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Lock a folder against other writers. Raises OutputError for a locked or read-only folder.

    The operating system holds the lock, so it always ends with the process.
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
    """Make the error for a folder that cannot be written to."""
    return OutputError(f"cannot write to {str(folder)!r}: {error.strerror}.")


def npy_chunks(array: NDArray[Any]) -> Iterator[bytes | memoryview]:
    """Yield the bytes of an array as np.load reads them: a header, then its numbers by rows."""
    # The header says whether rows or columns lie together, so it is made from the rows.
    rows = np.asarray(array, order="C")
    # Not np.save: it asks a file for its position, and a pipe has none.
    header = BytesIO()
    np.lib.format.write_array_header_1_0(header, np.lib.format.header_data_from_array_1_0(rows))
    yield header.getvalue()
    yield rows.reshape(-1).view(np.uint8).data
