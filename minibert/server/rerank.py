"""Cohere's dialect, /v1/rerank and /v2/rerank, which Jina, vLLM and infinity speak, too.

One answer has what all their clients read. A document is repeated as an object, and only where
`return_documents` is true: Jina's default is true, Cohere's false. Infinity's clients read a text
in its place, so they ask with `return_documents` false. Scores are from 0 to 1 unless
`raw_scores`, a key of infinity and TEI, is true.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from minibert.server import fields, tei
from minibert.server.answers import json_answer
from minibert.server.dialect import Dialect
from minibert.server.refusals import BAD_REQUESTS, RequestError
from minibert.server.route import Route

if TYPE_CHECKING:
    from starlette.responses import Response

    from minibert.server.call import Call
    from minibert.server.settings import Settings

__all__ = ["DIALECT", "ROUTES"]


def body_of(problem: RequestError, status: int, id: str) -> dict[str, Any]:
    """Return an error as Cohere's client reads it, and Jina's, which reads `detail`."""
    return {"message": problem.message, "detail": problem.message}


DIALECT = Dialect("cohere", body_of, BAD_REQUESTS)


class Document(NamedTuple):
    """A document of a request."""

    text: str  # that is scored
    keys: dict[str, str]  # texts that the answer repeats on demand, under their keys


async def rerank(call: Call) -> Response:
    """Answer POST /v1/rerank and /v2/rerank.

    The order is that of CrossEncoder.rank. The scores are sigmoids, or logits on demand.
    """
    body = call.body
    found = call.models.find(fields.model_name(body), "reranker")
    query = fields.text(body, "query")
    documents = documents_of(call)
    top_n = fields.integer(body, "top_n", least=1)
    is_raw = bool(fields.flag(body, "raw_scores"))
    is_repeated = fields.flag(body, "return_documents")
    scored = await call.core.score(
        call.facts,
        found,
        [(query, document.text) for document in documents],
        raw=True,
        max_second=fields.integer(body, "max_tokens_per_doc", least=1),
    )
    order, scores = found.served.ranked(scored.scores, raw=is_raw)
    results = [
        {"index": number, "relevance_score": float(scores[number])}
        | ({"document": documents[number].keys} if is_repeated else {})
        for number in order[:top_n]
    ]
    content = {
        "id": call.id,
        "object": "list",
        "model": found.served.name,
        "usage": {"prompt_tokens": scored.tokens, "total_tokens": scored.tokens},
        "results": results,
        "meta": {"api_version": {"version": "2"}, "billed_units": {"search_units": 1}},
    }
    return json_answer(call, content)


async def by_texts(call: Call) -> Response:
    """Answer POST /rerank: as text-embeddings-inference does, if the body has `texts`."""
    has_texts, has_documents = (call.body.get(key) is not None for key in ("texts", "documents"))
    if has_texts and has_documents:
        raise RequestError(
            "validation", "The body has both texts and documents; send one of them.", field="texts"
        )
    if not has_texts and not has_documents:
        raise fields.missing("documents", "a list of texts, here or as texts")
    return await (tei.rerank(call) if has_texts else rerank(call))


def documents_of(call: Call) -> list[Document]:
    """Return the documents of a request: texts, or objects of texts. Raises RequestError."""
    body = call.body
    given = body.get("documents")
    expected = "a list of texts, or of objects with a text"
    if given is None:
        raise fields.missing("documents", expected)
    if not isinstance(given, list):
        raise fields.wrong("documents", given, expected)
    if not given:
        raise fields.empty("documents")
    fields.check_number(given, "documents", call.settings)
    ranked = rank_fields_of(body, call.settings)
    return [
        document_of(value, f"documents[{number}]", ranked) for number, value in enumerate(given)
    ]


def rank_fields_of(body: dict[str, Any], settings: Settings) -> list[str]:
    """Return the keys of an object whose texts are scored."""
    if body.get("rank_fields") is None:
        return ["text"]
    return fields.texts(body, "rank_fields", settings) or ["text"]


def document_of(value: object, key: str, ranked: list[str]) -> Document:
    """Return a document: a text, or an object whose texts under the keys `ranked` are joined."""
    if isinstance(value, str):
        text = fields.check_text(value, key)
        return Document(text, {"text": text})
    keys = {
        fields.check_text(name, f"a key of {key}"): fields.check_text(part, f"{key}.{name}")
        for name, part in (value.items() if isinstance(value, dict) else ())
        if isinstance(part, str)
    }
    texts = [keys[name] for name in ranked if name in keys]
    if not texts:
        names = " or ".join(map(repr, ranked))
        raise fields.wrong(key, value, f"a text, or an object with a text under {names}")
    text = "\n".join(texts)
    return Document(text, {"text": text, **keys})


ROUTES = (
    Route("POST", "/v1/rerank", rerank, DIALECT, "Documents in the order of their relevance."),
    Route("POST", "/v2/rerank", rerank, DIALECT, "The same, as Cohere's newer client asks."),
    Route("POST", "/v1/v1/rerank", rerank, DIALECT, "The same, for a base URL that ends in /v1."),
    Route("POST", "/v1/v2/rerank", rerank, DIALECT, "The same, for a base URL that ends in /v1."),
    Route("POST", "/rerank", by_texts, DIALECT, "The same; with `texts`, as TEI answers."),
)
