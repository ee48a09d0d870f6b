"""minibert embed: texts -> vectors."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from minibert.commands.formats import FORMATS, Batch
from minibert.commands.options import (
    add_command,
    add_model_and_texts,
    load,
    positive,
    shows_progress,
)
from minibert.commands.output import output
from minibert.commands.texts import read_texts
from minibert.common.progress import progress
from minibert.documents import Document

__all__ = ["add"]

CHUNK_TEXTS = 8192  # how many lines are read, embedded and written at a time


def add(commands: Any) -> None:
    command = add_command(
        commands,
        embed,
        "Turn texts into vectors: the texts given, or those of files or of standard input.",
        'minibert embed "A dog barks." "A cat sleeps."',
        "minibert embed --file texts.txt --output vectors.npy",
        "minibert embed --file documents.jsonl.gz --text-field body --output vectors.jsonl",
        "head -100 texts.txt | minibert embed --model sentence-transformers/all-MiniLM-L6-v2",
    )
    add_model_and_texts(command, "TEXT")
    command.add_argument("--output", "-o", metavar="FILE", default="-", help="default: stdout")
    form = command.add_mutually_exclusive_group()
    form.add_argument(
        "--format",
        choices=list(FORMATS),
        help="of the output. jsonl: a text, its id if it has one, and its vector a line; npy: one "
        "matrix (default: by FILE, or jsonl)",
    )
    form.add_argument(
        "--json", dest="format", action="store_const", const="jsonl", help="--format jsonl"
    )
    command.add_argument(
        "--prompt-name", metavar="NAME", help="a prompt of the model's, as 'query'"
    )
    command.add_argument("--prompt", metavar="TEXT", help="goes before every text")
    command.add_argument(
        "--truncate-dim", type=positive, metavar="N", help="keep the first N dimensions"
    )
    command.add_argument(
        "--normalize", action="store_true", help="divide each vector by its length"
    )
    command.add_argument(
        "--precision",
        choices=["float32", "binary", "ubinary"],
        default="float32",
        help="numbers, or a bit a number, eight to an int8 or uint8 (default float32)",
    )
    command.add_argument(
        "--on-long",
        choices=["warn", "error", "ignore", "window"],
        default="warn",
        help="texts above the model's maximum length: cut them and say so, stop, cut them in "
        "silence, or take the mean of windows over all of it",
    )
    command.add_argument(
        "--pack-tokens",
        type=positive,
        metavar="N",
        help="tokens of one forward pass; lower it if memory runs out (default 1024; on a GPU "
        "16384, and halved by itself)",
    )


def embed(options: argparse.Namespace) -> None:
    """minibert embed: texts -> vectors, chunk by chunk."""
    suffix = os.path.splitext(options.output)[1].removeprefix(".")
    kind = options.format or suffix or "jsonl"
    if kind not in FORMATS:
        raise ValueError(
            f"{options.output!r} names no format by its suffix. "
            f"Give --format: {', '.join(FORMATS)}."
        )
    if kind == "npy" and options.output == "-" and sys.stdout.isatty():
        raise ValueError("npy is no text for a terminal. Give --output FILE, or pipe it.")
    documents = read_texts(options)
    model = load(options)
    total = None if options.file or not options.texts else len(options.texts)
    with output(options.output) as file, progress(total, shows_progress(options)) as advance:

        def batches() -> Iterator[Batch]:
            chunk: list[Document] = []  # the first has no text, but says how wide a vector is
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
                chunk = list(islice(documents, CHUNK_TEXTS))
                if not chunk:
                    return

        FORMATS[kind](batches(), file)
