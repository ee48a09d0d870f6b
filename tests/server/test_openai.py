"""OpenAI's dialect, as its Python client and those that imitate it speak it."""

import base64
import json
import os

import numpy as np
import pytest
from golden_files import GOLDEN, copy_of, edit_json
from in_process import in_process
from prompted import PROMPTS

from minibert import SentenceTransformer

TEXTS = ["the cat sat.", "Dogs, cats and London!", ""]
LONG = "the dog barks at the cat, " * 20
CLOSE = {"rtol": 0, "atol": 2e-6}


@pytest.fixture(scope="module")
def openai_folder(tmp_path_factory):
    """A golden model with prompts, and a maximum of its own for queries."""
    folder = copy_of("gelu", tmp_path_factory.mktemp("openai"))
    edit_json(folder / "config_sentence_transformers.json", prompts=PROMPTS)
    os.utime(folder / "model.safetensors", (1_700_000_000, 1_700_000_000))
    return folder


@pytest.fixture(scope="module")
def openai(openai_folder, dot_folder):
    models = {"ranker": GOLDEN / "cross_encoder", "org/gelu": openai_folder, "dot": dot_folder}
    aliases = [("text-embedding-3-small", "org/gelu"), ("asks", "org/gelu:query")]
    with in_process(models, aliases=aliases, max_inputs=50) as found:
        yield found


@pytest.fixture(scope="module")
def openai_encoder(openai_folder):
    return SentenceTransformer(openai_folder, on_long="ignore")


def ask(openai, path="/v1/embeddings", **body):
    return openai.post(path, {"model": "org/gelu", "input": TEXTS, **body})


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


def test_the_answer_has_the_fields_of_openai_s(openai, openai_encoder):
    answer = ask(openai)
    found = answer.json()
    tokens = sum(len(openai_encoder.tokens(text).ids) for text in TEXTS)
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
def test_floats_are_the_vectors_of_encode(openai, openai_encoder, path, form):
    found = vectors_of(ask(openai, path, encoding_format=form))
    expected = openai_encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("form", ["base64", "Base64"])
def test_base64_is_the_same_vectors_bit_for_bit(openai, form):
    texts = [item["embedding"] for item in ask(openai, encoding_format=form).json()["data"]]
    found = np.array([np.frombuffer(base64.b64decode(text), "<f4") for text in texts])
    np.testing.assert_array_equal(found, vectors_of(ask(openai)))


def test_a_large_answer_is_the_same(openai, openai_encoder):
    with in_process({"m": GOLDEN / "gelu"}, max_inputs=4000) as large:
        answer = large.post("/v1/embeddings", {"input": TEXTS * 1200})
    assert "content-length" not in answer.headers  # it was sent in parts
    expected = openai_encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(answer), np.tile(expected, (1200, 1)), **CLOSE)
    assert [item["index"] for item in answer.json()["data"]] == list(range(3600))


def test_one_text_is_a_list_of_one(openai, openai_encoder):
    found = vectors_of(ask(openai, input="the cat sat."))
    expected = openai_encoder.encode(["the cat sat."], normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_an_empty_text_is_a_text(openai):
    assert vectors_of(ask(openai, input="")).shape == (1, 20)
    assert ask(openai, input="").json()["usage"]["prompt_tokens"] == 2


@pytest.mark.parametrize("key", ["dimensions", "encoding_format", "user", "normalize", "truncate"])
def test_null_is_absence(openai, key):
    np.testing.assert_array_equal(vectors_of(ask(openai, **{key: None})), vectors_of(ask(openai)))


def test_unknown_keys_are_not_read(openai):
    found = vectors_of(ask(openai, user="u", input_type="query", extra={"a": "\ud800"}))
    np.testing.assert_array_equal(found, vectors_of(ask(openai)))


@pytest.mark.parametrize("dimensions", [1, 7, 20])
def test_dimensions_are_cut_before_the_length_is_1(openai, openai_encoder, dimensions):
    found = vectors_of(ask(openai, dimensions=dimensions))
    expected = openai_encoder.encode(TEXTS, truncate_dim=dimensions, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("model", ["org/gelu", "dot"])
def test_normalize_is_heeded(openai, dot_folder, model, normalize):
    found = vectors_of(ask(openai, model=model, normalize=normalize))
    expected = SentenceTransformer(dot_folder).encode(TEXTS, normalize_embeddings=normalize)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_a_dot_product_model_s_vectors_are_raw(openai, dot_folder):
    expected = SentenceTransformer(dot_folder).encode(TEXTS, truncate_dim=7)
    np.testing.assert_allclose(
        vectors_of(ask(openai, model="dot", dimensions=7)), expected, **CLOSE
    )


# Models and prompts


@pytest.mark.parametrize("model", ["org/gelu", "text-embedding-3-small", None, ""])
def test_the_model_is_told_by_its_served_name(openai, model):
    assert ask(openai, model=model).json()["model"] == "org/gelu"


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
    openai, openai_encoder, body, prompt_name
):
    expected = openai_encoder.encode(TEXTS, prompt_name=prompt_name, normalize_embeddings=True)
    found = ask(openai, **body)
    np.testing.assert_allclose(vectors_of(found), expected, **CLOSE)
    assert found.json()["model"] == "org/gelu"


def test_all_models_are_listed_in_the_command_s_order(openai):
    found = openai.request("GET", "/v1/models").json()
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
def test_one_model_is_told_by_name_or_alias(openai, name, served):
    found = openai.request("GET", f"/v1/models/{name}").json()
    (listed,) = (
        item for item in openai.request("GET", "/v1/models").json()["data"] if item["id"] == served
    )
    assert found == listed


@pytest.mark.parametrize("name", ["nope", "org", "gelu", "org/gelu/x", ""])
def test_a_model_that_is_not_there_is_404(openai, name):
    error = error_of(openai.request("GET", f"/v1/models/{name}"), 404)
    assert (error["type"], error["code"]) == ("invalid_request_error", "model_not_found")


# Long texts


@pytest.mark.parametrize("truncate", [None, True])
def test_a_long_text_is_truncated_and_that_is_told(openai, openai_encoder, truncate):
    answer = ask(openai, input=[LONG, "a"], truncate=truncate)
    expected = openai_encoder.encode([LONG, "a"], normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(answer), expected, **CLOSE)
    assert answer.json()["usage"]["prompt_tokens"] == 41 + 3
    assert answer.headers["x-minibert-truncated"] == "1"
    assert "x-minibert-truncated" not in ask(openai).headers


def test_a_long_text_is_refused_where_none_is_truncated(openai):
    error = error_of(ask(openai, input=[LONG], truncate=False), 400)
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
def test_a_wrong_request_is_refused_in_openai_s_shape(openai, body, status, param, code):
    error = error_of(ask(openai, **body), status)
    assert error["type"] == "invalid_request_error"
    assert (error["param"], error["code"]) == (param, code)


def test_input_of_any_depth_is_refused_and_never_a_fault(openai):
    statuses = set()
    for depth in [*range(1, 400, 20), *range(400, 1100)]:
        body = b'{"input": %b%b}' % (b"[" * depth, b"]" * depth)
        statuses.add(openai.post("/v1/embeddings", body).status)
    assert statuses == {400}


def test_token_ids_are_refused_with_langchain_s_way_out(openai):
    error = error_of(ask(openai, input=[[9906, 1917]]), 400)
    assert "check_embedding_ctx_length=False" in error["message"]


def test_token_ids_are_the_model_s_own_where_they_are_accepted(openai_folder, openai_encoder):
    ids = [openai_encoder.tokens(text).ids for text in TEXTS]
    with in_process({"m": openai_folder}, accept_token_ids=True) as openai:
        several = openai.post("/v1/embeddings", {"input": ids})
        one = openai.post("/v1/embeddings", {"input": ids[0]})
    expected = openai_encoder.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(several), expected, **CLOSE)
    np.testing.assert_allclose(vectors_of(one), expected[:1], **CLOSE)


def test_an_unknown_path_has_openai_s_shape(openai):
    error = error_of(openai.request("GET", "/v1/nope"), 404)
    assert "'/v1/nope'" in error["message"]


def test_a_wrong_method_names_the_right_one(openai):
    answer = openai.request("GET", "/v1/embeddings")
    assert error_of(answer, 405)["message"] == "The method is GET; expected POST."
    assert answer.headers["allow"] == "POST"


def test_a_wrong_key_has_openai_s_code(openai_folder):
    with in_process({"m": openai_folder}, api_keys=("one", "two")) as openai:
        for headers in ({}, {"authorization": "Bearer three"}, {"authorization": "one"}):
            answer = openai.post("/v1/embeddings", {"input": "a"}, **headers)
            assert error_of(answer, 401)["code"] == "invalid_api_key"
        for key in ("one", "two"):
            answer = openai.post("/v1/embeddings", {"input": "a"}, authorization=f"Bearer {key}")
            assert answer.status == 200


def test_more_tokens_than_a_request_may_have_are_400(openai_folder):
    with in_process({"m": openai_folder}, max_request_tokens=5) as openai:
        error = error_of(openai.post("/v1/embeddings", {"input": TEXTS}), 400)
        assert "a request may have 5" in error["message"]


def test_the_id_of_a_request_comes_back(openai):
    given = openai.post("/v1/embeddings", {"input": "a"}, x_request_id="req-1")
    assert given.headers["x-request-id"] == "req-1"
    assert len(ask(openai, model="nope").headers["x-request-id"]) == 32


def test_the_client_s_own_body_is_answered(openai):
    """Bytes that openai 3.57 sends for embeddings.create(model=, input=)."""
    body = json.dumps(
        {"input": ["a"], "model": "org/gelu", "encoding_format": "base64"}, separators=(",", ":")
    ).encode()
    (item,) = openai.post("/v1/embeddings", body).json()["data"]
    assert len(np.frombuffer(base64.b64decode(item["embedding"]), "float32")) == 20
