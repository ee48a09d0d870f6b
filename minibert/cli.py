"""The command line: arguments -> one call -> print. Results on stdout, all else on stderr."""

from __future__ import annotations

import argparse
import io
import logging
import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

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
from minibert.errors import DeviceError, MissingLibraryError, ModelUnavailableError, OutputError

__all__ = ["main"]

# The table of exit codes, one for all commands (after BSD's sysexits.h).
OK, USAGE, BAD_DATA, NO_INPUT, UNAVAILABLE, OUR_FAULT, CANNOT_CREATE, IO_FAILED = (
    *(0, 2, 65, 66, 69, 70, 73, 74),
)
INTERRUPTED, TERMINATED = 130, 143  # what a shell makes of the signals' numbers


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    try:
        options = parse(arguments)
    except SystemExit:  # after --help, too, whoever reads may have gone
        leave_stdout()
        raise
    logging.basicConfig(
        stream=sys.stderr,
        format="minibert: %(message)s",
        level=logging.ERROR if options.quiet else logging.WARNING,
        force=True,
    )
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8")  # texts are, whatever the locale says
    with ending_by_sigterm():
        code = attempt(options)
    leave_stdout()
    return code


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
        traceback.print_exc()
        return failed(
            "this is a fault in minibert; please report it with the lines above", OUR_FAULT
        )


def leave_stdout() -> None:
    """Flush standard output; if that fails, Python must not try again, aloud, at its end."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def plain(error: OSError) -> str:
    """An error of the system in words, without its number; one of ours as it is."""
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename!r}: {error.strerror}"


def failed(error: object, code: int) -> int:
    """Say on stderr, in a line, what went wrong."""
    print(f"minibert: {error}", file=sys.stderr)
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


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser(
        prog="minibert",
        description="BERT sentence embeddings in NumPy: text in, vectors out.",
        epilog="exit codes: 0 well; 2 usage; 65 bad input data; 66 no such input; 69 not "
        "available (offline and not cached, no GPU, no torch for convert); 70 a fault of minibert; "
        "73 cannot create the output; 74 reading or writing failed; 130 interrupted; 143 "
        "terminated",
    )
    top.add_argument("--version", action="version", version=f"minibert {__version__}")
    commands = top.add_subparsers(title="commands", required=True, metavar="COMMAND")
    models = (info, convert)
    for command in (embed, score, explain, *models, index, search, map, evaluate, demo):
        command.add(commands)
    return top
