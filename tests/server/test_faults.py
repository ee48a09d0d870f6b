"""Faults of the server itself: the client gets 500, and the log a place, but no text and no key."""

import gc
import logging

import pytest
from golden_files import GOLDEN
from in_process import in_process

from minibert.server import ollama, openai, rerank, tei
from minibert.server.answers import rows_answer
from minibert.server.route import Route

WORD = "zwuschelquark"
KEY = "sk-rumpelklamm"
DIALECTS = [openai.DIALECT, tei.DIALECT, ollama.DIALECT, rerank.DIALECT]


def told(call):
    """The text and the key of a request, as a careless message would tell them."""
    return f"{call.body['input']} {call.request.headers['authorization']}"


async def at_once(call):
    """Fail in the handler, with the text also in the cause."""
    try:
        {}[told(call)]
    except KeyError as error:
        raise RuntimeError(told(call)) from error


async def in_the_worker(call):
    """Fail in the worker's thread."""
    await call.core.run(call.facts, lambda: {}[told(call)], 1)


async def in_a_group(call):
    """Fail with several errors at a time."""
    raise ExceptionGroup(told(call), [ValueError(told(call))])


async def in_the_answer(call):
    """Fail with an answer that is no JSON."""
    return rows_answer(call, {"text": {1: object()}, told(call): ""}, "rows", [], str, 0)


FAULTS = [at_once, in_the_worker, in_a_group, in_the_answer]


class Everything(logging.Handler):
    """Keep what any library logs, with its traceback."""

    def __init__(self):
        super().__init__()
        self.lines = []

    def emit(self, record):
        self.lines.append(self.format(record))


@pytest.fixture
def log():
    found, root = Everything(), logging.getLogger()
    level = root.level
    root.addHandler(found)
    root.setLevel(logging.DEBUG)
    yield found.lines
    root.removeHandler(found)
    root.setLevel(level)


@pytest.mark.parametrize("dialect", DIALECTS, ids=[dialect.name for dialect in DIALECTS])
@pytest.mark.parametrize("handler", FAULTS)
def test_a_fault_is_told_without_the_text(log, capfd, handler, dialect):
    routes = (Route("POST", "/fault", handler, dialect, ""), *openai.ROUTES)
    with in_process({"e": GOLDEN / "gelu"}, routes=routes, api_keys=(KEY,)) as server:
        headers = {"authorization": f"Bearer {KEY}", "x-request-id": "the-first"}
        answer = server.request("POST", "/fault", {"input": WORD}, headers)
        # The server goes on.
        assert server.request("POST", "/v1/embeddings", {"input": WORD}, headers).status == 200
    gc.collect()  # errors that nobody has asked for are logged now
    assert answer.status == 500
    error = answer.json()
    assert error == dialect.body_of(refusal_of(error), 500, "the-first")
    output = "\n".join([*log, *capfd.readouterr()])
    assert "request the-first: " in output
    assert handler.__name__ in output
    for secret in (WORD, KEY):
        assert secret not in output
        assert secret not in answer.body.decode()


def refusal_of(error):
    """The error that a body tells, for its shape."""
    from minibert.server.refusals import RequestError

    message = error.get("message") or error["error"]
    message = message["message"] if isinstance(message, dict) else message
    return RequestError("fault", message.removeprefix("Backend error: "))


def test_a_fault_in_the_midst_of_an_answer_ends_it(log, capfd):
    """Too late for 500: the end of the answer is missing, and the log tells the place."""

    async def midway(call):
        def written(number, row):
            if number == 2:
                raise RuntimeError(told(call))
            return b"1" * 300_000

        return rows_answer(call, {}, None, range(3), written, 600_000)

    outcomes = []
    routes = (Route("POST", "/fault", midway, openai.DIALECT, ""),)
    with in_process({"e": GOLDEN / "gelu"}, routes=routes) as server:
        server.state.log = lambda call, status, sent, seconds: outcomes.append(
            (call.problem, status, sent)
        )
        headers = {"authorization": f"Bearer {KEY}", "x-request-id": "the-first"}
        answer = server.request("POST", "/fault", {"input": WORD}, headers)
    gc.collect()
    assert answer.body == b"[" + b"1" * 300_000 + b"," + b"1" * 300_000
    assert outcomes == [("fault", 200, 600_002)]
    output = "\n".join([*log, *capfd.readouterr()])
    assert "request the-first: RuntimeError in written:" in output
    for secret in (WORD, KEY):
        assert secret not in output
