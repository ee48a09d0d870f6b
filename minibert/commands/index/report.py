"""The facts of a corpus, and what a command says while it writes one. Start at report."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from minibert.commands.options import shows_progress
from minibert.commands.output import print_json, say
from minibert.common.escapes import visible
from minibert.common.progress import progress
from minibert.documents import count_documents

if TYPE_CHECKING:
    from minibert.corpus.manifest import Manifest

__all__ = ["counted", "facts_of", "report", "watched"]


def report(options: argparse.Namespace, manifest: Manifest, new: int) -> None:
    """Say what a corpus has become, and what its texts lost."""
    settings = manifest.settings
    if options.on_long == "warn" and manifest.cut:
        logging.getLogger(__name__).warning(
            "%d of %d texts were longer than %s tokens and lost their ends.",
            manifest.cut,
            manifest.documents,
            settings.max_seq_length,
        )
    if options.json:
        print_json({"new": new, **facts_of(manifest)})
        return
    say(f"{options.folder}: {sizes(manifest, new)}, {settings.dimension} dimensions of "
        f"{settings.precision}")  # fmt: skip


def sizes(manifest: Manifest, new: int) -> str:
    """The numbers of documents that can be found, are new, and say nothing."""
    done = f"{new} of them new" if new else "complete before, nothing was changed"
    there = f"{counted(manifest.documents - manifest.deleted)} ({done})"
    if not manifest.deleted:
        return f"{there}, {manifest.empty} of them empty"
    # Which of the empty ones were deleted is not known here.
    return (
        f"{there}, {manifest.deleted} deleted, {manifest.empty} of all {manifest.documents} empty"
    )


def counted(count: int) -> str:
    """A number of documents."""
    return f"{count} document{'' if count == 1 else 's'}"


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """The facts that are told of a corpus: its documents are those that can be found.

    What was read and deleted since is still among those cut, empty or clipped, and of `inputs`.
    """
    counts = ("deleted", "shards", "complete", "cut", "empty", "clipped")
    return {
        "documents": manifest.documents - manifest.deleted,
        **{name: getattr(manifest, name) for name in counts},
        "inputs": [one.documents for one in manifest.inputs],
        **{**asdict(manifest.settings), "modules": list(manifest.settings.modules)},
    }


@contextmanager
def watched(options: argparse.Namespace) -> Iterator[Callable[[int], object]]:
    """A bar for the block, and a word on how to go on if it is stopped."""
    shown = shows_progress(options)
    total = count_documents(options.files, options.input_format) if shown else None
    try:
        with progress(total, shown) as advance:
            yield advance
    except (KeyboardInterrupt, SystemExit, OSError) as error:
        # Our own errors say what to do; the system's, as of a full disk, do not.
        is_ours = isinstance(error, OSError) and error.errno is None
        if not options.quiet and not is_ours:
            print(
                f"minibert: stopped; what was finished stays in {visible(options.folder)}, and the "
                "same command goes on from there",
                file=sys.stderr,
            )
        raise
