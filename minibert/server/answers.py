"""Results -> responses in JSON; large ones are written row by row, off the loop.

orjson writes them where it is installed. Without it, floats are written with nine digits, which are
exact for float32.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.responses import Response, StreamingResponse

from minibert.common.arrays import Array

if TYPE_CHECKING:
    from minibert.server.call import Call

try:
    import orjson
except ImportError:  # it is no part of the extra
    orjson = None  # type: ignore[assignment]

__all__ = [
    "accepts_html",
    "as_base64",
    "as_floats",
    "html_answer",
    "json_answer",
    "json_bytes",
    "rows_answer",
]

LARGE = 65_536  # numbers of an answer from which it is written in a thread
PART = 262_144  # bytes, about, that are written at a time


def json_bytes(content: object) -> bytes:
    """Write JSON, in UTF-8."""
    if orjson is not None:
        return orjson.dumps(content)
    return json.dumps(content, ensure_ascii=False, separators=(",", ":")).encode()


def json_answer(call: Call, content: object, status: int = 200) -> Response:
    """Answer with JSON."""
    return Response(json_bytes(content), status, call.headers, "application/json")


def accepts_html(call: Call) -> bool:
    """Return whether a client asks for HTML, as browsers do."""
    return "text/html" in call.request.headers.get("accept", "").lower()


def html_answer(call: Call, content: str | bytes, policy: str) -> Response:
    """Answer with a page that may do what its Content-Security-Policy allows, and be in no other.

    Its answer depends on the header Accept.
    """
    headers = {
        **call.headers,
        "content-security-policy": f"{policy}; frame-ancestors 'none'",
        "referrer-policy": "no-referrer",
        "vary": "accept",
        "x-content-type-options": "nosniff",
    }
    return Response(content, 200, headers, "text/html; charset=utf-8")


def as_floats(row: Array) -> bytes:
    """Write the numbers of a row, (D,) float32, as a JSON list."""
    if orjson is not None:
        return orjson.dumps(np.ascontiguousarray(row), option=orjson.OPT_SERIALIZE_NUMPY)
    # "%.9g" is shorter and faster, but writes -0.0 as -0: a whole number, which has no sign.
    form = "%.9g" if row.all() else "%.8e"
    return b"[" + ",".join([form] * len(row)).encode() % tuple(row.tolist()) + b"]"


def as_base64(row: Array) -> bytes:
    """Write a row, (D,) float32, as a JSON text: base64 of its little-endian bytes."""
    return b'"' + base64.b64encode(row.astype("<f4").tobytes()) + b'"'


def rows_answer(
    call: Call,
    facts: Mapping[str, Any],
    key: str | None,
    rows: Iterable[Any],
    written: Callable[[int, Any], bytes],
    numbers: int,
) -> Response:
    """Answer with a list of rows: {**facts, key: [...]}, or the list alone if `key` is None.

    `written` writes a row, given its number, as JSON. `numbers` is the count of all numbers; many
    are written in a thread, and sent part by part.
    """
    parts = in_parts(opening(facts, key), rows, written, b"]" if key is None else b"]}")
    if numbers < LARGE:
        return Response(b"".join(parts), 200, call.headers, "application/json")
    return StreamingResponse(parts, 200, call.headers, "application/json")


def opening(facts: Mapping[str, Any], key: str | None) -> bytes:
    """Write all that stands before the rows."""
    if key is None:
        return b"["
    before = json_bytes(dict(facts))[:-1] + (b"," if facts else b"")
    return before + json_bytes(key) + b":["


def in_parts(
    before: bytes, rows: Iterable[Any], written: Callable[[int, Any], bytes], after: bytes
) -> Iterator[bytes]:
    """Write rows with commas between them, a part of about PART bytes at a time."""
    part = bytearray(before)
    for number, row in enumerate(rows):
        if number:
            part += b","
        part += written(number, row)
        if len(part) >= PART:
            yield bytes(part)
            part.clear()
    yield bytes(part + after)
