"""minibert index build: the documents of files -> a corpus on disk."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.index.report import report, reporting
from minibert.commands.opening import load
from minibert.commands.options import (
    add_corpus_and_files,
    add_model,
    add_model_options,
    add_pack_tokens,
    add_vector_options,
    positive,
)
from minibert.commands.texts import documents_in
from minibert.documents import Fields
from minibert.scoring.quantization import STORED_DTYPES

__all__ = ["COMMAND"]

NUMBER = ":number"  # behind the name of a field whose texts are read as numbers


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_model(command)
    add_corpus_and_files(command)
    command.add_argument(
        "--precision",
        choices=list(STORED_DTYPES),
        default="float32",
        help="store each number of a vector in 4, 2 or 1 bytes, or in one bit (default float32)",
    )
    add_vector_options(command, "the name of one of the model's prompts (default 'document')")
    add_pack_tokens(command, 1024, "1024")
    command.add_argument("--no-texts", action="store_true", help="keep ids and vectors only")
    command.add_argument(
        "--fields",
        type=names_of_fields,
        default=((), ()),
        metavar="NAME,...",
        help="keep these fields of each record, for `minibert search --where`; NAME:number reads "
        "texts as numbers, as csv needs it",
    )
    command.add_argument(
        "--shard-documents",
        type=positive,
        metavar="N",
        help="end a shard after N documents (default 8192)",
    )
    command.add_argument(
        "--shard-characters",
        type=positive,
        metavar="N",
        help="end a shard after the document that brings it to N characters (default 2000000); a "
        "run that is killed loses at most the shard it was writing",
    )


def names_of_fields(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the names of fields, and of those among them that are numbers, for argparse."""
    given = text.split(",")
    names = tuple(name.removesuffix(NUMBER) for name in given)
    if not all(names) or len(set(names)) < len(names):
        raise argparse.ArgumentTypeError(f"{text!r} has an empty name, or one twice")
    return names, tuple(name.removesuffix(NUMBER) for name in given if name.endswith(NUMBER))


def build(options: argparse.Namespace) -> None:
    """minibert index build: write the corpus, and print its facts."""
    from minibert.corpus.building import SHARD_CHARACTERS, SHARD_DOCUMENTS, build

    names, numbers = options.fields
    fields = Fields(kept=names, numbers=numbers)
    documents = documents_in(options.files or ["-"], options, fields)
    model = load(options)
    with reporting(options) as advance:
        written = build(
            options.folder,
            documents,
            model,
            model_name=options.model,
            precision=options.precision,
            prompt=options.prompt,
            prompt_name=options.prompt_name,
            truncate_dim=options.truncate_dim,
            normalize=options.normalize,
            on_long=options.on_long,
            pack_tokens=options.pack_tokens,
            texts=not options.no_texts,
            fields=fields,
            shard_documents=options.shard_documents or SHARD_DOCUMENTS,
            shard_characters=options.shard_characters or SHARD_CHARACTERS,
            advance=advance,
        )
    report(options, *written)


COMMAND = Command(
    build,
    add_options,
    "Turn the documents of files into a corpus in DIR; if stopped, run it again to go on.",
    (
        "minibert index build my-corpus corpus.jsonl",
        "minibert index build my-corpus table.csv --id-field key --text-field body",
        "minibert index build my-corpus table.csv --fields lang,year:number",
        "zcat lines.gz | minibert index build my-corpus -",
    ),
)
