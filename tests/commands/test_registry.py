"""The registry of commands, to which a row can be added from outside."""

import ast
import inspect
import sys

from minibert.commands.command import Command, Group
from minibert.commands.output import say
from minibert.commands.registry import COMMANDS


def shout(options):
    say(" ".join(options.texts).upper() + "!" * options.marks)


def add_options(command):
    command.add_argument("texts", nargs="+")
    command.add_argument("--marks", type=int, default=1)


SHOUT = Command(shout, add_options, "Say a text loudly.", ('minibert shout "A dog barks."',))


def all_commands(rows=COMMANDS):
    for row in rows.values():
        yield from all_commands(row.commands) if isinstance(row, Group) else [row]


def test_a_command_from_outside_runs_and_has_help(run, monkeypatch):
    monkeypatch.setitem(COMMANDS, "shout", SHOUT)
    result = run("shout", "--quiet", "a dog", "barks", "--marks", "2")
    assert (result.code, result.out, result.err) == (0, "A DOG BARKS!!\n", "")
    assert "shout" in run("--help").out
    shown = run("shout", "--help").out
    assert "Say a text loudly." in shown
    assert 'examples:\n  minibert shout "A dog barks."\n' in shown
    assert "--offline" in shown


def test_a_command_may_be_added_to_a_group(run, monkeypatch):
    group = COMMANDS["index"]
    added = Group(group.summary, group.description, {**group.commands, "shout": SHOUT})
    monkeypatch.setitem(COMMANDS, "index", added)
    assert run("index", "shout", "a").out == "A!\n"
    assert run("shout", "a").code == 2


def test_no_command_imports_another():
    files = {row.run.__module__ for row in all_commands()}
    assert len(files) == len(list(all_commands()))  # each in a file of its own
    for name in files:
        for node in ast.walk(ast.parse(inspect.getsource(sys.modules[name]))):
            if isinstance(node, ast.ImportFrom):
                imported = {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
                assert not imported & files, name
            elif isinstance(node, ast.Import):
                assert not {alias.name for alias in node.names} & files, name
