"""What an error advises: a command, as a line that runs where it is pasted, or an install.

Knows which commands there are, and runs none. Start at pasted and needing.
"""

from __future__ import annotations

import os
import re
import shlex
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from minibert.errors import MissingLibraryError

__all__ = [
    "MODELS",
    "as_argument",
    "convert_command",
    "hub_options",
    "missing",
    "needing",
    "pasted",
    "tokenizer_command",
]

# What a shell of Windows takes as it is; its paths hold no quotation mark.
PLAIN = re.compile(r"[\w./\\:=+,@-]+", re.ASCII)
MODELS = "models--"  # begins the folder's name of every model in a hub's cache
# Paths are arguments of the program, so that none has to be quoted twice.
WRITE_TOKENIZER = (
    "import sys, transformers; "
    "transformers.AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[2])"
)


def pasted(*arguments: str | os.PathLike[str]) -> str:
    """Arguments -> one line for a shell of this system, each quoted if it has to be."""
    texts = [os.fspath(argument) for argument in arguments]
    if os.name != "nt":
        return shlex.join(texts)
    return " ".join(text if PLAIN.fullmatch(text) else f'"{text}"' for text in texts)


def convert_command(model: str | os.PathLike[str], *options: str) -> str:
    """The command that writes a model with pickles into a new folder, without them.

    `model` is a folder, or a name on the hub.
    """
    out = new_folder(model, "safetensors")
    return pasted("minibert", "convert", as_argument(model), as_argument(out), *options)


def hub_options(revision: str | None, cache_folder: str | None) -> list[str]:
    """The options by which a command asks for the same model of the hub."""
    given = {"--revision": revision, "--cache-folder": cache_folder}
    return [text for option, value in given.items() if value for text in (option, value)]


def tokenizer_command(model: str | os.PathLike[str]) -> tuple[str, str]:
    """The command by which transformers writes a model's tokenizer.json, and where it lies then."""
    out = as_argument(new_folder(model, "tokenizer"))
    command = pasted("python", "-c", WRITE_TOKENIZER, as_argument(model), out)
    return command, os.path.join(out, "tokenizer.json")


def new_folder(model: str | os.PathLike[str], kind: str) -> str:
    """A folder for what is made of a model: in the current one, else beside the model."""
    folder = Path(model).absolute()
    # In a hub's cache, a folder is called as its commit is.
    names = [part.rpartition("--")[2] for part in folder.parts if part.startswith(MODELS)]
    name = f"{(names or [os.path.basename(os.path.abspath(model))])[0] or 'model'}-{kind}"
    # A model's folder is never written to.
    is_inside = Path.cwd().is_relative_to(folder.resolve())
    return str(folder.resolve().parent / name) if is_inside else name


def as_argument(path: str | os.PathLike[str]) -> str:
    """A path that no command takes for an option."""
    text = os.fspath(path)
    return os.path.join(".", text) if text.startswith("-") else text


@contextmanager
def needing(library: str, use: str, extra: str | None = None) -> Iterator[None]:
    """Import a library in the block. Raises MissingLibraryError, with what to do, if it is missing.

    `use` is what needs it, `extra` the extra of minibert that brings it, None where none does.
    """
    try:
        yield
    except ImportError as error:
        raise MissingLibraryError(missing(library, use, extra, error)) from error


def missing(library: str, use: str, extra: str | None, error: ImportError) -> str:
    """What is said of a library that cannot be imported."""
    # Not `minibert-numpy[extra]`: nothing is published under that name yet.
    way = f"pip install '.[{extra}]' in a clone of minibert" if extra else f"pip install {library}"
    return f"{use} needs {library}, which cannot be imported here ({error}). Install it: {way}."
