"""A model's files: whether each is there and whole; JSON and its values. No name leads outside."""

from __future__ import annotations

import json
import os
from pathlib import Path, PurePosixPath
from typing import Any

from minibert.common.arguments import is_count
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

# How a pointer begins that stands for a file which version control keeps elsewhere.
LFS_POINTER = b"version https://git-lfs.github.com/spec/"
# How half of a pair that stands for one character begins: only an escape brings it into JSON.
HALVES = ("\\ud", "\\uD")


def inside(folder: Path, name: object) -> Path:
    """The path of a file or folder that a file names: checked as a name, before any file is met.

    Links are left alone: a hub cache is made of them.
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
    """A value of a JSON object, checked for its kind; the default where it is missing or null."""
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise CheckpointError(f"{path}: {key} is {value!r:.80}; expected a {kind.__name__}.")
    return value


def optional_count(path: Path, content: dict[str, Any], key: str) -> int | None:
    """A whole number from 1 up, or None where the key is missing or null."""
    value = content.get(key)
    if value is not None and not is_count(value):
        raise CheckpointError(
            f"{path}: {key} is {value!r:.80}; expected a whole number from 1 up, or null."
        )
    return value


def required_count(path: Path, content: dict[str, Any], key: str) -> int:
    """A whole number from 1 up that must be there."""
    value = optional_count(path, content, key)
    if value is None:
        raise CheckpointError(f"{path}: {key} is missing; expected a whole number from 1 up.")
    return value


def check_keys(path: Path, content: dict[str, Any], known: set[str]) -> None:
    """Raise CheckpointError for a key that is not known, as it may change the result."""
    if unknown := sorted(content.keys() - known):
        raise CheckpointError(f"{path}: minibert does not know the key {unknown[0]!r:.80}.")


def is_there(path: Path) -> bool:
    """Whether a folder has a file that it may do without.

    Raises CheckpointError for a link that leads nowhere: what it led to is lost.
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
    """Raise CheckpointError for what stands in a file's place: nothing, a folder, a pointer."""
    read_bytes(path, len(LFS_POINTER))


def read_bytes(path: Path, max_bytes: int = -1) -> bytes:
    """The first bytes of a file, or all of them; raises as check_file does."""
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
    """The text of a file, which must be UTF-8; ends of lines stay as they are."""
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
    """The content of a JSON file, which must be an object (kind dict) or a list (kind list)."""
    text = read_text(path)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:  # the first for a number of 5,000 digits, too
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, kind):
        expected = "an object" if kind is dict else "a list"
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected {expected}.")
    if any(half in text for half in HALVES):
        check_characters(path, content)
    return content


def check_characters(path: Path, content: object) -> None:
    """Raise CheckpointError for half of a pair that stands for one character."""
    try:
        json.dumps(content, ensure_ascii=False).encode()
    except UnicodeEncodeError as error:
        half = error.object[error.start]
        raise CheckpointError(
            f"{path} holds {half!r}, half of a pair that stands for one character, in a text or a "
            "name; such a text has no bytes."
        ) from error
