"""Options that the environment may give, too, as containers want it. Start at FromEnvironment.

`--max-body` is MINIBERT_MAX_BODY; an option of the command line goes before it.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from typing import Any

from minibert.common.environment import is_on, listed, variable_of

__all__ = ["FromEnvironment"]


class Given(str):
    """A value from the environment; it says so where it is wrong."""

    variable: str


class FromEnvironment:
    """Adds options to a command, each also from the environment.

    `add_argument` takes what argparse's takes. An option that may be given several times has its
    values, in the environment, with commas between them.
    """

    def __init__(self, command: argparse.ArgumentParser) -> None:
        self._command = command

    def add_argument(self, *names: str, **how: Any) -> argparse.Action:
        """Add an option; its default is what the environment has, where that is not empty."""
        variable = variable_of(next(name for name in names if name.startswith("--")))
        how["help"] = f"{how['help']} [${variable}]"
        is_several = how.get("action") == "append"
        if is_several:
            how["action"] = Several
        action = self._command.add_argument(*names, **how)
        value = os.environ.get(variable)
        if value:
            given = Given(value)
            given.variable = variable
            action.default = given
            action.type = from_text(action, is_several)
        return action


class Several(argparse.Action):
    """An option that may be given several times; the first takes the place of the environment's."""

    def __call__(self, _: object, options: argparse.Namespace, value: Any, *__: object) -> None:
        before = getattr(options, self.dest)
        values = before if isinstance(before, list) else []
        setattr(options, self.dest, [*values, value])


def from_text(action: argparse.Action, is_several: bool) -> Callable[[str], Any]:
    """Return the function that reads a value of an option, of the environment's or a given one.

    argparse reads a default only where the option is not given, and only for the command that is
    called. So the environment's wrong value harms no other command.
    """
    read: Any = action.type or str
    is_flag = action.nargs == 0

    def one(text: str) -> Any:
        if is_flag:
            return action.const if is_on(text) else not action.const
        value = read(text)
        if action.choices is not None and value not in action.choices:
            choices = ", ".join(map(str, action.choices))
            raise argparse.ArgumentTypeError(f"{text!r} is none of {choices}")
        return value

    def value_of(text: str) -> Any:
        if not isinstance(text, Given):
            return read(text)
        try:
            return [one(part) for part in listed(text)] if is_several else one(text)
        except (argparse.ArgumentTypeError, ValueError) as error:
            raise argparse.ArgumentTypeError(f"{text.variable}: {error}") from None

    return value_of
