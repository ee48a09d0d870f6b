"""Ollama's dialect: /api/embed, and the routes that tell of models, as its Python client reads it.

Names are taken in any case, and with ":latest" behind. Only embedding models are listed, as none of
these routes would use another.
"""

from __future__ import annotations

import hashlib
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from minibert.common.arrays import Array
from minibert.server import fields
from minibert.server.answers import as_floats, json_answer, rows_answer
from minibert.server.dialect import Dialect
from minibert.server.refusals import BAD_REQUESTS, Kind, RequestError
from minibert.server.route import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from minibert.server.call import Call
    from minibert.server.served import Found, ModelKind, Served

__all__ = ["DIALECT", "ROUTES"]

VERSION = "0.33.0"  # of the Ollama whose answers these are
LATEST = ":latest"  # tag of a name that has none
NEVER = "9999-12-31T23:59:59Z"  # when a model leaves the memory
INT64 = -(2**63)  # the smallest number of dimensions that Ollama can read

TEXTS: dict[Kind, str] = {
    "body_missing": "missing request body",
    "too_long": "the input length exceeds the context length",
}


def body_of(problem: RequestError, status: int, id: str) -> dict[str, Any]:
    """Return an error as Ollama's client reads it."""
    return {"error": TEXTS.get(problem.kind, problem.message)}


DIALECT = Dialect("ollama", body_of, BAD_REQUESTS, any_content_type=True)


async def embed(call: Call) -> Response:
    """Answer POST /api/embed."""
    began, body = time.perf_counter_ns(), call.body
    texts = texts_of(call)
    found = found_of(call, "embedding")
    name = asked_name(call) or found.served.name
    if not texts:
        return json_answer(call, {"model": name, "embeddings": []})
    embedded = await call.core.embed(
        call.facts,
        found,
        texts,
        dimensions=dimensions_of(call, found.served),
        truncate=fields.is_truncating(body),
    )
    facts = {
        "model": name,
        "total_duration": time.perf_counter_ns() - began,  # nanoseconds
        "load_duration": 0,
        "prompt_eval_count": embedded.tokens,
    }
    return rows_answer(call, facts, "embeddings", embedded.vectors, written, embedded.vectors.size)


async def embeddings(call: Call) -> Response:
    """Answer POST /api/embeddings, the older route: one text, and a vector of its own length."""
    found = found_of(call, "embedding")
    prompt = fields.optional_text(call.body, "prompt")
    if not prompt:
        return json_answer(call, {"embedding": []})
    embedded = await call.core.embed(call.facts, found, [prompt], normalize=False)
    return json_answer(call, {"embedding": embedded.vectors[0].tolist()})


async def tags(call: Call) -> Response:
    """Answer GET /api/tags."""
    return json_answer(call, {"models": [facts_of(served) for served in listed(call)]})


async def ps(call: Call) -> Response:
    """Answer GET /api/ps: all models are in memory, and stay there."""
    found = []
    for served in listed(call):
        facts = facts_of(served)
        on_gpu = facts["size"] if served.model.device != "cpu" else 0
        found.append({**facts, "expires_at": NEVER, "size_vram": on_gpu})
    return json_answer(call, {"models": found})


async def show(call: Call) -> Response:
    """Answer POST /api/show."""
    served = found_of(call, "embedding", "reranker", "classifier").served
    facts, config = facts_of(served), served.model.config
    family = config.model_type
    info = {
        "general.architecture": family,
        "general.parameter_count": served.model.checkpoint.tensors.taken_numbers,
        f"{family}.block_count": config.num_hidden_layers,
        f"{family}.attention.head_count": config.num_attention_heads,
        f"{family}.feed_forward_length": config.intermediate_size,
        f"{family}.context_length": facts["details"]["context_length"],
        f"{family}.embedding_length": facts["details"]["embedding_length"],
    }
    told = {key: facts[key] for key in ("details", "capabilities", "modified_at")}
    return json_answer(call, {**told, "model_info": info})


async def version(call: Call) -> Response:
    """Answer GET /api/version."""
    return json_answer(call, {"version": VERSION})


def written(index: int, row: Array) -> bytes:
    """Write a vector."""
    return as_floats(row)


def texts_of(call: Call) -> list[str]:
    """Return the texts of "input"; none for an empty text, an empty list and no input."""
    value = call.body.get("input")
    if value is None or value == "":
        return []
    if not isinstance(value, str) and not (
        isinstance(value, list) and all(isinstance(text, str) for text in value)
    ):
        raise RequestError("validation", "invalid input type", field="input")
    return fields.texts(call.body, "input", call.settings, one=True)


def dimensions_of(call: Call, served: Served) -> int | None:
    """Return how many dimensions to keep; None for all, also where the request's number is none."""
    wanted = fields.integer(call.body, "dimensions", least=INT64)
    assert served.encoder is not None
    is_fewer = wanted is not None and 0 < wanted < served.encoder.get_embedding_dimension()
    return wanted if is_fewer else None


def asked_name(call: Call) -> str | None:
    """Return the name that a request has, under the newer key or the older one."""
    name = fields.model_name(call.body)
    return name or fields.optional_text(call.body, "name")


def found_of(call: Call, *kinds: ModelKind) -> Found:
    """Return the model that a request means. Raises RequestError in Ollama's words."""
    asked, models = asked_name(call), call.models
    if not asked:
        return models.find(None, *kinds)
    untagged = asked[: -len(LATEST)] if asked.lower().endswith(LATEST) else asked
    spelled = next(filter(None, map(models.spelled, (asked, untagged))), None)
    if spelled is None:
        raise RequestError("unknown_model", f"model '{asked[:80]}' not found", field="model")
    return models.find(spelled, *kinds)


def listed(call: Call) -> list[Served]:
    """List the models that these routes can use."""
    return [served for served in call.models.all if served.kind == "embedding"]


def facts_of(served: Served) -> dict[str, Any]:
    """Return the facts of a model, as Ollama lists them."""
    model, files = served.model, served.model.checkpoint.files
    name = served.name if ":" in served.name.rpartition("/")[2] else served.name + LATEST
    size = sum(file.stat().st_size for file in files)
    modified = datetime.fromtimestamp(served.created, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    encoder, family = served.encoder, model.config.model_type
    return {
        "name": name,
        "model": name,
        "modified_at": modified,
        "size": size,
        # Of Ollama it is that of a list of files; a digest of all bytes would take seconds.
        "digest": hashlib.sha256(f"{name} {size} {modified}".encode()).hexdigest(),
        "details": {
            "parent_model": "",
            "format": "safetensors",
            "family": family,
            "families": [family],
            "parameter_size": f"{model.checkpoint.tensors.taken_numbers / 1e6:.1f}M",
            "quantization_level": {"float32": "F32", "float16": "F16"}[model.dtype],
            "context_length": model.max_seq_length,
            "embedding_length": (
                encoder.get_embedding_dimension() if encoder else model.config.hidden_size
            ),
        },
        "capabilities": ["embedding"] if encoder else [],
    }


ROUTES = (
    Route("POST", "/api/embed", embed, DIALECT, "Vectors of texts."),
    Route("POST", "/api/embeddings", embeddings, DIALECT, "A vector of one text, not normalised."),
    Route("POST", "/api/show", show, DIALECT, "Facts of a model."),
    Route("GET", "/api/tags", tags, DIALECT, "All embedding models."),
    Route("GET", "/api/ps", ps, DIALECT, "Embedding models in memory, which are all of them."),
    Route("GET", "/api/version", version, DIALECT, "The version of Ollama that is spoken."),
)
