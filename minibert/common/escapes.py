r"""Texts without characters that a terminal would obey: `visible` for people.

For programs, `safe_json` writes such characters as escapes of JSON, which keep the text the same.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["has_controls", "json_line", "safe_json", "visible", "visible_lines"]

# They join letters of Persian or the parts of an emoji, so they stay.
JOINERS = "\u200c\u200d"
# DEL and C1; ends of lines and paragraphs; characters that change the direction of writing.
OBEYED = "\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
CONTROL = re.compile(f"[\x00-\x1f{OBEYED}]")
# JSON escapes C0 by itself. Halves of characters are no UTF-8.
IN_JSON = re.compile(f"[{OBEYED}\ud800-\udfff]")


def visible(text: str) -> str:
    r"""Write a text in one line that no terminal obeys: line ends are blanks, ESC is \x1b.

    Characters that change the direction of writing are escaped, too: they can disguise a text.
    """
    return "".join(
        " " if sign.isspace() else sign if sign.isprintable() or sign in JOINERS
        else sign.encode("unicode_escape").decode()
        for sign in text
    )  # fmt: skip


def visible_lines(text: str) -> str:
    """Write a message of several lines so that no terminal obeys it; line feeds stay."""
    return "\n".join(map(visible, text.split("\n")))


def safe_json(text: str) -> str:
    r"""Escape characters of JSON that a terminal would obey, as U+009B to \u009b: the same text."""
    return IN_JSON.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def json_line(content: Any) -> str:
    """Write a text, or an object of texts and numbers, as one safe line of JSON."""
    return safe_json(json.dumps(content, ensure_ascii=False))


def has_controls(text: str) -> bool:
    """Return whether a text has characters that a terminal obeys, or that end a line."""
    return CONTROL.search(text) is not None
