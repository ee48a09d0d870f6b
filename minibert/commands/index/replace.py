"""minibert index replace: documents that have changed -> a corpus that has them."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.index.further import add_options, documents_and_model
from minibert.commands.index.report import counted, facts_of, reporting, warn_of_truncated
from minibert.commands.output import print_json, say
from minibert.documents import display_name, form_of, path_of

__all__ = ["COMMAND"]


def check_have_ids(options: argparse.Namespace) -> None:
    """Raise ValueError for an input that is read as plain text, whose lines have no ids."""
    for file in map(path_of, options.files or ["-"]):
        if (options.input_format or form_of(file)) == "text":
            raise ValueError(
                f"{display_name(file)} is read as text, whose lines have no ids, by which the "
                "documents to replace are found. Expected jsonl, csv, tsv or parquet; if it is "
                "one of these, say so, as by --format jsonl."
            )


def replace(options: argparse.Namespace) -> None:
    """minibert index replace: replace the documents, and print how many have changed."""
    from minibert.corpus.replacing import replace

    check_have_ids(options)
    documents, model = documents_and_model(options)
    with reporting(options) as advance:
        manifest, done = replace(
            options.folder, documents, model, on_long=options.on_long, advance=advance
        )
    warn_of_truncated(options, manifest)
    if options.json:
        print_json({**done._asdict(), **facts_of(manifest)})
        return
    there = counted(manifest.documents - manifest.deleted)
    say(
        f"{options.folder}: {there} ({done.replaced} of them replaced, {done.added} added, "
        f"{done.unchanged} given as they were)"
    )


COMMAND = Command(
    replace,
    add_options,
    "Replace the documents of a corpus by those of files with the same ids, and add the others.",
    (
        "minibert index replace my-corpus changed.jsonl",
        "minibert index replace my-corpus - --format jsonl < changed.jsonl",
    ),
)
