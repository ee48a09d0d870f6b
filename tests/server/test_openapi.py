"""openapi.json describes the routes that there are, and a server answers its examples so."""

import html
import json

import pytest
from corpora import sentences
from golden_files import GOLDEN, one_label_copy
from in_process import in_process

import minibert
from minibert import SentenceTransformer
from minibert.corpus.building import build
from minibert.server.app import ROUTES
from minibert.server.documentation import OPENAPI
from minibert.server.metrics import Metrics

DESCRIBED = json.loads(OPENAPI.read_text(encoding="utf-8"))
EMBEDDER, RERANKER = "all-MiniLM-L6-v2", "ms-marco-MiniLM-L6-v2"  # of the examples
OPERATIONS = [
    (method, path, operation)
    for path, methods in DESCRIBED["paths"].items()
    for method, operation in methods.items()
]
TYPES = {
    "array": list,
    "boolean": bool,
    "integer": int,
    "null": type(None),
    "number": (int, float),
    "object": dict,
    "string": str,
}


@pytest.fixture(scope="module")
def described_server(tmp_path_factory):
    """Golden models under the names of the examples, and a corpus."""
    place = tmp_path_factory.mktemp("openapi")
    build(place / "corpus", sentences(), SentenceTransformer(GOLDEN / "gelu"))
    models = {EMBEDDER: GOLDEN / "gelu", RERANKER: one_label_copy(place)}
    with in_process(models, corpus=str(place / "corpus")) as server:
        server.state.metrics = Metrics()
        yield server


def named(schema):
    """The schema that a reference names."""
    if "$ref" not in schema:
        return schema
    found = DESCRIBED
    for part in schema["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def faults(value, schema, place="body"):
    """Where a value is not of a schema; of the words of JSON Schema, those used here."""
    schema = named(schema)
    if "anyOf" in schema:
        if all(list(faults(value, one, place)) for one in schema["anyOf"]):
            yield f"{place}: none of anyOf"
        return
    if "type" in schema:
        is_wrong = isinstance(value, bool) and schema["type"] in ("integer", "number")
        if is_wrong or not isinstance(value, TYPES[schema["type"]]):
            yield f"{place}: {value!r:.40} is no {schema['type']}"
            return
    if "enum" in schema and value not in schema["enum"]:
        yield f"{place}: {value!r} is not in enum"
    if isinstance(value, dict) and "properties" in schema:
        yield from (f"{place}: no {key}" for key in schema.get("required", ()) if key not in value)
        yield from (
            f"{place}: {key} is unknown" for key in value if key not in schema["properties"]
        )
        for key in value.keys() & schema["properties"].keys():
            yield from faults(value[key], schema["properties"][key], f"{place}.{key}")
    if isinstance(value, list):
        for number, one in enumerate(value):
            yield from faults(one, schema.get("items", {}), f"{place}[{number}]")


def test_every_route_is_described_and_nothing_else():
    routes = {(one.method.lower(), one.path.replace(":path}", "}")): one for one in ROUTES}
    found = {(method, path): operation for method, path, operation in OPERATIONS}
    assert found.keys() == routes.keys()
    assert {key: one["summary"] for key, one in found.items()} == {
        key: one.summary for key, one in routes.items()
    }
    is_open = {key: one.get("security") == [] for key, one in found.items()}
    assert is_open == {key: one.is_open for key, one in routes.items()}


@pytest.mark.parametrize(
    ("method", "path", "operation"), OPERATIONS, ids=[f"{one[0]} {one[1]}" for one in OPERATIONS]
)
def test_an_example_is_answered_as_described(described_server, method, path, operation):
    body = operation.get("requestBody", {}).get("content", {}).get("application/json")
    example = body and body["example"]
    for about in operation.get("parameters", ()):
        path = path.replace(f"{{{about['name']}}}", about.get("example", ""))
    answer = described_server.request(method.upper(), path, example)
    (status,) = operation["responses"].keys() - {"default"}
    assert answer.status == int(status), answer.body
    ((kind, described),) = operation["responses"][status]["content"].items()
    assert answer.headers["content-type"].split(";")[0] == kind
    if kind == "application/json":
        assert list(faults(answer.json(), described["schema"])) == []
        assert list(faults(described.get("example"), described["schema"])) == [] or (
            "example" not in described
        )
    if body:
        assert list(faults(example, body["schema"])) == []


def test_every_error_is_described(described_server):
    """One per dialect: a body of the wrong type."""
    for method, path, operation in OPERATIONS:
        if method == "post":
            answer = described_server.request("POST", path, b"[]")
            assert answer.status in (400, 422), path
            described = named(operation["responses"]["default"])
            schema = described["content"]["application/json"]["schema"]
            assert list(faults(answer.json(), schema)) == [], path


def test_the_version_is_that_of_the_package():
    assert DESCRIBED["info"]["version"] == minibert.__version__


def test_every_tag_and_reference_is_there():
    tags = {tag["name"] for tag in DESCRIBED["tags"]}
    assert {tag for *_, operation in OPERATIONS for tag in operation["tags"]} == tags

    def references(value):
        if isinstance(value, dict):
            yield from [value] if "$ref" in value else []
            value = list(value.values())
        for one in value if isinstance(value, list) else ():
            yield from references(one)

    found = list(references(DESCRIBED))
    assert found
    assert all(named(one) for one in found)


def test_the_file_is_served_as_it_is(described_server):
    for path in ("/openapi.json", "/api-doc/openapi.json"):
        answer = described_server.request("GET", path)
        assert answer.body == OPENAPI.read_bytes()
        assert answer.headers["content-type"] == "application/json"


def test_docs_name_every_route_and_ask_for_nothing(described_server):
    answer = described_server.request("GET", "/docs")
    shown = answer.body.decode()
    for method, path, _ in OPERATIONS:
        assert f"<code>{method.upper()} {path}</code>" in shown
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "<script" not in shown
    assert "<link" not in shown
    assert "src=" not in shown.replace("default-src", "").replace("-src '", "")


def test_docs_have_the_names_and_the_address_of_their_server():
    with in_process({"small": GOLDEN / "gelu"}, api_keys=("k",)) as server:
        shown = html.unescape(
            server.request("GET", "/docs", headers={"host": "a<b:1"}).body.decode()
        )
    start = "curl -H 'Authorization: Bearer KEY' http://a<b:1/v1/embeddings -H "
    assert start in shown
    assert '"model": "small"' in shown[shown.index(start) :][:300]
    assert "127.0.0.1:8000" not in shown
    assert "all-MiniLM-L6-v2" not in shown
