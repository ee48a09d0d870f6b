"""Command line: arguments -> one call -> an exit code. Start at main.

Results go to stdout, all else to stderr. Each command has a file of its own.
"""

from __future__ import annotations

import argparse
import errno
import io
import logging
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import NoReturn

from minibert import __version__
from minibert.commands.command import Command, Group
from minibert.commands.options import MODEL_VARIABLE, add_common
from minibert.commands.registry import COMMANDS
from minibert.commands.streams import leave, standing_in
from minibert.common.escapes import visible_lines
from minibert.errors import (
    DeviceError,
    ListenError,
    MissingLibraryError,
    ModelUnavailableError,
    OutputError,
)
from minibert.server.environment import UsageError

__all__ = ["main"]

# Exit codes, the same for all commands (after BSD's sysexits.h).
OK, USAGE, BAD_DATA, NO_INPUT, UNAVAILABLE, OUR_FAULT, CANNOT_LISTEN, CANNOT_CREATE, IO_FAILED = (
    *(0, 2, 65, 66, 69, 70, 71, 73, 74),
)
INTERRUPTED = 130  # 128 plus the number of the signal, as in a shell; see also ending_by_signals


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    with standing_in(), ending_by_signals():
        try:
            options = parse(arguments)
        except SystemExit:  # the reader of --help may have closed the pipe, too
            if (error := leave(sys.stdout)) is not None:
                return failed(plain(error), IO_FAILED)
            leave(sys.stderr)
            raise
        set_up_log(logging.ERROR if options.quiet else logging.WARNING)
        allow_open_files()
        if isinstance(sys.stdout, io.TextIOWrapper):
            sys.stdout.reconfigure(encoding="utf-8")  # texts are, whatever the locale says
        code = attempt(options)
        leave(sys.stdout)
        leave(sys.stderr)
        return code


def allow_open_files() -> None:
    """Let this process have as many files open as the system allows: a corpus maps several a shard.

    Many systems set a lower limit of 1,024 for programs that do not ask.
    """
    try:
        import resource  # Unix has it
    except ImportError:
        return
    _, allowed = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # some systems refuse what they name as allowed
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, allowed))


class Messages(logging.Formatter):
    """Log lines with control characters made visible; they quote texts and names of others."""

    def format(self, record: logging.LogRecord) -> str:
        return visible_lines(super().format(record))


def set_up_log(level: int) -> None:
    """Write log messages from `level` up to stderr, a line each."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Messages("minibert: %(message)s"))
    logging.basicConfig(handlers=[handler], level=level, force=True)


@contextmanager
def ending_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end the block as Ctrl-C does, so that half-written files are removed.

    The exit code is 128 plus the number of the signal. A signal that is ignored stays so, as SIGHUP
    under nohup.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread may set the handler of a signal
        return
    numbers = [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]  # Windows has no SIGHUP
    heeded = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    for number in heeded:
        signal.signal(number, lambda number, _: sys.exit(128 + number))
    try:
        yield
    finally:
        for number, before in heeded.items():
            signal.signal(number, before)


def attempt(options: argparse.Namespace) -> int:
    """Run a command, and turn an error into an exit code."""
    try:
        options.run(options)
        sys.stdout.flush()
        return OK
    except KeyboardInterrupt:
        return INTERRUPTED
    except BrokenPipeError:  # the reader of our output has closed it
        return OK
    except (ModelUnavailableError, DeviceError, MissingLibraryError) as error:
        return failed(error, UNAVAILABLE)
    except ListenError as error:
        return failed(error, CANNOT_LISTEN)
    except OutputError as error:
        return failed(error, CANNOT_CREATE)
    except (FileNotFoundError, NotADirectoryError, IsADirectoryError, PermissionError) as error:
        return failed(plain(error), NO_INPUT)
    except OSError as error:
        return failed(plain(error), IO_FAILED)
    except UsageError as error:
        return failed(error, USAGE)
    except ValueError as error:  # CheckpointError among them
        return failed(error, BAD_DATA)
    except Exception:  # any other error that reaches this function is a fault of ours
        told = f"{traceback.format_exc()}minibert: this is a fault in minibert; please report it"
        return say_and_end(f"{told} with the lines above", OUR_FAULT)


def plain(error: OSError) -> str:
    """Return an error of the system in words, without its number; one of ours as it is."""
    if error.errno == errno.EBADF:  # raised by the stream that stands in for standard output
        return "standard output is closed, so no result can be written."
    if error.strerror is None:
        return str(error)
    return error.strerror if error.filename is None else f"{error.filename!r}: {error.strerror}"


def failed(error: object, code: int) -> int:
    """Print an error on stderr, in a line, and return the exit code."""
    return say_and_end(f"minibert: {error}", code)


def say_and_end(message: str, code: int) -> int:
    """Print a message on stderr, which may be full, and return the exit code."""
    with suppress(OSError):
        print(visible_lines(message), file=sys.stderr)
    return code


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Parse the options of a command; its texts, or its files, may also follow an option.

    What follows "--" is a text or a file, also where it begins with a dash.
    """
    given = sys.argv[1:] if arguments is None else [str(word) for word in arguments]
    options, behind = parser().parse_known_args(given)
    dashed = given[given.index("--") + 1 :] if "--" in given else []
    last = dashed if behind[len(behind) - len(dashed) :] == dashed else []
    # Some releases of Python leave the "--" there.
    first = [word for word in behind[: len(behind) - len(last)] if word != "--"]
    takes_more = getattr(options, "takes_more", "")
    unknown = [word for word in first if word.startswith("-") and word != "-"]
    if unknown or ((first or last) and not takes_more):
        options.parser.error(f"unrecognized arguments: {' '.join([*first, *last])}")
    if first or last:
        getattr(options, takes_more).extend([*first, *last])
    return options


class Parser(argparse.ArgumentParser):
    """A parser whose errors show control characters; they may quote the name of a file."""

    def error(self, message: str) -> NoReturn:
        super().error(visible_lines(message))


def parser() -> argparse.ArgumentParser:
    """Return the parser of all commands and their options."""
    top = Parser(
        prog="minibert",
        description="BERT sentence embeddings in NumPy: text in, vectors out.",
        epilog=f"Without --model, a command uses the model that {MODEL_VARIABLE} in the "
        "environment names; a corpus keeps its own model. Exit codes: 0 success; 2 usage; 65 bad "
        "input data; 66 no such input; 69 not available (offline and not cached, no GPU, a library "
        "that is not installed); 70 a fault of minibert; 71 cannot listen at an address; 73 cannot "
        "create the output; 74 reading "
        "or writing failed; 129 hung up; 130 interrupted; 143 terminated",
    )
    add_common(top)
    top.set_defaults(quiet=False, offline=False)
    top.add_argument("--version", action="version", version=f"minibert {__version__}")
    add_commands(top, COMMANDS)
    return top


def add_commands(parser: argparse.ArgumentParser, rows: Mapping[str, Command | Group]) -> None:
    """Add the commands of a table to a parser, each with its options and its help."""
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for name, row in rows.items():
        if isinstance(row, Group):
            group = commands.add_parser(name, help=row.summary, description=row.description)
            add_common(group)
            add_commands(group, row.commands)
            continue
        command = commands.add_parser(
            name,
            help=row.summary,
            description=row.summary,
            epilog="examples:\n" + "\n".join(f"  {example}" for example in row.examples),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(run=row.run, parser=command)
        add_common(command)
        row.add_options(command)
