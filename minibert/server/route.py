"""Route: a row of the table of paths, with the function that answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from starlette.responses import Response

from minibert.server.call import Call
from minibert.server.dialect import Dialect

__all__ = ["Handler", "Route"]

Handler: TypeAlias = Callable[[Call], Awaitable[Response]]


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
