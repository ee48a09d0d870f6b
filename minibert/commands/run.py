"""minibert run: a program that imports sentence_transformers -> the same program, with minibert.

Python itself runs it in this place, so arguments, exit codes and signals are those of Python.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys

from minibert.commands.command import Command
from minibert.server.environment import UsageError

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "program",
        nargs=argparse.REMAINDER,
        metavar="SCRIPT [ARGUMENT ...]",
        help="a script of Python, and its own arguments; options of this command come before it",
    )
    command.add_argument(
        "-m",
        dest="module",
        nargs=argparse.REMAINDER,
        metavar="MODULE [ARGUMENT ...]",
        help="run a module or a package, as `python -m`, instead of a script",
    )
    command.add_argument(
        "--force",
        action="store_true",
        help="take minibert even if sentence-transformers itself is installed",
    )


def run(options: argparse.Namespace) -> None:
    """minibert run: put the program in the place of this process."""
    from minibert.integrations.sentence_transformers import FOLDER, installed

    program = options.program if options.module is None else ["-m", *options.module]
    if not program or program == ["-m"]:
        raise UsageError("run needs a program: a script, or -m and the name of a module.")
    if not options.force and (place := installed()):
        raise UsageError(
            f"sentence-transformers itself is installed here ({place}). To take minibert in its "
            "place, run the program with --force."
        )
    # The program's own new processes find the stand-in on this path, too.
    paths = [str(FOLDER), os.environ.get("PYTHONPATH", "")]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    if options.offline:
        environment["HF_HUB_OFFLINE"] = "1"
    command = [sys.executable, *program]
    if os.name == "nt":  # there, exec starts a second process, and the shell does not wait for it
        sys.exit(subprocess.call(command, env=environment))
    os.execve(sys.executable, command, environment)


COMMAND = Command(
    run,
    add_options,
    "Run a program that imports sentence_transformers; it gets minibert under this name.",
    (
        "minibert run search.py --top 5",
        "minibert run -m my_package",
        "minibert run --force search.py",
    ),
)
