"""New folder of a model that is made from another one, which is only read. Start at appearing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minibert.checkpoint.hub import commit_of
from minibert.common.files import partial_of, place, sync_tree
from minibert.errors import OutputError

__all__ = ["appearing", "check_outside", "new_path", "roots_of"]


def new_path(out: str | os.PathLike[str]) -> Path:
    """Return the absolute path of a new folder. Raises OutputError if it cannot be created."""
    target = Path(os.path.abspath(os.path.expanduser(out)))
    check_target(target)
    return target


def check_target(target: Path) -> None:
    """Raise OutputError if `target` exists, or its parent does not."""
    reason = ""
    if os.path.lexists(target):
        reason = "it exists, and nothing is written over"
    elif not target.parent.is_dir():
        reason = f"there is no folder {str(target.parent)!r}"
    if reason:
        raise OutputError(f"cannot create {str(target)!r}: {reason}")


def roots_of(folder: Path) -> list[Path]:
    """Folders in which a model's files may lie: its own, or its folder in a hub's cache."""
    true = Path(os.path.realpath(folder))
    return [true, true.parent.parent] if commit_of(true) else [true]


def check_outside(target: Path, folder: Path, roots: list[Path]) -> None:
    """Raise OutputError if a new folder would lie in the model's own, with files in `roots`."""
    if any(Path(os.path.realpath(target.parent)).is_relative_to(root) for root in roots):
        raise OutputError(f"cannot create {str(target)!r}: it lies in {folder}, which is only read")


@contextmanager
def appearing(target: Path) -> Iterator[Path]:
    """Create a folder to write to, which gets its name if the block raises nothing.

    By then all of its content lies on the disk. Otherwise it is removed. Raises OutputError if it
    cannot be created.
    """
    partial = partial_of(target)
    try:
        partial.mkdir()
    except OSError as error:
        raise OutputError(f"cannot create {str(target)!r}: {error.strerror}") from error
    try:
        yield partial
        sync_tree(partial)
        check_target(target)  # another process may have created it
        place(partial, target)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
