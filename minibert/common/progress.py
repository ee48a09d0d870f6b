"""A bar on stderr for work that takes long."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr
from typing import Any, Protocol, TextIO

__all__ = [
    "Advance",
    "LoggingHandler",
    "is_gone",
    "is_watched",
    "progress",
    "stderr_there",
    "wanted",
]


class Advance(Protocol):
    """Function that moves a bar on."""

    def __call__(self, done: int, note: str = "") -> object:
        """Add the number of further units; `note` is then shown behind the rate."""
        ...


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


class LoggingHandler(logging.StreamHandler[Any]):
    """Writes log messages to standard output, above any bar, as sentence-transformers' does."""

    def __init__(self, level: int = logging.NOTSET) -> None:
        """Write messages of at least `level`."""
        super().__init__(sys.stdout)
        self.setLevel(level)

    def emit(self, record: logging.LogRecord) -> None:
        """Write one message; the bars are drawn again below it."""
        from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

        with tqdm.external_write_mode():
            super().emit(record)


@contextmanager
def progress(
    total: int | None, is_shown: bool, unit: str = "text", initial: int = 0
) -> Iterator[Advance]:
    """Show a bar for the block, and yield the function that moves it on.

    `initial` units were done before; the rate and the time left do not count them.
    """
    if not is_shown or is_gone(sys.stderr):
        yield lambda done, note="": None
        return
    # huggingface_hub brings tqdm, and honours the switches that its users know.
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    with tqdm(total=total, unit=unit, initial=initial) as bar:  # type: ignore[no-untyped-call]

        def advance(done: int, note: str = "") -> None:
            if note:
                bar.set_postfix_str(note, refresh=False)
            bar.update(done)

        yield advance
