"""What every request goes through, whatever its dialect."""

import asyncio

from in_process import exchange
from starlette.routing import Mount, Router

from minibert.server import openai
from minibert.server.app import make_app
from minibert.server.route import Route
from minibert.server.served import ServedModels
from minibert.server.settings import Settings
from minibert.server.state import State


def app_of(**options):
    return make_app(State(Settings((), **options), models=ServedModels([], {})))


def test_a_mounted_server_has_the_shapes_of_its_own_paths():
    mounted = Router([Mount("/pre", app=app_of())])
    answer = asyncio.run(exchange(mounted, "GET", "/pre/api/nope"))
    assert answer.status == 404
    assert answer.json().keys() == {"error"}  # TEI has a type beside it


def test_a_websocket_is_closed():
    sent = []

    async def send(message):
        sent.append(message)

    async def receive():
        return {"type": "websocket.connect"}

    scope = {"type": "websocket", "path": "/v1/embeddings", "headers": [], "query_string": b""}
    asyncio.run(app_of()(scope, receive, send))
    assert sent == [{"type": "websocket.close"}]


def test_a_page_of_an_origin_may_read_what_an_answer_tells():
    origin = "https://example.org"
    headers = {"origin": origin}
    answer = asyncio.run(exchange(app_of(cors=(origin,)), "GET", "/health", headers=headers))
    assert answer.headers["access-control-allow-origin"] == origin
    told = answer.headers["access-control-expose-headers"].split(", ")
    assert {"x-request-id", "x-minibert-truncated", "retry-after"} <= set(told)


def test_a_path_with_get_also_allows_head():
    answer = asyncio.run(exchange(app_of(), "POST", "/health", {}))
    assert (answer.status, answer.headers["allow"]) == (405, "GET, HEAD")


def test_a_request_beyond_its_time_is_told_what_to_do():
    async def endless(call):
        await asyncio.Event().wait()

    state = State(Settings((), request_timeout=0.01), models=ServedModels([], {}))
    app = make_app(state, [Route("GET", "/v1/endless", endless, openai.DIALECT, "")])
    answer = asyncio.run(exchange(app, "GET", "/v1/endless"))
    assert (answer.status, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["error"]["message"] == (
        "The request took longer than 0.01 seconds. Send fewer texts at a time, or start the "
        "server with a longer --request-timeout."
    )


def test_a_path_of_cohere_s_vectors_is_told_where_they_are():
    answer = asyncio.run(exchange(app_of(), "POST", "/v2/embed", {}))
    assert answer.status == 404
    assert "/v2/rerank alone; vectors come from /v1/embeddings." in answer.json()["message"]
