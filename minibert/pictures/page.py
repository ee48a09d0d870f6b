"""Write one HTML page that holds all it needs: data, styles and script. Start at page."""

from __future__ import annotations

import base64
import hashlib
import json
from pathlib import Path
from typing import Any

from minibert.common.escapes import safe_json
from minibert.pictures.colours import page_colours
from minibert.pictures.svg import escaped

__all__ = ["POLICY", "START", "asset", "escaped_json", "hash_of", "page"]

# The browser refuses every request of the page, also one that a text would cause.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

START = '<!doctype html>\n<html lang="en">\n'  # of every page


def asset(name: str | Path) -> str:
    """Read a file beside this one, or one with a path of its own: HTML, a style or a script."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def hash_of(script: str | Path) -> str:
    """Return the source of a policy that allows a script of `page`, and no other one."""
    digest = hashlib.sha256(f"\n{asset(script)}".encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def escaped_json(content: Any) -> str:  # any value of JSON
    """Return JSON for a <script>: no text in it can end that element or reverse the writing."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return safe_json(text).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def page(
    title: str,
    body: str,
    data: Any,  # any value of JSON
    script: str | Path | None,
    style: str | Path = "",
    policy: str = POLICY,
) -> str:
    """Write a page: `body` is HTML, and the script finds `data` as JSON in the element #data.

    `script` and `style` are assets; the colours and page.css come first in every page. A page may
    be without a script. `policy` is its Content-Security-Policy. This function escapes `title`; its
    caller has escaped the texts in `body`.
    """
    styles = page_colours() + asset("page.css") + (asset(style) if style else "")
    program = (
        ""
        if script is None
        else (
            f'<script type="application/json" id="data">{escaped_json(data)}</script>\n'
            f"<script>\n{asset(script)}</script>\n"
        )
    )
    return (
        f'{START}<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{styles}</style>\n</head>\n<body>\n"
        f"{body}\n{program}</body>\n</html>\n"
    )
