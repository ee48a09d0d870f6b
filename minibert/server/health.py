"""Routes for operation: is the server alive, is it ready, and its metrics."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.responses import Response

from minibert.server.answers import json_answer
from minibert.server.dialect import Dialect
from minibert.server.metrics import CONTENT_TYPE
from minibert.server.refusals import RequestError
from minibert.server.route import Route

if TYPE_CHECKING:
    from minibert.server.call import Call

__all__ = ["DIALECT", "ROUTES"]


def body_of(problem: RequestError, status: int, id: str) -> object:
    """Return the error of these routes, as JSON has it."""
    return {"error": problem.message}


async def health(call: Call) -> Response:
    """Answer as long as the process works at all: while models load, and while it stops."""
    core = call.state.core
    if core is not None and not core.worker.is_alive:
        raise RequestError("fault", "The thread that computes has ended; start the server anew.")
    return json_answer(call, {"status": "ok"})


async def ready(call: Call) -> Response:
    """Answer once the models are loaded, until the signal to stop."""
    if call.state.is_stopping:
        raise RequestError("stopping", "The server is stopping.")
    if call.state.is_loading:
        raise RequestError("loading", "The models are being loaded.", retry_after=1)
    return json_answer(call, {"status": "ready"})


async def metrics(call: Call) -> Response:
    """Answer with all counters, as Prometheus reads them."""
    state = call.state
    if state.core is not None:
        state.metrics.set_queue_size(state.core.queue.texts)
    text = state.metrics.text() + BUILD_INFO.format(state.settings.version)
    return Response(text, 200, call.headers, CONTENT_TYPE)


DIALECT = Dialect("operation", body_of)
BUILD_INFO = """\
# HELP minibert_build_info Version of minibert.
# TYPE minibert_build_info gauge
minibert_build_info{{version="{}"}} 1
"""
ROUTES = tuple(
    Route("GET", path, handler, DIALECT, summary, is_open=True, is_ready_needed=False)
    for path, handler, summary in (
        ("/health", health, "Tell that the server is alive."),
        ("/ping", health, "Tell that the server is alive, as /health does."),
        ("/ready", ready, "Tell that the server takes requests."),
        ("/metrics", metrics, "Count requests, texts and times, for Prometheus."),
    )
)
