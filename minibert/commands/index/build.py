"""minibert index build: the documents of files -> a corpus on disk."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.conditions import typed
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
from minibert.server.environment import UsageError

__all__ = ["COMMAND"]

NUMBER = ":number"  # behind the name of a field whose texts are read as numbers
# Names of other programs for kinds of values; another word behind a colon may belong to a name.
KINDS = ("bool", "boolean", "double", "float", "int", "integer", "num", "numbers", "numeric",
         "str", "string")  # fmt: skip


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
        action="extend",
        default=[],
        metavar="NAME,...",
        help="keep these fields of each record, for `minibert search --where`; NAME:number reads "
        "texts as numbers, as csv needs it; if the option is given again, its fields are kept, too",
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


def names_of_fields(text: str) -> list[str]:
    """Return the names of fields, with :number behind those of numbers, for argparse."""
    given = [name.strip() for name in text.split(",")]
    for name in given:
        kind = name.rpartition(":")[2]
        if kind in KINDS and kind != name:
            raise argparse.ArgumentTypeError(
                f"{name!r} ends in a kind of values that is not known; expected NAME, whose values "
                f"are kept as they are, or NAME{NUMBER}, whose texts are read as numbers"
            )
        field = name.removesuffix(NUMBER)
        if field and typed(f"{field}=").name != field:
            raise argparse.ArgumentTypeError(
                f"{field!r} has an operator of `minibert search --where` in its name, so no "
                "condition could name it; rename the field in the files"
            )
    return given


def kept_fields(given: list[str]) -> tuple[list[str], list[str]]:
    """Return the names of the fields to keep, and of those among them that are numbers.

    Raises UsageError for a field without a name, and for one that is named twice.
    """
    names = [name.removesuffix(NUMBER) for name in given]
    if not all(names) or len(set(names)) < len(names):
        raise UsageError(f"--fields {','.join(given)!r} has an empty name, or one twice.")
    return names, [name.removesuffix(NUMBER) for name in given if name.endswith(NUMBER)]


def build(options: argparse.Namespace) -> None:
    """minibert index build: write the corpus, and print its facts."""
    from minibert.corpus.building import SHARD_CHARACTERS, SHARD_DOCUMENTS, build

    names, numbers = kept_fields(options.fields)
    fields = Fields(kept=tuple(names), numbers=tuple(numbers))
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
