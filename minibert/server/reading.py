"""Body of a request -> a JSON object, within its limits. Start at read_body."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any, NoReturn

from minibert.server.refusals import RequestError

if TYPE_CHECKING:
    from starlette.requests import Request

    from minibert.server.call import Call
    from minibert.server.dialect import Dialect

__all__ = ["read_body"]


async def read_body(call: Call) -> dict[str, Any]:
    """Read the body of a request as a JSON object. Its bytes count until the request is answered.

    Raises RequestError for a body that is too large, compressed, not called JSON, or no object, and
    where the bodies of all requests leave no room for it.
    """
    max_body = call.settings.max_body
    check_headers(call.request, call.dialect, max_body)
    read = bytearray()
    async for chunk in call.request.stream():
        call.body_bytes += len(chunk)
        call.state.body_bytes += len(chunk)
        read += chunk
        if len(read) > max_body:
            raise too_large(max_body)
        if call.state.body_bytes > call.settings.bodies_bytes:
            raise RequestError(
                "overloaded",
                f"The bodies of all requests have more than {call.settings.bodies_bytes} bytes, "
                "which is the limit (eight times --max-body of the server). Try again in 1 s.",
                retry_after=1,
            )
    return parsed(bytes(read))


def check_headers(request: Request, dialect: Dialect, max_body: int) -> None:
    """Raise RequestError for a body that its headers already tell not to read."""
    length = request.headers.get("content-length", "0")
    if length.isdecimal() and int(length[:20]) > max_body:  # thousands of digits are no int
        raise too_large(max_body)
    coding = request.headers.get("content-encoding", "identity").lower()
    if coding != "identity":
        raise RequestError(
            "media_type", f"The body is compressed ({coding[:40]!r}); send it uncompressed."
        )
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    is_json = kind == "application/json" or kind.endswith("+json")
    if not is_json and not dialect.any_content_type:
        raise RequestError(
            "media_type", f"The content type is {kind[:80]!r}; expected application/json."
        )


def parsed(body: bytes) -> dict[str, Any]:
    """Parse a JSON object. Raises RequestError for all else, and for a key that stands twice."""
    if not body or body.isspace():
        raise RequestError("body_missing", "The body is missing; expected a JSON object.")
    try:
        content = json.loads(
            body.decode("utf-8"), parse_constant=no_number, object_pairs_hook=without_doubles
        )
    except RecursionError:
        raise RequestError("bad_json", "The body's JSON is nested too deeply.") from None
    except UnicodeDecodeError as error:
        raise RequestError(
            "bad_json", f"The body is no UTF-8: byte {error.start} is of no character."
        ) from None
    except json.JSONDecodeError as error:
        raise RequestError("bad_json", f"The body is no JSON: {error}.") from None
    except ValueError:  # Python reads no whole number of more digits
        digits = sys.get_int_max_str_digits()
        raise RequestError(
            "bad_json", f"The body's JSON has a whole number of more than {digits} digits."
        ) from None
    if not isinstance(content, dict):
        raise RequestError("validation", "The body is no JSON object; expected keys and values.")
    return content


def without_doubles(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Make a dict; raise RequestError for a key that stands twice, as one value would be lost."""
    found = dict(pairs)
    if len(found) < len(pairs):
        seen = set[str]()
        for key, _ in pairs:
            if key in seen:
                raise RequestError("bad_json", f"The key {key[:80]!r} stands twice in the body.")
            seen.add(key)
    return found


def no_number(name: str) -> NoReturn:
    """Raise RequestError for NaN and infinity, which JSON does not have."""
    raise RequestError("bad_json", f"The body is no JSON: {name} is no number of it.")


def too_large(max_body: int) -> RequestError:
    """Make the problem of a body above the limit."""
    return RequestError(
        "too_large",
        f"The body has more than {max_body} bytes, which is the limit (--max-body of the server). "
        "Send fewer texts at a time.",
    )
