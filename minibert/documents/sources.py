"""Names of files, and standard input -> bytes. No text, no documents. Start at opened."""

from __future__ import annotations

import os
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

from minibert.common.progress import is_gone

__all__ = [
    "STDIN",
    "display_name",
    "is_gzipped",
    "opened",
    "path_of",
    "standard_input",
    "suffix_of",
]

STDIN = "-"


def path_of(name: str | os.PathLike[str]) -> str:
    """Path of a file by its name; of a BEIR folder its corpus.jsonl. "-" stays as it is.

    Raises FileNotFoundError if there is no such file.
    """
    name = os.fspath(name)
    if name == STDIN:
        return name
    path = Path(name)
    if path.is_dir():
        candidates = [path / "corpus.jsonl", path / "corpus.jsonl.gz"]
        found = next((file for file in candidates if file.is_file()), None)
        if found is None:
            raise FileNotFoundError(
                f"{name!r} is a folder without corpus.jsonl. Expected a file, or a BEIR folder."
            )
        return str(found)
    if not path.exists():
        raise FileNotFoundError(f"There is no file {name!r}.")
    return name


def suffix_of(path: str) -> str:
    """Suffix of a file's name without ".gz", in small letters."""
    return os.path.splitext(path[:-3] if is_gzipped(path) else path)[1].lower()


def is_gzipped(path: str) -> bool:
    """Return whether a file's name ends in ".gz"."""
    return path.lower().endswith(".gz")


def opened(path: str, may_be_gzipped: bool = True) -> AbstractContextManager[Any]:
    """Open a file's bytes, unpacked if its name ends in .gz. Standard input stays open."""
    if path == STDIN:
        return nullcontext(standard_input())
    if is_gzipped(path) and may_be_gzipped:
        import gzip  # late: only gzipped files need it

        return gzip.open(path, "rb")
    return open(path, "rb")


def standard_input() -> BinaryIO:
    """Return standard input as bytes. Raises FileNotFoundError if it is closed or has none."""
    if is_gone(sys.stdin):  # `<&-` in a shell, a daemon, pythonw
        raise FileNotFoundError("Standard input is closed. Give a file, or pipe something into it.")
    if not hasattr(sys.stdin, "buffer"):  # as in a notebook
        raise FileNotFoundError(
            "Standard input is a stream of text, which holds no bytes. Give a file."
        )
    return sys.stdin.buffer


def display_name(path: str) -> str:
    """Name of a file in messages."""
    return "standard input" if path == STDIN else path
