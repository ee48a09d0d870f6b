"""One process that serves: it loads its models, answers, and ends in order. Start at Server."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from email.utils import formatdate
from socket import socket
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from minibert.server.app import make_app
from minibert.server.connection import Connection
from minibert.server.core import Core
from minibert.server.listening import BACKLOG, begin_no_more, clients_of
from minibert.server.log import Log
from minibert.server.metrics import Metrics
from minibert.server.notes import noting
from minibert.server.opening import open_all
from minibert.server.served import ServedModels
from minibert.server.state import GRACE, State

if TYPE_CHECKING:
    from minibert.server.settings import Settings

__all__ = ["Server"]

KEEP_ALIVE = 75  # seconds between two requests; proxies reuse connections for up to a minute
ENDING = 0.5  # seconds of the time to end that are kept for telling clients of their lost requests
LATE = 0.1  # seconds in which connections that have begun are finished, before sockets are closed
POLL = 0.02  # seconds


class Server:
    """A process that answers requests, from its start to its end."""

    def __init__(
        self,
        settings: Settings,
        sockets: list[socket],
        log: Log,
        metrics: Metrics,
        on_ready: Callable[[ServedModels], object],
        *,
        answers_while_loading: bool = True,
    ) -> None:
        """Prepare a server on sockets that listen already; it calls `on_ready` with its models.

        Without `answers_while_loading` it leaves clients to other processes until it is ready.
        """
        self.settings = settings
        self.sockets = sockets
        self.log = log
        self.state = State(settings, metrics=metrics, log=noting(log, metrics))
        self._on_ready = on_ready
        self._answers_while_loading = answers_while_loading
        self._connections = ServerState()
        self._loop = asyncio.new_event_loop()
        self._closed = 0.0  # loop.time() when the sockets were closed
        self._stopping = asyncio.Event()
        self._connection: Callable[[], Connection] | None = None  # once it listens

    def run(self) -> None:
        """Serve until `stop` is called. Raises the errors of open_all."""
        with asyncio.Runner(loop_factory=lambda: self._loop) as runner:
            runner.run(self._run())

    def stop(self) -> None:
        """Begin to end; signals and any thread may call it."""
        with suppress(RuntimeError):  # it has ended already
            self._loop.call_soon_threadsafe(self._stopping.set)

    async def _run(self) -> None:
        listeners = await self._listen() if self._answers_while_loading else []
        telling = asyncio.ensure_future(self._tell_time())
        try:
            stopped = asyncio.ensure_future(self._stopping.wait())
            loaded = asyncio.wrap_future(in_thread(lambda: open_all(self.settings)))
            await asyncio.wait({loaded, stopped}, return_when=asyncio.FIRST_COMPLETED)
            if not self._stopping.is_set():
                opened = await loaded
                self.state.core = Core(self.settings, self.state.metrics)
                self.state.index, self.state.models = opened.index, opened.models
                listeners = listeners or await self._listen()
                self._on_ready(opened.models)
                await stopped
            await self._drain(listeners)
        finally:
            telling.cancel()
            for listener in listeners:
                listener.close()
            for connection in list(self._connections.connections):
                connection.transport.abort()
            if self.state.core is not None:
                self.state.core.stop()

    async def _listen(self) -> list[asyncio.Server]:
        """Answer connections of all sockets."""
        config = Config(
            make_app(self.state),
            http=Connection,
            ws="none",
            loop="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            log_level="critical",  # its messages could quote a request
            access_log=False,
            proxy_headers=False,
            server_header=False,
            timeout_keep_alive=KEEP_ALIVE,
        )
        config.load()

        def connection() -> Connection:
            return Connection(config, self._connections, self.settings.receive_timeout, self._loop)

        self._connection = connection
        # asyncio accepts as many connections at once as may wait; with other processes on the
        # socket each takes one at a time, so that none has them all.
        at_once = BACKLOG if self.settings.workers == 1 else 1
        listeners = []
        for one in self.sockets:
            listeners.append(await self._loop.create_server(connection, sock=one, backlog=at_once))
            one.listen(BACKLOG)
        return listeners

    async def _drain(self, listeners: list[asyncio.Server]) -> None:
        """Finish what clients have asked for, within the time for it."""
        loop = self._loop
        timeout = self.settings.shutdown_timeout
        deadline = loop.time() + max(timeout - ENDING, timeout / 2)
        self.state.stopping_since = time.monotonic()
        if self.settings.workers == 1:  # with several the first process has said it
            self.log.say_stopping()
        if not self.state.is_loading:
            await asyncio.sleep(min(GRACE, timeout / 2))
        await self._close(listeners, min(LATE, timeout / 10))
        while self._is_busy() and loop.time() < deadline:
            await asyncio.sleep(POLL)
        for task in list(self._connections.tasks):  # their clients are told
            task.cancel()
        for connection in list(self._connections.connections):
            connection.shutdown()  # closes it after what is still to be sent
        deadline += ENDING / 2
        while self._connections.connections and loop.time() < deadline:
            await asyncio.sleep(POLL)

    async def _close(self, listeners: list[asyncio.Server], late: float) -> None:
        """Take no more connections. Clients that have begun one get an answer, none is reset."""
        if self.settings.workers == 1:  # this process may be one of several that end alone
            for one in self.sockets:
                begin_no_more(one)
        await asyncio.sleep(late)
        clients = [client for one in self.sockets if listeners for client in clients_of(one)]
        for listener in listeners:
            listener.close()
        for one in self.sockets:
            one.close()
        for client in clients:
            assert self._connection is not None
            await self._loop.connect_accepted_socket(self._connection, client)
        self._closed = self._loop.time()

    def _is_busy(self) -> bool:
        """Return whether a request is in flight, or a new client has had no time to send one."""
        has_time = self._loop.time() - self._closed < GRACE
        silent = (
            has_time and isinstance(one, Connection) and one.cycle is None
            for one in self._connections.connections
        )
        return bool(self._connections.tasks) or any(silent)

    async def _tell_time(self) -> None:
        """Set the header `date` of all answers, every second, and the size of the queue."""
        while True:
            date = formatdate(usegmt=True).encode()
            self._connections.default_headers = [(b"date", date)]
            if self.state.core is not None:
                self.state.metrics.set_queue_size(self.state.core.queue.texts)
            await asyncio.sleep(1)


def in_thread(function: Callable[[], Any]) -> Future[Any]:
    """Call a function in a thread that does not keep the process from ending."""
    future: Future[Any] = Future()

    def call() -> None:
        with suppress(InvalidStateError):  # nobody waits for it any more
            try:
                result = function()
            except BaseException as error:  # raised again where the result is asked for
                future.set_exception(error)
            else:
                future.set_result(result)

    threading.Thread(target=call, name="minibert-loading", daemon=True).start()
    return future
