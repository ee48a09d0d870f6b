"""Table of the commands: a row each, by name, in the order of `minibert --help`.

A new command is a file with a Command in it, and a row of COMMANDS.
"""

from __future__ import annotations

from minibert.commands import (
    convert,
    demo,
    embed,
    evaluate,
    explain,
    info,
    label,
    map,
    mine,
    run,
    score,
    search,
    serve,
    train,
)
from minibert.commands.command import Command, Group
from minibert.commands.index import add, build, compact, delete, graph, replace, verify
from minibert.commands.index import info as index_info

__all__ = ["COMMANDS"]

COMMANDS: dict[str, Command | Group] = {
    "embed": embed.COMMAND,
    "score": score.COMMAND,
    "explain": explain.COMMAND,
    "info": info.COMMAND,
    "convert": convert.COMMAND,
    "index": Group(
        "Build a corpus on disk, change it, verify it.",
        "A corpus on disk has the vectors, ids and texts of many documents.",
        {
            "build": build.COMMAND,
            "add": add.COMMAND,
            "replace": replace.COMMAND,
            "delete": delete.COMMAND,
            "compact": compact.COMMAND,
            "verify": verify.COMMAND,
            "info": index_info.COMMAND,
            "graph": graph.COMMAND,
        },
    ),
    "search": search.COMMAND,
    "map": map.COMMAND,
    "eval": evaluate.COMMAND,
    "mine": mine.COMMAND,
    "label": label.COMMAND,
    "train": train.COMMAND,
    "serve": serve.COMMAND,
    "run": run.COMMAND,
    "demo": demo.COMMAND,
}
