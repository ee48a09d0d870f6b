"""Rows of the route table: a path, its handler, and the dialect that gives errors their shape."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from minibert.server.refusals import STATUSES, Kind, RequestError

if TYPE_CHECKING:
    from starlette.responses import Response

    from minibert.server.call import Call

__all__ = ["Dialect", "Handler", "Route"]

Handler: TypeAlias = "Callable[[Call], Awaitable[Response]]"


@dataclass(frozen=True)
class Dialect:
    """The errors of one kind of server, as its clients read them."""

    name: str
    # A problem, its status and the request's id -> JSON of the error.
    body_of: Callable[[RequestError, int, str], object]
    statuses: Mapping[Kind, int] = field(default_factory=dict)  # where they are not STATUSES
    any_content_type: bool = False  # True where a body need not be called JSON

    def status_of(self, problem: RequestError) -> int:
        """Return the status of a problem."""
        return self.statuses.get(problem.kind, STATUSES[problem.kind])


@dataclass(frozen=True)
class Route:
    """A method and a path, and the function that answers."""

    method: Literal["GET", "POST"]  # GET answers HEAD, too
    path: str  # a template, as "/v1/models/{id}"
    handler: Handler
    dialect: Dialect
    summary: str  # for the documentation
    is_open: bool = False  # True where no key is asked for
    is_ready_needed: bool = True  # False where it answers while models load, and while it stops
