"""The page of a server: it is asked for by browsers, and may do nothing but ask its server."""

import base64
import hashlib

import pytest
from drawn import Elements
from golden_files import GOLDEN
from in_process import in_process

BROWSER = {"accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


@pytest.fixture(scope="module")
def with_key():
    with in_process({"secret-name": GOLDEN / "gelu"}, api_keys=("k",)) as server:
        yield server


@pytest.mark.parametrize("accept", [None, "*/*", "application/json"])
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_programs_are_told_that_the_server_runs(with_key, method, accept):
    answer = with_key.request(method, "/", headers={"accept": accept} if accept else {})
    assert answer.status == 200
    assert answer.body == b"minibert is running"  # the host leaves it out of the answer to HEAD
    assert answer.headers["content-type"].startswith("text/plain")
    assert answer.headers["vary"] == "accept"


def test_a_browser_gets_the_page_without_a_key(with_key):
    answer = with_key.request("GET", "/", headers=BROWSER)
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.headers["vary"] == "accept"
    page = answer.body.decode()
    assert "secret-name" not in page
    assert Elements(page).data() == {"needsKey": True}


def test_without_keys_the_page_asks_for_none():
    with in_process({"m": GOLDEN / "gelu"}) as server:
        answer = server.request("GET", "/", headers=BROWSER)
    assert Elements(answer.body.decode()).data() == {"needsKey": False}


def test_the_page_answers_while_models_load(with_key):
    models, with_key.state.models = with_key.state.models, None
    try:
        assert with_key.request("GET", "/", headers=BROWSER).status == 200
        assert with_key.request("GET", "/").status == 200
        assert with_key.request("GET", "/docs").status == 200
    finally:
        with_key.state.models = models


@pytest.mark.parametrize("path", ["/", "/docs"])
def test_a_page_refers_to_no_other_host(with_key, path):
    elements = Elements(with_key.request("GET", path, headers=BROWSER).body.decode())
    referred = [
        has[name]
        for _, has in elements.found
        for name in ("src", "href", "action", "data", "srcset")
        if has.get(name)
    ]
    expected = {"data:,", "docs", "openapi.json", "info", "metrics"}
    assert set(referred) <= expected
    assert not [name for _, has in elements.found for name in has if name.startswith("on")]


def test_the_policy_allows_the_page_s_own_script_alone(with_key):
    answer = with_key.request("GET", "/", headers=BROWSER)
    policy = dict(
        part.strip().split(" ", 1) for part in answer.headers["content-security-policy"].split(";")
    )
    assert policy["default-src"] == "'none'"
    assert policy["connect-src"] == "'self'"
    assert policy["frame-ancestors"] == "'none'"
    assert "unsafe-inline" not in policy["script-src"]
    scripts = [
        answer.body.decode().split("<script>")[1].split("</script>")[0],
        explanation_of(with_key).split("<script>")[1].split("</script>")[0],
    ]
    digests = [hashlib.sha256(script.encode()).digest() for script in scripts]
    sources = [f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests]
    assert policy["script-src"].split() == sources
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"


def explanation_of(server):
    """The page of an explanation, which is shown in a frame of the server's page."""
    body = {"query": "a cat", "document": "the cat"}
    answer = server.post("/v1/explain", body, accept="text/html", authorization="Bearer k")
    assert answer.status == 200
    return answer.body.decode()


def test_other_routes_of_the_page_need_the_key(with_key):
    for method, path, body in (
        ("GET", "/v1/served", None),
        ("POST", "/v1/explain", {"query": "a", "document": "b"}),
        ("POST", "/v1/search", {"query": "a"}),
    ):
        assert with_key.request(method, path, body).status == 401
