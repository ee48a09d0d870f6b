"""OpenAI's dialect, as its Python client and those that imitate it speak it."""

import base64
import json

import numpy as np
import pytest
from golden_files import GOLDEN
from in_process import in_process

from minibert import SentenceTransformer

TEXTS = ["the cat sat.", "Dogs, cats and London!", ""]
LONG = "the dog barks at the cat, " * 20
CLOSE = {"rtol": 0, "atol": 2e-6}


@pytest.fixture(scope="module")
def openai_server(gelu_with_prompts, dot_model):
    models = {"ranker": GOLDEN / "cross_encoder", "org/gelu": gelu_with_prompts, "dot": dot_model}
    aliases = [("text-embedding-3-small", "org/gelu"), ("asks", "org/gelu:query")]
    with in_process(models, aliases=aliases, max_inputs=50) as found:
        yield found


def ask(server, path="/v1/embeddings", **body):
    return server.post(path, {"model": "org/gelu", "input": TEXTS, **body})


def vectors_of(answer):
    assert answer.status == 200, answer.body
    return np.array([item["embedding"] for item in answer.json()["data"]], np.float32)


def error_of(answer, status):
    assert answer.status == status, answer.body
    assert list(answer.json()) == ["error"]
    error = answer.json()["error"]
    assert list(error) == ["message", "type", "param", "code"]
    return error


# What comes back


def test_the_answer_has_the_fields_of_openai_s(openai_server, prompted_encoder):
    answer = ask(openai_server)
    found = answer.json()
    tokens = sum(len(prompted_encoder.tokens(text).ids) for text in TEXTS)
    assert {key: found[key] for key in found if key != "data"} == {
        "object": "list",
        "model": "org/gelu",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    assert [set(item) for item in found["data"]] == [{"object", "index", "embedding"}] * 3
    assert [item["index"] for item in found["data"]] == [0, 1, 2]
    assert {item["object"] for item in found["data"]} == {"embedding"}
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize("path", ["/v1/embeddings", "/embeddings"])
@pytest.mark.parametrize("form", [None, "float", "FLOAT"])
def test_floats_are_the_vectors_of_encode(openai_server, prompted_encoder, path, form):
    found = vectors_of(ask(openai_server, path, encoding_format=form))
    expected = prompted_encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("form", ["base64", "Base64"])
def test_base64_is_the_same_vectors_bit_for_bit(openai_server, form):
    texts = [item["embedding"] for item in ask(openai_server, encoding_format=form).json()["data"]]
    found = np.array([np.frombuffer(base64.b64decode(text), "<f4") for text in texts])
    np.testing.assert_array_equal(found, vectors_of(ask(openai_server)))


def test_a_large_answer_is_the_same(prompted_encoder):
    with in_process({"m": GOLDEN / "gelu"}, max_inputs=4000) as large:
        answer = large.post("/v1/embeddings", {"input": TEXTS * 1200})
    assert "content-length" not in answer.headers  # it was sent in parts
    expected = prompted_encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(answer), np.tile(expected, (1200, 1)), **CLOSE)
    assert [item["index"] for item in answer.json()["data"]] == list(range(3600))


def test_one_text_is_a_list_of_one(openai_server, prompted_encoder):
    found = vectors_of(ask(openai_server, input="the cat sat."))
    expected = prompted_encoder.encode(["the cat sat."], normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_an_empty_text_is_a_text(openai_server):
    assert vectors_of(ask(openai_server, input="")).shape == (1, 20)
    assert ask(openai_server, input="").json()["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize("key", ["dimensions", "encoding_format", "user", "normalize", "truncate"])
def test_null_is_absence(openai_server, key):
    np.testing.assert_array_equal(
        vectors_of(ask(openai_server, **{key: None})), vectors_of(ask(openai_server))
    )


def test_unknown_keys_are_not_read(openai_server):
    found = vectors_of(ask(openai_server, user="u", input_type="query", extra={"a": "\ud800"}))
    np.testing.assert_array_equal(found, vectors_of(ask(openai_server)))


@pytest.mark.parametrize("dimensions", [1, 7, 20])
def test_dimensions_are_cut_before_the_length_is_1(openai_server, prompted_encoder, dimensions):
    found = vectors_of(ask(openai_server, dimensions=dimensions))
    expected = prompted_encoder.encode(TEXTS, truncate_dim=dimensions, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("model", ["org/gelu", "dot"])
def test_normalize_is_heeded(openai_server, dot_model, model, normalize):
    found = vectors_of(ask(openai_server, model=model, normalize=normalize))
    expected = SentenceTransformer(dot_model).encode(TEXTS, normalize_embeddings=normalize)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_a_dot_product_model_s_vectors_are_raw(openai_server, dot_model):
    expected = SentenceTransformer(dot_model).encode(TEXTS, truncate_dim=7)
    np.testing.assert_allclose(
        vectors_of(ask(openai_server, model="dot", dimensions=7)), expected, **CLOSE
    )


# Models and prompts


@pytest.mark.parametrize("model", ["org/gelu", "text-embedding-3-small", None, ""])
def test_the_model_is_told_by_its_served_name(openai_server, model):
    assert ask(openai_server, model=model).json()["model"] == "org/gelu"


@pytest.mark.parametrize(
    ("body", "prompt_name"),
    [
        ({"model": "org/gelu:query"}, "query"),
        ({"model": "org/gelu:document"}, "document"),
        ({"model": "asks"}, "query"),
        ({"model": "text-embedding-3-small:document"}, "document"),
        ({"prompt_name": "document"}, "document"),
        ({"model": "asks", "prompt_name": "document"}, "document"),
    ],
)
def test_a_prompt_is_chosen_by_the_model_s_name_or_by_its_own(
    openai_server, prompted_encoder, body, prompt_name
):
    expected = prompted_encoder.encode(TEXTS, prompt_name=prompt_name, normalize_embeddings=True)
    found = ask(openai_server, **body)
    np.testing.assert_allclose(vectors_of(found), expected, **CLOSE)
    assert found.json()["model"] == "org/gelu"


def test_all_models_are_listed_in_the_command_s_order(openai_server):
    found = openai_server.request("GET", "/v1/models").json()
    assert found["object"] == "list"
    assert [item["id"] for item in found["data"]] == ["ranker", "org/gelu", "dot"]
    assert found["data"][1] == {
        "id": "org/gelu", "object": "model", "created": 1_700_000_000, "owned_by": "minibert"
    }  # fmt: skip


@pytest.mark.parametrize(
    ("name", "served"),
    [("org/gelu", "org/gelu"), ("ranker", "ranker"), ("text-embedding-3-small", "org/gelu"),
     ("org/gelu:query", "org/gelu")],
)  # fmt: skip
def test_one_model_is_told_by_name_or_alias(openai_server, name, served):
    found = openai_server.request("GET", f"/v1/models/{name}").json()
    (listed,) = (
        item
        for item in openai_server.request("GET", "/v1/models").json()["data"]
        if item["id"] == served
    )
    assert found == listed


@pytest.mark.parametrize("name", ["nope", "org", "gelu", "org/gelu/x", ""])
def test_a_model_that_is_not_there_is_404(openai_server, name):
    error = error_of(openai_server.request("GET", f"/v1/models/{name}"), 404)
    assert (error["type"], error["code"]) == ("invalid_request_error", "model_not_found")


# Long texts


@pytest.mark.parametrize("truncate", [None, True])
def test_a_long_text_is_truncated_and_that_is_told(openai_server, prompted_encoder, truncate):
    answer = ask(openai_server, input=[LONG, "a"], truncate=truncate)
    expected = prompted_encoder.encode([LONG, "a"], normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(answer), expected, **CLOSE)
    assert answer.json()["usage"]["prompt_tokens"] == 41 + 3
    assert answer.headers["x-minibert-truncated"] == "1"
    assert "x-minibert-truncated" not in ask(openai_server).headers


def test_a_long_text_is_refused_where_none_is_truncated(openai_server):
    error = error_of(ask(openai_server, input=[LONG], truncate=False), 400)
    assert "longer than 41 tokens" in error["message"]


# Refusals


@pytest.mark.parametrize(
    ("body", "status", "param", "code"),
    [
        ({"model": "nope"}, 404, "model", "model_not_found"),
        ({"model": "ranker"}, 400, "model", None),
        ({"model": 5}, 400, "model", None),
        ({"input": None}, 400, "input", None),
        ({"input": []}, 400, "input", None),
        ({"input": 5}, 400, "input", None),
        ({"input": ["a", None]}, 400, "input[1]", None),
        ({"input": [[]]}, 400, "input[0]", None),
        ({"input": "\ud800"}, 400, "input", None),
        ({"input": ["a"] * 51}, 400, "input", None),
        ({"input": [101, 102]}, 400, "input", None),
        ({"input": [[101], [102]]}, 400, "input[0]", None),
        ({"dimensions": 0}, 400, "dimensions", None),
        ({"dimensions": -1}, 400, "dimensions", None),
        ({"dimensions": 21}, 400, "dimensions", None),
        ({"dimensions": "7"}, 400, "dimensions", None),
        ({"dimensions": 7.5}, 400, "dimensions", None),
        ({"encoding_format": "int8"}, 400, "encoding_format", None),
        ({"encoding_format": 1}, 400, "encoding_format", None),
        ({"prompt_name": "poem"}, 400, "prompt_name", None),
        ({"normalize": "yes"}, 400, "normalize", None),
        ({"truncate": 1}, 400, "truncate", None),
    ],
)
def test_a_wrong_request_is_refused_in_openai_s_shape(openai_server, body, status, param, code):
    error = error_of(ask(openai_server, **body), status)
    assert error["type"] == "invalid_request_error"
    assert (error["param"], error["code"]) == (param, code)


def test_input_of_any_depth_is_refused_and_never_a_fault(openai_server):
    statuses = set()
    for depth in [*range(1, 400, 20), *range(400, 1100)]:
        body = b'{"input": %b%b}' % (b"[" * depth, b"]" * depth)
        statuses.add(openai_server.post("/v1/embeddings", body).status)
    assert statuses == {400}


def test_token_ids_are_refused_with_langchain_s_way_out(openai_server):
    error = error_of(ask(openai_server, input=[[9906, 1917]]), 400)
    assert "check_embedding_ctx_length=False" in error["message"]


def test_token_ids_are_the_model_s_own_where_they_are_accepted(gelu_with_prompts, prompted_encoder):
    ids = [prompted_encoder.tokens(text).ids for text in TEXTS]
    with in_process({"m": gelu_with_prompts}, accept_token_ids=True) as server:
        several = server.post("/v1/embeddings", {"input": ids})
        one = server.post("/v1/embeddings", {"input": ids[0]})
    expected = prompted_encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(several), expected, **CLOSE)
    np.testing.assert_allclose(vectors_of(one), expected[:1], **CLOSE)


def test_an_unknown_path_has_openai_s_shape(openai_server):
    error = error_of(openai_server.request("GET", "/v1/nope"), 404)
    assert "'/v1/nope'" in error["message"]


def test_a_wrong_method_names_the_right_one(openai_server):
    answer = openai_server.request("GET", "/v1/embeddings")
    assert error_of(answer, 405)["message"] == "The method is GET; expected POST."
    assert answer.headers["allow"] == "POST"


def test_a_wrong_key_has_openai_s_code(gelu_with_prompts):
    with in_process({"m": gelu_with_prompts}, api_keys=("one", "two")) as server:
        for headers in ({}, {"authorization": "Bearer three"}, {"authorization": "one"}):
            answer = server.post("/v1/embeddings", {"input": "a"}, **headers)
            assert error_of(answer, 401)["code"] == "invalid_api_key"
        for key in ("one", "two"):
            answer = server.post("/v1/embeddings", {"input": "a"}, authorization=f"Bearer {key}")
            assert answer.status == 200


def test_more_tokens_than_a_request_may_have_are_400(gelu_with_prompts):
    with in_process({"m": gelu_with_prompts}, max_request_tokens=5) as server:
        error = error_of(server.post("/v1/embeddings", {"input": TEXTS}), 400)
        assert "a request may have 5" in error["message"]


def test_the_id_of_a_request_comes_back(openai_server):
    given = openai_server.post("/v1/embeddings", {"input": "a"}, x_request_id="req-1")
    assert given.headers["x-request-id"] == "req-1"
    assert len(ask(openai_server, model="nope").headers["x-request-id"]) == 32


def test_the_client_s_own_body_is_answered(openai_server):
    """Bytes that openai 3.57 sends for embeddings.create(model=, input=)."""
    body = json.dumps(
        {"input": ["a"], "model": "org/gelu", "encoding_format": "base64"}, separators=(",", ":")
    ).encode()
    (item,) = openai_server.post("/v1/embeddings", body).json()["data"]
    assert len(np.frombuffer(base64.b64decode(item["embedding"]), "float32")) == 20
