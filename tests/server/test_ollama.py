"""Ollama's dialect: its routes, words and statuses, as its Python client reads them."""

import re
import time

import numpy as np
import pytest
from golden_files import GOLDEN
from in_process import in_process

from minibert import SentenceTransformer

TEXTS = ["the cat sat.", "Dogs, cats and London!", ""]
LONG = "the dog barks at the cat, " * 20
CLOSE = {"rtol": 0, "atol": 2e-6}


@pytest.fixture(scope="module")
def ollama_server(gelu_with_prompts, dot_model):
    models = {
        "ranker": GOLDEN / "cross_encoder",
        "all-Mini": gelu_with_prompts,
        "org/dot": dot_model,
        "tiny:v2": GOLDEN / "modules",
    }
    aliases = [("nomic-embed-text", "all-Mini"), ("asks", "all-Mini:query")]
    with in_process(models, aliases=aliases, max_inputs=50) as found:
        yield found


def embed(server, **body):
    return server.post("/api/embed", {"model": "all-mini", "input": TEXTS, **body})


def vectors_of(answer):
    assert answer.status == 200, answer.body
    return np.array(answer.json()["embeddings"], np.float32)


def error_of(answer, status):
    assert answer.status == status, answer.body
    assert list(answer.json()) == ["error"]
    return answer.json()["error"]


# /api/embed


def test_the_answer_has_ollama_s_fields(ollama_server, prompted_encoder):
    found = embed(ollama_server).json()
    assert set(found) == {
        "model", "embeddings", "total_duration", "load_duration", "prompt_eval_count"
    }  # fmt: skip
    assert found["model"] == "all-mini"  # as it was asked for
    assert found["prompt_eval_count"] == sum(
        len(prompted_encoder.tokens(text).ids) for text in TEXTS
    )
    assert (type(found["total_duration"]), found["load_duration"]) == (int, 0)


def test_durations_are_in_nanoseconds(ollama_server, monkeypatch):
    tokenizer = ollama_server.state.models.all[1].model.transformer.text_tokenizer
    rows = tokenizer.rows

    def slow(*arguments, **named):
        time.sleep(0.02)
        return rows(*arguments, **named)

    monkeypatch.setattr(tokenizer, "rows", slow)
    began = time.perf_counter_ns()
    told = embed(ollama_server).json()["total_duration"]
    assert 20_000_000 <= told <= time.perf_counter_ns() - began


@pytest.mark.parametrize("given", ["the cat sat.", ["the cat sat."], TEXTS])
def test_vectors_of_a_cosine_model_have_the_length_1(ollama_server, prompted_encoder, given):
    texts = [given] if isinstance(given, str) else given
    expected = prompted_encoder.encode(texts, normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(embed(ollama_server, input=given)), expected, **CLOSE)


def test_vectors_of_a_dot_product_model_are_raw(ollama_server, dot_model):
    expected = SentenceTransformer(dot_model).encode(TEXTS)
    np.testing.assert_allclose(vectors_of(embed(ollama_server, model="org/dot")), expected, **CLOSE)


def test_the_server_s_rule_counts(dot_model):
    with in_process({"m": dot_model}, normalize="always") as server:
        found = vectors_of(embed(server, model="m"))
    expected = SentenceTransformer(dot_model).encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("dimensions", [1, 7, 19])
def test_fewer_dimensions_are_cut_before_the_length_is_1(
    ollama_server, prompted_encoder, dimensions
):
    found = vectors_of(embed(ollama_server, dimensions=dimensions))
    expected = prompted_encoder.encode(TEXTS, truncate_dim=dimensions, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


@pytest.mark.parametrize("dimensions", [None, 0, -7, 20, 21, 10**9])
def test_other_dimensions_change_nothing(ollama_server, dimensions):
    found = vectors_of(embed(ollama_server, dimensions=dimensions))
    np.testing.assert_array_equal(found, vectors_of(embed(ollama_server)))


@pytest.mark.parametrize("body", [{}, {"input": ""}, {"input": []}, {"input": None}])
def test_no_input_gives_no_vectors(ollama_server, body):
    answer = ollama_server.post("/api/embed", {"model": "all-mini", **body})
    assert (answer.status, answer.json()) == (200, {"model": "all-mini", "embeddings": []})


def test_an_empty_text_in_a_list_is_a_text(ollama_server, prompted_encoder):
    expected = prompted_encoder.encode([""], normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(embed(ollama_server, input=[""])), expected, **CLOSE)


def test_options_and_times_are_not_read(ollama_server):
    options = {"num_ctx": None, "temperature": None, "stop": None}
    found = vectors_of(embed(ollama_server, options=options, keep_alive="5m", truncate=None))
    np.testing.assert_array_equal(found, vectors_of(embed(ollama_server)))


@pytest.mark.parametrize("truncate", [None, True])
def test_a_long_text_is_truncated(ollama_server, prompted_encoder, truncate):
    answer = embed(ollama_server, input=LONG, truncate=truncate)
    expected = prompted_encoder.encode([LONG], normalize_embeddings=True)
    np.testing.assert_allclose(vectors_of(answer), expected, **CLOSE)
    assert answer.headers["x-minibert-truncated"] == "1"


def test_a_long_text_is_refused_where_none_is_truncated(ollama_server):
    error = error_of(embed(ollama_server, input=["a", LONG], truncate=False), 400)
    assert error == "the input length exceeds the context length"


@pytest.mark.parametrize(
    "kind", ["text/plain", "application/x-www-form-urlencoded", "", "application/json"]
)
def test_a_body_of_any_content_type_is_read(ollama_server, kind):
    answer = ollama_server.post(
        "/api/embed", b'{"model": "all-mini", "input": "a"}', content_type=kind
    )
    assert vectors_of(answer).shape == (1, 20)


# /api/embeddings


@pytest.mark.parametrize("model", ["all-mini", "org/dot"])
def test_the_older_route_never_normalises(ollama_server, dot_model, model):
    answer = ollama_server.post("/api/embeddings", {"model": model, "prompt": "the cat sat."})
    assert list(answer.json()) == ["embedding"]
    expected = SentenceTransformer(dot_model).encode("the cat sat.")
    np.testing.assert_allclose(answer.json()["embedding"], expected, **CLOSE)


@pytest.mark.parametrize("body", [{}, {"prompt": ""}, {"prompt": None}])
def test_the_older_route_has_no_vector_of_no_text(ollama_server, body):
    answer = ollama_server.post("/api/embeddings", {"model": "all-mini", **body})
    assert (answer.status, answer.json()) == (200, {"embedding": []})


# Names


@pytest.mark.parametrize(
    ("name", "prompt_name"),
    [
        ("all-Mini", None),
        ("ALL-MINI", None),
        ("all-mini:latest", None),
        ("All-Mini:LATEST", None),
        ("nomic-embed-text", None),
        ("Nomic-Embed-Text:latest", None),
        (None, None),
        ("", None),
        ("all-mini:query", "query"),
        ("all-Mini:document", "document"),
        ("asks", "query"),
        ("ASKS:latest", "query"),
    ],
)
def test_names_are_taken_in_any_case_and_with_the_tag(
    ollama_server, prompted_encoder, name, prompt_name
):
    found = vectors_of(embed(ollama_server, model=name))
    expected = prompted_encoder.encode(TEXTS, prompt_name=prompt_name, normalize_embeddings=True)
    np.testing.assert_allclose(found, expected, **CLOSE)


def test_a_name_with_a_tag_of_its_own_is_taken(ollama_server):
    for name in ("tiny:v2", "TINY:V2", "tiny:v2:latest"):
        assert vectors_of(embed(ollama_server, model=name)).shape == (3, 7)


@pytest.mark.parametrize("path", ["/api/embed", "/api/embeddings", "/api/show"])
@pytest.mark.parametrize("name", ["nope", "all-mini:v2", "tiny", "asks:query", "Nope:latest"])
def test_an_unknown_model_is_404_in_ollama_s_words(ollama_server, path, name):
    answer = ollama_server.post(path, {"model": name, "input": "a", "prompt": "a"})
    assert error_of(answer, 404) == f"model '{name}' not found"


# Models


@pytest.mark.parametrize("path", ["/api/tags", "/api/ps"])
def test_embedding_models_are_listed_with_a_tag(ollama_server, path):
    found = ollama_server.request("GET", path).json()
    assert list(found) == ["models"]
    names = ["all-Mini:latest", "org/dot:latest", "tiny:v2"]
    assert [item["name"] for item in found["models"]] == names
    assert [item["model"] for item in found["models"]] == names
    for name in names:  # as they are listed
        assert embed(ollama_server, model=name).status == 200


def test_a_listed_model_has_ollama_s_facts(ollama_server, gelu_with_prompts, prompted_encoder):
    found = ollama_server.request("GET", "/api/tags").json()["models"][0]
    assert re.fullmatch("[0-9a-f]{64}", found.pop("digest"))
    numbers = prompted_encoder.checkpoint.tensors.taken_numbers
    assert found == {
        "name": "all-Mini:latest",
        "model": "all-Mini:latest",
        "modified_at": "2023-11-14T22:13:20Z",
        "size": (gelu_with_prompts / "model.safetensors").stat().st_size,
        "details": {
            "parent_model": "",
            "format": "safetensors",
            "family": "bert",
            "families": ["bert"],
            "parameter_size": f"{numbers / 1e6:.1f}M",
            "quantization_level": "F32",
            "context_length": 41,
            "embedding_length": 20,
        },
        "capabilities": ["embedding"],
    }


def test_models_have_digests_of_their_own(ollama_server):
    models = ollama_server.request("GET", "/api/tags").json()["models"]
    assert len({item["digest"] for item in models}) == 3


def test_models_in_memory_stay_there(ollama_server):
    listed = ollama_server.request("GET", "/api/tags").json()["models"]
    running = ollama_server.request("GET", "/api/ps").json()["models"]
    added = {"expires_at": "9999-12-31T23:59:59Z", "size_vram": 0}
    assert running == [{**item, **added} for item in listed]


@pytest.mark.parametrize("key", ["model", "name"])
def test_show_tells_of_one_model(ollama_server, prompted_encoder, key):
    found = ollama_server.post("/api/show", {key: "ALL-mini:latest"}).json()
    (listed, *_) = ollama_server.request("GET", "/api/tags").json()["models"]
    assert found.pop("model_info") == {
        "general.architecture": "bert",
        "general.parameter_count": prompted_encoder.checkpoint.tensors.taken_numbers,
        "bert.block_count": 3,
        "bert.attention.head_count": 5,
        "bert.feed_forward_length": 37,
        "bert.context_length": 41,
        "bert.embedding_length": 20,
    }
    assert found == {key: listed[key] for key in ("details", "capabilities", "modified_at")}


def test_show_tells_that_a_cross_encoder_embeds_nothing(ollama_server):
    assert ollama_server.post("/api/show", {"model": "ranker"}).json()["capabilities"] == []


def test_the_length_of_a_vector_is_told_after_all_modules(ollama_server):
    info = ollama_server.post("/api/show", {"model": "tiny:v2"}).json()["model_info"]
    assert info["bert.embedding_length"] == 7


def test_the_version_is_one_of_ollama_s(ollama_server):
    found = ollama_server.request("GET", "/api/version").json()
    assert list(found) == ["version"]
    assert re.fullmatch(r"0\.\d+\.\d+", found["version"])


@pytest.mark.parametrize("path", ["/api/tags", "/api/version", "/api/ps"])
def test_head_is_answered_where_get_is(ollama_server, path):
    assert ollama_server.request("HEAD", path).status == 200


# Refusals


@pytest.mark.parametrize(
    "value", [5, True, {"a": 1}, [5], ["a", None], [["a"]], [101, 102], ["a", ["b"]]]
)
def test_input_that_is_no_text_is_refused_in_ollama_s_words(ollama_server, value):
    assert error_of(embed(ollama_server, input=value), 400) == "invalid input type"


@pytest.mark.parametrize("path", ["/api/embed", "/api/embeddings", "/api/show"])
def test_a_missing_body_is_refused_in_ollama_s_words(ollama_server, path):
    assert error_of(ollama_server.post(path, b""), 400) == "missing request body"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ({"model": "ranker"}, "'ranker' is of the kind classifier; expected embedding. This"),
        ({"model": 5}, "model is an int (5); expected a text."),
        ({"dimensions": "7"}, "dimensions is a str ('7')"),
        ({"dimensions": 7.5}, "dimensions is a float (7.5)"),
        ({"truncate": "no"}, "truncate is a str ('no'); expected true or false."),
        ({"input": ["a", "\ud800"]}, "input[1] has a lone surrogate"),
        ({"input": ["a"] * 51}, "input has 51 items; a request may have 50"),
    ],
)
def test_a_wrong_request_is_400(ollama_server, body, told):
    assert error_of(embed(ollama_server, **body), 400).startswith(told)


@pytest.mark.parametrize("body", [b"{", b'{"input": NaN}', b'{"a": 1, "a": 2}', b"[]", b"\xff"])
def test_a_body_that_is_no_json_object_is_400(ollama_server, body):
    error_of(ollama_server.post("/api/embed", body), 400)


def test_unknown_paths_and_methods_have_ollama_s_shape(ollama_server):
    assert "'/api/pull'" in error_of(ollama_server.post("/api/pull", {"model": "x"}), 404)
    assert error_of(ollama_server.request("GET", "/api/embed"), 405).endswith("expected POST.")
    assert error_of(ollama_server.post("/api/tags", {}), 405).endswith("GET, HEAD.")


def test_a_wrong_key_has_ollama_s_shape(gelu_with_prompts):
    with in_process({"m": gelu_with_prompts}, api_keys=("k",)) as server:
        assert "API key" in error_of(embed(server, model="m"), 401)
        headers = {"authorization": "Bearer k"}
        assert server.post("/api/embed", {"input": "a"}, **headers).status == 200
