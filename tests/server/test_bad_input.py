"""Bad input in each dialect: its status, its shape, what it says; and no text or key in the log.

A row of the table is sent in each dialect to processes of `minibert serve`. Every text of a request
holds a word that stands nowhere else, and so do the keys.
"""

import http.client
import itertools
import json
import socket
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import pytest
from golden_files import GOLDEN, copy_of, one_label_copy, spoil

WORD = "zwuschelquark"  # in every text
RIGHT, WRONG = "sk-rumpelklamm", "sk-falschgold"  # keys
MAX_INPUTS, MAX_BODY, MAX_TOKENS = 8, 400_000, 250
DEEP = 30_000
SURROGATE = WORD + " \ud800"


class Dialect(NamedTuple):
    """A good request of a dialect, and the keys of its errors."""

    path: str
    body: dict
    key: str  # of the body, that holds texts
    error: set  # keys of an error


DIALECTS = {
    "openai": Dialect(
        "/v1/embeddings",
        {"model": "e", "input": [WORD, f"the {WORD}"]},
        "input",
        {"message", "type", "param", "code"},
    ),
    "tei": Dialect("/embed", {"inputs": [WORD]}, "inputs", {"error", "error_type"}),
    "ollama": Dialect("/api/embed", {"model": "e", "input": [WORD]}, "input", {"error"}),
    "cohere": Dialect(
        "/v2/rerank",
        {"model": "r", "query": WORD, "documents": [WORD, f"the {WORD}"]},
        "documents",
        {"message", "detail"},
    ),
    "own": Dialect(
        "/v1/explain",
        {"model": "e", "query": WORD, "document": f"the {WORD}"},
        "document",
        {"message", "type", "param", "code"},
    ),
}


@dataclass(frozen=True)
class Request:
    """A request on its way to be spoilt; a body of several parts is sent without its length."""

    path: str
    body: object
    key: str
    method: str = "POST"
    headers: dict = field(
        default_factory=lambda: {
            "content-type": "application/json",
            "authorization": f"Bearer {RIGHT}",
        }
    )


def raw(content):
    """Send these bytes."""
    return lambda request: replace(request, body=content)


def given(value):
    """Give the key of the texts another value."""
    return lambda request: replace(request, body={**request.body, request.key: value})


def with_keys(**keys):
    """Give other keys; ... takes them away."""

    def changed(request):
        body = {key: value for key, value in {**request.body, **keys}.items() if value is not ...}
        return replace(request, body=body)

    return changed


def without_texts(request):
    """Leave the key of the texts out."""
    return with_keys(**{request.key: ...})(request)


def with_headers(**headers):
    """Send other headers; ... takes them away."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}

    def changed(request):
        all_ = {**request.headers, **named}
        return replace(request, headers={k: value for k, value in all_.items() if value is not ...})

    return changed


def in_json(part):
    """Put bytes that no value of Python gives in place of the texts."""

    def changed(request):
        body = json.dumps({**request.body, request.key: WORD}).encode()
        return replace(request, body=body.replace(f'"{WORD}"'.encode(), part))

    return changed


def twice(request):
    """Give the texts twice."""
    body = json.dumps(request.body)
    return replace(request, body=f'{body[:-1]}, "{request.key}": "{WORD}"}}'.encode())


def called(method):
    """Use another method."""
    return lambda request: replace(request, method=method)


def at(path):
    """Use another path."""
    return lambda request: replace(request, path=path)


LARGE = (WORD.encode() + b" ") * (MAX_BODY // len(WORD))

JSON, KEY, CODING = "no JSON", "Authorization: Bearer KEY", "send it uncompressed"
SURROGATES = "{key} has a lone surrogate", "{key}[0] has a lone surrogate"
MODEL = "There is no model 'zwuschelquark' here; this server has e,"
TYPE = "; expected application/json"


class Row(NamedTuple):
    """A cause, what the message says of it, and its status in each dialect; None asks nothing."""

    cause: str
    change: Callable
    says: str
    openai: int | None
    tei: int | None
    ollama: int | None
    cohere: int | None
    own: int | None


# fmt: off
ROWS = [
    Row("nothing wrong", lambda request: request, "",                    200, 200, 200, 200, 200),
    Row("an unknown key", with_keys(unknown=[WORD]), "",                 200, 200, 200, 200, 200),
    Row("null for a choice", with_keys(truncate=None), "",               200, 200, 200, 200, 200),
    Row("no body", raw(b""), "body is missing",                          400, 400, 400, 400, 400),
    Row("blanks alone", raw(b" \n "), "body is missing",                 400, 400, 400, 400, 400),
    Row("no JSON", raw(WORD.encode()), JSON,                             400, 400, 400, 400, 400),
    Row("half a body", raw(b'{"input": "zwuschelquark'), JSON,           400, 400, 400, 400, 400),
    Row("no UTF-8", in_json(b'"\xff"'), "no UTF-8: byte",                400, 400, 400, 400, 400),
    Row("UTF-16", raw(WORD.encode("utf-16")), "no UTF-8: byte 0",        400, 400, 400, 400, 400),
    Row("a comma too many", in_json(b'"zwuschelquark",'), JSON,          400, 400, 400, 400, 400),
    Row("NaN", in_json(b"NaN"), "NaN is no number",                      400, 400, 400, 400, 400),
    Row("infinity", in_json(b"-Infinity"), "-Infinity is no number",     400, 400, 400, 400, 400),
    Row("deep lists", in_json(b"[" * DEEP + b"]" * DEEP), "too deeply",  400, 400, 400, 400, 400),
    Row("deep objects", in_json(b'{"a":' * DEEP), "too deeply",   400, 400, 400, 400, 400),
    Row("5,000 digits", in_json(b"9" * 5000), "more than 4300 digits",   400, 400, 400, 400, 400),
    Row("a key twice", twice, "The key '{key}' stands twice",            400, 400, 400, 400, 400),
    Row("a list", raw(b'["zwuschelquark"]'), "no JSON object",           400, 422, 400, 400, 400),
    Row("a text", raw(b'"zwuschelquark"'), "no JSON object",             400, 422, 400, 400, 400),
    Row("a null", raw(b"null"), "no JSON object",                        400, 422, 400, 400, 400),
    Row("no texts", without_texts, "{key} is missing; exp",              400, 422, 200, 400, 400),
    Row("null for texts", given(None), "{key} is missing; exp",          400, 422, 200, 400, 400),
    Row("a number", given(7), "{key} is an int (7); expected a ",        400, 422, 400, 400, 400),
    Row("a huge number", given(10**400), "; expected a ",                400, 422, 400, 400, 400),
    Row("true", given(True), "{key} is a bool (True); expected a ",      400, 422, 400, 400, 400),
    Row("an object", given({WORD: WORD}), "{key} is a dict (",           400, 422, 400, 400, 400),
    Row("a number within", given([WORD, 7.5]), "{key}[1] is a float",    400, 422, 400, 400, None),
    Row("a null within", given([None]), "{key}[0] is a NoneType (None)", 400, 422, 400, 400, None),
    Row("lists within", given([[WORD]]), "{key}[0] is a list",           400, 422, 400, 400, None),
    Row("an empty list", given([]), "expected",                          400, 400, 200, 400, 400),
    Row("an empty text", given(""), "",                                  200, 200, 200, 400, None),
    Row("a text of two", given(["", WORD]), "",                          200, 200, 200, 200, None),
    Row("token ids", given([5, 6]), "{key}",                             400, 422, 400, 400, 400),
    Row("lists of token ids", given([[5, 6], [7]]), "{key}",             400, 422, 400, 400, 400),
    Row("a lone surrogate", given([SURROGATE]), SURROGATES[1],           400, 422, 400, 400, None),
    Row("half a pair", given("\udc00"), SURROGATES[0],                   400, 422, 400, None, 400),
    Row("a surrogate name", with_keys(model=SURROGATE), "model has a l", 400, 422, 400, 400, 400),
    Row("too many", given([WORD] * 9), "{key} has 9 items; a request",   400, 422, 400, 400, None),
    Row("too many tokens", given(["the cat " * 18] * 8), "250",          400, 422, 400, 400, None),
    Row("too long", with_keys(truncate=False, input=[WORD + " a" * 99], inputs=[WORD + " a" * 99]),
        "",                                                              400, 422, 400, None, None),
    Row("an unknown model", with_keys(model=WORD), MODEL,                404, 404, 404, 404, 404),
    Row("another kind", with_keys(model="three"), "'three' is",          400, 424, 400, 400, 400),
    Row("a number as model", with_keys(model=5), "model is an int (5)",  400, 422, 400, 400, 400),
    Row("a damaged model", with_keys(model="broken"), "",                500, 424, 500, None, None),
    Row("text as a number", with_keys(dimensions=WORD, top_n=WORD), "; expected a whole number fr",
                                                                         400, 422, 400, 400, None),
    Row("0 as a number", with_keys(dimensions=0, top_n=0), "1",          400, 422, None, 400, None),
    Row("half a number", with_keys(dimensions=1.5, top_n=1.5), "(1.5)",  400, 422, 400, 400, None),
    Row("text as a flag", with_keys(normalize=WORD, truncate=WORD, raw_scores=WORD, occlusion=WORD),
        "; expected true or false",                                      400, 422, 400, 400, 400),
    Row("an unknown word",
        with_keys(encoding_format=WORD, truncation_direction=WORD, metric=WORD), WORD,
                                                                         400, 422, None, None, 400),
    Row("an unknown prompt", with_keys(prompt_name=WORD), WORD,         400, 422, None, None, None),
    Row("another type", with_headers(content_type="text/plain"), TYPE,   415, 415, 200, 415, 415),
    Row("no type", with_headers(content_type=...), TYPE,                 415, 415, 200, 415, 415),
    Row("a form", with_headers(content_type="multipart/form-data"), TYPE, 415, 415, 200, 415, 415),
    Row("a charset", with_headers(content_type="application/json; charset=utf-8"), "",
                                                                         200, 200, 200, 200, 200),
    Row("gzip", with_headers(content_encoding="gzip"), CODING,           415, 415, 415, 415, 415),
    Row("brotli", with_headers(content_encoding="br"), CODING,           415, 415, 415, 415, 415),
    Row("no key", with_headers(authorization=...), KEY,                  401, 401, 401, 401, 401),
    Row("a wrong key", with_headers(authorization=f"Bearer {WRONG}"), KEY,
                                                                         401, 401, 401, 401, 401),
    Row("half a key", with_headers(authorization=f"Bearer {RIGHT[:-1]}"), KEY,
                                                                         401, 401, 401, 401, 401),
    Row("a key of Latin-1", with_headers(authorization="Bearer \xe4\xff"), KEY,
                                                                         401, 401, 401, 401, 401),
    Row("a key alone", with_headers(authorization=RIGHT), KEY,           401, 401, 401, 401, 401),
    Row("a password", with_headers(authorization=f"Basic {RIGHT}"), KEY, 401, 401, 401, 401, 401),
    Row("GET", called("GET"), "The method is GET; expected POST",        405, 405, 405, 405, 405),
    Row("PUT", called("PUT"), "The method is PUT; expected POST",        405, 405, 405, 405, 405),
    Row("DELETE", called("DELETE"), "The method is DELETE; expec",       405, 405, 405, 405, 405),
    Row("a too large body", raw(LARGE), f"more than {MAX_BODY} bytes",   413, 413, 413, 413, 413),
    Row("too many chunks", raw([LARGE[:300_000]] * 2), f"more than {MAX_BODY} bytes",
                                                                         413, 413, 413, 413, 413),
]
# fmt: on

CASES = [
    pytest.param(row, name, id=f"{row.cause}-{name}")
    for row in ROWS
    for name in DIALECTS
    if getattr(row, name) is not None
]

# What a dialect says in the words of the server whose clients it serves.
WRONG_TYPE = ["a number", "a huge number", "true", "an object", "lists within"]
WRONG_TYPE += ["a number within", "a null within", "token ids", "lists of token ids"]
OTHER_WORDS = {
    "ollama": {
        **dict.fromkeys(["no body", "blanks alone"], "missing request body"),
        **dict.fromkeys(WRONG_TYPE, "invalid input type"),
        "half a pair": "input[0] has a lone surrogate",
        "an unknown model": "model 'zwuschelquark' not found",
        "too long": "the input length exceeds the context length",
    },
    "tei": {
        "an empty list": "`inputs` cannot be empty",
        "too many": "batch size 9 > maximum allowed batch size 8",
        "too long": "`inputs` must have less",
    },
}

PATHS = [
    ("/v1/zwuschelquark", "openai"),
    ("/v1/embeddings/zwuschelquark?text=zwuschelquark", "openai"),
    ("/v1/v1/embeddings", "cohere"),
    ("/v2/zwuschelquark", "cohere"),
    ("/api/zwuschelquark", "ollama"),
    ("/embed/zwuschelquark", "tei"),
    ("/embed%20zwuschelquark", "tei"),
]


@pytest.fixture(scope="module", params=["text", "json"])
def refusing(request, starting, tmp_path_factory):
    """A server with a key, small limits and models of all kinds; its log in words, or in JSON."""
    folder = tmp_path_factory.mktemp("models")
    broken = copy_of("gelu", folder)
    spoil(broken, "encoder.layer.0.output.dense.weight")
    return starting(
        *(
            f"e={GOLDEN / 'gelu'}",
            f"r={one_label_copy(folder)}",
            f"three={GOLDEN / 'cross_encoder'}",
        ),
        *(f"broken={broken}", "--api-key", RIGHT, "--log", request.param),
        *("--max-inputs", MAX_INPUTS, "--max-body", MAX_BODY, "--max-request-tokens", MAX_TOKENS),
        told="minibert: ready" if request.param == "text" else '"event": "ready"',
    )


numbers = itertools.count()


def answered(server, request):
    """Send a request, wait for its line in the log, and look that no text and no key is in it."""
    id = f"request-{next(numbers)}-"
    body = request.body
    if isinstance(body, dict):
        body = json.dumps(body).encode()
    if request.method == "GET":
        body = None
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    with suppress(BrokenPipeError, ConnectionResetError):  # it answers before it has read all
        chunks = iter(body) if isinstance(body, list) else body
        headers = {**request.headers, "x-request-id": id}
        connection.request(request.method, request.path, chunks, headers)
    response = connection.getresponse()
    content = response.read()
    connection.close()
    assert response.headers["x-request-id"] == id
    log = server.until(id).stderr()
    for secret in (WORD, RIGHT, WRONG):
        assert secret not in log.lower()
    return response, content


def message_of(content, dialect):
    """Return the message of an error; its keys must be those of the dialect."""
    error = json.loads(content)
    if "type" in dialect.error:
        assert set(error) == {"error"}
        error = error["error"]
    assert set(error) == dialect.error
    return error.get("message") or error["error"]


@pytest.mark.parametrize(("row", "name"), CASES)
def test_bad_input_is_refused_in_the_dialect_s_own_way(refusing, row, name):
    dialect, status = DIALECTS[name], getattr(row, name)
    request = row.change(Request(dialect.path, dialect.body, dialect.key))
    response, content = answered(refusing, request)
    assert (response.status, response.headers["content-type"]) == (status, "application/json")
    if status != 200:
        says = OTHER_WORDS.get(name, {}).get(row.cause, row.says).format(key=dialect.key)
        assert says in message_of(content, dialect)
    if status == 405:
        assert response.headers["allow"] == "POST"


@pytest.mark.parametrize(("path", "name"), PATHS)
def test_an_unknown_path_has_the_shape_of_its_neighbours(refusing, path, name):
    dialect = DIALECTS[name]
    response, content = answered(refusing, Request(path, dialect.body, dialect.key))
    assert response.status == 404
    assert "There is no '/" in message_of(content, dialect)


def test_what_is_no_http_is_refused_and_not_logged(refusing):
    for lines in (f"{WORD} {RIGHT}", f"GET /{WORD} HTTP/1.1\r\n{RIGHT}", f"POST /{WORD} HTTP/7"):
        with socket.create_connection(("127.0.0.1", refusing.port), timeout=30) as connection:
            connection.sendall(f"{lines}\r\n\r\n".encode())
            assert connection.recv(100).startswith(b"HTTP/1.1 400 ")
    dialect = DIALECTS["openai"]
    response, _ = answered(refusing, Request(dialect.path, dialect.body, dialect.key))
    assert response.status == 200
