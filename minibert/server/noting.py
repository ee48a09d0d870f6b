"""Noting of requests that have their answers: in the log, and in the metrics."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from minibert.server.log import Log, Outcome
from minibert.server.metrics import Metrics

if TYPE_CHECKING:
    from minibert.server.call import Call

__all__ = ["noting"]


def noting(log: Log, metrics: Metrics) -> Callable[[Call, int, int, float], None]:
    """Return a function that logs and counts a request.

    It takes the call, the status, the bytes of the answer's body, and the seconds in all.
    """

    def note(call: Call, status: int, sent: int, seconds: float) -> None:
        outcome = Outcome(
            call.id,
            call.request.method,
            call.path,
            status,
            seconds,
            sent,
            call.facts,
            call.problem,
        )
        log.request(outcome)
        metrics.note_request(outcome)

    return note
