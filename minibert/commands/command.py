"""A command of the command line, as a row of the registry says it. Start at Command."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from dataclasses import dataclass

__all__ = ["Command", "Group"]


@dataclass(frozen=True)
class Command:
    """A function, the options that it reads, and its help.

    The options that all commands have, as --quiet, are there without its doing.
    """

    run: Callable[[argparse.Namespace], None]
    add_options: Callable[[argparse.ArgumentParser], None]
    summary: str  # a sentence about the user's data
    examples: tuple[str, ...]  # lines that run as they are pasted


@dataclass(frozen=True)
class Group:
    """Commands under one word, as `minibert index build` under `index`."""

    summary: str
    description: str
    commands: Mapping[str, Command]
