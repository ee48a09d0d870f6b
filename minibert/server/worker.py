"""Worker: the one thread that computes, with all cores. It takes from the queue and gives results.

Start at Worker._work.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import defaultdict
from typing import TYPE_CHECKING, Any

import numpy as np

from minibert.common.arrays import IntArray
from minibert.server.metrics import Metrics
from minibert.server.queue import Part, Queue

if TYPE_CHECKING:
    from minibert.server.served import Served

__all__ = ["Rate", "Worker"]

REMEMBERED = 0.9  # part of what a rate knows that stays with each batch


class Rate:
    """Tokens that are computed in a second, by full batches up to now; the last count most."""

    def __init__(self) -> None:
        self._tokens = self._seconds = 0.0

    def note(self, tokens: int, seconds: float) -> None:
        """Take a batch into account."""
        self._tokens = REMEMBERED * self._tokens + tokens
        self._seconds = REMEMBERED * self._seconds + seconds

    def seconds_of(self, tokens: int) -> float:
        """Guess the time that tokens take; 0 before the first batch."""
        return tokens * self._seconds / self._tokens if self._tokens else 0.0


class Worker:
    """A thread that computes what is in a queue, and tells the loop."""

    def __init__(
        self, queue: Queue, loop: asyncio.AbstractEventLoop, metrics: Metrics | None = None
    ) -> None:
        self.queue = queue
        self.rate = Rate()  # of all models
        self.rates: defaultdict[Served, Rate] = defaultdict(Rate)  # of each
        self._loop = loop
        self._metrics = metrics
        self._thread = threading.Thread(target=self._work, name="minibert-worker", daemon=True)

    def start(self) -> None:
        """Begin to compute."""
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """True while it computes, or waits for work."""
        return self._thread.is_alive()

    def stop(self) -> None:
        """End after what is in the queue."""
        self.queue.close()

    def _work(self) -> None:
        """Compute parts of tickets until the queue is closed."""
        while parts := self.queue.take():
            began = time.perf_counter()
            outcomes = computed(parts)
            seconds = time.perf_counter() - began
            tokens = sum(len(row) for part in parts for row in rows_of(part))
            # Full batches alone tell how fast a queue is computed: small ones take longer for each
            # token, and functions have none.
            if 2 * tokens >= self.queue.batch_tokens:
                self.rate.note(tokens, seconds)
                group = parts[0].ticket.group
                assert group is not None
                self.rates[group.served].note(tokens, seconds)
            if self._metrics is not None:
                self._metrics.note_batch(sum(part.stop - part.start for part in parts), tokens)
            try:
                self._loop.call_soon_threadsafe(deliver, outcomes, seconds)
            except RuntimeError:  # the loop is closed: nobody waits any more
                return


def rows_of(part: Part) -> list[Any]:
    """Return the ids of a part."""
    return part.ticket.ids[part.start : part.stop]


def types_of(parts: list[Part]) -> list[IntArray] | None:
    """Return the token types of all rows; None where all are 0, as those of single texts are."""
    if all(part.ticket.types is None for part in parts):
        return None
    types: list[IntArray] = []
    for part in parts:
        given = part.ticket.types or [np.zeros_like(ids) for ids in part.ticket.ids]
        types += given[part.start : part.stop]
    return types


def computed(parts: list[Part]) -> list[tuple[Part, Any, Exception | None]]:
    """Compute parts of one group together: -> each with its results, or its error.

    After an error each is computed by itself, so that a text of one client harms no other's.
    """
    function = parts[0].ticket.function
    try:
        if function is not None:
            return [(parts[0], function(), None)]
        group = parts[0].ticket.group
        assert group is not None  # only functions have none
        ids = [row for part in parts for row in rows_of(part)]
        found = iter(group.compute(ids, types_of(parts)))
        return [(part, [next(found) for _ in rows_of(part)], None) for part in parts]
    except Exception as error:  # also a fault: its clients are told, and the thread goes on
        if len(parts) == 1:
            return [(parts[0], None, error)]
        return [outcome for part in parts for outcome in computed([part])]


def deliver(outcomes: list[tuple[Part, Any, Exception | None]], seconds: float) -> None:
    """Give results to their tickets, on the loop; tell those that have all."""
    for part, results, error in outcomes:
        ticket = part.ticket
        ticket.compute_s += seconds
        if error is not None or ticket.function is not None:
            ticket.done(results, error)
            continue
        ticket.results += results
        if len(ticket.results) == len(ticket.ids):
            ticket.done(ticket.results, None)
