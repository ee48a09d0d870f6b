"""`minibert serve` in a process of its own, on a free port: what it answers, and what it tells."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from typing import NamedTuple

ADDRESS = re.compile(r"listening on http://127\.0\.0\.1:(\d+)")


class Answer(NamedTuple):
    """An answer: its status, its headers with names in lower case, and its body."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)

    def text(self):
        return self.body.decode()


class Serving:
    """A process of `minibert serve`, and what it tells."""

    def __init__(self, arguments, env):
        self.process = subprocess.Popen(
            [sys.executable, "-m", "minibert", "serve", *map(str, arguments)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})},
            start_new_session=True,
        )
        self.port = None
        self._lines = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self):
        for line in self.process.stderr:
            self._lines.append(line.decode())

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stderr(self):
        """All that it has told up to now; after its end, all."""
        if self.process.poll() is not None:
            self._reader.join(timeout=10)
        return "".join(self._lines)

    def until(self, told, seconds=30):
        """Wait until it tells a text, or has ended."""
        deadline = time.monotonic() + seconds
        while told not in self.stderr():
            assert time.monotonic() < deadline, self.stderr()
            if self.process.poll() is not None:
                break
            time.sleep(0.005)
        if found := ADDRESS.search(self.stderr()):
            self.port = int(found[1])
        return self

    def request(self, method, path, body=None, headers=None, timeout=30):
        """Send a request on a connection of its own; a body that is no bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=timeout)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **headers}
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            found = {key.lower(): value for key, value in response.getheaders()}
            return Answer(response.status, found, response.read())
        finally:
            connection.close()

    def end(self, number=signal.SIGTERM, seconds=30):
        """Send a signal, and wait for the exit code."""
        self.process.send_signal(number)
        return self.process.wait(seconds)


def started(arguments, env=None, told="minibert: ready"):
    """Start `minibert serve` at a free port or a path, and wait until it tells that it is ready."""
    place = [] if "--unix-socket" in arguments else ["--port", "0"]
    return Serving([*place, *arguments], env).until(told)


def killed(servers):
    for server in servers:
        with suppress(ProcessLookupError):
            os.killpg(server.process.pid, signal.SIGKILL)  # and the workers that it started
        server.process.wait(30)
        server.process.stderr.close()


@contextmanager
def running(*arguments):
    """Yield a Serving that is ready; its process ends with the block."""
    server = started(arguments)
    try:
        assert server.port, server.stderr()  # it has ended, and tells why
        yield server
    finally:
        killed([server])
