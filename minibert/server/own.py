"""Routes of our own: /v1/search over a corpus, /v1/explain, and /v1/served. Errors are OpenAI's.

The questions of a search are encoded by the queue, together with texts of other requests, and its
pairs are scored there. Only the search among the vectors, and an explanation, are functions for the
worker.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from starlette.responses import Response

from minibert.common.arguments import check_choice
from minibert.corpus.filters import Where, conditions_of
from minibert.pictures.page import hash_of
from minibert.scoring.metrics import METRICS
from minibert.server import fields
from minibert.server.answers import accepts_html, html_answer, json_answer, json_bytes, rows_answer
from minibert.server.core import CHARACTERS_PER_TOKEN
from minibert.server.openai import DIALECT
from minibert.server.refusals import RequestError
from minibert.server.route import Route
from minibert.server.served import Found, Served

if TYPE_CHECKING:
    from minibert.corpus.search import Hit, Index
    from minibert.models.sentence_transformer import SentenceTransformer
    from minibert.server.call import Call
    from minibert.tokens.tokenizer import Tokens

__all__ = ["ROUTES"]

K = 10  # documents of a question, by default
OF_PAGE = "default-src 'none'; style-src 'unsafe-inline'; img-src data:"  # its policy
CANDIDATES = 100  # documents of a question that are scored again, by default


async def search(call: Call) -> Response:
    """Answer POST /v1/search: "query" or "queries" -> the nearest documents of the corpus."""
    index = index_of(call)
    body = call.body
    queries = queries_of(call)
    served = next(one for one in call.models.all if one.encoder is index.model)
    check_model(call, served)
    reranker = reranker_of(call, index)
    k = fields.integer(body, "k", least=1) or K
    candidates = fields.integer(body, "candidates", least=1) or CANDIDATES
    first = max(k, candidates) if reranker else k
    check_hits(call, len(queries), first)
    ids, where, rescore = ids_of(call), where_of(call), rescore_of(call, index)
    corpus_settings = index.corpus.manifest.settings
    embedded = await call.core.embed(
        call.facts,
        Found(served, "query"),
        queries,
        normalize=corpus_settings.normalize,
        dimensions=corpus_settings.truncate_dim,
    )

    def find() -> list[list[Hit]]:
        check_ids(ids, index)
        check_where(where, index)
        return index.search_vectors(embedded.vectors, first, ids=ids, where=where, rescore=rescore)

    found = await call.core.run(call.facts, find, embedded.tokens)
    tokens = embedded.tokens
    if reranker and queries:
        found, more = await reranked(call, reranker, queries, found, k)
        tokens += more
    call.facts.model = served.name
    about = {
        "model": served.name,
        "rerank": reranker.name if reranker else None,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    characters = sum(len(hit.text or "") for hits in found for hit in hits)
    if body.get("queries") is None:
        about, key, rows = {"query": queries[0], **about}, "hits", as_rows(found[0])
    else:
        of_queries = zip(queries, map(as_rows, found), strict=True)
        key, rows = "results", [{"query": query, "hits": hits} for query, hits in of_queries]
    return rows_answer(call, about, key, rows, lambda _, row: json_bytes(row), characters)


def as_rows(hits: Sequence[Hit]) -> list[dict[str, Any]]:
    """Return hits as JSON."""
    return [hit.as_dict() for hit in hits]


def index_of(call: Call) -> Index:
    """Return the open corpus. Raises RequestError if the server has none."""
    index = call.state.index
    if index is None:
        raise RequestError(
            "no_corpus",
            "This server has no corpus to search. Start it with --corpus DIR, a folder that "
            "`minibert index build` has written.",
        )
    return index


def queries_of(call: Call) -> list[str]:
    """Return the questions: "query", a text, or "queries", a list of texts."""
    body = call.body
    given = [key for key in ("query", "queries") if body.get(key) is not None]
    if len(given) != 1:
        told = "both are there" if given else "both are missing"
        raise RequestError(
            "validation",
            f"query is one text, and queries is a list of texts; {told}, expected one of them.",
            field="query",
        )
    if given == ["query"]:
        found = [fields.text(body, "query")]
    else:
        found = fields.texts(body, "queries", call.settings)
    for number, query in enumerate(found):
        if not query.strip():
            key = "query" if given == ["query"] else f"queries[{number}]"
            raise RequestError(
                "validation",
                f"{key} is empty: a ranking for it says nothing.",
                field=given[0],
            )
    return found


def ids_of(call: Call) -> list[str] | None:
    """Return the ids of the only documents that may be found; None for all."""
    ids = call.body.get("ids")
    if ids is None:
        return None
    if not isinstance(ids, list):
        raise fields.wrong("ids", ids, "a list of ids")
    return [fields.check_text(id, f"ids[{number}]") for number, id in enumerate(ids)]


def check_ids(ids: Sequence[str] | None, index: Index) -> None:
    """Raise RequestError for an id that no document has."""
    if ids is None:
        return
    known = index.corpus.numbers(ids)
    missing = [id for id in ids if id not in known]
    if missing:
        raise RequestError(
            "validation",
            f"{len(missing)} of {len(ids)} ids are not in the corpus, or deleted: "
            f"{missing[0]!r:.80} is the first.",
            field="ids",
        )


def where_of(call: Call) -> Where | None:
    """Return the conditions on fields of the documents that may be found; None for all."""
    where = call.body.get("where")
    if where is not None and not isinstance(where, dict):
        raise fields.wrong("where", where, "an object of fields and their values")
    return where


def check_where(where: Where | None, index: Index) -> None:
    """Raise RequestError for conditions on fields that the corpus does not have."""
    try:
        conditions_of(where or {}, index.corpus)
    except ValueError as error:
        raise RequestError("validation", str(error), field="where") from error


def rescore_of(call: Call, index: Index) -> int | None:
    """Return how many times k documents a first pass over bits takes; None for no such pass."""
    rescore = fields.integer(call.body, "rescore", least=1)
    precision = index.corpus.manifest.settings.precision
    if rescore is not None and precision != "binary":
        raise RequestError(
            "validation",
            f"rescore is {rescore}, and the corpus is of {precision}; a first pass by Hamming "
            "distance needs binary. Leave it out: all documents are scored anyway.",
            field="rescore",
        )
    return rescore


def check_model(call: Call, served: Served) -> None:
    """Raise RequestError for another model than the one that made the corpus."""
    name = fields.model_name(call.body)
    if name and call.models.find(name, "embedding").served is not served:
        raise RequestError(
            "wrong_model",
            f"The corpus was made with {served.name!r}; {name!r} is another model. Leave model "
            "out.",
            field="model",
        )


def reranker_of(call: Call, index: Index) -> Served | None:
    """Return the cross-encoder that "rerank" names, or the first for true; None for false.

    A request that does not say gets the first, if there is one and the corpus keeps its texts.
    """
    asked = call.body.get("rerank")
    keeps_texts = index.corpus.manifest.settings.texts
    if asked is None:
        rerankers = (one for one in call.models.all if one.kind == "reranker")
        return next(rerankers, None) if keeps_texts else None
    if asked is False:
        return None
    if asked is not True and not isinstance(asked, str):
        raise fields.wrong("rerank", asked, "true, false or the name of a cross-encoder")
    try:
        found = call.models.find(None if asked is True else asked, "reranker").served
    except RequestError as error:
        error.field = "rerank"
        raise
    if not keeps_texts:
        raise RequestError(
            "validation",
            "rerank needs the texts of the documents, and this corpus keeps none.",
            field="rerank",
        )
    return found


def check_hits(call: Call, queries: int, k: int) -> None:
    """Raise RequestError for more documents than a request may have texts."""
    if queries * k > call.settings.max_inputs:
        raise RequestError(
            "too_many_inputs",
            f"{queries} x {k} documents are asked for; expected {call.settings.max_inputs} at most "
            "in one request.",
        )


async def reranked(
    call: Call, reranker: Served, queries: Sequence[str], found: Sequence[Sequence[Hit]], k: int
) -> tuple[list[list[Hit]], int]:
    """Rank the documents of each question by a cross-encoder: -> the k best, and the tokens."""
    pairs = [
        (query, hit.text or "") for query, hits in zip(queries, found, strict=True) for hit in hits
    ]
    scored = await call.core.score(call.facts, Found(reranker, None), pairs, raw=True)
    starts = np.cumsum([len(hits) for hits in found])[:-1]
    results: list[list[Hit]] = []
    for hits, logits in zip(found, np.split(scored.scores, starts), strict=True):
        scores = reranker.scores(logits).tolist()
        results.append(
            [
                hits[number]._replace(rank=rank, score=scores[number])
                for rank, number in enumerate(reranker.order(logits)[:k], start=1)
            ]
        )
    return results, scored.tokens


async def explain(call: Call) -> Response:
    """Answer POST /v1/explain: why a query and a document have their score.

    The answer is that of `minibert explain --json`, or its page where HTML is accepted.
    """
    body = call.body
    served = call.models.find(fields.model_name(body), "embedding").served
    encoder = served.encoder
    assert encoder is not None
    query, document = fields.text(body, "query"), fields.text(body, "document")
    metric = fields.optional_text(body, "metric") or encoder.similarity_fn_name
    is_occluded = bool(fields.flag(body, "occlusion"))
    is_page = accepts_html(call)
    limit = call.settings.request_tokens
    check_limit(len(query) + len(document), "characters", limit)

    def explained() -> tuple[bytes, list[Tokens]]:
        tokens = [
            encoder.trace(text, task=task).tokens
            for text, task in ((query, "query"), (document, "document"))
        ]
        lengths = [len(one.ids) for one in tokens]
        check_limit(math.prod(lengths), "pairs of tokens", limit)
        # An occlusion leaves out each word in turn, and reads the rest of its text.
        check = partial(check_limit, sum(length**2 for length in lengths), "tokens to read", limit)
        if is_page:
            return as_page(encoder, query, document, metric, check).encode(), tokens
        if is_occluded:
            check()
        return json_bytes(as_dict(encoder, query, document, metric, is_occluded)), tokens

    expected = (len(query) + len(document)) // CHARACTERS_PER_TOKEN
    content, tokens = await call.core.run(call.facts, explained, expected)
    call.facts.model, call.facts.texts = served.name, len(tokens)
    call.facts.tokens = sum(len(one.ids) for one in tokens)
    call.facts.truncated = sum(one.truncated > 0 for one in tokens)
    if is_page:
        return html_answer(call, content, f"{OF_PAGE}; script-src {hash_of('explanation.js')}")
    return Response(content, 200, call.headers, "application/json")


def check_limit(number: int, of: str, limit: int) -> None:
    """Raise RequestError for an explanation that is larger than a request may have tokens."""
    if number > limit:
        raise RequestError(
            "too_many_tokens",
            f"The explanation of these texts has {number} {of}; expected {limit} at most. Send "
            "shorter texts.",
        )


def as_page(
    encoder: SentenceTransformer,
    query: str,
    document: str,
    metric: str,
    check_occlusion: Callable[[], None],
) -> str:
    """Explain a score, as a page; where it cannot be split, by its losses without each word.

    `check_occlusion` raises RequestError where that would be too much work.
    """
    from minibert.explain import NoSumError
    from minibert.pictures.explanation_page import explanation_page
    from minibert.pictures.occlusion_page import occlusion_page

    try:
        return explanation_page(encoder, query, document, metric=metric)
    except NoSumError:
        check_occlusion()
        return occlusion_page(encoder, query, document, metric=metric)


def as_dict(
    encoder: SentenceTransformer, query: str, document: str, metric: str, is_occluded: bool
) -> dict[str, Any]:
    """Explain a score, as JSON; where it cannot be split, by its losses alone if asked for."""
    from minibert.explain import NoSumError, occlusion  # late: a server starts without them
    from minibert.explain.occluding import losses_as_dict, unsplit_as_dict

    try:
        found = dict(encoder.explain(query, document, metric=metric).as_dict())
    except NoSumError:
        if not is_occluded:
            raise
        check_choice("metric", metric, METRICS)
        found = unsplit_as_dict(encoder, query, document, metric)
    if is_occluded:
        found["occlusion"] = losses_as_dict(*occlusion(encoder, query, document, metric=metric))
    return found


async def facts(call: Call) -> Response:
    """Answer GET /v1/served: all models with their kinds, and the corpus."""
    models = []
    for one in call.models.all:
        about: dict[str, Any] = {"name": one.name, "kind": one.kind}
        about["aliases"] = call.models.names_of(one)[1:]
        about |= {"prompts": one.prompt_names, "max_tokens": one.model.max_seq_length}
        if one.encoder is not None:
            about["dimension"] = one.encoder.get_embedding_dimension()
            about["metric"] = one.encoder.similarity_fn_name
        models.append(about)
    index = call.state.index
    corpus = None
    if index is not None:
        corpus_settings = index.corpus.manifest.settings
        corpus = {
            "documents": len(index),
            "model": next(one.name for one in call.models.all if one.encoder is index.model),
            "metric": corpus_settings.metric,
            "texts": corpus_settings.texts,
            "fields": list(corpus_settings.fields),
        }
    return json_answer(call, {"models": models, "corpus": corpus})


ROUTES = (
    Route("POST", "/v1/search", search, DIALECT, "Nearest documents of the corpus."),
    Route("POST", "/v1/explain", explain, DIALECT, "Contribution of each word to a score."),
    Route("GET", "/v1/served", facts, DIALECT, "All models with their kinds, and the corpus."),
)
