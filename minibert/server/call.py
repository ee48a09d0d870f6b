"""Call: one request on its way to an answer, with what the log and the metrics tell of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from minibert.server.dialect import Dialect
from minibert.server.facts import Facts
from minibert.server.refusals import Kind
from minibert.server.state import State

if TYPE_CHECKING:
    from starlette.requests import Request

    from minibert.server.core import Core
    from minibert.server.served import ServedModels
    from minibert.server.settings import Settings

__all__ = ["Call"]


@dataclass
class Call:
    """A request, its body, and the server's parts that a handler uses."""

    request: Request
    id: str  # of the request
    path: str  # template of the route, as "/v1/models/{id}"; "unknown" for others
    state: State
    dialect: Dialect  # that gives errors their shape; a handler may set another
    body: dict[str, Any] = field(default_factory=dict)
    body_bytes: int = 0  # that have come
    facts: Facts = field(default_factory=Facts)
    headers: dict[str, str] = field(default_factory=dict)  # of the answer
    problem: Kind | None = None  # that the answer tells
    began: float = field(default_factory=time.perf_counter)

    @property
    def settings(self) -> Settings:
        """The server's options."""
        return self.state.settings

    @property
    def core(self) -> Core:
        """The queue and its worker."""
        assert self.state.core is not None  # a route that needs it is answered 503 before
        return self.state.core

    @property
    def models(self) -> ServedModels:
        """The models that are served."""
        assert self.state.models is not None
        return self.state.models
