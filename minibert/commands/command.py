"""Rows of the registry: a command, or a group of commands. Start at Command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Command", "Group"]


@dataclass(frozen=True)
class Command:
    """A function, the options that it reads, and its help.

    Options of all commands, as --quiet, are added by the parser.
    """

    run: Callable[[argparse.Namespace], None]  # does the work, with the parsed options
    add_options: Callable[[argparse.ArgumentParser], None]  # adds its options to a parser
    summary: str  # a sentence about the user's data
    examples: tuple[str, ...]  # lines that run as they are pasted


@dataclass(frozen=True)
class Group:
    """Commands under one word, as `minibert index build` under `index`."""

    summary: str  # a sentence about the commands, for `minibert --help`
    description: str  # a sentence about their subject, for the help of the group
    commands: Mapping[str, Command]  # by their names, in the order of the help
