"""The command line: arguments -> one call -> print. Results on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import errno
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import NoReturn, TextIO

from minibert import __version__
from minibert.commands import (
    convert,
    demo,
    embed,
    evaluate,
    explain,
    index,
    info,
    map,
    score,
    search,
)
from minibert.commands.options import MODEL_VARIABLE, add_common
from minibert.common.escapes import visible_lines
from minibert.common.progress import is_gone
from minibert.errors import DeviceError, MissingLibraryError, ModelUnavailableError, OutputError

__all__ = ["main"]

# The table of exit codes, one for all commands (after BSD's sysexits.h).
OK, USAGE, BAD_DATA, NO_INPUT, UNAVAILABLE, OUR_FAULT, CANNOT_CREATE, IO_FAILED = (
    *(0, 2, 65, 66, 69, 70, 73, 74),
)
INTERRUPTED, TERMINATED = 130, 143  # what a shell makes of the signals' numbers


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with standing_in(), ending_by_sigterm():
        try:
            options = parse(arguments)
        except SystemExit:  # after --help, too, whoever reads may have gone
            if (error := leave(sys.stdout)) is not None:
                return failed(plain(error), IO_FAILED)
            leave(sys.stderr)
            raise
        set_up_log(logging.ERROR if options.quiet else logging.WARNING)
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # texts are, whatever the locale says
        code = attempt(options)
        leave(sys.stdout)
        leave(sys.stderr)
        return code


class Messages(logging.Formatter):
    """Log lines that no terminal obeys: what they quote is others'."""

    def format(self, record: logging.LogRecord) -> str:
        return visible_lines(super().format(record))


def set_up_log(level: int) -> None:
    """Let warnings go to stderr, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Messages("minibert: %(message)s"))
    logging.basicConfig(handlers=[handler], level=level, force=True)


@contextmanager
def standing_in() -> Iterator[None]:
    """Let streams stand in for standard ones that are not there, as after `2>&-`, or lose a part.

    What goes to stderr is lost where there is none. What goes to stdout cannot be written, which is
    an error. Who reads standard input is told by `reading.standard_input`.
    """
    before = sys.stdout, sys.stderr
    with ExitStack() as stack:
        # The numbers of closed streams, lest the next file that is opened be taken for one.
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


@contextmanager
def ending_by_sigterm() -> Iterator[None]:
    """Let SIGTERM end the block like Ctrl-C does: what was half written is removed."""
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may say what a signal does
        return
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(TERMINATED))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def attempt(options: argparse.Namespace) -> int:
    """Run a command and turn what goes wrong into an exit code."""
    try:
        options.run(options)
        sys.stdout.flush()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # whoever read our output has had enough
        return OK
    except (ModelUnavailableError, DeviceError, MissingLibraryError) as error:
        return failed(error, UNAVAILABLE)
    except OutputError as error:
        return failed(error, CANNOT_CREATE)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        return failed(plain(error), NO_INPUT)
    except OSError as error:
        return failed(plain(error), IO_FAILED)
    except ValueError as error:  # CheckpointError among them
        return failed(error, BAD_DATA)
    except Exception:  # the outermost door: whatever else comes is a fault of ours
        told = f"{traceback.format_exc()}minibert: this is a fault in minibert; please report it"
        return say_and_end(f"{told} with the lines above", OUR_FAULT)


def leave(stream: TextIO) -> OSError | None:
    """Flush a standard stream; if that fails, Python must not try again, aloud, at its end.

    Returns why it failed, unless because whoever read our output has had enough.
    """
    try:
        stream.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
        return None if isinstance(error, BrokenPipeError) else error
    return None


def plain(error: OSError) -> str:
    """An error of the system in words, without its number; one of ours as it is."""
    if error.errno == errno.EBADF:  # that of the stream which stands in for it
        return "standard output is closed, so no result can be written."
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename!r}: {error.strerror}"


def failed(error: object, code: int) -> int:
    """Say on stderr, in a line, what went wrong."""
    return say_and_end(f"minibert: {error}", code)


def say_and_end(message: str, code: int) -> int:
    """Print a message on stderr, which may be full, and return the exit code."""
    with suppress(OSError):
        print(visible_lines(message), file=sys.stderr)
    return code


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """The options of a command; its texts, or its files, may also stand behind an option."""
    top = parser()
    options, behind = top.parse_known_args(arguments)
    takes_more = getattr(options, "takes_more", "")
    unknown = [word for word in behind if word.startswith("-") and word != "-"]
    if unknown or (behind and not takes_more):
        top.error(f"unrecognized arguments: {' '.join(behind)}")
    if behind:
        getattr(options, takes_more).extend(behind)
    return options


class Parser(argparse.ArgumentParser):
    """One whose errors no terminal obeys: a word of the command may be a file's name."""

    def error(self, message: str) -> NoReturn:
        super().error(visible_lines(message))


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = Parser(
        prog="minibert",
        description="BERT sentence embeddings in NumPy: text in, vectors out.",
        epilog=f"{MODEL_VARIABLE} in the environment names the model where --model is not given; "
        "a corpus keeps its own. exit codes: 0 well; 2 usage; 65 bad input data; 66 no such input; "
        "69 not available (offline and not cached, no GPU, a library that is not installed); 70 a "
        "fault of minibert; 73 cannot create the output; 74 reading or writing failed; 130 "
        "interrupted; 143 terminated",
    )
    add_common(top)
    top.set_defaults(quiet=False, offline=False)
    top.add_argument("--version", action="version", version=f"minibert {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    in_order = (
        *(embed, score, explain, info, convert),
        *(index, search, map, evaluate, demo),
    )
    for command in in_order:
        command.add(commands)
    return top
