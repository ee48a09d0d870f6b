"""OpenAI's dialect: /v1/embeddings and /v1/models, as its Python client speaks it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from minibert.common.arrays import Array
from minibert.server import fields
from minibert.server.answers import as_base64, as_floats, json_answer, rows_answer
from minibert.server.dialect import Dialect
from minibert.server.refusals import BAD_REQUESTS, RequestError
from minibert.server.route import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from minibert.server.call import Call
    from minibert.server.served import Served

__all__ = ["DIALECT", "ROUTES"]


def body_of(problem: RequestError, status: int, id: str) -> dict[str, Any]:
    """Return an error as OpenAI's client reads it."""
    code = {"unknown_model": "model_not_found", "key": "invalid_api_key"}.get(problem.kind)
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {
        "error": {
            "message": problem.message,
            "type": "rate_limit_error" if status == 429 else kind,
            "param": problem.field,
            "code": code,
        }
    }


DIALECT = Dialect("openai", body_of, BAD_REQUESTS)


async def embeddings(call: Call) -> Response:
    """Answer POST /v1/embeddings."""
    body = call.body
    found = call.models.find(fields.model_name(body), "embedding")
    texts = fields.inputs(body, "input", call.settings)
    if not texts:
        raise fields.empty("input")
    form = fields.choice(body, "encoding_format", ("float", "base64"), "float")
    embedded = await call.core.embed(
        call.facts,
        found,
        texts,
        prompt_name=fields.optional_text(body, "prompt_name"),
        normalize=fields.flag(body, "normalize"),
        dimensions=fields.integer(body, "dimensions", least=1),
        truncate=fields.is_truncating(body),
    )
    write = as_base64 if form == "base64" else as_floats

    def written(index: int, row: Array) -> bytes:
        return b'{"object":"embedding","index":%d,"embedding":%b}' % (index, write(row))

    facts = {
        "object": "list",
        "model": found.served.name,
        "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
    }
    return rows_answer(call, facts, "data", embedded.vectors, written, embedded.vectors.size)


async def models(call: Call) -> Response:
    """Answer GET /v1/models."""
    found = [facts_of(served) for served in call.models.all]
    return json_answer(call, {"object": "list", "data": found})


async def model(call: Call) -> Response:
    """Answer GET /v1/models/{id}."""
    name = call.request.path_params["id"]
    if not name:  # no request for the first model
        raise RequestError("unknown_model", "The path ends before the model's name.", field="model")
    found = call.models.find(name, "embedding", "reranker", "classifier")
    return json_answer(call, facts_of(found.served))


def facts_of(served: Served) -> dict[str, Any]:
    """Return the facts of a model."""
    return {
        "id": served.name,
        "object": "model",
        "created": served.created,
        "owned_by": "minibert",
    }


ROUTES = (
    Route("POST", "/v1/embeddings", embeddings, DIALECT, "Vectors of texts."),
    Route("POST", "/embeddings", embeddings, DIALECT, "The same, for clients without /v1."),
    Route("GET", "/v1/models", models, DIALECT, "All models that are served."),
    Route("GET", "/v1/models/{id:path}", model, DIALECT, "One model."),
)
