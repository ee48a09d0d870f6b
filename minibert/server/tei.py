"""Dialect of text-embeddings-inference (TEI): vectors, scores, tokens, and what is served.

Its shapes, statuses and sentences; null is the default of every optional key, where TEI refuses it.
`model` is a key of ours in every body, as a server may have several. Start at embed.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from minibert.common.arrays import Array
from minibert.scoring.similarity import cos_sim
from minibert.server import fields
from minibert.server.answers import as_floats, json_answer, json_bytes, rows_answer
from minibert.server.dialect import Dialect
from minibert.server.refusals import RequestError
from minibert.server.route import Route
from minibert.server.served import KINDS
from minibert.server.tei_tokens import decode, tokenize
from minibert.tokens.texts import Text, characters_of

if TYPE_CHECKING:
    from starlette.responses import Response

    from minibert.models.cross_encoder import CrossEncoder
    from minibert.server.call import Call
    from minibert.server.core import Input, Side
    from minibert.server.served import Served

__all__ = ["DIALECT", "ROUTES", "rerank"]

VERSION = "1.9.3"  # of TEI, whose requests and answers these are
# TEI's names of the poolings that it has under another name.
POOLINGS = {"lasttoken": "last_token"}


def body_of(problem: RequestError, status: int, id: str) -> dict[str, Any]:
    """Return an error as TEI's clients read it."""
    kind = problem.kind
    if status == 503:
        return {"error": problem.message, "error_type": "Unhealthy"}
    if kind == "overloaded":
        return {"error": f"Model is overloaded. {problem.message}", "error_type": "Overloaded"}
    if kind == "empty":
        return {"error": f"`{problem.field}` cannot be empty", "error_type": "Empty"}
    if kind in ("wrong_model", "not_finite", "fault"):
        return {"error": f"Backend error: {problem.message}", "error_type": "Backend"}
    message = problem.message
    if kind == "too_long" and problem.given is not None:
        message = f"`inputs` must have less than {problem.limit} tokens. Given: {problem.given}"
    if kind == "too_many_inputs":
        message = f"batch size {problem.given} > maximum allowed batch size {problem.limit}"
    if kind in ("validation", "token_ids", "too_long", "too_many_tokens"):
        message = f"Input validation error: {message}"
    return {"error": message, "error_type": "Validation"}


DIALECT = Dialect("tei", body_of, {"token_ids": 422, "not_finite": 424})

PREDICTED = "a text, a pair of texts, or a list of [text] and [text, text]"


async def embed(call: Call) -> Response:
    """Answer POST /embed."""
    body = call.body
    found = call.models.find(fields.model_name(body), "embedding")
    texts = inputs_of(call)
    embedded = await call.core.embed(
        call.facts,
        found,
        texts,
        prompt_name=fields.optional_text(body, "prompt_name"),
        normalize=fields.flag(body, "normalize"),
        dimensions=fields.integer(body, "dimensions", least=1),
        truncate=fields.is_truncating(body),
        side=side_of(body),
    )
    tell(call, found.served, texts)
    vectors = embedded.vectors
    return rows_answer(call, {}, None, vectors, lambda _, row: as_floats(row), vectors.size)


async def embed_all(call: Call) -> Response:
    """Answer POST /embed_all: the states of all tokens, as encode's "token_embeddings"."""
    body = call.body
    found = call.models.find(fields.model_name(body), "embedding")
    texts = inputs_of(call)
    states = await call.core.token_states(
        call.facts,
        found,
        texts,
        prompt_name=fields.optional_text(body, "prompt_name"),
        truncate=fields.is_truncating(body),
        side=side_of(body),
    )
    tell(call, found.served, texts)

    def written(_: int, rows: Array) -> bytes:
        return b"[" + b",".join(as_floats(row) for row in rows) + b"]"

    numbers = sum(rows.size for rows in states.states)
    return rows_answer(call, {}, None, states.states, written, numbers)


async def embed_sparse(call: Call) -> Response:
    """Answer POST /embed_sparse: as no model is sparse yet, it tells that."""
    call.models.find(fields.model_name(call.body), "sparse")
    raise AssertionError("A sparse model is served; its weights of words are to be written here.")


async def predict(call: Call) -> Response:
    """Answer POST /predict: the labels with their scores, highest first."""
    body = call.body
    found = call.models.find(fields.model_name(body), "classifier", "reranker")
    texts, is_batch = predicted_inputs(call)
    scored = await call.core.score(
        call.facts,
        found,
        texts,
        raw=bool(fields.flag(body, "raw_scores")),
        truncate=fields.is_truncating(body),
        side=side_of(body),
    )
    tell(call, found.served, texts)
    scores = scored.scores.reshape(len(texts), -1)  # (n,) of one label
    labels = labels_of(found.served)

    def predictions(row: Array) -> list[dict[str, Any]]:
        order = np.argsort(-row, kind="stable").tolist()
        return [{"score": float(row[one]), "label": labels[one]} for one in order]

    if not is_batch:
        return json_answer(call, predictions(scores[0]))
    return rows_answer(
        call, {}, None, scores, lambda _, row: json_bytes(predictions(row)), scores.size
    )


async def rerank(call: Call) -> Response:
    """Answer POST /rerank with `texts`: their scores against `query`, highest first."""
    call.dialect = DIALECT
    body = call.body
    found = call.models.find(fields.model_name(body), "reranker")
    query, texts = fields.text(body, "query"), fields.texts(body, "texts", call.settings)
    if not texts:
        raise fields.empty("texts")
    is_raw = bool(fields.flag(body, "raw_scores"))
    is_repeated = fields.flag(body, "return_text")
    pairs = [(query, text) for text in texts]
    scored = await call.core.score(
        call.facts, found, pairs, raw=True, truncate=fields.is_truncating(body), side=side_of(body)
    )
    tell(call, found.served, pairs)
    order, scores = found.served.ranked(scored.scores, raw=is_raw)
    ranks = [
        {"index": number, "score": float(scores[number])}
        | ({"text": texts[number]} if is_repeated else {})
        for number in order
    ]
    return json_answer(call, ranks)


async def similarity(call: Call) -> Response:
    """Answer POST /similarity: cosines of a text and others, whatever the model's metric."""
    found = call.models.find(fields.model_name(call.body), "embedding")
    inputs, parameters = (objects(call.body, key) for key in ("inputs", "parameters"))
    source = fields.text(inputs, "source_sentence")
    sentences = fields.texts(inputs, "sentences", call.settings)
    if not sentences:
        raise fields.empty("sentences")
    texts = [source, *sentences]
    fields.check_number(texts, "sentences", call.settings)
    embedded = await call.core.embed(
        call.facts,
        found,
        texts,
        prompt_name=fields.optional_text(parameters, "prompt_name"),
        normalize=False,
        truncate=fields.is_truncating(parameters),
        side=side_of(parameters),
    )
    tell(call, found.served, texts)
    cosines = cos_sim(embedded.vectors[:1], embedded.vectors[1:])[0]
    return json_answer(call, cosines.tolist())


async def by_body(call: Call) -> Response:
    """Answer POST /: as /similarity, /rerank, /embed or /predict, by the body and the model."""
    body = call.body
    if isinstance(body.get("inputs"), dict):
        return await similarity(call)
    if body.get("texts") is not None:
        return await rerank(call)
    found = call.models.find(fields.model_name(body), *KINDS)
    of_kind = {"embedding": embed, "sparse": embed_sparse}
    return await of_kind.get(found.served.kind, predict)(call)


async def info(call: Call) -> Response:
    """Answer GET /info: TEI's keys, and those of ours behind them."""
    found = call.models.find(call.request.query_params.get("model"), *KINDS)
    served, settings = found.served, call.settings
    transformer = served.model.transformer
    longest = transformer.limit(found.task) or transformer.max_tokens
    of_tei = {
        "model_id": served.name,
        "model_sha": None,
        "model_dtype": served.model.dtype,
        "served_model_name": served.name,
        "model_type": type_of_model(served),
        # The queue is bounded in tokens: so many of the longest texts have room.
        "max_concurrent_requests": max(1, settings.queue_tokens // longest),
        "max_input_length": longest,
        "max_batch_tokens": settings.batch_tokens,
        "max_batch_requests": None,
        "max_client_batch_size": settings.max_inputs,
        "auto_truncate": True,
        "tokenization_workers": 1,
        "version": VERSION,
        "sha": None,
        "docker_label": None,
    }
    # All weights are read, the first time, for their digest.
    ours: dict[str, Any] = {
        "minibert_version": settings.version,
        "weights_sha256": await asyncio.to_thread(lambda: served.weights_sha256),
    }
    if served.encoder is not None:
        ours |= {
            "metric": served.encoder.similarity_fn_name,
            "dimension": served.encoder.get_embedding_dimension(),
            "normalized": served.has_unit_vectors(settings.normalize),
        }
    return json_answer(call, {**of_tei, **ours})


def inputs_of(call: Call) -> list[Input]:
    """Return the texts of `inputs`, or token ids where the server accepts them."""
    found = fields.inputs(call.body, "inputs", call.settings)
    if not found:
        raise fields.empty("inputs")
    return found


def predicted_inputs(call: Call) -> tuple[list[Text], bool]:
    """Return the texts and pairs of /predict, and whether they are a batch.

    A text, or a list of one text or two, is not: two are a pair. A batch is a list of such lists.
    """
    value = call.body.get("inputs")
    if isinstance(value, str):
        value = [value]
    if value is None:
        raise fields.missing("inputs", PREDICTED)
    if not isinstance(value, list):
        raise unpredictable("inputs", value)
    if not value:
        raise fields.empty("inputs")
    if not isinstance(value[0], list):
        return [text_or_pair(value, "inputs")], False
    fields.check_number(value, "inputs", call.settings)
    return [text_or_pair(one, f"inputs[{number}]") for number, one in enumerate(value)], True


def text_or_pair(value: object, key: str) -> Text:
    """Return the text or the pair of a list."""
    if not isinstance(value, list) or len(value) not in (1, 2):
        raise unpredictable(key, value)
    texts = [fields.check_text(text, f"{key}[{number}]") for number, text in enumerate(value)]
    return texts[0] if len(texts) == 1 else (texts[0], texts[1])


def unpredictable(key: str, value: object) -> RequestError:
    """Make the error for a value that is no input of /predict."""
    return fields.wrong(key, value, PREDICTED if key == "inputs" else "[text] or [text, text]")


def side_of(body: fields.Body) -> Side | None:
    """Return the side where long texts lose tokens, in any case; None is the folder's own."""
    if body.get("truncation_direction") is None:
        return None
    side: Side = fields.choice(body, "truncation_direction", ("left", "right"), "right")
    return side


def objects(body: fields.Body, key: str) -> fields.Body:
    """Return a JSON object in a body, {} for none."""
    value = body.get(key)
    if value is None:
        return {}
    if not isinstance(value, dict):
        raise fields.wrong(key, value, "an object")
    return value


def labels_of(served: Served) -> list[str]:
    """Return the labels of a cross-encoder, by the order of its scores: those of config.json."""
    scorer: CrossEncoder | None = served.cross_encoder
    assert scorer is not None
    names = scorer.checkpoint.settings.get("id2label")
    names = names if isinstance(names, dict) else {}
    return [str(names.get(str(number), f"LABEL_{number}")) for number in range(scorer.num_labels)]


def type_of_model(served: Served) -> dict[str, Any]:
    """Return TEI's model_type: the kind, with its pooling or its labels."""
    if served.encoder is not None:
        modes = served.encoder.pooling.pooling_mode
        return {"embedding": {"pooling": "+".join(POOLINGS.get(mode, mode) for mode in modes)}}
    labels = labels_of(served)
    return {
        served.kind: {
            "id2label": {str(number): label for number, label in enumerate(labels)},
            "label2id": {label: number for number, label in enumerate(labels)},
        }
    }


def tell(call: Call, served: Served, texts: Sequence[Input]) -> None:
    """Add TEI's headers: characters, tokens, and times in whole milliseconds."""
    facts = call.facts
    characters = sum(0 if isinstance(text, list) else characters_of(text) for text in texts)
    total = time.perf_counter() - call.began
    times = {
        "x-compute-time": total,
        "x-total-time": total,
        "x-tokenization-time": facts.tokenize_s,
        "x-queue-time": facts.queue_s,
        "x-inference-time": facts.compute_s,
    }
    call.headers |= {
        "x-compute-type": served.model.device.partition(":")[0],
        "x-compute-characters": str(characters),
        "x-compute-tokens": str(facts.tokens),
        **{name: str(int(1000 * seconds)) for name, seconds in times.items()},
    }


ROUTES = (
    Route("POST", "/embed", embed, DIALECT, "Vectors of texts."),
    Route("POST", "/embed_all", embed_all, DIALECT, "States of all tokens of texts."),
    Route("POST", "/embed_sparse", embed_sparse, DIALECT, "Weights of words: no such model yet."),
    Route("POST", "/predict", predict, DIALECT, "Labels of texts or pairs, highest score first."),
    Route("POST", "/similarity", similarity, DIALECT, "Cosines of a text and others."),
    Route("POST", "/tokenize", tokenize, DIALECT, "Tokens of texts, with their places in bytes."),
    Route("POST", "/decode", decode, DIALECT, "Texts of token ids."),
    Route("POST", "/", by_body, DIALECT, "As /embed, /similarity, /rerank or /predict."),
    Route("GET", "/info", info, DIALECT, "The first model and the limits; ?model=NAME for others."),
)
