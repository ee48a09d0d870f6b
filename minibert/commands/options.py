"""The options that several commands share, and the model that they name."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from minibert.common.progress import is_watched
from minibert.documents.reading import FORMS
from minibert.kernels import devices
from minibert.kernels.cores import available_threads
from minibert.models.sentence_transformer import DEFAULT_MODEL, SentenceTransformer

if TYPE_CHECKING:
    from minibert.corpus.manifest import Settings

__all__ = [
    "MODEL_VARIABLE",
    "add_command",
    "add_common",
    "add_corpus_model",
    "add_hub_options",
    "add_input_format",
    "add_model",
    "add_model_and_texts",
    "load",
    "load_for_corpus",
    "named_model",
    "opened_as",
    "positive",
    "shows_progress",
]

MODEL_VARIABLE = "MINIBERT_MODEL"  # in the environment: the model where none is given


def add_command(
    commands: Any,
    run: Any,
    summary: str,
    *examples: str,
    name: str | None = None,
    opens_model: bool = True,
) -> argparse.ArgumentParser:
    """A command, under its function's name or another, with the options that all have."""
    command: argparse.ArgumentParser = commands.add_parser(
        name or run.__name__,
        help=summary,
        description=summary,
        epilog="examples:\n" + "\n".join(f"  {example}" for example in examples),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    command.set_defaults(run=run)
    add_common(command)
    if opens_model:
        add_model_options(command)
    return command


def add_common(parser: argparse.ArgumentParser) -> None:
    """The options that go with all commands, and stand before them or behind."""
    # What is not given sets nothing, so that it does not undo what stands before the command.
    absent = argparse.SUPPRESS
    parser.add_argument(
        "--quiet", action="store_true", default=absent, help="no warnings, no progress bar"
    )
    parser.add_argument(
        "--offline", action="store_true", default=absent, help="never use the network"
    )


def add_hub_options(command: argparse.ArgumentParser) -> None:
    """Where a model is looked for."""
    command.add_argument("--revision", metavar="NAME", help="branch, tag or commit on the hub")
    command.add_argument("--cache-folder", metavar="DIR", help="where models of the hub are kept")


def add_model_options(command: argparse.ArgumentParser) -> None:
    """How a model is opened and computed."""
    add_hub_options(command)
    command.add_argument(
        "--device", type=device_name, default="cpu", help="cpu, or cuda for a GPU (default cpu)"
    )
    command.add_argument(
        "--dtype",
        choices=["float32", "float16"],
        default="float32",
        help="in what a GPU computes; vectors are float32 (default float32)",
    )
    command.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help=f"cores to use (default all of them, {available_threads()} here)",
    )
    command.add_argument(
        "--reproducible",
        action="store_true",
        help="the same bits for a text whatever its neighbours and the number of threads",
    )
    command.add_argument(
        "--no-short-inputs",
        dest="short_inputs",
        action="store_false",
        help="with --reproducible: make no second copy of the weights for short texts, which "
        "processors with AVX-512 read more quickly (without it, a command makes none)",
    )


def add_model(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--model",
        "-m",
        default=named_model() or DEFAULT_MODEL,
        help=f"a folder, or a name on the hub (default ${MODEL_VARIABLE}, else {DEFAULT_MODEL})",
    )


def named_model() -> str | None:
    """The model that the environment names, if it does."""
    return os.environ.get(MODEL_VARIABLE) or None


def add_corpus_model(command: argparse.ArgumentParser) -> None:
    """The model of a corpus, which is its own whatever the environment says."""
    command.add_argument(
        "--model", "-m", help="where the corpus's model lies now (default: where it lay)"
    )


def add_model_and_texts(command: argparse.ArgumentParser, name: str) -> None:
    add_model(command)
    command.add_argument("texts", nargs="*", default=[], metavar=name)
    command.set_defaults(takes_more="texts")  # argparse forgets those that stand behind an option
    command.add_argument(
        "--file",
        "-f",
        action="append",
        default=[],
        metavar="FILE",
        help=f"read a {name} from each line, or from each record of JSONL, CSV, TSV or Parquet, "
        f"gzipped or not; - is standard input, also if no {name} is given",
    )
    add_input_format(command, "--input-format")


def add_input_format(command: argparse.ArgumentParser, *names: str) -> None:
    """What the files hold, and which of their fields are read."""
    command.add_argument(
        *names,
        dest="input_format",
        choices=list(FORMS),
        help="of the files (default: by each name, text for standard input). text: a document a "
        "line; tsv: no quotes; a folder is a BEIR data set",
    )
    command.add_argument(
        "--id-field", metavar="NAME", help="the field of the id (default _id, else id)"
    )
    command.add_argument(
        "--text-field",
        action="append",
        default=[],
        metavar="NAME",
        help="a field of the text; of several, joined by a space (default title, if any, and text)",
    )


def device_name(text: str) -> str:
    """cpu, cuda or cuda:NUMBER, for argparse."""
    try:
        return devices.device_name(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither cpu nor cuda nor cuda:NUMBER"
        ) from None


def positive(text: str) -> int:
    """A whole number from 1 up, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)


def load(options: argparse.Namespace) -> SentenceTransformer:
    """The model that the options name."""
    return SentenceTransformer(
        options.model,
        revision=options.revision,
        on_long=getattr(options, "on_long", "warn"),
        **opened_as(options),
    )


def opened_as(options: argparse.Namespace) -> dict[str, Any]:
    """The arguments that every model of a command is opened with, a cross-encoder too."""
    return {
        "device": options.device,
        "dtype": options.dtype,
        "cache_folder": options.cache_folder,
        "local_files_only": options.offline,
        "threads": options.threads,
        "reproducible": options.reproducible,
        # A command is done before a second copy of the weights would pay; bits are a program's.
        "short_inputs": options.reproducible and options.short_inputs,
    }


def load_for_corpus(options: argparse.Namespace, settings: Settings) -> SentenceTransformer:
    """The model that the options name, else the one that made the corpus of `options.folder`."""
    if options.model is not None:
        return load(options)
    from minibert.corpus.corpus import place_of_model, telling_whose_model

    options.model = place_of_model(Path(options.folder), settings.model)
    options.revision = options.revision or settings.revision
    with telling_whose_model(options.folder):
        return load(options)


def shows_progress(options: argparse.Namespace) -> bool:
    """Whether someone watches: a terminal on stderr, and no --quiet."""
    return is_watched() and not options.quiet
