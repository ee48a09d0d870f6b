"""One process that serves: it listens, loads its models, answers, and ends in order.

Start at serve.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, InvalidStateError
from contextlib import contextmanager, suppress
from email.utils import formatdate
from socket import socket
from typing import TYPE_CHECKING, Any

from uvicorn.config import Config
from uvicorn.server import ServerState

from minibert.server.app import make_app
from minibert.server.connection import Connection
from minibert.server.core import Core
from minibert.server.listening import BACKLOG, address_of, listening
from minibert.server.log import Log, Outcome
from minibert.server.metrics import Metrics
from minibert.server.served import Served, ServedModels, load_models
from minibert.server.state import GRACE, State

if TYPE_CHECKING:
    from minibert.server.call import Call
    from minibert.server.settings import Settings

__all__ = ["Server", "heeding", "serve"]

KEEP_ALIVE = 75  # seconds between two requests; proxies reuse connections for up to a minute
ENDING = 0.5  # seconds of the time to end that are kept for telling clients of their lost requests
POLL = 0.02  # seconds

ENDING_SIGNALS = [
    number
    for name in ("SIGTERM", "SIGINT", "SIGHUP", "SIGBREAK")
    if (number := getattr(signal, name, None)) is not None
]


def serve(settings: Settings) -> None:
    """Serve until a signal ends it: SIGTERM, SIGINT or SIGHUP.

    Raises ListenError if nothing can listen at the address, and the errors of loading a model.
    """
    log = Log(settings.log)
    if settings.log == "json":
        log.take_warnings(logging.getLogger().level)
    with listening(settings) as sockets:
        tell_addresses(sockets, log)
        Server(settings, sockets, log, Metrics()).run()


def tell_addresses(sockets: list[socket], log: Log) -> None:
    """Log where a server listens."""
    for one in sockets:
        address = address_of(one)
        log.say("listening", f"listening on {address}", address=address)


class Server:
    """A process that answers requests, from its start to its end."""

    def __init__(
        self, settings: Settings, sockets: list[socket], log: Log, metrics: Metrics
    ) -> None:
        """Prepare a server on sockets that listen already."""
        self.settings = settings
        self.sockets = sockets
        self.log = log
        self.state = State(settings, metrics=metrics, log=self._note)
        self._connections = ServerState()

    def run(self) -> None:
        """Serve until a signal; a second one ends the process at once.

        Raises the errors of loading a model.
        """
        asyncio.run(self._run())

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        stopping = asyncio.Event()
        with heeding(ENDING_SIGNALS, lambda: loop.call_soon_threadsafe(stopping.set)):
            listeners = await self._listen(loop)
            telling = asyncio.ensure_future(self._tell_time())
            try:
                stopped = asyncio.ensure_future(stopping.wait())
                loaded = asyncio.wrap_future(in_thread(lambda: load_models(self.settings)))
                await asyncio.wait({loaded, stopped}, return_when=asyncio.FIRST_COMPLETED)
                if not stopping.is_set():
                    self._begin(await loaded)
                    await stopping.wait()
                await self._drain()
            finally:
                telling.cancel()
                for listener in listeners:
                    listener.close()
                for connection in list(self._connections.connections):
                    connection.transport.abort()
                if self.state.core is not None:
                    self.state.core.stop()

    async def _listen(self, loop: asyncio.AbstractEventLoop) -> list[asyncio.Server]:
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
            return Connection(config, self._connections, self.settings.receive_timeout, loop)

        return [
            await loop.create_server(connection, sock=one, backlog=BACKLOG) for one in self.sockets
        ]

    def _begin(self, models: ServedModels) -> None:
        """Take requests, and log what is served."""
        self.state.core = Core(self.settings, self.state.metrics)
        self.state.models = models
        for served in models.all:
            kind, vectors = served.kind, vectors_of(served, self.settings)
            self.log.say(
                "serving",
                f"serving {served.name}: {kind}{f', {vectors}' if vectors else ''}",
                model=served.name,
                kind=kind,
                vectors=vectors,
            )
        self.log.say("ready", "ready")

    async def _drain(self) -> None:
        """Finish what clients have asked for, within the time for it."""
        loop = asyncio.get_running_loop()
        timeout = self.settings.shutdown_timeout
        deadline = loop.time() + max(timeout - ENDING, timeout / 2)
        self.state.stopping_since = time.monotonic()
        self.log.say("stopping", "stopping")
        if not self.state.is_loading:
            await asyncio.sleep(min(GRACE, timeout / 2))
        while self._connections.tasks and loop.time() < deadline:
            await asyncio.sleep(POLL)
        for task in list(self._connections.tasks):  # their clients are told
            task.cancel()
        for connection in list(self._connections.connections):
            connection.shutdown()  # closes it after what is still to be sent
        deadline += ENDING / 2
        while self._connections.connections and loop.time() < deadline:
            await asyncio.sleep(POLL)

    async def _tell_time(self) -> None:
        """Set the header `date` of all answers, every second, and the size of the queue."""
        while True:
            date = formatdate(usegmt=True).encode()
            self._connections.default_headers = [(b"date", date)]
            if self.state.core is not None:
                self.state.metrics.set_queue_size(self.state.core.queue.texts)
            await asyncio.sleep(1)

    def _note(self, call: Call, status: int, sent: int, seconds: float) -> None:
        """Log and count a request that has its answer."""
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
        self.log.request(outcome)
        self.state.metrics.note_request(outcome)


def vectors_of(served: Served, settings: Settings) -> str | None:
    """Describe the vectors of a model where a request does not ask for others; None without any."""
    if served.encoder is None:
        return None
    form = "unit" if served.normalizes(None, settings.normalize) else "raw"
    metric = served.encoder.similarity_fn_name
    return f"{form} vectors of {served.encoder.dimension} numbers, metric {metric}"


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


@contextmanager
def heeding(numbers: list[int], stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at the first of these signals; the second ends the process at once.

    Its exit code is then 128 plus the number of the signal. A signal that is ignored stays so.
    """
    came: list[int] = []

    def heed(number: int, _: object) -> None:
        came.append(number)
        if len(came) > 1:
            sys.exit(128 + number)
        stop()

    before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) != signal.SIG_IGN}
    for number in before:
        signal.signal(number, heed)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
