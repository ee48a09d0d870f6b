"""Reading: the body of a request is a JSON object, within its limits, or is refused."""

import asyncio
import json

import pytest
from in_process import in_process

from minibert.server.answers import json_answer
from minibert.server.dialect import Dialect
from minibert.server.reading import parsed, without_doubles
from minibert.server.refusals import RequestError
from minibert.server.route import Route

DIALECT = Dialect("plain", lambda problem, status, id: {problem.kind: problem.message})
ANY = Dialect("any", DIALECT.body_of, any_content_type=True)


def refused(body):
    with pytest.raises(RequestError) as caught:
        parsed(body)
    return caught.value


async def echo(call):
    return json_answer(call, call.body)


@pytest.fixture(scope="module")
def echo_server():
    routes = [Route("POST", "/json", echo, DIALECT, ""), Route("POST", "/any", echo, ANY, "")]
    with in_process({}, routes=routes, max_body=1000) as found:
        yield found


@pytest.mark.parametrize(
    "body", [b"{}", b' {"a": null} \n', '{"é": "中", "b": [1, {"c": 2.5}]}'.encode()]
)
def test_an_object_is_read(body):
    assert parsed(body) == json.loads(body)


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t "])
def test_a_missing_body_is_told(body):
    assert refused(body).kind == "body_missing"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"{", "no JSON"),
        (b"{'a': 1}", "no JSON"),
        (b'{"a": 1,}', "no JSON"),
        (b'{"a": 1} x', "no JSON"),
        (b'{"a": "\n"}', "no JSON"),
        (b"a=1&b=2", "no JSON"),
        (b'{"a": NaN}', "NaN is no number"),
        (b'{"a": [-Infinity]}', "-Infinity is no number"),
        (b'{"a": Infinity}', "Infinity is no number"),
        (b'{"a": ' + b"1" * 5000 + b"}", "more than 4300 digits"),
        (b"\xef\xbb\xbf{}", "no JSON"),
        (b'{"a": "\xff"}', "byte 7"),
        ('{"a": 1}'.encode("utf-16"), "UTF-8"),
        (b'{"a": 1, "b": 2, "a": 1}', "'a' stands twice"),
        (b'{"x": [{"b": 2, "b": 3}]}', "'b' stands twice"),
        (b'{"a": 1, "\\u0061": 2}', "'a' stands twice"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "stands twice"),
        (b'{"a": ' + b"[" * 100_000, "too deeply"),
        (b'{"a":' * 100_000, "too deeply"),
        (b'{"a": ' + b"[" * 100_000 + b"]" * 100_000 + b"}", "too deeply"),
    ],
)
def test_what_is_no_json_is_refused(body, told):
    error = refused(body)
    assert error.kind == "bad_json"
    assert told in error.message
    error.message.encode()


@pytest.mark.parametrize("body", [b"[]", b'"a"', b"1", b"null", b"true", b'[{"a": 1}]'])
def test_json_that_is_no_object_is_refused(body):
    assert refused(body).kind == "validation"


class Counted(str):
    """A key that counts how often it is compared."""

    compared = 0

    def __eq__(self, other):
        Counted.compared += 1
        return str.__eq__(self, other)

    __hash__ = str.__hash__


def test_a_double_key_among_many_is_found_in_one_pass():
    """To count each of a million keys in turn would take days."""
    keys = [*range(1000), 998]
    with pytest.raises(RequestError, match="'998' stands twice"):
        without_doubles([(Counted(key), key) for key in keys])
    assert Counted.compared < 2 * len(keys)


def test_a_lone_surrogate_is_left_to_the_field_that_reads_it():
    assert parsed(b'{"unread": "\\ud800"}') == {"unread": "\ud800"}


# Over HTTP


@pytest.mark.parametrize(
    "kind",
    ["application/json", "Application/JSON; charset=utf-8", "application/vnd.api+json", None],
)
def test_a_body_called_json_is_read(echo_server, kind):
    headers = {} if kind is None else {"content-type": kind}  # in_process calls it JSON
    assert echo_server.post("/json", {"a": 1}, **headers).json() == {"a": 1}


@pytest.mark.parametrize("kind", ["text/plain", "", "application/x-www-form-urlencoded", "json"])
def test_a_body_called_otherwise_is_read_where_that_may_be(echo_server, kind):
    refusal = echo_server.post("/json", {"a": 1}, content_type=kind)
    assert (refusal.status, list(refusal.json())) == (415, ["media_type"])
    assert echo_server.post("/any", {"a": 1}, content_type=kind).json() == {"a": 1}


@pytest.mark.parametrize("path", ["/json", "/any"])
@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "gzip, identity"])
def test_a_compressed_body_is_refused(echo_server, path, coding):
    assert echo_server.post(path, {"a": 1}, content_encoding=coding).status == 415
    assert echo_server.post(path, {"a": 1}, content_encoding="identity").status == 200


@pytest.mark.parametrize("length", [1000, 1001])
def test_a_body_above_the_limit_is_refused(echo_server, length):
    body = b'{"a": "%b"}' % (b"x" * (length - 9))
    assert len(body) == length
    by_header = echo_server.post("/json", body)
    by_bytes = echo_server.post("/json", body, content_length="")  # as a chunked body has none
    for answer in (by_header, by_bytes):
        assert answer.status == (200 if length == 1000 else 413)
    if length == 1001:
        assert by_header.headers["connection"] == "close"
        assert by_header.json()["too_large"] == (
            "The body has more than 1000 bytes, which is the limit (--max-body of the server). "
            "Send fewer texts at a time."
        )


def test_a_length_that_is_no_number_changes_nothing(echo_server):
    for length in ("x", "-5", "²"):
        assert echo_server.post("/json", {"a": 1}, content_length=length).status == 200
    assert echo_server.post("/json", {"a": 1}, content_length="1" * 5000).status == 413


def test_bodies_of_all_requests_have_a_limit_together():
    """Those of requests that wait count, too: eight of the largest fit, and room comes again."""
    largest = b'{"a": "%b"}' % (b"x" * 991)
    release = asyncio.Event()

    async def hold(call):
        await release.wait()
        return json_answer(call, {})

    async def ask(server):
        waiting = [server.exchange("POST", "/json", largest) for _ in range(8)]
        waiting = [asyncio.ensure_future(one) for one in waiting]
        while server.state.body_bytes < 8000:
            await asyncio.sleep(0.001)
        refused = await server.exchange("POST", "/json", b"{}")
        release.set()
        return refused, *await asyncio.gather(*waiting)

    with in_process(
        {}, routes=[Route("POST", "/json", hold, DIALECT, "")], max_body=1000
    ) as server:
        refused, *answers = server.run(ask(server))
        answers.append(server.request("POST", "/json", largest))
        assert server.state.body_bytes == 0
    assert (refused.status, refused.headers["retry-after"]) == (429, "1")
    assert [answer.status for answer in answers] == [200] * 9
