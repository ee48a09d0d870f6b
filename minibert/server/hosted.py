"""Hosted: a server as one ASGI application, for hosts that listen and stop by themselves.

Such hosts are uvicorn's own command, gunicorn, and functions as a service. Some of those never tell
the application that it starts, and some run each request in a loop of its own. Start at Hosted.
"""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

from minibert.server.app import make_app
from minibert.server.core import Core
from minibert.server.log import Log
from minibert.server.metrics import Metrics
from minibert.server.notes import descriptions, noting
from minibert.server.opening import Opened, open_all
from minibert.server.served import ServedModels
from minibert.server.settings import Settings
from minibert.server.state import State

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

__all__ = ["Hosted"]


class Hosted:
    """An ASGI application that loads its models when it starts, else at its first request."""

    def __init__(self, settings: Settings) -> None:
        """Prepare a server; nothing is loaded."""
        self._settings = settings
        self._log, self._metrics = Log(settings.log), Metrics()
        self._opened: Opened | None = None
        self._lock = threading.Lock()
        # A core belongs to a loop, and so does the application that uses it.
        self._parts: dict[asyncio.AbstractEventLoop, tuple[State, ASGIApp]] = {}

    @property
    def models(self) -> ServedModels | None:
        """The models that are served; None before they are loaded."""
        return None if self._opened is None else self._opened.models

    def load(self) -> None:
        """Load the models and the corpus, if they are not there, as a function may while it starts.

        Raises the errors of open_all.
        """
        with self._lock:
            if self._opened is None:
                self._log.say_warnings(self._settings.warnings)
                self._opened = open_all(self._settings)
                self._log.say_ready(descriptions(self._opened.models, self._settings))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, or follow the host's lifespan.

        The first request loads the models, where nothing did. Raises the errors of `load` then.
        """
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        _, app = self._part()
        await app(scope, receive, send)

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        """Load at the start, and end the threads at the end; the models stay for another start."""
        await receive()  # the start
        try:
            self._part()
        except Exception as error:  # the host tells it, and does not start
            message = f"{type(error).__name__}: {error}"
            await send({"type": "lifespan.startup.failed", "message": message})
            return
        await send({"type": "lifespan.startup.complete"})
        await receive()  # the end, after the last answer
        self._end(asyncio.get_running_loop())
        await send({"type": "lifespan.shutdown.complete"})

    def _part(self) -> tuple[State, ASGIApp]:
        """Return the state and the application of this loop; make them where they are not there.

        All wait for that, since no request could be answered before.
        """
        loop = asyncio.get_running_loop()
        found = self._parts.get(loop)
        if found is not None:
            return found
        self.load()
        with self._lock:
            for other in [other for other in self._parts if other.is_closed()]:
                self._end(other)
            assert self._opened is not None
            state = State(
                self._settings,
                self._opened.models,
                Core(self._settings, self._metrics),
                self._metrics,
                self._opened.index,
                log=noting(self._log, self._metrics),
            )
            self._parts[loop] = state, make_app(state)
            return self._parts[loop]

    def _end(self, loop: asyncio.AbstractEventLoop) -> None:
        """End the threads of a loop."""
        state, _ = self._parts.pop(loop)
        assert state.core is not None
        state.core.stop()
