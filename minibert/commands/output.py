"""Write results to standard output, or to a file that appears when it is whole.

Printed lines hold texts of others, so commands print through `say` or `print_json`.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from minibert.common.escapes import json_line, visible
from minibert.common.files import replacing
from minibert.errors import OutputError

__all__ = [
    "can_go_on",
    "check_is_no_input",
    "is_stream",
    "output",
    "print_facts",
    "print_json",
    "say",
    "telling_how_to_go_on",
]


@contextmanager
def output(name: str) -> Iterator[BinaryIO]:
    """Open standard output for "-", else a file that appears, or replaces the old one, when whole.

    Raises OutputError for a file that cannot be created.
    """
    if name == "-":
        if not hasattr(sys.stdout, "buffer"):  # replaced by a program or a notebook
            raise OutputError(
                "standard output is a stream of text, which takes no bytes. Give a file."
            )
        yield sys.stdout.buffer
        return
    with ExitStack() as stack:
        try:
            file = stack.enter_context(opened(name))
        except OSError as error:
            raise OutputError(f"cannot create {name!r}: {error.strerror}") from error
        yield file


def is_stream(name: str) -> bool:
    """Return whether a name is that of standard output, of a pipe or of a device."""
    return name == "-" or (os.path.exists(name) and not os.path.isfile(name))


def check_is_no_input(name: str, inputs: Iterable[str]) -> None:
    """Raise OutputError for an output that is one of the inputs, or lies in a folder that is one.

    Standard streams, pipes and devices replace no file, so they may be both.
    """
    if is_stream(name):
        return
    path = Path(os.path.realpath(name))
    for one in inputs:
        if not os.path.exists(one):
            continue  # who reads it tells that
        if any(parent.exists() and parent.samefile(one) for parent in (path, *path.parents)):
            place = "lies in" if os.path.isdir(one) else "is"
            raise OutputError(
                f"--output {name!r} {place} {one!r}, which is read. Give the output another place."
            )


def opened(name: str) -> AbstractContextManager[BinaryIO]:
    """Open a file to write: a new one, or a pipe or a device that is there."""
    # By its name: where /dev/stdout is a link to a pipe, the pipe has no name of its own.
    if is_stream(name):
        return open(name, "wb")
    return replacing(Path(os.path.realpath(name)))


@contextmanager
def telling_how_to_go_on(advice: str | Callable[[], str], *, quiet: bool) -> Iterator[None]:
    """Open a block of long work; if it is stopped, print on stderr how to go on.

    An `advice` that depends on what was done is a function, called then.

    Our own errors say what to do; those of the system, as for a full disk, do not.
    """
    try:
        yield
    except BaseException as error:
        if not quiet and can_go_on(error):
            told = advice if isinstance(advice, str) else advice()
            print(f"minibert: stopped; {visible(told)}", file=sys.stderr)
        raise


def can_go_on(error: BaseException) -> bool:
    """Return whether the same command goes on after an error: an interruption, or a full disk."""
    if isinstance(error, OSError):
        return error.errno is not None  # ours have no number
    return isinstance(error, (KeyboardInterrupt, SystemExit))


def say(line: str = "") -> None:
    """Print a line for people, with its control characters made visible."""
    print(visible(line))


def print_json(content: dict[str, Any]) -> None:
    """Print one JSON object on a line of its own."""
    print(json_line(content))


def print_facts(facts: dict[str, Any], as_json: bool) -> None:
    """Print names and values: one JSON object, or a table."""
    if as_json:
        print_json(facts)
        return
    for name, fact in facts.items():
        shown = ", ".join(map(str, fact)) or "none" if isinstance(fact, list) else fact
        say(f"{name:24}{shown}")
