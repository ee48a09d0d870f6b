"""A bar on stderr for work that takes long."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr

__all__ = ["is_watched", "progress", "stderr_there", "wanted"]


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
    return has_stderr() and sys.stderr.isatty()


def has_stderr() -> bool:
    """Whether there is a stderr: a daemon, and pythonw, have None, and others close it."""
    return sys.stderr is not None and not sys.stderr.closed


@contextmanager
def stderr_there() -> Iterator[None]:
    """A block in which sys.stderr is there, as libraries need that show bars of their own."""
    if has_stderr():
        yield
        return
    with open(os.devnull, "w") as nowhere, redirect_stderr(nowhere):
        yield


@contextmanager
def progress(
    total: int | None, shown: bool, unit: str = "text"
) -> Iterator[Callable[[int], object]]:
    """A bar for the block, which calls what it is given with how much more is done."""
    if not shown or not has_stderr():
        yield lambda done: None
        return
    # huggingface_hub brings tqdm, and honours the switches that its users know.
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    with tqdm(total=total, unit=unit) as bar:  # type: ignore[no-untyped-call]
        yield bar.update
