"""Write one HTML page that holds all it needs: data, styles and script. Start at page."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minibert.common.escapes import safe_json
from minibert.pictures.colours import page_colours
from minibert.pictures.svg import escaped

__all__ = ["START", "asset", "escaped_json", "page"]

# The browser refuses every request of the page, also one that a text would cause.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"

START = '<!doctype html>\n<html lang="en">\n'  # of every page


def asset(name: str) -> str:
    """Read a file beside this one: HTML, a style or a script."""
    return (Path(__file__).parent / name).read_text(encoding="utf-8")


def escaped_json(content: Any) -> str:  # any value of JSON
    """Return JSON for a <script>: no text in it can end that element or reverse the writing."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return safe_json(text).replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def page(
    title: str,
    body: str,
    data: Any,  # any value of JSON
    script: str,
    style: str = "",
) -> str:
    """Write a page: `body` is HTML, and the script finds `data` as JSON in the element #data.

    `script` and `style` are the names of assets; the colours and page.css come first in every page.
    This function escapes `title`; its caller has escaped the texts in `body`.
    """
    styles = page_colours() + asset("page.css") + (asset(style) if style else "")
    return (
        f'{START}<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>{escaped(title)}</title>\n<style>\n{styles}</style>\n</head>\n<body>\n"
        f"{body}\n"
        f'<script type="application/json" id="data">{escaped_json(data)}</script>\n'
        f"<script>\n{asset(script)}</script>\n</body>\n</html>\n"
    )
