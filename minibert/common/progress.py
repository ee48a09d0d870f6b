"""A bar on stderr for work that takes long."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr
from typing import TextIO

__all__ = ["is_gone", "is_watched", "progress", "stderr_there", "wanted"]


def wanted(asked: bool | None) -> bool:
    """Whether there is to be a bar: unasked, where INFO is logged and someone may watch.

    The reference shows one wherever INFO is logged; in a service's log that is thousands of lines.
    """
    if asked is None:
        level = logging.getLogger("minibert").getEffectiveLevel()
        return level in (logging.INFO, logging.DEBUG) and is_watched()
    return asked


def is_watched() -> bool:
    """Whether stderr is there, and a terminal."""
    return not is_gone(sys.stderr) and sys.stderr.isatty()


def is_gone(stream: TextIO | None) -> bool:
    """Whether a standard stream is not there: daemons and pythonw have none, a shell closes it."""
    return stream is None or stream.closed


@contextmanager
def stderr_there() -> Iterator[None]:
    """A block in which sys.stderr is there, as libraries need that show bars of their own."""
    if not is_gone(sys.stderr):
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield


@contextmanager
def progress(
    total: int | None, is_shown: bool, unit: str = "text"
) -> Iterator[Callable[[int], object]]:
    """A bar for the block, which calls what it is given with how much more is done."""
    if not is_shown or is_gone(sys.stderr):
        yield lambda done: None
        return
    # huggingface_hub brings tqdm, and honours the switches that its users know.
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    with tqdm(total=total, unit=unit) as bar:  # type: ignore[no-untyped-call]
        yield bar.update
