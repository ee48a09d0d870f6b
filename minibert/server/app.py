"""App: routes of all dialects, and what every request goes through. Start at make_app."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
import uuid
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route as Path
from starlette.routing import Router

from minibert.server import documentation, health, ollama, openai, own, page, rerank, tei
from minibert.server.answers import json_bytes
from minibert.server.call import Call
from minibert.server.dialect import Dialect
from minibert.server.log import LEFT
from minibert.server.reading import read_body
from minibert.server.refusals import RequestError
from minibert.server.route import Route

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from minibert.server.state import State

__all__ = ["ROUTES", "make_app"]

logger = logging.getLogger(__name__)

# A row for each dialect: the beginning of its paths, and its errors for paths that are not there.
ROUTES: tuple[Route, ...] = (
    *health.ROUTES,
    *openai.ROUTES,
    *tei.ROUTES,
    *ollama.ROUTES,
    *rerank.ROUTES,
    *own.ROUTES,
    *page.ROUTES,
    *documentation.ROUTES,
)
SHAPES: tuple[tuple[str, Dialect], ...] = (
    ("/api/", ollama.DIALECT),
    ("/v2/", rerank.DIALECT),
    ("/v1/rerank", rerank.DIALECT),
    ("/v1/v", rerank.DIALECT),
    ("/v1/", openai.DIALECT),
    ("", tei.DIALECT),
)

LONGEST_ID = 128  # characters of a request's id


def make_app(state: State, routes: Sequence[Route] = ROUTES) -> ASGIApp:
    """Return the ASGI application of a server."""
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    paths = [Path(path, Endpoint(state, methods)) for path, methods in by_path.items()]
    app: ASGIApp = Router(paths, redirect_slashes=False, default=Endpoint(state, {}))
    if state.settings.cors:
        from starlette.middleware.cors import CORSMiddleware

        app = CORSMiddleware(
            app,
            allow_origins=list(state.settings.cors),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["x-request-id", "x-minibert-truncated", "retry-after"],
        )
    return app


class Endpoint:
    """The handlers of one path, by method; none for a path that is not there."""

    def __init__(self, state: State, methods: dict[str, Route]) -> None:
        self._state = state
        self._methods = methods

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "websocket":
            await send({"type": "websocket.close"})
            return
        request = Request(scope, receive)
        route = self._route_of(request)
        call = Call(request, id_of(request), route.path, self._state, route.dialect)
        sent = Sent(send)
        try:
            response = await answered(call, route)
            if response is not None:
                finish(call, response)
                await sent_whole(call, response, sent)
        finally:
            self._state.body_bytes -= call.body_bytes
            if self._state.log is not None:
                self._state.log(call, sent.status, sent.bytes, time.perf_counter() - call.began)

    def _route_of(self, request: Request) -> Route:
        """Return the route of the request's method, else one that tells what is wrong."""
        method = "GET" if request.method == "HEAD" else request.method
        if method in self._methods:
            return self._methods[method]
        if self._methods:
            known = next(iter(self._methods.values()))
            allowed = ", ".join(self._methods).replace("GET", "GET, HEAD")

            async def wrong_method(call: Call) -> Response:
                call.headers["allow"] = allowed
                raise RequestError("method", f"The method is {method[:20]}; expected {allowed}.")

            return Route("GET", known.path, wrong_method, known.dialect, "")
        path = request.scope["path"].removeprefix(request.scope.get("root_path", ""))
        dialect = next(one for start, one in SHAPES if path.startswith(start))
        return Route("GET", "unknown", unknown_path, dialect, "")


async def unknown_path(call: Call) -> Response:
    """Raise the problem of a path that is not there."""
    path = call.request.url.path
    hint = ""
    if path.startswith("/v1/v"):
        hint = " Does the client's base URL end in /v1? Leave that out."
    elif path.startswith("/v2/"):
        hint = " Of Cohere's routes it has /v2/rerank alone; vectors come from /v1/embeddings."
    raise RequestError("unknown_path", f"There is no {path[:80]!r} here; see /docs.{hint}")


class Sent:
    """Sending of a response, counted for the log."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = LEFT
        self.bytes = 0

    async def __call__(self, message: Any) -> None:
        """Pass a message on."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
        self.bytes += len(message.get("body", b""))
        await self._send(message)


async def answered(call: Call, route: Route) -> Response | None:
    """Return the answer to a request, also to one with a problem; None if its client has left."""
    try:
        check_key(call, route)
        check_ready(call, route)
        if call.request.method == "POST" and route.method == "POST":
            call.body = await read_body(call)
        return await watched(call, route)
    except RequestError as problem:
        return refusal(call, problem)
    except ClientDisconnect:  # before its whole body had come
        return None
    except asyncio.CancelledError:  # the time to finish requests is over
        return refusal(call, RequestError("stopping", "The server has stopped.", retry_after=1))
    except Exception as error:
        log_fault(call, error)
        return refusal(
            call,
            RequestError("fault", f"A fault of the server; its log tells more under {call.id}."),
        )


async def sent_whole(call: Call, response: Response, send: Sent) -> None:
    """Send an answer. After a fault its end is missing, by which the client knows."""
    try:
        await response(call.request.scope, call.request.receive, send)
    except ClientDisconnect:
        pass
    except Exception as error:  # the server around this application would log its message
        log_fault(call, error)
        call.problem = "fault"


def log_fault(call: Call, error: Exception) -> None:
    """Log a fault: its places alone, as its message or its cause's may quote a text."""
    logger.error("request %s: %s", call.id, places_of(error))


async def watched(call: Call, route: Route) -> Response | None:
    """Run the handler; give up if its client leaves, or when its time is over."""
    handling = asyncio.ensure_future(route.handler(call))
    leaving = asyncio.ensure_future(left(call.request))
    try:
        await asyncio.wait(
            {handling, leaving},
            timeout=call.settings.request_timeout,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if handling.done():
            return handling.result()
        if leaving.done():
            return None
        raise RequestError(
            "timeout",
            f"The request took longer than {call.settings.request_timeout:g} seconds. Send fewer "
            "texts at a time, or start the server with a longer --request-timeout.",
            retry_after=1,
        )
    finally:
        leaving.cancel()
        handling.cancel()


async def left(request: Request) -> None:
    """Wait until the client of a request leaves."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


def check_key(call: Call, route: Route) -> None:
    """Raise RequestError for a missing or wrong key; all keys are compared, in constant time."""
    keys = call.settings.api_keys
    if not keys or route.is_open:
        return
    scheme, _, given = call.request.headers.get("authorization", "").partition(" ")
    sent = given.strip().encode("latin-1")  # the bytes of the header
    found = [hmac.compare_digest(sent, key.encode()) for key in keys]
    if scheme.lower() != "bearer" or not any(found):
        call.headers["www-authenticate"] = "Bearer"
        raise RequestError(
            "key", "The API key is missing or wrong; expected Authorization: Bearer KEY."
        )


def check_ready(call: Call, route: Route) -> None:
    """Raise RequestError while models load, and for requests that come after the signal to stop."""
    state = call.state
    if not route.is_ready_needed:
        return
    if state.is_loading:
        raise RequestError("loading", "The models are being loaded.", retry_after=1)
    if state.is_refusing:
        raise RequestError("stopping", "The server is stopping.", retry_after=1)


def refusal(call: Call, problem: RequestError) -> Response:
    """Return the answer that tells a problem, in the shape of the call's dialect."""
    status = call.dialect.status_of(problem)
    if problem.retry_after is not None:
        call.headers["retry-after"] = f"{max(1, round(problem.retry_after))}"
    if problem.kind == "too_large":
        call.headers["connection"] = "close"  # the rest of the body is not read
    call.problem = problem.kind
    body = json_bytes(call.dialect.body_of(problem, status, call.id))
    return Response(body, status, call.headers, "application/json")


def finish(call: Call, response: Response) -> None:
    """Add the headers of every answer."""
    response.headers["x-request-id"] = call.id
    if call.state.is_stopping:
        response.headers["connection"] = "close"  # the next request goes to another server
    if call.facts.truncated:
        response.headers["x-minibert-truncated"] = str(call.facts.truncated)


def id_of(request: Request) -> str:
    """Return the id that the client gave, if it is visible ASCII, else a new one."""
    given = request.headers.get("x-request-id", "")
    if 0 < len(given) <= LONGEST_ID and all("!" <= letter <= "~" for letter in given):
        return given
    return uuid.uuid4().hex


def places_of(error: BaseException) -> str:
    """Name an error's class and the lines of code that it went through, without its message."""
    import traceback

    lines = traceback.extract_tb(error.__traceback__)
    places = " < ".join(f"{line.name}:{line.lineno}" for line in reversed(lines))
    return f"{type(error).__name__} in {places}"
