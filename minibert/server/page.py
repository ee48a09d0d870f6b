"""Page for browsers at /, and a text for other clients. Start at shown.

All that the page needs is in it. Its policy lets it ask this server, and no other host.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from starlette.responses import Response

from minibert.pictures.page import asset, hash_of, page
from minibert.server.answers import accepts_html, html_answer
from minibert.server.openai import DIALECT
from minibert.server.route import Route

if TYPE_CHECKING:
    from minibert.server.call import Call

__all__ = ["ROUTES"]

BODY, SCRIPT, STYLE = (Path(__file__).with_suffix(kind) for kind in (".html", ".js", ".css"))


async def root(call: Call) -> Response:
    """Answer GET /: a page for browsers, a text for others."""
    if accepts_html(call):
        return html_answer(call, shown(bool(call.settings.api_keys)), policy())
    return Response("minibert is running", 200, {**call.headers, "vary": "accept"}, "text/plain")


@lru_cache(maxsize=2)
def shown(needs_key: bool) -> str:
    """Write the page; with `needs_key` it asks for one first."""
    return page("minibert", asset(BODY), {"needsKey": needs_key}, SCRIPT, STYLE, policy())


@lru_cache(maxsize=1)
def policy() -> str:
    """Return the Content-Security-Policy of the page.

    An explanation is shown in a frame, which takes over this policy: so its script is allowed, too.
    """
    return (
        "default-src 'none'; connect-src 'self'; img-src data:; style-src 'unsafe-inline'; "
        f"script-src {hash_of(SCRIPT)} {hash_of('explanation.js')}; base-uri 'none'; "
        "form-action 'none'"
    )


ROUTES = (Route("GET", "/", root, DIALECT, "A page for browsers, a text for others.", True, False),)
