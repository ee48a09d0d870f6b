"""minibert index delete: ids -> a corpus that no longer finds these documents."""

from __future__ import annotations

import argparse
import logging

from minibert.commands.command import Command
from minibert.commands.index.report import counted
from minibert.commands.options import add_corpus, add_texts
from minibert.commands.output import print_json, say
from minibert.commands.texts import names_of, read_ids

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    add_corpus(command)
    add_texts(
        command,
        "ID",
        "the id of a document",
        "read an ID from each line that is not blank, gzipped or not; - is standard input, which "
        "is read if there is no ID and no FILE",
    )


def delete(options: argparse.Namespace) -> None:
    """minibert index delete: delete the documents, and print their number."""
    from minibert.corpus.building import delete

    count, gone = delete(options.folder, read_ids(options.texts, names_of(options)))
    if gone:
        logging.getLogger(__name__).warning(
            "%s had been deleted before; the first is %r.", counted(len(gone)), gone[0]
        )
    if options.json:
        print_json({"deleted": count, "deleted_before": gone})
    else:
        say(f"{options.folder}: {counted(count)} deleted")


COMMAND = Command(
    delete,
    add_options,
    "Delete documents by their ids; later searches do not find them.",
    (
        "minibert index delete my-corpus 17 18",
        "minibert index delete my-corpus --file ids.txt",
    ),
)
