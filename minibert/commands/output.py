"""Where results go: standard output, or a file that appears when it is whole."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from minibert.errors import OutputError

__all__ = ["output", "print_json"]


@contextmanager
def output(name: str) -> Iterator[BinaryIO]:
    """Standard output for "-", else a file that appears, or replaces the old one, when whole."""
    if name == "-":
        yield sys.stdout.buffer
        return
    target = Path(os.path.realpath(name))
    if target.exists() and not target.is_file():  # /dev/null, a pipe
        with created(target, name) as file:
            yield file
        return
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with created(partial, name) as file:
            yield file
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def created(path: Path, name: str) -> BinaryIO:
    """A new file, or OutputError under the name that the user gave."""
    try:
        return open(path, "wb")
    except OSError as error:
        raise OutputError(f"cannot create {name!r}: {error.strerror}") from error


def print_json(content: dict[str, Any]) -> None:
    """One object on a line of its own."""
    print(json.dumps(content, ensure_ascii=False))
