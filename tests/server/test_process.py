"""A server in this process, from `minibert serve` to the signal that a client sends it."""

import http.client
import json
import logging
import multiprocessing
import os
import signal
import socket
import threading
import time
from contextlib import contextmanager

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.server.listening import listening
from minibert.server.metrics import COLUMNS, Metrics
from minibert.server.settings import ModelPlace, Settings
from minibert.server.workers import work

GELU = GOLDEN / "gelu"
PATIENCE = 60  # seconds


class AtPath(http.client.HTTPConnection):
    """A client of a server at a socket in a file."""

    def __init__(self, path):
        super().__init__("localhost", timeout=PATIENCE)
        self._path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(PATIENCE)
        self.sock.connect(str(self._path))


def asked(path, method, target, body=None):
    """Send a request on a connection of its own: the status and the body."""
    connection = AtPath(path)
    try:
        headers = {"Content-Type": "application/json"}
        connection.request(method, target, body and json.dumps(body), headers)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def until_ready(path):
    """Wait until a server answers that it is ready; False if none ever is."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            if asked(path, "GET", "/ready")[0] == 200:
                return True
        except OSError:
            pass
        time.sleep(0.01)
    return False


@contextmanager
def stopped(process):
    """Let a process do nothing in the block."""
    os.kill(process.pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(process.pid, signal.SIGCONT)


@pytest.fixture
def served(run, tmp_path):
    """Run `minibert serve` until a client in a thread is done: -> its result, the client's."""

    def serve(client, *arguments):
        path, answers = tmp_path / "s", []

        def ask():
            if until_ready(path):  # only then the signal ends the server, and not the tests
                try:
                    answers.append(client(path))
                finally:
                    if path.exists():  # else it has ended by itself
                        os.kill(os.getpid(), signal.SIGTERM)

        asking = threading.Thread(target=ask)
        asking.start()
        result = run("serve", "--unix-socket", path, *arguments)
        asking.join()
        assert answers, result
        return result, answers[0]

    return serve


def embedded(path):
    status, body = asked(path, "POST", "/embed", {"inputs": ["the cat sat."]})
    assert status == 200
    return json.loads(body)


@pytest.mark.slow
def test_a_server_answers_until_a_signal_ends_it_in_order(served):
    result, vectors = served(embedded, GELU, "--shutdown-timeout", "0.5")
    assert result.code == 0
    expected = SentenceTransformer(str(GELU)).encode(["the cat sat."], normalize_embeddings=True)
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=2e-6)
    told = [line for line in result.err.splitlines() if "route=/ready" not in line]
    assert told[0].startswith("minibert: listening on unix:")
    assert told[1:3] == [
        "minibert: serving gelu: embedding, unit vectors of 20 numbers, metric cosine",
        "minibert: ready",
    ]
    assert sum(" route=/embed status=200 model=gelu texts=1 " in line for line in told) == 1
    assert sum(line.startswith("minibert: stopping: ") for line in told) == 1
    assert len(told) == 5


@pytest.mark.slow
def test_what_is_not_finished_is_told_to_its_client(served):
    def half(path):
        connection = AtPath(path)
        connection.connect()
        head = "POST /embed HTTP/1.1\r\nhost: a\r\ncontent-type: application/json\r\n"
        connection.sock.sendall(f"{head}content-length: 2\r\n\r\n{{".encode())
        assert asked(path, "GET", "/health")[0] == 200  # the loop took both
        return connection.sock

    result, client = served(half, GELU, "--shutdown-timeout", "0.5", "--log", "json")
    assert result.code == 0
    assert client.makefile("rb").readline() == b"HTTP/1.1 503 Service Unavailable\r\n"
    client.close()
    assert result.objects == []  # all of it is on stderr
    line = json.loads(result.err.splitlines()[-1])
    assert (line["event"], line["status"], line["problem"]) == ("request", 503, "stopping")


@pytest.mark.slow
def test_two_processes_are_started_and_ended(served):
    result, vectors = served(embedded, GELU, "--shutdown-timeout", "9", "--workers", "2")
    assert (result.code, len(vectors)) == (0, 1)
    assert "minibert: stopping: " in result.err


@pytest.mark.slow
def test_a_killed_process_is_replaced_by_one_that_answers(served):
    def kill(path):
        while len(multiprocessing.active_children()) < 2:
            time.sleep(0.01)  # the second is started after the first
        first, second = multiprocessing.active_children()
        for other in (first, second):  # each has been ready
            with stopped(other):
                assert until_ready(path)
        first.kill()
        deadline = time.monotonic() + PATIENCE
        while {one.pid for one in multiprocessing.active_children()} <= {first.pid, second.pid}:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        with stopped(second):
            return embedded(path)

    result, vectors = served(kill, GELU, "--shutdown-timeout", "9", "--workers", "2")
    assert (result.code, len(vectors)) == (0, 1)
    assert "ended with exit code -9; another starts in 0.25 s" in result.err


@pytest.mark.slow
def test_a_process_that_dies_before_it_is_ready_ends_all(run, folder, tmp_path):
    (folder / "config.json").unlink()
    os.mkfifo(folder / "config.json")  # it is read for ever

    def kill():
        while not (children := multiprocessing.active_children()):
            time.sleep(0.001)
        children[0].kill()

    killing = threading.Thread(target=kill)
    killing.start()
    result = run("serve", folder, "--unix-socket", tmp_path / "s", "--workers", "2")
    killing.join()
    assert result.code == 74
    assert "ended with exit code -9 before it was ready" in result.err
    assert multiprocessing.active_children() == []


@pytest.fixture
def counts():
    return multiprocessing.get_context("spawn").RawArray("d", 2 * COLUMNS)


@pytest.fixture
def sigterm():
    """The handler of SIGTERM, put back after the test."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


@pytest.mark.slow
def test_a_process_of_several_tells_its_models_and_counts(counts, sigterm, tmp_path):
    settings = Settings(
        (ModelPlace("m", str(GELU)),),
        unix_socket=str(tmp_path / "s"),
        workers=2,
        shutdown_timeout=0.5,
    )
    hearing, telling = multiprocessing.Pipe(duplex=False)
    told = []

    def client():
        told.append(hearing.recv())
        told.append(embedded(tmp_path / "s"))
        os.kill(os.getpid(), signal.SIGTERM)
        os.kill(os.getpid(), signal.SIGTERM)  # may come twice

    asking = threading.Thread(target=client)
    asking.start()
    with listening(settings) as sockets:
        work(settings, sockets, logging.WARNING, counts, 1, telling, True)
    asking.join()
    assert [model["model"] for model in told[0]] == ["m"]
    assert len(told[1]) == 1
    rows = np.frombuffer(counts, np.float64).reshape(2, COLUMNS)
    assert "\nte_embed_count 1\n" in Metrics(rows, 0).text()
    assert not rows[0].any()


def test_a_process_of_several_tells_its_error(counts, sigterm, tmp_path):
    settings = Settings((ModelPlace("m", str(tmp_path / "nowhere")),), workers=2)
    hearing, telling = multiprocessing.Pipe(duplex=False)
    with pytest.raises(SystemExit) as ended:
        work(settings, [], logging.WARNING, counts, 0, telling, True)
    assert ended.value.code == 1
    assert isinstance(hearing.recv(), FileNotFoundError)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_loading_is_raised_by_the_command(run, folder, tmp_path, workers):
    (folder / "model.safetensors").unlink()
    result = run("serve", folder, "--unix-socket", tmp_path / "s", "--workers", workers)
    assert result.code == 65
    assert "safetensors" in result.err
    assert not (tmp_path / "s").exists()
