"""Print the facts of a corpus, and the progress of a command that writes one. Start at report."""

from __future__ import annotations

import argparse
import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from minibert.commands.options import shows_progress
from minibert.commands.output import print_json, say, telling_how_to_go_on
from minibert.common.progress import progress
from minibert.documents import count_documents

if TYPE_CHECKING:
    from minibert.corpus.manifest import Manifest

__all__ = ["counted", "facts_of", "report", "reporting", "warn_of_truncated"]


def report(options: argparse.Namespace, manifest: Manifest, new: int) -> None:
    """Print the facts of a written corpus, and warn of truncated texts."""
    settings = manifest.settings
    warn_of_truncated(options, manifest)
    if options.json:
        print_json({"new": new, **facts_of(manifest)})
        return
    say(f"{options.folder}: {sizes(manifest, new)}, {settings.dimension} dimensions of "
        f"{settings.precision}")  # fmt: skip


def warn_of_truncated(options: argparse.Namespace, manifest: Manifest) -> None:
    """Warn of truncated texts, if there are any and the options do not forbid it."""
    if options.on_long == "warn" and manifest.truncated:
        logging.getLogger(__name__).warning(
            "%d of %d texts were longer than %s tokens and lost their ends.",
            manifest.truncated,
            manifest.read,
            manifest.settings.max_seq_length,
        )


def sizes(manifest: Manifest, new: int) -> str:
    """Return the numbers of documents that can be found, that are new and that are empty."""
    done = f"{new} of them new" if new else "complete before, nothing was changed"
    there = f"{counted(manifest.documents - manifest.deleted)} ({done})"
    if not manifest.deleted:
        return f"{there}, {manifest.empty} of them empty"
    # The manifest does not tell how many of the empty ones were deleted.
    return (
        f"{there}, {manifest.deleted} deleted, {manifest.empty} of all {manifest.documents} empty"
    )


def counted(count: int) -> str:
    """Return a number of documents in words."""
    return f"{count} document{'' if count == 1 else 's'}"


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """Return the facts of a corpus; "documents" are those that can be found.

    The counts of truncated, empty and clipped texts, and "inputs", include deleted documents;
    "inputs" includes those that compact has removed, too.
    """
    settings = asdict(manifest.settings).items()
    return {
        "documents": manifest.documents - manifest.deleted,
        "deleted": manifest.deleted,
        "removed": manifest.read - manifest.documents,
        "shards": manifest.shards,
        "complete": manifest.complete,
        "cut": manifest.truncated,
        "empty": manifest.empty,
        "clipped": manifest.clipped,
        "inputs": [one.read for one in manifest.inputs],
        **{name: list(value) if isinstance(value, tuple) else value for name, value in settings},
    }


@contextmanager
def reporting(options: argparse.Namespace) -> Iterator[Callable[[int], object]]:
    """Show a progress bar in the block; if the block is stopped, print how to go on."""
    shown = shows_progress(options)
    total = count_documents(options.files, options.input_format) if shown else None
    advice = f"what was finished stays in {options.folder}, and the same command goes on from there"
    with telling_how_to_go_on(advice, quiet=options.quiet), progress(total, shown) as advance:
        yield advance
