"""minibert embed: texts -> vectors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from minibert.commands.command import Command
from minibert.commands.formats import FORMATS, Batch
from minibert.commands.opening import load
from minibert.commands.options import (
    add_model_and_texts,
    add_model_options,
    add_on_long,
    add_output,
    add_pack_tokens,
    add_vector_options,
    shows_progress,
)
from minibert.commands.output import output
from minibert.commands.texts import read_texts
from minibert.common.progress import progress
from minibert.documents import Document

if TYPE_CHECKING:
    from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["COMMAND"]

CHUNK_TEXTS = 8192  # lines that are read, embedded and written at a time


def add_options(command: argparse.ArgumentParser) -> None:
    add_model_options(command)
    add_model_and_texts(command, "TEXT", "a text to turn into a vector")
    add_output(command)
    form = command.add_mutually_exclusive_group()
    held = "; ".join(f"{name}: {format.holds}" for name, format in FORMATS.items())
    form.add_argument(
        "--format",
        choices=list(FORMATS),
        help=f"the form of the output. {held} (default: by the suffix of FILE, else jsonl)",
    )
    form.add_argument(
        "--json",
        dest="format",
        action="store_const",
        const="jsonl",
        help="the same as --format jsonl",
    )
    add_vector_options(command, "the name of one of the model's prompts, as 'query'")
    command.add_argument(
        "--precision",
        choices=["float32", "binary", "ubinary"],
        default="float32",
        help="float32 numbers, or one bit for each number, packed by eight into int8 (binary) or "
        "uint8 (ubinary) (default float32)",
    )
    add_on_long(command)
    add_pack_tokens(command, None, "1024; on a GPU 16384, halved where its memory runs out")


def embed(options: argparse.Namespace) -> None:
    """minibert embed: texts -> vectors, chunk by chunk."""
    suffix = os.path.splitext(options.output)[1].removeprefix(".")
    kind = options.format or suffix or "jsonl"
    if kind not in FORMATS:
        raise ValueError(
            f"{options.output!r} has a suffix that is no format. "
            f"Give --format: {', '.join(FORMATS)}."
        )
    if not FORMATS[kind].is_text and options.output == "-" and sys.stdout.isatty():
        raise ValueError(f"{kind} is no text for a terminal. Give --output FILE, or pipe it.")
    documents = read_texts(options)
    model = load(options)
    total = None if options.file or not options.texts else len(options.texts)
    with output(options.output) as file, progress(total, shows_progress(options)) as advance:
        FORMATS[kind].write(batches(model, documents, options, advance), file)


COMMAND = Command(
    embed,
    add_options,
    "Turn texts into vectors: the texts given, or those of files or of standard input.",
    (
        'minibert embed "A dog barks." "A cat sleeps."',
        "minibert embed --file texts.txt --output vectors.npy",
        "minibert embed --file documents.jsonl.gz --text-field body --output vectors.jsonl",
        "head -100 texts.txt | minibert embed --model sentence-transformers/all-MiniLM-L6-v2",
    ),
)


def batches(
    model: SentenceTransformer,
    documents: Iterator[Document],
    options: argparse.Namespace,
    advance: Callable[[int], object],
    chunk_texts: int = CHUNK_TEXTS,
) -> Iterator[Batch]:
    """Yield the vectors of documents, `chunk_texts` at a time, after a batch without texts."""
    chunk: list[Document] = []  # the first batch has no text, but has the dimension of a vector
    while True:
        texts = [document.text for document in chunk]
        yield Batch(
            texts,
            model.encode(
                texts,
                prompt_name=options.prompt_name,
                prompt=options.prompt,
                truncate_dim=options.truncate_dim,
                normalize_embeddings=options.normalize,
                precision=options.precision,
                pack_tokens=options.pack_tokens,
            ),
            [document.id for document in chunk],
        )
        advance(len(chunk))
        chunk = list(islice(documents, chunk_texts))
        if not chunk:
            return
