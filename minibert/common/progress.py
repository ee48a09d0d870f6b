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
    """Return whether to show a bar: `asked`, or for None, if INFO is logged and stderr a terminal.

    The reference shows one wherever INFO is logged, which fills a service's log with lines.
    """
    if asked is None:
        level = logging.getLogger("minibert").getEffectiveLevel()
        return level in (logging.INFO, logging.DEBUG) and is_watched()
    return asked


def is_watched() -> bool:
    """Return whether stderr is open, and a terminal."""
    return not is_gone(sys.stderr) and sys.stderr.isatty()


def is_gone(stream: TextIO | None) -> bool:
    """Return whether a standard stream is missing (daemons, pythonw) or closed (by a shell)."""
    return stream is None or stream.closed


@contextmanager
def stderr_there() -> Iterator[None]:
    """Open a block in which sys.stderr exists, for libraries with bars of their own."""
    if not is_gone(sys.stderr):
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield


@contextmanager
def progress(
    total: int | None, is_shown: bool, unit: str = "text"
) -> Iterator[Callable[[int], object]]:
    """Show a bar for the block, and yield a function that takes the number of further units."""
    if not is_shown or is_gone(sys.stderr):
        yield lambda done: None
        return
    # huggingface_hub brings tqdm, and honours the switches that its users know.
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    with tqdm(total=total, unit=unit) as bar:  # type: ignore[no-untyped-call]
        yield bar.update
