"""A model's JSON files: read, and checked for what they hold. No name in one leads outside."""

from __future__ import annotations

import json
from numbers import Integral
from pathlib import Path, PurePosixPath
from typing import Any

from minibert.errors import CheckpointError

__all__ = ["inside", "is_count", "read_json", "setting"]


def is_count(value: object) -> bool:
    """Whether a value is a whole number from 1 up, NumPy's too (true is an int in Python)."""
    return isinstance(value, Integral) and not isinstance(value, bool) and int(value) >= 1


def inside(folder: Path, name: object) -> Path:
    """The path of a file or folder that a file names: checked as a name, before any file is met.

    Links are left alone: a hub cache is made of them.
    """
    text = name if isinstance(name, str) else repr(name)
    parts = PurePosixPath(text).parts
    odd = not isinstance(name, str) or "\\" in text or "\0" in text or ":" in text
    if odd or text.startswith("/") or ".." in parts:
        raise CheckpointError(f"{folder}: a file names {text!r}, which leaves the model's folder.")
    return folder.joinpath(*parts)


def setting(path: Path, content: dict[str, Any], key: str, kind: type, default: Any = None) -> Any:
    """A value of a JSON object, checked for its kind; the default where it is missing or null."""
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise CheckpointError(f"{path}: {key} is {value!r:.80}; expected a {kind.__name__}.")
    return value


def read_json(path: Path, kind: type) -> Any:
    """The content of a JSON file, which must be an object (kind dict) or a list (kind list)."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, kind):
        expected = "an object" if kind is dict else "a list"
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected {expected}.")
    return content
