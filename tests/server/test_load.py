"""A server with more work than it can take, beside slow clients, and at its end.

tools/serve_check.py does the same for longer, and measures it.
"""

import asyncio
import contextlib
import json
import os
import signal
import socket
import threading
import time
from itertools import chain
from pathlib import Path

import numpy as np
import pytest
from golden_files import GOLDEN

PATH = "/v1/embeddings"
LONG = "the water of the river runs under an old bridge " * 12  # 122 tokens
RECEIVE_TIMEOUT = 1.0


def request_of(id, texts):
    """A request with an id of its own, as it is sent."""
    body = json.dumps({"input": texts}).encode()
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
    return f"{head}X-Request-Id: {id}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


async def answer_on(reader):
    """The status, headers and body of the next answer on a connection."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in head[1:] if line)
    body = await reader.readexactly(int(headers["content-length"]))
    return int(head[0].split()[1]), headers, json.loads(body)


async def caller(port, name, texts):
    """Send each text on one connection, after the answer to the one before: -> all answers."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    answers = []
    for number, text in enumerate(texts):
        writer.write(request_of(f"{name}-{number}", [text]))
        status, headers, body = await answer_on(reader)
        assert headers["x-request-id"] == f"{name}-{number}"
        answers.append((text, status, headers, body))
    writer.close()
    assert await reader.read() == b""  # no answer without a request
    return answers


async def callers(port, lists):
    """Callers at once: -> the answers of all."""
    found = await asyncio.gather(
        *(caller(port, name, texts) for name, texts in enumerate(lists)),
    )
    return [answer for answers in found for answer in answers]


def long_texts(count):
    """Long texts that all differ, so that each is computed."""
    return [f"{number} {LONG}" for number in range(count)]


class Busy:
    """A long request to a server, in a thread."""

    def __init__(self, server, texts):
        self.answer = None
        self._thread = threading.Thread(target=self._run, args=(server, texts))
        self._thread.start()

    def _run(self, server, texts):
        self.answer = server.request("POST", PATH, {"input": texts}, timeout=120)

    def wait_until_it_waits(self, server):
        """Wait until some of its texts are in the queue."""
        while b"te_queue_size 0\n" in server.request("GET", "/metrics").body:
            assert self.answer is None, "the long request ended too soon"

    def status(self):
        """The status of its answer, which it waits for."""
        self._thread.join()
        return self.answer.status


@pytest.mark.slow
def test_an_overloaded_server_refuses_loses_none_and_is_right(serving, minilm, minilm_folder):
    limits = ("--max-queue-tokens", 512, "--max-batch-tokens", 256, "--max-request-tokens", 100_000)
    server = serving(minilm_folder, *limits)
    texts = [[f"text {n} of caller {c}" for n in range(10)] for c in range(16)]
    busy = Busy(server, long_texts(50))
    busy.wait_until_it_waits(server)
    during = asyncio.run(callers(server.port, texts))
    assert busy.status() == 200
    after = asyncio.run(callers(server.port, texts))
    assert len(during) == len(after) == 16 * 10
    assert {status for _, status, _, _ in during} >= {429}
    assert {status for _, status, _, _ in during} <= {200, 429}
    assert {status for _, status, _, _ in after} == {200}
    every = list(chain.from_iterable(texts))
    vectors = dict(zip(every, minilm.encode(every), strict=True))
    for text, status, headers, body in during + after:
        if status == 429:
            assert int(headers["retry-after"]) >= 1
            assert "tokens wait" in body["error"]["message"]
        else:
            vector = np.array(body["data"][0]["embedding"], np.float32)
            np.testing.assert_allclose(vector, vectors[text], rtol=0, atol=2e-6)


def dripping(connection, content):
    """Send a byte each fifth of a second, in a thread, until the connection is closed."""

    def run():
        for byte in content:
            try:
                connection.send(bytes([byte]))
            except OSError:
                return
            time.sleep(0.2)

    threading.Thread(target=run, daemon=True).start()


@pytest.mark.slow
def test_slow_clients_are_closed_in_time_and_honest_ones_not(serving):
    server = serving(GOLDEN / "gelu", "--receive-timeout", RECEIVE_TIMEOUT)
    whole = request_of("slow", ["the cat sat"])
    head = whole.index(b"\r\n\r\n") + 4
    half = head + 9
    shapes = [(b"", b""), (whole[: head // 2], b""), (whole[:half], b"")]
    shapes += [(b"", whole), (whole[:half], whole[half:])]
    clients = []
    for at_once, slowly in shapes * 8:
        connection = socket.create_connection(("127.0.0.1", server.port), timeout=20)
        connection.sendall(at_once)
        dripping(connection, slowly)
        clients.append((connection, time.monotonic()))
    honest = asyncio.run(callers(server.port, [["the cat", "sat"] * 10] * 8))
    assert {status for _, status, _, _ in honest} == {200}
    for connection, began in clients:
        with connection:
            with contextlib.suppress(ConnectionResetError):  # it was sending when it was closed
                assert connection.recv(1) == b""
            assert time.monotonic() - began >= 0.9 * RECEIVE_TIMEOUT


@pytest.mark.slow
def test_sigterm_answers_all_that_are_in_flight(serving, minilm_folder):
    server = serving(minilm_folder)
    busy = Busy(server, long_texts(40))
    busy.wait_until_it_waits(server)

    async def run():
        connections = [await asyncio.open_connection("127.0.0.1", server.port) for _ in range(100)]
        for number, (_, writer) in enumerate(connections):
            writer.write(request_of(number, [f"text {number}"]))
            await writer.drain()
        server.process.send_signal(signal.SIGTERM)
        answers = [await answer_on(reader) for reader, _ in connections]
        for _, writer in connections:
            writer.close()
        return answers

    answers = asyncio.run(run())
    assert [status for status, _, _ in answers] == [200] * 100
    assert [headers["x-request-id"] for _, headers, _ in answers] == [str(n) for n in range(100)]
    assert busy.status() == 200
    assert server.process.wait(30) == 0


@pytest.mark.slow
def test_no_request_fails_while_a_killed_process_is_replaced(serving):
    server = serving(GOLDEN / "gelu", "--workers", 2)
    pid = server.process.pid
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    worker = next(
        child for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
    )
    os.kill(int(worker), signal.SIGKILL)
    deadline = time.monotonic() + 60
    while "is ready again" not in server.stderr():
        assert time.monotonic() < deadline
        assert server.request("POST", PATH, {"input": "the cat"}).status == 200
    assert server.end() == 0
