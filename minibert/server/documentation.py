"""The file openapi.json, and /docs: the same as a page without a script or a network.

openapi.json is written by hand; a test compares it with the routes. Start at described.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from starlette.responses import Response

from minibert.pictures.page import page
from minibert.pictures.svg import escaped
from minibert.server.answers import html_answer
from minibert.server.openai import DIALECT
from minibert.server.route import Route

if TYPE_CHECKING:
    from minibert.server.call import Call

__all__ = ["OPENAPI", "ROUTES"]

Object: TypeAlias = Mapping[str, Any]  # of JSON

OPENAPI = Path(__file__).parent / "openapi.json"
STYLE = Path(__file__).parent / "page.css"
POLICY = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"
JSON = "application/json"
ADDRESS = "http://127.0.0.1:8000"  # of a server without options
EXAMPLES = {"embedding": "all-MiniLM-L6-v2", "reranker": "ms-marco-MiniLM-L6-v2"}


async def docs(call: Call) -> Response:
    """Answer GET /docs: its calls are those of this server, to be pasted into a shell."""
    shown = described()
    for example, own in own_words(call):
        shown = shown.replace(escaped(example), escaped(own))
    return html_answer(call, shown, POLICY)


def own_words(call: Call) -> Iterator[tuple[str, str]]:
    """Yield the address and the names of models in openapi.json, each with the server's own."""
    address = f"http://{call.request.headers.get('host', ADDRESS[7:])}"
    header = "-H 'Authorization: Bearer KEY' " if call.settings.api_keys else ""
    yield f"curl {ADDRESS}", f"curl {header}{address}"
    for kind, example in EXAMPLES.items():
        served = call.state.models.all if call.state.models else ()
        if found := next((one for one in served if one.kind == kind), None):
            yield example, json.dumps(found.name)[1:-1]


async def openapi(call: Call) -> Response:
    """Answer GET /openapi.json."""
    return Response(OPENAPI.read_bytes(), 200, call.headers, JSON)


@lru_cache(maxsize=1)
def described() -> str:
    """Write openapi.json as a page."""
    content = json.loads(OPENAPI.read_bytes())
    info = content["info"]
    parts = [
        '<header>\n<p class="kicker">minibert serves</p>',
        f"<h1>{escaped(info['title'])}</h1>",
        *(f"<p>{escaped(line)}</p>" for line in info["description"].split("\n\n")),
        '<p class="hint">A program reads all of this as <a href="openapi.json">OpenAPI</a>.</p>',
        "</header>\n<main>",
    ]
    for tag in content["tags"]:
        parts += [
            f"<section>\n<h2>{escaped(tag['name'])}</h2>",
            f"<p>{escaped(tag['description'])}</p>",
            *operations_of(content, tag["name"]),
            "</section>",
        ]
    return page(info["title"], "\n".join([*parts, "</main>"]), None, None, STYLE, POLICY)


def operations_of(content: Object, tag: str) -> Iterator[str]:
    """Write the operations that have a tag."""
    for path, methods in content["paths"].items():
        for method, operation in methods.items():
            if tag in operation["tags"]:
                yield f"<h3><code>{method.upper()} {escaped(path)}</code></h3>"
                yield f"<p>{escaped(operation['summary'])}</p>"
                yield from request_of(content, path, operation)
                yield from answer_of(operation)


def request_of(content: Object, path: str, operation: Object) -> Iterator[str]:
    """Write the keys of a body, and an example of a call."""
    body = operation.get("requestBody", {}).get("content", {}).get(JSON)
    for about in operation.get("parameters", ()):
        path = path.replace(f"{{{about['name']}}}", str(about.get("example")))
    command = f"curl {ADDRESS}{path}"
    if body:
        yield keys_table(resolved(content, body["schema"]), f"Keys of {path}")
        command += f" -H 'Content-Type: {JSON}' \\\n  -d '{json.dumps(body['example'])}'"
    yield block(command)


def resolved(content: Object, schema: Object) -> Object:
    """Return a schema, or the one of the components that it names."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return content["components"]["schemas"][name] if name else schema


def answer_of(operation: Object) -> Iterator[str]:
    """Write the example of an answer."""
    for kind, answer in operation["responses"].get("200", {}).get("content", {}).items():
        if "example" in answer:
            example = answer["example"]
            text = example if kind != JSON else json.dumps(example, ensure_ascii=False)
            yield block(text)


def block(text: str) -> str:
    """Write lines of code."""
    return f'<pre class="scroll" tabindex="0">{escaped(text, lines=True)}</pre>'


def keys_table(schema: Object, label: str) -> str:
    """Write the keys of a body: their types and meanings. The table scrolls if it is too wide."""
    required = schema.get("required", ())
    rows = (
        f'<tr><th scope="row"><code>{escaped(name)}</code></th>'
        f"<td>{escaped(type_of(about))}{', required' if name in required else ''}</td>"
        f"<td>{escaped(about.get('description', ''))}</td></tr>"
        for name, about in schema["properties"].items()
    )
    names = "".join(f'<th scope="col">{name}</th>' for name in ("Key", "Type", "Meaning"))
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{escaped(label)}">'
        f"<table><thead><tr>{names}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def type_of(schema: Object) -> str:
    """Name a type in words: "string", "array of string", "float or base64"."""
    if "enum" in schema:
        return " or ".join(map(json.dumps, schema["enum"]))
    if "anyOf" in schema:
        return " or ".join(map(type_of, schema["anyOf"]))
    if schema.get("type") == "array" and "items" in schema:
        return f"array of {type_of(schema['items'])}"
    return str(schema.get("type", "any"))


ROUTES = (
    Route("GET", "/docs", docs, DIALECT, "This description, as a page.", True, False),
    Route("GET", "/openapi.json", openapi, DIALECT, "This description.", True, False),
    Route("GET", "/api-doc/openapi.json", openapi, DIALECT, "The same.", True, False),
)
