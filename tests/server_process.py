"""`minibert serve` as a process of its own: where it listens, and what it logs."""

import http.client
import json
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from typing import NamedTuple

ADDRESS = re.compile(r"http://127\.0\.0\.1:(\d+)")


class Answer(NamedTuple):
    """What a request got."""

    status: int
    headers: dict
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)


class ServerProcess:
    """A server that is ready, and its log so far."""

    def __init__(self, process, log):
        self.process, self._log = process, log
        self.port = self._wait_for(self._find_port)
        self.url = f"http://127.0.0.1:{self.port}"
        self._wait_for(self._is_ready)

    @property
    def log(self):
        return self._log.read_text(encoding="utf-8")

    def ask(self, method, path, body=None, headers=None):
        """Send one request over a connection of its own; a body that is not bytes goes as JSON."""
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers = {"Content-Type": "application/json", **(headers or {})}
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers or {})
            answer = connection.getresponse()
            return Answer(answer.status, {**answer.headers}, answer.read())
        finally:
            connection.close()

    def _find_port(self):
        found = ADDRESS.search(self.log)
        return found and int(found.group(1))

    def _is_ready(self):
        try:
            return self.ask("GET", "/ready").status == 200
        except OSError:  # a server that has ended while it was asked: its log tells more
            return False

    def _wait_for(self, condition):
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self.process.poll() is None:
            if result := condition():
                return result
            time.sleep(0.02)
        raise AssertionError(f"The server did not get ready. Its log:\n{self.log}")


@contextmanager
def serving(folder, *arguments):
    """Serve with the command's arguments on a free port; the log goes to a file in the folder."""
    log = folder / "server.log"
    command = [sys.executable, "-m", "minibert", "serve", "--port", "0", *map(str, arguments)]
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT)
    try:
        yield ServerProcess(process, log)
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(timeout=60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
