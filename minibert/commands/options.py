"""Options that several commands share: a function for each group.

An option of one command alone is in that command. Nothing is opened or read here.
"""

from __future__ import annotations

import argparse
import math
import os
from typing import Any, Protocol, get_args

from minibert.common.progress import is_watched
from minibert.documents import FORMS
from minibert.kernels import devices
from minibert.kernels.cores import available_threads
from minibert.models.sentence_transformer import DEFAULT_MODEL
from minibert.tokens.truncation import OnLong

__all__ = [
    "MODEL_VARIABLE",
    "HasOptions",
    "above_zero",
    "add_built_corpus",
    "add_common",
    "add_computation",
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
    "add_threads",
    "add_top_k",
    "add_vector_options",
    "named_model",
    "number",
    "positive",
    "shows_progress",
    "whole",
]

MODEL_VARIABLE = "MINIBERT_MODEL"  # in the environment: the model without --model


class HasOptions(Protocol):
    """A parser, or what adds options to one in a way of its own."""

    def add_argument(self, *names: str, **how: Any) -> argparse.Action: ...


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options of all commands; they may come before or after the command."""
    # An absent option sets nothing, so that it does not undo one before the command.
    absent = argparse.SUPPRESS
    parser.add_argument(
        "--quiet", action="store_true", default=absent, help="show no warnings and no progress bar"
    )
    parser.add_argument(
        "--offline", action="store_true", default=absent, help="never use the network"
    )


def add_hub_options(command: HasOptions) -> None:
    """Add the place of a model: its revision on the hub, and the folder of its cache."""
    command.add_argument(
        "--revision", metavar="NAME", help="the branch, tag or commit of the model on the hub"
    )
    command.add_argument(
        "--cache-folder", metavar="DIR", help="the folder where models of the hub are kept"
    )


def add_model_options(command: HasOptions) -> None:
    """Add the place of a model, and its computation: device, dtype, threads, same bits."""
    add_hub_options(command)
    add_computation(command)
    command.add_argument(
        "--no-short-inputs",
        dest="short_inputs",
        action="store_false",
        help="make no second copy of the weights; only --reproducible makes one, which computes "
        "short texts faster on processors with AVX-512",
    )


def add_computation(command: HasOptions) -> None:
    """Add the device, the dtype, the threads, and the choice of the same bits always."""
    add_device(command)
    command.add_argument(
        "--dtype",
        choices=["float32", "float16"],
        default="float32",
        help="the dtype that a GPU computes in; vectors are float32 always (default float32)",
    )
    add_threads(command)
    command.add_argument(
        "--reproducible",
        action="store_true",
        help="compute the same bits for a text with any other texts and any number of threads",
    )


def add_device(command: HasOptions) -> None:
    """Add the device that computes."""
    command.add_argument(
        "--device",
        type=device_name,
        default="cpu",
        help="compute on cpu, or on cuda, a GPU (default cpu)",
    )


def add_threads(command: HasOptions) -> None:
    """Add the number of threads."""
    command.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help=f"the number of cores to use (default all of them, {available_threads()} here)",
    )


def add_model(command: argparse.ArgumentParser) -> None:
    """Add the model, which the environment may name too."""
    command.add_argument(
        "--model",
        "-m",
        default=named_model() or DEFAULT_MODEL,
        help=f"a folder, or a name on the hub (default ${MODEL_VARIABLE}, else {DEFAULT_MODEL})",
    )


def add_first_model(command: argparse.ArgumentParser, described: str) -> None:
    """Add the model as the first argument, which may be left out if the environment names one."""
    command.add_argument(
        "model",
        metavar="MODEL",
        nargs="?" if named_model() else None,
        default=named_model(),
        help=described,
    )


def named_model() -> str | None:
    """Return the model that the environment names, else None."""
    return os.environ.get(MODEL_VARIABLE) or None


def add_corpus_model(command: argparse.ArgumentParser) -> None:
    """Add the model of a corpus; its default is the one that made it, not the environment's."""
    command.add_argument(
        "--model",
        "-m",
        help="the model of the corpus, if it has moved: a folder, or a name on the hub (default: "
        "the one that made the corpus)",
    )


def add_several(
    command: argparse.ArgumentParser, name: str, metavar: str, help: str | None = None
) -> None:
    """Add any number of arguments; `parse` takes those behind an option, which argparse leaves."""
    command.add_argument(name, nargs="*", default=[], metavar=metavar, help=help)
    command.set_defaults(takes_more=name)


def add_texts(command: argparse.ArgumentParser, metavar: str, help: str, files_help: str) -> None:
    """Add texts as arguments, and files with more of them."""
    add_several(command, "texts", metavar, help)
    command.add_argument(
        "--file", "-f", action="append", default=[], metavar="FILE", help=files_help
    )


def add_model_and_texts(command: argparse.ArgumentParser, metavar: str, help: str) -> None:
    """Add a model and the texts that it reads, from arguments and from files of any form."""
    add_model(command)
    add_texts(
        command,
        metavar,
        help,
        f"read a {metavar} from each line, or from each record of JSONL, CSV, TSV or Parquet, "
        f"gzipped or not; - is standard input, which is read if there is no {metavar} and no FILE",
    )
    add_input_format(command, "--input-format")


def add_built_corpus(command: argparse.ArgumentParser) -> None:
    """Add the folder of a corpus, for commands that read it."""
    command.add_argument("folder", metavar="DIR", help="a corpus made by `minibert index build`")


def add_corpus(command: argparse.ArgumentParser) -> None:
    """Add the folder of a corpus, for the commands of `minibert index`, and --json."""
    command.add_argument("folder", metavar="DIR", help="the folder of the corpus")
    command.add_argument("--json", action="store_true", help="print one JSON object")


def add_corpus_and_files(command: argparse.ArgumentParser) -> None:
    """Add a corpus, and the files with its new documents."""
    add_corpus(command)
    add_several(
        command,
        "files",
        "FILE",
        "a file, or a folder, of documents; - is standard input, which is read if there is no FILE",
    )
    add_input_format(command, "--format", "--input-format")
    add_on_long(command)


def add_table_format(command: argparse.ArgumentParser) -> None:
    """Add the form of DATA, a table of texts with names of columns."""
    command.add_argument(
        "--input-format",
        choices=[name for name in FORMS if name != "text"],
        help="the form of DATA (default: by its name)",
    )


def add_input_format(command: argparse.ArgumentParser, *names: str) -> None:
    """Add the form of the files, and the fields that are read."""
    notes = "; ".join(f"{name}: {form.note}" for name, form in FORMS.items() if form.note)
    command.add_argument(
        *names,
        dest="input_format",
        choices=list(FORMS),
        help="the form of the files (default: by the name of each; text for standard input). "
        f"{notes}; a folder is a BEIR data set",
    )
    command.add_argument(
        "--id-field", metavar="NAME", help="the field of the id (default _id, else id)"
    )
    command.add_argument(
        "--text-field",
        action="append",
        default=[],
        metavar="NAME",
        help="a field of the text; give it again for each further field, to join them by a space "
        "(default title, if there is one, and text)",
    )


def add_vector_options(command: argparse.ArgumentParser, prompt_name_help: str) -> None:
    """Add prompts for the texts, and the dimension and normalization of their vectors."""
    command.add_argument("--prompt-name", metavar="NAME", help=prompt_name_help)
    command.add_argument("--prompt", metavar="TEXT", help="put TEXT before every text")
    command.add_argument(
        "--truncate-dim",
        type=positive,
        metavar="N",
        help="keep the first N dimensions of each vector",
    )
    command.add_argument(
        "--normalize", action="store_true", help="divide each vector by its length"
    )


def add_on_long(command: argparse.ArgumentParser) -> None:
    """Add the choice for texts that are too long."""
    command.add_argument(
        "--on-long",
        choices=get_args(OnLong),
        default="warn",
        help="for texts above the model's maximum length: warn and truncate them, stop with an "
        "error, ignore it and truncate them, or average over windows of the whole text (default "
        "warn)",
    )


def add_pack_tokens(
    command: argparse.ArgumentParser, default: int | None, default_help: str
) -> None:
    """Add the size of a forward pass."""
    command.add_argument(
        "--pack-tokens",
        type=positive,
        default=default,
        metavar="N",
        help="the number of tokens of one forward pass; lower it if memory runs out (default "
        f"{default_help})",
    )


def add_top_k(command: argparse.ArgumentParser, default: int | None, help: str) -> None:
    """Add the number of results."""
    command.add_argument("--top-k", "-k", type=positive, default=default, metavar="N", help=help)


def add_output(command: argparse.ArgumentParser) -> None:
    """Add the file of the result."""
    command.add_argument(
        "--output",
        "-o",
        metavar="FILE",
        default="-",
        help="write the result to FILE; - is standard output (default -)",
    )


def device_name(text: str) -> str:
    """Return cpu, cuda or cuda:NUMBER, for argparse."""
    try:
        return devices.device_name(text)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither cpu nor cuda nor cuda:NUMBER"
        ) from None


def positive(text: str) -> int:
    """Return a whole number from 1 up, for argparse."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 up")
    return int(text)


def whole(text: str) -> int:
    """Return a whole number from 0 up, for argparse."""
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 up")
    return int(text)


def number(text: str) -> float:
    """Return a finite number from 0 up, for argparse."""
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 up")
    return value


def above_zero(text: str) -> float:
    """Return a finite number above 0, for argparse."""
    if (value := number(text)) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return value


def shows_progress(options: argparse.Namespace) -> bool:
    """Return whether to show a progress bar: on a terminal, without --quiet."""
    return is_watched() and not options.quiet
