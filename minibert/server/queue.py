"""Queue: tokenised texts that wait for the worker, first come, first served, with a budget.

The loop adds and drops; the worker takes. Texts of one request may be taken in several parts.
Start at Queue.take.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from minibert.common.arrays import Array, IntArray
from minibert.server.computing import Group

__all__ = ["Part", "Queue", "Ticket"]


@dataclass(eq=False)
class Ticket:
    """Rows of one request that wait, or a function that the worker calls in their place."""

    group: Group | None
    ids: list[IntArray]
    types: list[IntArray] | None
    tokens: int
    done: Callable[[Any, Exception | None], None]  # called on the loop, with results or an error
    function: Callable[[], Any] | None = None  # instead of rows
    results: list[Array] = field(default_factory=list)  # of the rows up to now, in their order
    taken: int = 0  # rows that the worker has taken
    is_waiting: bool = False  # for the worker to take rows
    number: int = 0  # the order of arrival
    added: float = 0.0  # time.perf_counter()
    began: float = 0.0  # the worker took its first row
    compute_s: float = 0.0


@dataclass(frozen=True)
class Part:
    """Rows of one ticket that are computed together with others of their group."""

    ticket: Ticket
    start: int
    stop: int


class Queue:
    """Tickets by their groups. The oldest ticket says which group is next, so that none starves."""

    def __init__(self, batch_tokens: int) -> None:
        self.batch_tokens = batch_tokens
        self.tokens = 0  # that wait
        self.texts = 0  # that wait
        self._groups: dict[Group | None, deque[Ticket]] = {}
        self._numbers = count()
        self._changed = threading.Condition()
        self._is_closed = False

    def add(self, ticket: Ticket) -> None:
        """Put a ticket at the end."""
        with self._changed:
            ticket.number, ticket.added = next(self._numbers), time.perf_counter()
            ticket.is_waiting = True
            self._groups.setdefault(ticket.group, deque()).append(ticket)
            self.tokens += ticket.tokens
            self.texts += len(ticket.ids)
            self._changed.notify()

    def drop(self, ticket: Ticket) -> None:
        """Forget what still waits of a ticket, if anything does: nobody will use it."""
        with self._changed:
            if not ticket.is_waiting:
                return
            ticket.is_waiting = False
            self._groups[ticket.group].remove(ticket)
            self._left(ticket.group)
            self._uncount(ticket, len(ticket.ids))

    def take(self) -> list[Part]:
        """Wait for tickets; return rows of one group, within the budget, but at least one.

        Returns none when the queue is closed.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._groups or self._is_closed)
            if not self._groups:
                return []
            group = min(self._groups, key=lambda one: self._groups[one][0].number)
            waiting, parts, room = self._groups[group], list[Part](), self.batch_tokens
            while waiting:
                ticket = waiting[0]
                start = ticket.taken
                stop, room = fitting(ticket, room, is_first=not parts)
                if stop == start and ticket.function is None:
                    break
                self._uncount(ticket, stop)
                parts.append(Part(ticket, start, stop))
                ticket.began = ticket.began or time.perf_counter()
                if stop < len(ticket.ids):
                    break
                waiting.popleft().is_waiting = False
                if ticket.function is not None:
                    break  # functions are called one at a time
            self._left(group)
            return parts

    def close(self) -> None:
        """Let `take` return nothing once the queue is empty."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()

    def _left(self, group: Group | None) -> None:
        """Remove a group without tickets."""
        if not self._groups[group]:
            del self._groups[group]

    def _uncount(self, ticket: Ticket, stop: int) -> None:
        """Note that the rows of a ticket up to `stop` do not wait any more."""
        rows = ticket.ids[ticket.taken : stop]
        self.texts -= len(rows)
        self.tokens -= ticket.tokens if ticket.function else sum(map(len, rows))
        ticket.taken = stop


def fitting(ticket: Ticket, room: int, *, is_first: bool) -> tuple[int, int]:
    """Return up to which row a ticket fits into the room for tokens, and the room that is left.

    The first row of a batch always fits.
    """
    stop = ticket.taken
    for row in ticket.ids[stop:]:
        if len(row) > room and not is_first:
            break
        room, stop, is_first = room - len(row), stop + 1, False
    return stop, room
