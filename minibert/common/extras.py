"""Libraries that only some uses need: imported where they are used, and told of if missing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from minibert.errors import MissingLibraryError

__all__ = ["missing", "needing"]


@contextmanager
def needing(library: str, use: str, extra: str | None = None) -> Iterator[None]:
    """Import a library in the block. Raises MissingLibraryError, with what to do, if it is missing.

    `use` is what needs it, `extra` the extra of minibert that brings it, None where none does.
    """
    try:
        yield
    except ImportError as error:
        raise MissingLibraryError(missing(library, use, extra, error)) from error


def missing(library: str, use: str, extra: str | None, error: ImportError) -> str:
    """What is said of a library that cannot be imported."""
    # Not `minibert-numpy[extra]`: nothing is published under that name yet.
    way = f"pip install '.[{extra}]' in a clone of minibert" if extra else f"pip install {library}"
    return f"{use} needs {library}, which cannot be imported here ({error}). Install it: {way}."
