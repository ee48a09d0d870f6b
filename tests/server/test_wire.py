"""Requests as clients sent them, recorded from the wire: each gets all that its client reads."""

import base64
import json
from pathlib import Path

import numpy as np
import pytest
from golden_files import one_label_copy
from server_process import running

pytestmark = pytest.mark.slow  # programs of their own

LINES = (Path(__file__).parent / "wire.jsonl").read_text(encoding="utf-8").splitlines()
RECORDED = [json.loads(line) for line in LINES]
MODELS = ("m", "all-minilm", "text-embedding-3-small")  # that the recorded requests name


def chosen(condition):
    """The recorded requests of a kind as parameters: ids tell their lines, and who sent them."""
    return [
        pytest.param(request, id=f"{number}-{request['path']}-{sender_of(request)}")
        for number, request in enumerate(RECORDED, 1)
        if condition(request)
    ]


def sender_of(request):
    headers = {name.lower(): value for name, value in request["headers"].items()}
    return headers["user-agent"].split("; ")[-2 if "hf_hub" in headers["user-agent"] else 0]


def is_unknown(request):
    """Whether a request names a model that no server has."""
    model = (request["body"] or {}).get("model") or "m"
    return model not in MODELS


def has_token_ids(request):
    given = (request["body"] or {}).get("input")
    return isinstance(given, list) and not all(isinstance(item, str) for item in given)


def is_plain(request):
    return not is_unknown(request) and not has_token_ids(request)


@pytest.fixture(scope="module")
def wire_servers(minilm_folder, tmp_path_factory):
    """Two servers of an embedding model and a reranker: in the second "m" is the reranker."""
    reranker = one_label_copy(tmp_path_factory.mktemp("models"))
    models = [f"embedder={minilm_folder}", f"reranker={reranker}"]
    aliases = [word for name in MODELS for word in ("--alias", f"{name}=embedder")]
    with (
        running(*models, *aliases) as embedding,
        running(*models, "--alias", "m=reranker") as ranking,
    ):
        yield embedding, ranking


@pytest.fixture
def replay(wire_servers):
    """Send a recorded request: replay(request) -> the answer."""

    def send(request):
        embedding, ranking = wire_servers
        server = ranking if request["path"].endswith("rerank") else embedding
        body = None if request["body"] is None else json.dumps(request["body"]).encode()
        return server.request(request["method"], request["path"], body, request["headers"])

    return send


def test_every_recorded_request_is_replayed():
    counts = [len(chosen(kind)) for kind in (is_plain, is_unknown, has_token_ids)]
    assert counts == [59, 6, 3]
    assert sum(counts) == len(RECORDED)


@pytest.mark.parametrize("request_", chosen(is_plain))
def test_a_recorded_request_gets_what_its_client_reads(replay, minilm, request_):
    answer = replay(request_)
    assert answer.status == 200, answer.body
    assert answer.headers["content-type"] == "application/json"
    body = request_["body"] or {}
    READERS[request_["path"]](answer.json(), body, minilm)


@pytest.mark.parametrize("request_", chosen(is_unknown))
def test_an_unknown_model_is_not_found(replay, request_):
    answer = replay(request_)
    assert answer.status == 404
    name = request_["body"]["model"]
    told = answer.json()["error"]
    if request_["path"].startswith("/api/"):
        assert name in told
    else:
        assert name in told["message"]
        assert (told["type"], told["code"]) == ("invalid_request_error", "model_not_found")


@pytest.mark.parametrize("request_", chosen(has_token_ids))
def test_token_ids_are_refused_with_advice(replay, request_):
    answer = replay(request_)
    assert answer.status == 400
    assert "check_embedding_ctx_length=False" in answer.json()["error"]["message"]


def test_token_ids_are_words_where_the_server_accepts_them(minilm, minilm_folder):
    with running(f"m={minilm_folder}", "--accept-token-ids") as server:
        answers = [
            server.request("POST", request["path"], request["body"], request["headers"])
            for request in filter(has_token_ids, RECORDED)
        ]
    # Ids of this vocabulary, with [CLS] and [SEP] and without; then some of another vocabulary.
    assert [answer.status for answer in answers] == [200, 200, 400]
    assert_close(
        [vector_of(entry) for entry in answers[0].json()["data"]], minilm.encode(["a dog"])
    )
    assert len(answers[1].json()["data"]) == 2


def assert_close(got, expected):
    assert np.shape(got) == np.shape(expected)
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


def vector_of(entry):
    vector = entry["embedding"]
    if isinstance(vector, str):
        return np.frombuffer(base64.b64decode(vector), "<f4")
    return vector


def vectors_of(body, key, model):
    """What encode makes of the texts in a body."""
    texts = [body[key]] if isinstance(body[key], str) else body[key]
    dimensions = body.get("dimensions")
    return model.encode(texts, truncate_dim=dimensions, normalize_embeddings=True)


def read_openai(told, body, model):
    expected = vectors_of(body, "input", model)
    assert_close([vector_of(entry) for entry in told["data"]], expected)
    is_base64 = body.get("encoding_format") == "base64"
    assert {type(entry["embedding"]) for entry in told["data"]} == {str if is_base64 else list}
    assert [entry["index"] for entry in told["data"]] == [*range(len(expected))]
    assert {entry["object"] for entry in told["data"]} == {"embedding"}
    assert (told["object"], told["model"]) == ("list", "embedder")
    assert told["usage"]["prompt_tokens"] == told["usage"]["total_tokens"] > 2


def read_models(told, body, model):
    assert told["object"] == "list"
    assert [entry["id"] for entry in told["data"]] == ["embedder", "reranker"]
    for entry in told["data"]:
        assert (entry["object"], entry["owned_by"]) == ("model", "minibert")
        assert isinstance(entry["created"], int)


def read_ollama(told, body, model):
    assert_close(told["embeddings"], vectors_of(body, "input", model))
    assert told["model"] == body["model"]
    assert told["prompt_eval_count"] > 2
    assert isinstance(told["total_duration"], int)
    assert isinstance(told["load_duration"], int)


def read_old_ollama(told, body, model):
    assert_close(told["embedding"], model.encode(body["prompt"]))


def read_tags(told, body, model):
    tags = {tag["model"]: tag for tag in told["models"]}
    tag = tags["embedder:latest"]
    assert tag["name"] == "embedder:latest"
    assert tag["size"] > 90e6
    assert (len(tag["digest"]), tag["modified_at"][-1]) == (64, "Z")
    assert tag["details"]["family"] == "bert"
    assert tag["details"]["parameter_size"] == "22.7M"


def read_tei(told, body, model):
    if isinstance(body["inputs"], dict):
        read_similarity(told, body, model)
    else:
        assert_close(told, vectors_of(body, "inputs", model))  # MiniLM normalises by itself


def read_similarity(told, body, model):
    source = model.encode([body["inputs"]["source_sentence"]])
    sentences = model.encode(body["inputs"]["sentences"])
    assert_close(told, model.similarity(source, sentences)[0])


def read_labels(told, body, model):
    (label,) = told
    assert label["label"] == "LABEL_0"
    assert 0 < label["score"] < 1


def read_ranking(told, body, model):
    """One answer serves Cohere's two clients, Jina's and vLLM's."""
    documents = [
        document["text"] if isinstance(document, dict) else document
        for document in body["documents"]
    ]
    results = told["results"]
    assert len(results) == body.get("top_n", len(documents))
    assert_ranked([(result["index"], result["relevance_score"]) for result in results])
    for result in results:
        expected = {"text": documents[result["index"]]} if body.get("return_documents") else None
        assert result.get("document") == expected
    assert told["id"]
    assert told["model"] == "reranker"
    assert told["usage"]["prompt_tokens"] == told["usage"]["total_tokens"] > 0
    assert told["meta"]["api_version"]["version"]
    assert told["meta"]["billed_units"]["search_units"] == 1


def read_ranking_or_tei(told, body, model):
    if "documents" in body:
        return read_ranking(told, body, model)
    assert_ranked([(result["index"], result["score"]) for result in told])
    assert sorted(result["index"] for result in told) == [*range(len(body["texts"]))]
    for result in told:
        expected = body["texts"][result["index"]] if body.get("return_text") else None
        assert result.get("text") == expected


def assert_ranked(found):
    places, scores = zip(*found, strict=True)
    assert len({*places}) == len(places)
    assert [*scores] == sorted(scores, reverse=True)
    assert all(0 < score < 1 for score in scores)


READERS = {
    "/": read_tei,
    "/api/embed": read_ollama,
    "/api/embeddings": read_old_ollama,
    "/api/tags": read_tags,
    "/embed": read_tei,
    "/embeddings": read_openai,
    "/predict": read_labels,
    "/rerank": read_ranking_or_tei,
    "/similarity": read_similarity,
    "/v1/embeddings": read_openai,
    "/v1/models": read_models,
    "/v1/rerank": read_ranking,
    "/v1/v2/rerank": read_ranking,
    "/v2/rerank": read_ranking,
}
