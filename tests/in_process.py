"""A server without a socket: requests go to its application, in a loop on a thread of its own."""

import asyncio
import json
import threading
from contextlib import contextmanager
from dataclasses import dataclass

from minibert.server.app import ROUTES, make_app
from minibert.server.core import Core
from minibert.server.opening import Opened, open_all
from minibert.server.settings import ModelPlace, Settings
from minibert.server.state import State


@dataclass
class Answer:
    """What came back."""

    status: int
    headers: dict
    body: bytes

    def json(self):
        return json.loads(self.body)


class InProcess:
    """An application and its state; `request` waits for the answer."""

    def __init__(self, loop, state, routes):
        self._loop = loop
        self.state = state
        self.app = make_app(state, routes)

    def request(self, method, path, body=None, headers=None):
        """Send a request: a body is bytes as they are, anything else as JSON."""
        return self.run(self.exchange(method, path, body, headers))

    def run(self, coroutine):
        """Run a coroutine in the loop, and wait for its result."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(60)

    def post(self, path, body, **headers):
        """POST a body."""
        return self.request("POST", path, body, headers)

    async def exchange(self, method, path, body=None, headers=None, *, leaving=None):
        """Send a request, in the loop. The client leaves once the event `leaving` is set."""
        return await exchange(self.app, method, path, body, headers, leaving=leaving)


async def exchange(app, method, path, body=None, headers=None, *, leaving=None):
    """Send a request, to an application. The client leaves once the event `leaving` is set."""
    content = body if isinstance(body, bytes) else b"" if body is None else dumped(body)
    given = {"host": "localhost", "content-length": str(len(content))}
    given |= {} if body is None else {"content-type": "application/json"}
    given |= {name.lower().replace("_", "-"): value for name, value in (headers or {}).items()}
    path, _, query = path.partition("?")
    scope = {
        **{"type": "http", "asgi": {"version": "3.0", "spec_version": "2.4"}},
        **{"http_version": "1.1", "method": method, "scheme": "http", "path": path},
        **{"raw_path": path.encode(), "query_string": query.encode(), "root_path": ""},
        "headers": [(name.encode(), value.encode()) for name, value in given.items()],
        **{"client": ("127.0.0.1", 1), "server": ("127.0.0.1", 80)},
    }
    incoming = [{"type": "http.request", "body": content, "more_body": False}]
    leaving, answer = leaving or asyncio.Event(), Answer(0, {}, b"")

    async def receive():
        if incoming:
            return incoming.pop()
        await leaving.wait()
        return {"type": "http.disconnect"}

    async def send(message):
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        answer.body += message.get("body", b"")

    await app(scope, receive, send)
    return answer


def dumped(body):
    """JSON as most clients write it."""
    return json.dumps(body).encode()


@contextmanager
def in_process(models, *, routes=ROUTES, aliases=(), models_loaded=None, **options):
    """Yield an InProcess that serves models by their names: {"m": folder}; options of Settings."""
    places = tuple(ModelPlace(name, str(folder)) for name, folder in models.items())
    settings = Settings(places, tuple(aliases), **options)
    opened = Opened(models_loaded, None) if models_loaded else open_all(settings)
    state = State(settings, opened.models, index=opened.index)
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    async def begin():
        state.core = Core(settings, state.metrics)

    asyncio.run_coroutine_threadsafe(begin(), loop).result(60)
    try:
        yield InProcess(loop, state, routes)
    finally:
        state.core.stop()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
