"""tools/load.c against a server with faults: each request is counted once."""

import json
import shutil
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"


@pytest.fixture
def load(monkeypatch):
    """The function that runs load.c."""
    if not TOOLS.exists():
        pytest.skip("tools/ is not beside these tests")
    if shutil.which("cc") is None:
        pytest.skip("there is no C compiler")
    monkeypatch.syspath_prepend(str(TOOLS))
    import bench_serve

    return bench_serve.load


class Faulty(BaseHTTPRequestHandler):
    """Answers by the fault that the body names; most echo the body."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.bodies.append(body)
        fault = json.loads(body)
        if fault == "no answer":
            self.close_connection = True
            return
        if fault == "too late":
            time.sleep(1)
        self.send_response(429 if fault == "refused" else 200)
        if fault == "closed":
            self.send_header("Connection", "close")
        if fault == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            for part in (body[:3], body[3:], b""):
                self.wfile.write(b"%x\r\n%b\r\n" % (len(part), part))
                self.wfile.flush()
            return
        self.send_header("Content-Length", len(body))
        self.end_headers()
        self.wfile.write(body + (b"more" if fault == "too much" else b""))

    def log_message(self, *_):
        pass


@pytest.fixture
def faulty():
    """A server with faults; `bodies` has all that it got."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Faulty)
    server.bodies = []
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def run(load, server, faults, *options):
    return load(server.server_port, "/", map(json.dumps, faults), *options)


@pytest.mark.slow
def test_every_request_is_counted_by_its_answer(load, faulty, tmp_path):
    faults = ["fine", "refused", "chunked", "closed", "no answer"]
    report = run(load, faulty, faults, "-c", 3, "-n", 50, "-o", tmp_path / "answers")
    assert (report["sent"], report["answered"], report["lost"]) == (50, 40, 10)
    assert {status: found["count"] for status, found in report["statuses"].items()} == {
        "200": 30,
        "429": 10,
    }
    assert report["extra bytes"] == 0
    assert len(faulty.bodies) == 50
    lines = [line.split(" ", 4) for line in (tmp_path / "answers").read_text().splitlines()]
    expected = {
        str(number): ["429" if number % 5 == 1 else "200", json.dumps(faults[number % 5])]
        for number in range(50)
        if number % 5 != 4
    }
    assert {number: [status, body] for number, status, _, _, body in lines} == expected


@pytest.mark.slow
def test_an_answer_without_a_request_is_told(load, faulty):
    report = run(load, faulty, ["too much"], "-c", 1, "-n", 3)
    assert report["answered"] + report["lost"] == 3
    assert report["extra bytes"] >= 4


@pytest.mark.slow
def test_a_request_without_an_answer_in_time_is_lost(load, faulty):
    report = run(load, faulty, ["fine", "too late"], "-c", 2, "-n", 2, "-w", 0.2)
    assert (report["sent"], report["answered"], report["lost"]) == (2, 1, 1)


@pytest.mark.slow
def test_at_a_rate_latencies_count_from_when_requests_are_due(load, faulty):
    report = run(load, faulty, ["too late"], "-c", 1, "-r", 20, "-n", 3)
    assert report["answered"] == 3
    assert report["seconds"] >= 3  # one after the other, on the one connection
    assert report["latest ms"] >= 1900  # the third was due after 0.1 s
    assert report["statuses"]["200"]["max ms"] >= 2900
    assert 1000 <= report["statuses"]["200"]["p50 ms"] <= report["statuses"]["200"]["p90 ms"]
