"""Several processes that serve on the same sockets. Start at Workers.

Each maps the same files of weights, so the system holds these once. One that dies is replaced.
"""

from __future__ import annotations

import logging
import math
import multiprocessing
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from socket import socket
from typing import TYPE_CHECKING, Any

import numpy as np

from minibert.server.listening import begin_no_more
from minibert.server.log import Log
from minibert.server.metrics import COLUMNS, Metrics
from minibert.server.notes import descriptions
from minibert.server.process import Server
from minibert.server.signals import ENDING_SIGNALS, heeding
from minibert.server.state import GRACE

if TYPE_CHECKING:
    from minibert.server.served import ServedModels
    from minibert.server.settings import Settings

__all__ = ["Workers"]

# Seconds until a process that died is replaced; they double each time that one dies soon again.
FIRST_DELAY, LONGEST_DELAY = 0.25, 30.0
LONG_LIFE = 60.0  # seconds after which a death is not the fault of the start
NEVER = math.inf


@dataclass
class Place:
    """A place for a process: the one that has it, or the time for the next one."""

    number: int
    process: BaseProcess | None = None
    told: Connection | None = None  # by the process: its models once it is ready, or its error
    was_ready: bool = False  # True once any process here has been ready
    started: float = 0.0
    delay: float = FIRST_DELAY
    start_at: float = 0.0  # for the next process


class Workers:
    """A server of several processes. This one only starts them, replaces them and ends them."""

    def __init__(self, settings: Settings, sockets: list[socket], log: Log) -> None:
        """Prepare processes that serve on sockets which listen already."""
        self.settings = settings
        self.sockets = sockets
        self.log = log
        self._context = multiprocessing.get_context("spawn")
        # Memory that all processes share; it counts on for a process that takes another's place.
        self._counts = self._context.RawArray("d", settings.workers * COLUMNS)
        # The first process tells whether the models can be loaded, and answers meanwhile that they
        # are not. The others start after it, and answer once they are ready.
        self._places = [Place(number, start_at=NEVER) for number in range(settings.workers)]
        self._places[0].start_at = 0.0
        self._is_stopping = False
        self._signals, self._signal = multiprocessing.Pipe(duplex=False)
        self._is_ready = False  # True once all places have been

    def run(self) -> None:
        """Serve until a signal; then let all processes end in order.

        Raises the error of a process that ends before any was ready.
        """
        with heeding(ENDING_SIGNALS, self._stop):
            try:
                while not self._is_stopping:
                    self._start_due()
                    self._wait()
                self._drain()
            finally:
                for process in self._living():
                    process.kill()
                    process.join()

    def _stop(self) -> None:
        self._is_stopping = True
        self._signal.send_bytes(b"stop")  # ends the wait

    def _living(self) -> list[BaseProcess]:
        return [place.process for place in self._places if place.process is not None]

    def _has_served(self) -> bool:
        """Return whether any process has ever been ready."""
        return any(place.was_ready for place in self._places)

    def _start_due(self) -> None:
        """Start a process in each place that waits for one, and whose time has come."""
        for place in self._places:
            if place.process is None and time.monotonic() >= place.start_at:
                self._start(place)

    def _start(self, place: Place) -> None:
        place.told, telling = self._context.Pipe(duplex=False)
        process = self._context.Process(
            target=work,
            args=(
                self.settings,
                self.sockets,
                logging.getLogger().level,
                self._counts,
                place.number,
                telling,
                not self._has_served(),
            ),
            name=f"minibert-{place.number}",
        )
        with ignored_by_children(signal.SIGINT, getattr(signal, "SIGHUP", signal.SIGINT)):
            process.start()
        telling.close()  # so that the end of the process ends the pipe
        place.process, place.started = process, time.monotonic()

    def _wait(self) -> None:
        """Wait until a process tells something or ends, a signal comes, or one is to be started."""
        waiting = [place.start_at for place in self._places if place.process is None]
        due = min(waiting, default=NEVER)
        timeout = None if due == NEVER else max(0.0, due - time.monotonic())
        telling = {place.told: place for place in self._places if place.told is not None}
        ended = {place.process.sentinel: place for place in self._places if place.process}
        came = wait([*telling, *ended, self._signals], timeout)
        for one in came:
            if one in telling:
                self._hear(telling[one])
        for one in came:
            if one in ended:
                self._note_end(ended[one])

    def _hear(self, place: Place) -> None:
        """Read what a process tells. Raises its error, if none has ever been ready."""
        assert place.told is not None
        try:
            told = place.told.recv()
        except (EOFError, OSError):  # it ends
            place.told.close()
            place.told = None
            return
        if isinstance(told, Exception):
            if not self._has_served():
                raise told
            self._say(place, f"cannot start: {told}")
            return
        place.was_ready = True
        for other in self._places:
            if other.start_at == NEVER:
                other.start_at = 0.0
        if self._is_ready:
            self._say(place, "is ready again")
        elif all(other.was_ready for other in self._places):
            self._is_ready = True
            self.log.say_ready(told, workers=len(self._places))

    def _note_end(self, place: Place) -> None:
        """Plan the next process of a place. Raises ChildProcessError if none was ever ready."""
        process, place.process = place.process, None
        assert process is not None
        process.join()
        if place.told is not None:
            self._hear(place)  # its error, which came just before its end
        code = process.exitcode
        if self._is_stopping:
            return
        if not self._has_served():
            raise ChildProcessError(
                f"Worker {place.number} ended with exit code {code} before it was ready; its own "
                "messages stand above."
            )
        now = time.monotonic()
        if now - place.started > LONG_LIFE:
            place.delay = FIRST_DELAY
        place.start_at = now + place.delay
        self._say(place, f"ended with exit code {code}; another starts in {place.delay:g} s")
        place.delay = min(2 * place.delay, LONGEST_DELAY)

    def _drain(self) -> None:
        """Let all processes finish what clients have asked for, within the time for it."""
        self.log.say_stopping()
        deadline = time.monotonic() + self.settings.shutdown_timeout
        for process in self._living():
            process.terminate()  # SIGTERM, where there are signals
        time.sleep(min(GRACE, self.settings.shutdown_timeout / 2))  # they take requests until then
        for one in self.sockets:  # the processes close theirs a moment later
            begin_no_more(one)
            one.close()
        for process in self._living():
            process.join(max(0.0, deadline - time.monotonic()))

    def _say(self, place: Place, message: str) -> None:
        self.log.say("worker", f"worker {place.number} {message}", worker=place.number)


@contextmanager
def ignored_by_children(*numbers: int) -> Iterator[None]:
    """Let processes that start in the block ignore some signals, from their first moment on.

    A terminal sends them to all processes, and the first one alone handles them.
    """
    before = {number: signal.getsignal(number) for number in numbers}
    for number in before:
        signal.signal(number, signal.SIG_IGN)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def work(
    settings: Settings,
    sockets: list[socket],
    level: int,
    counts: Any,
    number: int,
    told: Connection,
    is_first: bool,
) -> None:
    """Serve in a process of its own until SIGTERM, or until the first process has ended.

    One that is not the first of all answers when it is ready.
    """
    log = Log(settings.log)
    log.take_warnings(level)
    rows = np.frombuffer(counts, np.float64).reshape(settings.workers, COLUMNS)

    def on_ready(models: ServedModels) -> None:
        told.send(descriptions(models, settings))

    metrics = Metrics(rows, number)
    server = Server(settings, sockets, log, metrics, on_ready, answers_while_loading=is_first)
    # It may come more than once: from the first process, and from what ends all of a service.
    signal.signal(signal.SIGTERM, lambda *_: server.stop())
    threading.Thread(target=stop_with_parent, args=(server,), daemon=True).start()
    try:
        server.run()
    except Exception as error:  # raised again in the first process, which has its exit code
        told.send(error)
        sys.exit(1)  # without another message


def stop_with_parent(server: Server) -> None:
    """Stop a server as soon as the process that started this one has ended, for any reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        server.stop()
