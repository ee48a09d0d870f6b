"""Dialect: the shape and the status that one kind of server gives to errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from minibert.server.refusals import STATUSES, Kind, RequestError

__all__ = ["Dialect"]


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
