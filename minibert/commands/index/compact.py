"""minibert index compact: a corpus -> the same without its deleted documents."""

from __future__ import annotations

import argparse
from pathlib import Path

from minibert.commands.command import Command
from minibert.commands.index.report import counted, facts_of
from minibert.commands.options import add_corpus, shows_progress
from minibert.commands.output import print_json, say, telling_how_to_go_on
from minibert.common.progress import progress

__all__ = ["COMMAND"]


def compact(options: argparse.Namespace) -> None:
    """minibert index compact: rewrite the corpus, and print how many documents were removed."""
    from minibert.corpus.compacting import compact
    from minibert.corpus.manifest import read_manifest

    before = read_manifest(Path(options.folder))
    advice = f"{options.folder} is whole, and the same command goes on from there"
    with (
        telling_how_to_go_on(advice, quiet=options.quiet),
        progress(before.documents - before.deleted, shows_progress(options)) as advance,
    ):
        manifest, removed = compact(options.folder, advance=advance)
    if options.json:
        print_json({"removed_now": removed, **facts_of(manifest)})
        return
    shards = f"{manifest.shards} shard{'' if manifest.shards == 1 else 's'}"
    say(
        f"{options.folder}: {counted(removed)} removed, {counted(manifest.documents)} left in "
        f"{shards}"
    )


COMMAND = Command(
    compact,
    add_corpus,
    "Rewrite a corpus without its deleted documents, so that no file keeps their texts.",
    ("minibert index compact my-corpus",),
)
