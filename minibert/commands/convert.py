"""minibert convert: a model -> a new folder without a pickle, or with some of its layers."""

from __future__ import annotations

import argparse

from minibert.commands.command import Command
from minibert.commands.options import add_hub_options, whole
from minibert.commands.output import say

__all__ = ["COMMAND"]


def add_options(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "model", metavar="FOLDER", help="the model, which stays as it is; or a name on the hub"
    )
    command.add_argument("out", metavar="OUT", help="the new folder, which must not exist yet")
    command.add_argument(
        "--layers",
        type=whole_numbers,
        metavar="N,N,...",
        help="take a model that has safetensors, and keep only these layers of its encoder, "
        "counted from 0: a student that learns from a teacher begins so",
    )
    command.add_argument(
        "--python",
        metavar="PYTHON",
        help="a Python that has torch, numpy and safetensors (default: the one that runs "
        "minibert); torch reads the pickles with weights_only=True and runs no code in them",
    )
    add_hub_options(command)


def convert(options: argparse.Namespace) -> None:
    """minibert convert: write the new folder, and print its contents."""
    from minibert.checkpoint import convert as converting
    from minibert.checkpoint import layers

    hub = {
        "revision": options.revision,
        "cache_folder": options.cache_folder,
        "local_files_only": options.offline,
    }
    if options.layers is None:
        converted = converting.convert(options.model, options.out, python=options.python, **hub)
    elif options.python is not None:
        raise ValueError(
            "--python opens pickles, and --layers takes safetensors. Convert first, then keep "
            "layers of the new folder."
        )
    else:
        converted = layers.keep_layers(options.model, options.out, options.layers, **hub)
    tensors = "1 tensor" if converted.tensors == 1 else f"{converted.tensors} tensors"
    say(
        f"{options.out}: {tensors} in {', '.join(converted.weights)}; "
        f"{len(converted.copied)} other files copied as they are"
    )


def whole_numbers(text: str) -> list[int]:
    """Return whole numbers between commas, for argparse."""
    return [whole(part) for part in text.split(",")]


COMMAND = Command(
    convert,
    add_options,
    "Write a model whose weights are pickles (pytorch_model.bin) into a new folder, with all "
    "tensors in safetensors; or any model with only some of its layers.",
    (
        "minibert convert ./my-model ./my-model-safetensors",
        "minibert convert ./my-model ./my-model-safetensors --python ~/torch-env/bin/python",
        "minibert convert sentence-transformers/all-MiniLM-L6-v2 ./student --layers 0,2,4",
    ),
)
