r"""Texts of others in print, so that a terminal shows them and obeys none: `visible` for people.

For programs, `safe_json` writes the same characters as JSON's escapes, which say exactly the same.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["has_controls", "json_line", "safe_json", "visible", "visible_lines"]

# What joins letters of Persian or the parts of an emoji, and so belongs to a text.
JOINERS = "\u200c\u200d"
# DEL and C1; ends of lines and paragraphs; what turns the direction of writing.
OBEYED = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
CONTROL = re.compile(f"[\x00-\x1f{OBEYED}]")
# JSON escapes C0 by itself. Halves of characters are no UTF-8.
IN_JSON = re.compile(f"[{OBEYED}\ud800-\udfff]")


def visible(text: str) -> str:
    r"""A text in one line that no terminal obeys: line ends are blanks, ESC is \x1b.

    So are characters that turn the direction of writing, by which a text can show another.
    """
    return "".join(
        " " if sign.isspace() else sign if sign.isprintable() or sign in JOINERS
        else sign.encode("unicode_escape").decode()
        for sign in text
    )  # fmt: skip


def visible_lines(text: str) -> str:
    """The same for a message of several lines, whose line feeds stay."""
    return "\n".join(map(visible, text.split("\n")))


def safe_json(text: str) -> str:
    r"""JSON with escapes for what a terminal would obey: U+009B as \u009b, which reads the same."""
    return IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def json_line(content: Any) -> str:
    """A text, or an object of texts and numbers, as JSON in one line that no terminal obeys."""
    return safe_json(json.dumps(content, ensure_ascii=False))


def has_controls(text: str) -> bool:
    """Whether a terminal would obey some of a text, or a reader of lines be led astray."""
    return CONTROL.search(text) is not None
