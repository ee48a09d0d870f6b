"""Files of a model, checked, and the values of JSON. No name leads out of the model's folder."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from minibert.common.arguments import is_count, type_of
from minibert.errors import CheckpointError

__all__ = [
    "check_file",
    "check_keys",
    "inside",
    "is_there",
    "optional_count",
    "read_json",
    "read_text",
    "required_count",
    "setting",
]

# Beginning of a pointer of git-lfs, which stands for a file that is kept elsewhere.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# Beginning of the escapes of surrogates: half of a pair comes into JSON only as an escape.
HALVES = ("\\ud", "\\uD")


def inside(folder: Path, name: object) -> Path:
    """Path of a file or folder that a file names; the name is checked before any file is opened.

    Links are allowed, because a hub's cache consists of them. Raises CheckpointError for a name
    that leads out of the folder.
    """
    text = name if isinstance(name, str) else repr(name)
    parts = PurePosixPath(text).parts
    if not isinstance(name, str) or "\0" in text:
        raise CheckpointError(f"{folder}: a file names {text!r:.80}, which is no name of a file.")
    if "\\" in text and ".." not in text and ":" not in text:
        raise CheckpointError(
            f"{folder}: a file names {text!r:.80}, which has a backslash. Names are written with "
            "/, on Windows too; mend it there."
        )
    if "\\" in text or ":" in text or text.startswith("/") or ".." in parts:
        raise CheckpointError(
            f"{folder}: a file names {text!r:.80}, which leaves the model's folder."
        )
    return folder.joinpath(*parts)


def setting(path: Path, content: dict[str, Any], key: str, kind: type, default: Any = None) -> Any:
    """Value of a key in a JSON object; `default` if it is missing or null.

    Raises CheckpointError for a value of another type than `kind`.
    """
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise CheckpointError(f"{path}: {key} is {value!r:.80}; expected a {kind.__name__}.")
    return value


def optional_count(path: Path, content: dict[str, Any], key: str) -> int | None:
    """Value of a key that is a whole number from 1 up; None if it is missing or null.

    Raises CheckpointError for any other value.
    """
    value = content.get(key)
    if value is not None and not is_count(value):
        raise CheckpointError(
            f"{path}: {key} is {value!r:.80}; expected a whole number from 1 up, or null."
        )
    return value


def required_count(path: Path, content: dict[str, Any], key: str) -> int:
    """Value of a key that must be a whole number from 1 up. Raises CheckpointError if not."""
    value = optional_count(path, content, key)
    if value is None:
        raise CheckpointError(f"{path}: {key} is missing; expected a whole number from 1 up.")
    return value


def check_keys(path: Path, content: dict[str, Any], known: set[str]) -> None:
    """Raise CheckpointError for a key that is not `known`, because it may change the result."""
    if unknown := sorted(content.keys() - known):
        raise CheckpointError(f"{path}: minibert does not know the key {unknown[0]!r:.80}.")


def is_there(path: Path) -> bool:
    """Return whether an optional file exists.

    Raises CheckpointError for a link that leads nowhere, because its file is lost.
    """
    try:
        if path.is_symlink() and not path.exists():
            raise CheckpointError(
                f"{path} is a link to {os.readlink(path)!r}, where nothing is. "
                "Fetch the model again."
            )
        return path.exists()
    except OSError as error:  # as of a name that is too long
        raise CheckpointError(f"{path!s:.200} cannot be read: {error.strerror}.") from error


def check_file(path: Path) -> None:
    """Raise CheckpointError if a file is missing, a folder, unreadable or a pointer of git-lfs."""
    read_bytes(path, len(LFS_POINTER))


def read_bytes(path: Path, max_bytes: int = -1) -> bytes:
    """Read the first `max_bytes` bytes of a file, or all. Raises as check_file does."""
    try:
        with path.open("rb") as file:
            content = file.read(max_bytes)
    except IsADirectoryError:
        raise CheckpointError(f"{path} is a folder; expected a file.") from None
    except OSError as error:
        if not is_there(path):
            raise CheckpointError(f"{path} is missing.") from None
        raise CheckpointError(f"{path} cannot be read: {error.strerror}.") from error
    if content.startswith(LFS_POINTER):
        raise CheckpointError(
            f"{path} is a pointer of git-lfs, not the file that it stands for. Run `git lfs pull` "
            "in the repository that it is from, or fetch the model from the hub."
        )
    return content


def read_text(path: Path) -> str:
    """Read a file as UTF-8; ends of lines stay as they are. Raises CheckpointError if it is not."""
    content = read_bytes(path)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise CheckpointError(
            f"{path} is not UTF-8: line {line} has the byte 0x{content[error.start]:02x}. "
            "Save it as UTF-8, or fetch it again."
        ) from error


def read_json(path: Path, kind: type) -> Any:
    """Read a JSON file that must hold an object (kind dict) or a list (kind list).

    Raises CheckpointError for any other content.
    """
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError also for a number of 5,000 digits
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, kind):
        expected = "an object" if kind is dict else "a list"
        raise CheckpointError(f"{path} holds {type_of(content)}; expected {expected}.")
    if any(half in text for half in HALVES):
        check_characters(path, content)
    return content


def check_characters(path: Path, content: object) -> None:
    """Raise CheckpointError for half of a surrogate pair, which is no character."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise CheckpointError(
            f"{path} holds {half!r}, half of a surrogate pair, in a text or a name. It is no "
            "character and has no bytes; expected both halves."
        ) from error
