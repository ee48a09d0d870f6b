"""Connections with a deadline, on a port of their own, with an application of a few lines."""

import asyncio

import pytest
from uvicorn.config import Config
from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.server import ServerState

from minibert.server.connection import Connection

TIMEOUT = 0.1  # seconds to send a request
LONG = 0.4  # seconds for a client that must have an answer first, however busy the machine is
HEAD = b"POST / HTTP/1.1\r\nhost: a\r\n"
REQUEST = HEAD + b"content-length: 4\r\n\r\nbody"
LARGE = 200_000  # bytes, above what uvicorn holds before it stops reading
PATIENCE = 20  # seconds, for a busy machine


async def application(scope, receive, send):
    """Answer with the length of the body; wait if the path is /slow; much if it is /much."""
    length, is_complete = 0, False
    while not is_complete:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        length += len(message["body"])
        is_complete = not message["more_body"]
    if scope["path"] == "/slow":
        await asyncio.sleep(1.5 * LONG)
    answer = b"x" * 50_000_000 if scope["path"] == "/much" else b"%d" % length
    headers = [(b"content-length", b"%d" % len(answer))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


def on_a_port(test, timeout=TIMEOUT, keep_alive=60):
    """Run test(open, connections), where open() is a new connection: (reader, writer)."""

    async def run():
        loop = asyncio.get_running_loop()
        config = Config(
            application, http=Connection, log_config=None, timeout_keep_alive=keep_alive
        )
        config.load()
        state = ServerState()
        server = await loop.create_server(
            lambda: Connection(config, state, timeout, loop), "127.0.0.1", 0
        )
        port = server.sockets[0].getsockname()[1]
        try:
            opened = await asyncio.wait_for(
                test(lambda: asyncio.open_connection("127.0.0.1", port), state.connections),
                PATIENCE,
            )
        finally:
            server.close()
            for connection in list(state.connections):
                connection.transport.abort()
            await asyncio.sleep(0)
        return opened

    return asyncio.run(run())


async def is_closed(reader):
    """Wait until the server closes a connection; a reset closes it, too."""
    try:
        return await reader.read() == b""
    except ConnectionError:
        return True


async def answer_of(reader):
    """Read an answer: its body."""
    head = await reader.readuntil(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 200 ")
    length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
    return await reader.readexactly(length)


async def trickle(writer, data):
    """Send a byte at a time until the server has closed: how many could be sent."""
    for place in range(len(data)):
        writer.write(data[place : place + 1])
        try:
            await writer.drain()
        except ConnectionError:
            return place
        await asyncio.sleep(TIMEOUT / 5)
    return len(data)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        HEAD,
        HEAD + b"content-length: 4\r\n\r\nbo",
        HEAD + b"transfer-encoding: chunked\r\n\r\n2\r\nbo\r\n",
        HEAD + b"content-length: 400000\r\n\r\n" + b"b" * LARGE,
    ],
    ids=["no byte", "half a header", "half a body", "a chunk", "half a large body"],
)
def test_an_incomplete_request_is_closed_at_the_deadline(sent):
    async def test(opened, _):
        reader, writer = await opened()
        writer.write(sent)
        assert await is_closed(reader)
        writer.close()

    on_a_port(test)


@pytest.mark.parametrize(
    ("at_once", "slowly"),
    [
        (b"", HEAD + b"x-name: " + b"v" * 2000),
        (HEAD + b"content-length: 2000\r\n\r\n", b"b" * 2000),
    ],
    ids=["header", "body"],
)
def test_a_byte_at_a_time_does_not_put_off_the_deadline(at_once, slowly):
    async def test(opened, _):
        reader, writer = await opened()
        writer.write(at_once)
        sending = asyncio.ensure_future(trickle(writer, slowly))
        assert await is_closed(reader)
        assert await sending < len(slowly)
        writer.close()

    on_a_port(test)


@pytest.mark.slow
def test_neither_idling_nor_a_slow_answer_is_closed():
    async def test(opened, _):
        reader, writer = await opened()
        for path in (b"/", b"/slow", b"/"):
            writer.write(REQUEST.replace(b" / ", b" " + path + b" "))
            assert await answer_of(reader) == b"4"
            await asyncio.sleep(1.5 * LONG)
        writer.close()

    on_a_port(test, LONG)


def test_a_later_request_has_the_same_deadline():
    async def test(opened, _):
        reader, writer = await opened()
        writer.write(REQUEST)
        assert await answer_of(reader) == b"4"
        writer.write(HEAD)
        assert await is_closed(reader)
        writer.close()

    on_a_port(test, LONG)


def test_half_a_request_behind_another_has_its_deadline():
    """Its first bytes come with those of a whole request, so no later bytes start the timer."""

    async def test(opened, _):
        reader, writer = await opened()
        writer.write(REQUEST + HEAD)
        assert await answer_of(reader) == b"4"
        assert await is_closed(reader)
        writer.close()

    on_a_port(test, LONG)


def test_a_client_that_reads_no_answer_is_closed():
    async def test(opened, connections):
        _, writer = await opened()
        writer.transport.pause_reading()
        writer.write(REQUEST.replace(b" / ", b" /much "))
        while not connections or next(iter(connections)).flow.write_paused is False:
            await asyncio.sleep(0.01)
        while connections:
            await asyncio.sleep(0.01)
        writer.transport.abort()

    on_a_port(test, LONG)


class Timers:
    """A loop's timers, called by hand, and a transport with so many bytes to be sent."""

    def __init__(self):
        self.waiting, self.is_aborted, self.calls = 1000, False, []

    def call_later(self, seconds, function, *arguments):
        self.calls.append((seconds, lambda: function(*arguments)))
        return self

    def get_write_buffer_size(self):
        return self.waiting

    def abort(self):
        self.is_aborted = True

    def cancel(self):
        self.calls.pop()


@pytest.fixture
def timers():
    return Timers()


@pytest.fixture
def connection(timers):
    """A connection whose client may take no more bytes."""
    config = Config(application, http=Connection, log_config=None)
    found = Connection(config, ServerState(), TIMEOUT, timers)
    found.transport, found.flow = timers, FlowControl(timers)
    found.pause_writing()
    return found


def test_a_client_that_reads_slowly_is_not_closed(connection, timers):
    for waiting in (999, 500, 499):
        timers.waiting = waiting
        seconds, late = timers.calls.pop()
        assert seconds == TIMEOUT
        late()
    assert not timers.is_aborted
    timers.calls.pop()[1]()  # nothing was sent since the last call
    assert timers.is_aborted


def test_a_client_that_reads_again_stops_the_timer(connection, timers):
    connection.resume_writing()
    assert timers.calls == []


def test_an_idle_connection_is_closed_after_its_own_time():
    async def test(opened, _):
        reader, writer = await opened()
        writer.write(REQUEST)
        assert await answer_of(reader) == b"4"
        assert await is_closed(reader)
        writer.close()

    on_a_port(test, 60, keep_alive=TIMEOUT)
