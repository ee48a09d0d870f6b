"""Connections with a deadline: a slow client is closed. Start at Connection.

uvicorn limits only the idle time between two requests, and any byte resets it.
"""

from __future__ import annotations

import asyncio
import math

import h11
from uvicorn.config import Config
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

__all__ = ["Connection"]


class Connection(H11Protocol):
    """An HTTP/1.1 connection that is closed if a request is not complete in time.

    The time runs from the connection, or from the first byte of a later request, until the last
    byte of the body. Between two requests only uvicorn's own `timeout_keep_alive` counts. A
    client that reads nothing of its answer for as long is closed, too.
    """

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        receive_timeout: float,  # seconds
        loop: asyncio.AbstractEventLoop,
    ) -> None:
        super().__init__(config, server_state, {}, loop)
        self.receive_timeout = receive_timeout
        self._receiving: asyncio.TimerHandle | None = None
        self._sending: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._watch_receiving(True)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._watch_receiving(self.conn.their_state in (h11.IDLE, h11.SEND_BODY))

    def on_response_complete(self) -> None:
        super().on_response_complete()
        # Bytes of the next request may have come before this answer was complete.
        state = self.conn.their_state
        has_begun = state is h11.IDLE and bool(self.conn.trailing_data[0])
        self._watch_receiving(state is h11.SEND_BODY or has_begun)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._watch_sending()

    def resume_writing(self) -> None:
        self._stop_sending_timer()
        super().resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self._watch_receiving(False)
        self._stop_sending_timer()
        super().connection_lost(exc)

    def _watch_receiving(self, is_waiting: bool) -> None:
        """Start the timer of a request, or let it run on; or stop it."""
        if not is_waiting:
            if self._receiving is not None:
                self._receiving.cancel()
                self._receiving = None
        elif self._receiving is None:
            self._receiving = self.loop.call_later(self.receive_timeout, self._close_late)

    def _watch_sending(self, before: float = math.inf) -> None:
        """Close the connection if none of the waiting bytes is sent from one call to the next."""
        waiting = self.transport.get_write_buffer_size()
        if waiting < before:
            self._sending = self.loop.call_later(self.receive_timeout, self._watch_sending, waiting)
        else:
            self.transport.abort()

    def _stop_sending_timer(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            self._sending = None

    def _close_late(self) -> None:
        self._receiving = None
        if not self.transport.is_closing():
            self.transport.close()
