"""Lines of a server on stderr: for its start, and for each request.

Never a text, a key, a path or a query as the client sent it: only names and numbers. Start at Log.
"""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from minibert.common.escapes import safe_json, visible

if TYPE_CHECKING:
    from minibert.server.facts import Facts
    from minibert.server.refusals import Kind

__all__ = ["LEFT", "Form", "Log", "Outcome"]

Form = Literal["text", "json"]

LEFT = 499  # in place of the status of an answer, for a client that has left
# A client may send any word as a method; others are not logged as they came.
METHODS = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}


@dataclass(frozen=True)
class Outcome:
    """A request that has its answer, or whose client has left."""

    id: str
    method: str
    route: str  # template of its path, as "/v1/models/{id}"
    status: int  # LEFT where nobody got one
    seconds: float  # from its headers to the end of the answer
    sent: int  # bytes of the answer's body
    facts: Facts
    problem: Kind | None = None  # the reason, if it failed

    @property
    def has_left(self) -> bool:
        """True for a client that did not wait for its answer."""
        return self.status == LEFT


class Log:
    """Lines on stderr, each with its time: words, or an object of JSON."""

    def __init__(self, form: Form) -> None:
        self._form = form

    def request(self, outcome: Outcome) -> None:
        """Write the line of a request."""
        facts = outcome.facts
        of_model: dict[str, Any] = {}
        if facts.model is not None:
            of_model = {
                "model": facts.model,
                "texts": facts.texts,
                "tokens": facts.tokens,
                "truncated": facts.truncated,
                "queue_ms": milliseconds(facts.queue_s),
                "compute_ms": milliseconds(facts.compute_s),
            }
        self._write(
            "request",
            {
                "method": outcome.method if outcome.method in METHODS else "OTHER",
                "route": outcome.route,
                "status": outcome.status,
                "problem": outcome.problem,
                **of_model,
                "total_ms": milliseconds(outcome.seconds),
                "bytes": outcome.sent,
                "id": outcome.id,
            },
        )

    def say(self, event: str, message: str, **facts: Any) -> None:
        """Write a message for people, and its facts, for programs, in JSON."""
        self._write(event, {"message": message, **facts})

    def say_ready(self, models: Iterable[dict[str, Any]], **facts: Any) -> None:
        """Write what is served, a line for each model, and that requests are taken."""
        for model in models:
            self.say("serving", **model)
        self.say("ready", "ready", **facts)

    def say_warnings(self, messages: Iterable[str]) -> None:
        """Write warnings, unless they are not wanted, as with --quiet."""
        if logging.getLogger().isEnabledFor(logging.WARNING):
            for message in messages:
                self.say("warning", message, level="warning")

    def say_stopping(self) -> None:
        """Write that a signal to end has come."""
        self.say("stopping", "stopping: requests are finished, and later ones refused")

    def take_warnings(self, level: int) -> None:
        """Write what Python's logging gets, from a level up, in the same form."""
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Warnings(self))
        logging.basicConfig(handlers=[handler], level=level, force=True)

    def line(self, event: str, facts: dict[str, Any]) -> str:
        """Return a line with its time, without what is None."""
        known = {key: value for key, value in facts.items() if value is not None}
        if self._form == "json":
            content = {"time": now(), "event": event, **known}
            return safe_json(json.dumps(content, ensure_ascii=False))
        if "message" in known:
            return visible(f"minibert: {known['message']}")
        line = f"{now()} " + " ".join([f"{key}={value}" for key, value in known.items()])
        return line if line.isprintable() else visible(line)

    def _write(self, event: str, facts: dict[str, Any]) -> None:
        # One call a line, so that lines of several processes do not mix. Nobody may read them.
        with suppress(OSError, ValueError):
            sys.stderr.write(self.line(event, facts) + "\n")
            sys.stderr.flush()


class Warnings(logging.Formatter):
    """Warnings of the package in the form of a Log."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._log = log

    def format(self, record: logging.LogRecord) -> str:
        facts = {"message": super().format(record), "level": record.levelname.lower()}
        return self._log.line("warning", facts)


def now() -> str:
    """Return the time in UTC, to the millisecond, as ISO 8601 writes it."""
    seconds = time.time()
    day = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{day}.{int(seconds % 1 * 1000):03d}Z"


def milliseconds(seconds: float) -> float:
    """Return milliseconds, to the microsecond."""
    return round(seconds * 1000, 3)
