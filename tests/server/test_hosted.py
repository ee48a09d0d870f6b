"""A server as an ASGI application, in hosts with and without a lifespan, of one loop or many."""

import asyncio
import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from golden_files import GOLDEN
from in_process import exchange

from minibert.server.hosted import Hosted
from minibert.server.settings import ModelPlace, Settings

SETTINGS = Settings((ModelPlace("m", str(GOLDEN / "gelu")),))
BODY = {"input": "a dog barks"}


def answer(app, path="/v1/embeddings", body=BODY):
    """Send a request in a loop of its own, as some functions do."""
    return asyncio.run(exchange(app, "POST", path, body))


def vector(found):
    assert found.status == 200, found.body
    return np.array(found.json()["data"][0]["embedding"], np.float32)


def workers():
    return [one for one in threading.enumerate() if one.name == "minibert-worker"]


def until(condition):
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


class Lifespan:
    """A host that tells the start and the end."""

    def __init__(self, app):
        self.told = []
        self._incoming = asyncio.Queue()
        self._task = asyncio.ensure_future(
            app({"type": "lifespan"}, self._incoming.get, self._send)
        )

    async def _send(self, message):
        self.told.append(message)

    async def tell(self, kind):
        before = len(self.told)
        self._incoming.put_nowait({"type": f"lifespan.{kind}"})
        while len(self.told) == before:
            await asyncio.sleep(0)
        return self.told[-1]


def test_the_first_request_loads_where_there_is_no_lifespan(model):
    found = vector(answer(Hosted(SETTINGS)))
    expected = model.encode(BODY["input"], normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, atol=2e-6)


def test_requests_in_loops_of_their_own_share_the_models():
    app = Hosted(SETTINGS)
    assert all(answer(app).status == 200 for _ in range(3))
    assert app.models is not None
    first = app.models
    answer(app)
    assert app.models is first


def test_requests_of_all_loops_are_logged_and_counted(capsys):
    app = Hosted(SETTINGS)
    for _ in range(2):
        answer(app)
    told = asyncio.run(exchange(app, "GET", "/metrics")).body.decode()
    assert '\nte_request_count{method="single"} 2\n' in told
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "minibert: serving m: embedding, unit vectors of 20 numbers, metric cosine"
    assert [line.split()[2] for line in lines[2:]] == 2 * ["route=/v1/embeddings"] + [
        "route=/metrics"
    ]


def test_threads_of_loops_that_have_ended_end():
    before = len(workers())
    app = Hosted(SETTINGS)
    for _ in range(4):
        answer(app)
    until(lambda: len(workers()) <= before + 1)  # the last loop's


def test_a_lifespan_loads_and_ends_the_threads():
    before = len(workers())
    app = Hosted(SETTINGS)

    async def live():
        host = Lifespan(app)
        assert await host.tell("startup") == {"type": "lifespan.startup.complete"}
        assert app.models is not None
        found = await exchange(app, "POST", "/v1/embeddings", BODY)
        assert await host.tell("shutdown") == {"type": "lifespan.shutdown.complete"}
        return found

    assert vector(asyncio.run(live())).shape == (20,)
    until(lambda: len(workers()) <= before)
    assert vector(asyncio.run(live())).shape == (20,)  # a host may start it again


def test_a_model_that_cannot_be_loaded_fails_the_lifespan(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    app = Hosted(Settings((ModelPlace("m", str(tmp_path)),)))

    async def live():
        return await Lifespan(app).tell("startup")

    told = asyncio.run(live())
    assert told["type"] == "lifespan.startup.failed"
    assert "CheckpointError: " in told["message"]
    assert str(tmp_path) in told["message"]


def test_loading_before_the_first_request_loads_once():
    app = Hosted(SETTINGS)
    app.load()
    loaded = app.models
    app.load()
    answer(app)
    assert app.models is loaded is not None


@pytest.mark.slow
def test_an_environment_without_a_model_is_told_at_import():
    environ = {key: value for key, value in os.environ.items() if key != "MINIBERT_MODEL"}
    command = [sys.executable, "-c", "import minibert.integrations.asgi"]
    result = subprocess.run(command, env=environ, capture_output=True, text=True)
    assert result.returncode == 1
    assert "No model is named: set MINIBERT_MODEL." in result.stderr
