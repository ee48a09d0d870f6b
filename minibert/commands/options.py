"""The options that several commands share, a function a group.

No option of one command alone, and nothing is opened or read.
"""

from __future__ import annotations

import argparse
import os
from typing import get_args

from minibert.common.progress import is_watched
from minibert.documents import FORMS
from minibert.kernels import devices
from minibert.kernels.cores import available_threads
from minibert.models.sentence_transformer import DEFAULT_MODEL
from minibert.tokens.truncation import OnLong

__all__ = [
    "MODEL_VARIABLE",
    "add_built_corpus",
    "add_common",
    "add_corpus",
    "add_corpus_and_files",
    "add_corpus_model",
    "add_hub_options",
    "add_input_format",
    "add_model",
    "add_model_and_texts",
    "add_model_options",
    "add_on_long",
    "add_output",
    "add_pack_tokens",
    "add_several",
    "add_texts",
    "add_top_k",
    "add_vector_options",
    "named_model",
    "positive",
    "shows_progress",
]

MODEL_VARIABLE = "MINIBERT_MODEL"  # in the environment: the model where none is given


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
    """The place of a model: its revision on the hub, and the folder of its cache."""
    command.add_argument("--revision", metavar="NAME", help="branch, tag or commit on the hub")
    command.add_argument("--cache-folder", metavar="DIR", help="where models of the hub are kept")


def add_model_options(command: argparse.ArgumentParser) -> None:
    """The place of a model, and how it computes: device, kind of numbers, threads, bits."""
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
    """The model, which the environment may name too."""
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


def add_several(
    command: argparse.ArgumentParser, name: str, metavar: str, help: str | None = None
) -> None:
    """Any number of words, also behind an option, where argparse itself forgets them."""
    command.add_argument(name, nargs="*", default=[], metavar=metavar, help=help)
    command.set_defaults(takes_more=name)


def add_texts(command: argparse.ArgumentParser, metavar: str, files_help: str) -> None:
    """Texts as arguments, and the files that hold more."""
    add_several(command, "texts", metavar)
    command.add_argument(
        "--file", "-f", action="append", default=[], metavar="FILE", help=files_help
    )


def add_model_and_texts(command: argparse.ArgumentParser, metavar: str) -> None:
    """A model and the texts that it reads, of arguments and of files of any form."""
    add_model(command)
    add_texts(
        command,
        metavar,
        f"read a {metavar} from each line, or from each record of JSONL, CSV, TSV or Parquet, "
        f"gzipped or not; - is standard input, also if no {metavar} is given",
    )
    add_input_format(command, "--input-format")


def add_built_corpus(command: argparse.ArgumentParser) -> None:
    """The folder of a corpus, for commands that read it."""
    command.add_argument("folder", metavar="DIR", help="made by `minibert index build`")


def add_corpus(command: argparse.ArgumentParser) -> None:
    """The folder of a corpus, for the commands of `minibert index`, and --json."""
    command.add_argument("folder", metavar="DIR", help="the corpus")
    command.add_argument("--json", action="store_true", help="print one object")


def add_corpus_and_files(command: argparse.ArgumentParser) -> None:
    """A corpus, and the files whose documents it takes in."""
    add_corpus(command)
    add_several(command, "files", "FILE", "- is standard input, also if no FILE is given")
    add_input_format(command, "--format", "--input-format")
    add_on_long(command)


def add_input_format(command: argparse.ArgumentParser, *names: str) -> None:
    """The form of the files, and the fields that are read of them."""
    notes = "; ".join(f"{name}: {form.note}" for name, form in FORMS.items() if form.note)
    command.add_argument(
        *names,
        dest="input_format",
        choices=list(FORMS),
        help=f"of the files (default: by each name, text for standard input). {notes}; a folder is "
        "a BEIR data set",
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


def add_vector_options(command: argparse.ArgumentParser, prompt_name_help: str) -> None:
    """Prompts before the texts, and the dimensions and length of their vectors."""
    command.add_argument("--prompt-name", metavar="NAME", help=prompt_name_help)
    command.add_argument("--prompt", metavar="TEXT", help="goes before every text")
    command.add_argument(
        "--truncate-dim", type=positive, metavar="N", help="keep the first N dimensions"
    )
    command.add_argument(
        "--normalize", action="store_true", help="divide each vector by its length"
    )


def add_on_long(command: argparse.ArgumentParser) -> None:
    """The choice for texts that are too long."""
    command.add_argument(
        "--on-long",
        choices=get_args(OnLong),
        default="warn",
        help="texts above the model's maximum length: cut them and say so, stop, cut them in "
        "silence, or take the mean of windows over all of it",
    )


def add_pack_tokens(
    command: argparse.ArgumentParser, default: int | None, default_help: str
) -> None:
    """The size of a forward pass."""
    command.add_argument(
        "--pack-tokens",
        type=positive,
        default=default,
        metavar="N",
        help=f"tokens of one forward pass; lower it if memory runs out (default {default_help})",
    )


def add_top_k(command: argparse.ArgumentParser, default: int | None, help: str) -> None:
    """The number of results."""
    command.add_argument("--top-k", "-k", type=positive, default=default, metavar="N", help=help)


def add_output(command: argparse.ArgumentParser) -> None:
    """The file that the result goes to."""
    command.add_argument("--output", "-o", metavar="FILE", default="-", help="default: stdout")


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


def shows_progress(options: argparse.Namespace) -> bool:
    """Whether someone watches: a terminal on stderr, and no --quiet."""
    return is_watched() and not options.quiet
