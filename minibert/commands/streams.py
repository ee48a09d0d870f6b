"""Stand in for standard streams that are missing or closed, and flush those that may be full."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import TextIO

from minibert.common.progress import is_gone

__all__ = ["leave", "standing_in"]


@contextmanager
def standing_in() -> Iterator[None]:
    """Replace standard streams in the block that are closed, as after `2>&-`, or lose output.

    Without a stderr, its output is lost. Without a stdout, a write raises OSError. For a closed
    standard input, `documents.standard_input` raises an error.
    """
    before = sys.stdout, sys.stderr
    with ExitStack() as stack:
        # Take the numbers of closed streams, so that no file opened next has one of them.
        while (number := os.open(os.devnull, os.O_RDONLY)) <= 2:
            stack.callback(os.close, number)
        os.close(number)
        if is_gone(sys.stderr):
            sys.stderr = stack.enter_context(open(os.devnull, "w"))
        if is_gone(sys.stdout):
            sys.stdout = stack.enter_context(unwritable())
        elif isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
            # The raw stream of PYTHONUNBUFFERED drops without an error what a full disk refuses.
            number = os.dup(sys.stdout.fileno())
            sys.stdout = stack.enter_context(open(number, "w", buffering=1, encoding="utf-8"))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def unwritable() -> Iterator[TextIO]:
    """Open a stream to which nothing can be written."""
    number = os.open(os.devnull, os.O_RDONLY)
    stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w")), encoding="utf-8")
    try:
        yield stream
    finally:
        with suppress(OSError):
            stream.close()


def leave(stream: TextIO) -> OSError | None:
    """Flush a standard stream; after a failure, keep Python from flushing it again at its end.

    Returns the error, or None if the reader has closed our output.
    """
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return None if isinstance(error, BrokenPipeError) else error
    return None
