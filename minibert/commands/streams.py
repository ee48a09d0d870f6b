"""Standard streams that are missing, closed or full: stand-ins, and a last flush."""

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
    """Let streams stand in for standard ones that are not there, as after `2>&-`, or lose a part.

    What goes to stderr is lost where there is none. What goes to stdout cannot be written, which is
    an error. Who reads standard input is told by `documents.standard_input`.
    """
    before = sys.stdout, sys.stderr
    with ExitStack() as stack:
        # The numbers of closed streams, so that no file opened next is taken for one.
        while (number := os.open(os.devnull, os.O_RDONLY)) <= 2:
            stack.callback(os.close, number)
        os.close(number)
        if is_gone(sys.stderr):
            sys.stderr = stack.enter_context(open(os.devnull, "w"))
        if is_gone(sys.stdout):
            sys.stdout = stack.enter_context(unwritable())
        elif isinstance(getattr(sys.stdout, "buffer", None), io.RawIOBase):
            # That of PYTHONUNBUFFERED drops in silence what a full disk does not take at once.
            number = os.dup(sys.stdout.fileno())
            sys.stdout = stack.enter_context(open(number, "w", buffering=1, encoding="utf-8"))
        try:
            yield
        finally:
            sys.stdout, sys.stderr = before


@contextmanager
def unwritable() -> Iterator[TextIO]:
    """A stream to which nothing can be written."""
    number = os.open(os.devnull, os.O_RDONLY)
    stream = io.TextIOWrapper(io.BufferedWriter(io.FileIO(number, "w")), encoding="utf-8")
    try:
        yield stream
    finally:
        with suppress(OSError):
            stream.close()


def leave(stream: TextIO) -> OSError | None:
    """Flush a standard stream; if that fails, Python must not try again, aloud, at its end.

    Returns why it failed, unless because the reader of our output has had enough.
    """
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return None if isinstance(error, BrokenPipeError) else error
    return None
