"""Advice in errors: a command, as one line to paste into a shell, or a library to install.

No command is run here. Start at pasted and needing.
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

# Needs no quotes in a shell of Windows, whose paths hold no quotation mark.
PLAIN = re.compile(r"[\w./\\:=+,@-]+", re.ASCII)
MODELS = "models--"  # every model's folder in a hub's cache begins with it
# Paths are arguments of the program, so none is quoted twice.
WRITE_TOKENIZER = (
    "import sys, transformers; "
    "transformers.AutoTokenizer.from_pretrained(sys.argv[1]).save_pretrained(sys.argv[2])"
)


def pasted(*arguments: str | os.PathLike[str]) -> str:
    """Join arguments to one line for a shell of this system, each quoted if needed."""
    texts = [os.fspath(argument) for argument in arguments]
    if os.name != "nt":
        return shlex.join(texts)
    return " ".join(text if PLAIN.fullmatch(text) else f'"{text}"' for text in texts)


def convert_command(model: str | os.PathLike[str], *options: str) -> str:
    """Command that writes a model with pickles into a new folder, without them.

    `model` is a folder, or a name on the hub.
    """
    out = new_folder(model, "safetensors")
    return pasted("minibert", "convert", as_argument(model), as_argument(out), *options)


def hub_options(revision: str | None, cache_folder: str | None) -> list[str]:
    """Options of a command for the same model of the hub."""
    given = {"--revision": revision, "--cache-folder": cache_folder}
    return [text for option, value in given.items() if value for text in (option, value)]


def tokenizer_command(model: str | os.PathLike[str]) -> tuple[str, str]:
    """Command by which transformers writes a model's tokenizer.json, and the path of that file."""
    out = as_argument(new_folder(model, "tokenizer"))
    command = pasted("python", "-c", WRITE_TOKENIZER, as_argument(model), out)
    return command, os.path.join(out, "tokenizer.json")


def new_folder(model: str | os.PathLike[str], kind: str) -> str:
    """Path of a new folder for a converted model: in the current folder, else next to the model.

    `kind` ends its name, as "safetensors".
    """
    folder = Path(model).absolute()
    # In a hub's cache, the folder's own name is a commit.
    names = [part.rpartition("--")[2] for part in folder.parts if part.startswith(MODELS)]
    name = f"{(names or [os.path.basename(os.path.abspath(model))])[0] or 'model'}-{kind}"
    # A model's folder is never written to.
    is_inside = Path.cwd().is_relative_to(folder.resolve())
    return str(folder.resolve().parent / name) if is_inside else name


def as_argument(path: str | os.PathLike[str]) -> str:
    """Return a path in a form that no command takes for an option."""
    text = os.fspath(path)
    return os.path.join(".", text) if text.startswith("-") else text


@contextmanager
def needing(
    library: str, use: str, extra: str | None = None, *, at_least: str | None = None
) -> Iterator[None]:
    """Import a library in the block. Raises MissingLibraryError, with advice, if it is missing.

    `use` names the task that needs it, `extra` the extra of minibert with it, or None. `at_least`
    is the oldest supported version, as "1.0"; then `library` is the name that pip installs.
    """
    if at_least is not None:
        check_version(library, use, at_least)
    try:
        yield
    except ImportError as error:
        raise MissingLibraryError(missing(library, use, extra, error)) from error


def check_version(library: str, use: str, at_least: str) -> None:
    """Raise MissingLibraryError, with advice, if a library is installed in an older version."""
    from importlib.metadata import PackageNotFoundError, version  # late: few programs need it

    try:
        found = version(library)
    except PackageNotFoundError:
        return  # the import itself tells more
    if release(found) < release(at_least):
        raise MissingLibraryError(
            f"{use} needs {library} {at_least} or later; {found} is installed here. Install it: "
            f"pip install --upgrade '{library}>={at_least}'."
        )


def release(version: str) -> list[int]:
    """Return the numbers of a version before any letter: "1.9.0rc1" -> [1, 9]."""
    digits = re.split(r"[^\d.]", version)[0].rstrip(".")
    digits = re.sub(r"(\.0)+$", "", digits)  # 1.9 and 1.9.0 are one version
    return [int(number) for number in digits.split(".")]


def missing(library: str, use: str, extra: str | None, error: ImportError) -> str:
    """Message about a library that cannot be imported, with the command to install it."""
    # Not `minibert-numpy[extra]`: nothing is published under that name yet.
    way = f"pip install '.[{extra}]' in a clone of minibert" if extra else f"pip install {library}"
    return f"{use} needs {library}, which cannot be imported here ({error}). Install it: {way}."
