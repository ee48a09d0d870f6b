"""Signals that end a server in order. Start at heeding."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["ENDING_SIGNALS", "heeding"]

# Those that this system has.
ENDING_SIGNALS = [
    number
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
    if (number := getattr(signal, name, None)) is not None
]


@contextmanager
def heeding(numbers: list[int], stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at the first of these signals; a Ctrl-C after it ends the process at once.

    The exit code is then that of an interruption. Others may come twice, as from a group's end, and
    lose no answer. A signal that is ignored stays so.
    """
    came: list[int] = []

    def heed(number: int, _: object) -> None:
        came.append(number)
        if len(came) == 1:
            stop()
        elif number == signal.SIGINT:
            sys.exit(128 + number)

    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
