"""minibert index: a corpus on disk, built, added to, deleted from, verified, described."""

from __future__ import annotations

import argparse
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minibert.commands import graph
from minibert.commands.info import print_facts
from minibert.commands.options import (
    add_command,
    add_common,
    add_corpus_model,
    add_input_format,
    add_model,
    load,
    load_for_corpus,
    positive,
    shows_progress,
)
from minibert.commands.output import print_json, say
from minibert.commands.texts import documents_in, read_ids
from minibert.common.escapes import visible
from minibert.common.progress import progress

if TYPE_CHECKING:
    from minibert.corpus.manifest import Manifest
    from minibert.documents import Document

__all__ = ["add"]

PRECISIONS = ["float32", "float16", "int8", "binary"]


def add(commands: Any) -> None:
    index = commands.add_parser(
        "index",
        help="Build a corpus on disk, add to it, delete from it, verify it.",
        description="A corpus on disk: the vectors, ids and texts of many documents.",
    )
    add_common(index)
    kinds = index.add_subparsers(title="commands", required=True, metavar="COMMAND")
    add_build(kinds)
    add_add(kinds)
    add_delete(kinds)
    add_verify(kinds)
    add_info(kinds)
    graph.add(kinds)


def add_build(commands: Any) -> None:
    command = add_command(
        commands,
        build,
        "Turn the documents of files into a corpus in DIR; stopped, the same command goes on.",
        "minibert index build my-corpus corpus.jsonl",
        "minibert index build my-corpus table.csv --id-field key --text-field body",
        "zcat lines.gz | minibert index build my-corpus -",
    )
    add_model(command)
    add_folder_and_files(command)
    command.add_argument(
        "--precision",
        choices=PRECISIONS,
        default="float32",
        help="of the vectors: numbers of 4, 2 or 1 bytes, or a bit a number (default float32)",
    )
    command.add_argument(
        "--prompt-name", metavar="NAME", help="a prompt of the model's (default 'document')"
    )
    command.add_argument("--prompt", metavar="TEXT", help="goes before every text")
    command.add_argument(
        "--truncate-dim", type=positive, metavar="N", help="keep the first N dimensions"
    )
    command.add_argument(
        "--normalize", action="store_true", help="divide each vector by its length"
    )
    command.add_argument(
        "--pack-tokens",
        type=positive,
        default=1024,
        metavar="N",
        help="tokens of one forward pass; lower it if memory runs out (default 1024)",
    )
    command.add_argument("--no-texts", action="store_true", help="keep ids and vectors only")
    command.add_argument(
        "--shard-documents",
        type=positive,
        metavar="N",
        help="a shard ends with its Nth document (default 8192)",
    )
    command.add_argument(
        "--shard-characters",
        type=positive,
        metavar="N",
        help="or with the document that brings it to N characters (default 2000000); what is lost "
        "when a run is killed is at most the shard under way",
    )


def add_add(commands: Any) -> None:
    command = add_command(
        commands,
        add_documents,
        "Add the documents of files to a corpus, with the model and settings it was built with.",
        "minibert index add my-corpus more.jsonl",
        "minibert index add my-corpus - --format jsonl < more.jsonl",
        name="add",
    )
    add_corpus_model(command)
    add_folder_and_files(command)


def add_delete(commands: Any) -> None:
    command = add_command(
        commands,
        delete,
        "Delete documents by their ids; what is searched later does not find them.",
        "minibert index delete my-corpus 17 18",
        "minibert index delete my-corpus --file ids.txt",
        opens_model=False,
    )
    add_folder(command)
    command.add_argument("texts", nargs="*", default=[], metavar="ID")
    command.add_argument(
        "--file",
        "-f",
        action="append",
        default=[],
        metavar="FILE",
        help="read an ID from each line that is not blank, gzipped or not; - is standard input, "
        "also if no ID is given",
    )
    command.set_defaults(takes_more="texts")


def add_verify(commands: Any) -> None:
    command = add_command(
        commands,
        verify,
        "Read every byte of a corpus and say each thing that is wrong.",
        "minibert index verify my-corpus",
        "minibert index verify my-corpus --json",
        opens_model=False,
    )
    add_folder(command)


def add_info(commands: Any) -> None:
    command = add_command(
        commands,
        info,
        "Tell what a corpus is: its model, settings and counts.",
        "minibert index info my-corpus",
        "minibert index info my-corpus --json",
        opens_model=False,
    )
    add_folder(command)


def add_folder(command: argparse.ArgumentParser) -> None:
    command.add_argument("folder", metavar="DIR", help="the corpus")
    command.add_argument("--json", action="store_true", help="print one object")


def add_folder_and_files(command: argparse.ArgumentParser) -> None:
    add_folder(command)
    command.add_argument(
        "files",
        nargs="*",
        default=[],
        metavar="FILE",
        help="- is standard input, also if no FILE is given",
    )
    command.set_defaults(takes_more="files")
    add_input_format(command, "--format", "--input-format")
    command.add_argument(
        "--on-long",
        choices=["warn", "error", "ignore", "window"],
        default="warn",
        help="texts above the model's maximum length: cut them and say so, stop, cut them in "
        "silence, or take the mean of windows over all of it",
    )


def build(options: argparse.Namespace) -> None:
    """minibert index build."""
    from minibert.corpus import build as indexing

    documents = documents_of(options)
    model = load(options)
    with watched(options) as advance:
        written = indexing.build(
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
            shard_documents=options.shard_documents or indexing.SHARD_DOCUMENTS,
            shard_characters=options.shard_characters or indexing.SHARD_CHARACTERS,
            advance=advance,
        )
    report(options, *written)


def add_documents(options: argparse.Namespace) -> None:
    """minibert index add."""
    from minibert.corpus import build as indexing
    from minibert.corpus.manifest import read_manifest

    documents = documents_of(options)
    settings = read_manifest(Path(options.folder)).settings
    options.reproducible = options.reproducible or settings.reproducible
    options.revision = options.revision or settings.revision
    model = load_for_corpus(options, settings)
    model.similarity_fn_name = settings.metric
    with watched(options) as advance:
        written = indexing.add(
            options.folder, documents, model, on_long=options.on_long, advance=advance
        )
    report(options, *written)


def delete(options: argparse.Namespace) -> None:
    """minibert index delete."""
    from minibert.corpus import build as indexing

    files = options.file or ([] if options.texts else ["-"])
    count, gone = indexing.delete(options.folder, read_ids(options.texts, files))
    if gone:
        logging.getLogger(__name__).warning(
            "%d had been deleted before, the first of them %r.", len(gone), gone[0]
        )
    if options.json:
        print_json({"deleted": count, "deleted_before": gone})
    else:
        say(f"{options.folder}: {counted(count)} deleted")


def verify(options: argparse.Namespace) -> None:
    """minibert index verify."""
    from minibert.corpus.verify import verify
    from minibert.errors import CorpusError

    wrong = []
    for sentence in verify(options.folder):
        wrong.append(sentence)
        if not options.json:
            say(sentence)
    if options.json:
        print_json({"folder": options.folder, "wrong": wrong})
    if wrong:
        raise CorpusError(f"{options.folder}: {len(wrong)} things are wrong.")
    if not options.json:
        say(f"{options.folder}: every byte is as it was written")


def info(options: argparse.Namespace) -> None:
    """minibert index info."""
    from minibert.corpus.corpus import Corpus

    print_facts(facts_of(Corpus(options.folder).manifest), options.json)


def facts_of(manifest: Manifest) -> dict[str, Any]:
    """What is told of a corpus: its documents are those that can be found.

    What was read and deleted since is still among those cut, empty or clipped, and of `inputs`.
    """
    counts = ("deleted", "shards", "complete", "cut", "empty", "clipped")
    return {
        "documents": manifest.documents - manifest.deleted,
        **{name: getattr(manifest, name) for name in counts},
        "inputs": [one.documents for one in manifest.inputs],
        **{**asdict(manifest.settings), "modules": list(manifest.settings.modules)},
    }


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
    """How many documents can be found, are new, and say nothing."""
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


def documents_of(options: argparse.Namespace) -> Iterator[Document]:
    """The documents of the files that a command is given."""
    return documents_in(options.files or ["-"], options)


@contextmanager
def watched(options: argparse.Namespace) -> Iterator[Callable[[int], object]]:
    """A bar for the block, and a word on how to go on if it is stopped."""
    from minibert.documents import count_documents

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
