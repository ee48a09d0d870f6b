"""Paths and shapes of text-embeddings-inference, with the numbers of encode and predict."""

import asyncio
import hashlib
import threading

import numpy as np
import pytest
from golden_files import copy_of, edit_json, one_label_copy
from in_process import in_process
from prompted import DOCUMENT, PROMPTS, QUERY
from safetensors.numpy import load_file, save_file

from minibert import CrossEncoder, SentenceTransformer
from minibert.server.facts import Facts

TEXTS = ["the cat sat.", "", "a dog barks 😀", "中 London, 中!", "the cat sat."]
# Of one token each, in the golden vocabulary; the model takes 41 tokens, special ones among them.
WORDS = ["the", "cat", "dog", "sat", "barks", "a", "b", "c"]
LONG = " ".join(WORDS[place] for place in np.random.default_rng(3).integers(0, 8, 60))
OTHER = " ".join(WORDS[place] for place in np.random.default_rng(4).integers(0, 8, 50))
LABELS = ["joy", "anger", "fear"]


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """Folders of all models that are served: cosine and dot product, three labels and one."""
    made = {
        "cosine": copy_of("modules", tmp_path_factory.mktemp("cosine")),
        "dot": copy_of("modules", tmp_path_factory.mktemp("dot")),
        "three": copy_of("cross_encoder", tmp_path_factory.mktemp("three")),
        "one": one_label_copy(tmp_path_factory.mktemp("one")),
    }
    for name in ("cosine", "dot"):
        settings = made[name] / "config_sentence_transformers.json"
        edit_json(settings, prompts=PROMPTS, similarity_fn_name=name)
    edit_json(made["three"] / "config.json", id2label=dict(zip("012", LABELS, strict=True)))
    return made


@pytest.fixture(scope="module")
def tei(places):
    with in_process(places, reproducible=True, max_inputs=8) as running:
        yield running


@pytest.fixture(scope="module")
def dot_encoder(places):
    return SentenceTransformer(places["dot"], reproducible=True, on_long="ignore")


def scorer(folder, activation="identity"):
    return CrossEncoder(folder, reproducible=True, on_long="ignore", activation_fn=activation)


def answer(tei, path, **body):
    found = tei.post(path, body)
    assert found.status == 200, found.body
    return found.json()


def softmax(logits):
    """The textbook's, in float64."""
    powers = np.exp(np.float64(logits) - np.max(logits, axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-np.float64(logits)))


@pytest.mark.parametrize(
    ("model", "asked", "is_unit"),
    [
        *[("cosine", {}, True), ("cosine", {"normalize": None}, True), ("dot", {}, False)],
        *[("dot", {"normalize": None}, False), ("dot", {"normalize": True}, True)],
        ("cosine", {"normalize": False}, False),
    ],
)
def test_vectors_are_encode_s_bit_for_bit(tei, dot_encoder, model, asked, is_unit):
    found = np.array(answer(tei, "/embed", inputs=TEXTS, model=model, **asked), np.float32)
    np.testing.assert_array_equal(found, dot_encoder.encode(TEXTS, normalize_embeddings=is_unit))


def test_one_text_gives_a_list_of_one_vector(tei, dot_encoder):
    for inputs in ("the cat", ["the cat"]):
        found = answer(tei, "/embed", inputs=inputs, model="dot")
        np.testing.assert_array_equal(np.float32(found), dot_encoder.encode(["the cat"]))


def test_fewer_dimensions_are_normalised_afterwards(tei, dot_encoder):
    whole = dot_encoder.encode(TEXTS).astype(np.float64)[:, :3]
    expected = whole / np.linalg.norm(whole, axis=1, keepdims=True)
    found = answer(tei, "/embed", inputs=TEXTS, dimensions=3)
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_prompts_come_by_name_and_by_the_name_of_the_model(tei, dot_encoder):
    expected = dot_encoder.encode([PROMPTS["query"] + QUERY])
    for asked in ({"prompt_name": "query", "model": "dot"}, {"model": "dot:query"}):
        found = answer(tei, "/embed", inputs=QUERY, **asked)
        np.testing.assert_array_equal(np.float32(found), expected)
    assert not np.array_equal(expected, dot_encoder.encode([QUERY]))


def test_states_of_all_tokens_are_encode_s(tei, dot_encoder):
    found = answer(tei, "/embed_all", inputs=TEXTS)
    for rows, states in zip(found, dot_encoder.encode(TEXTS, output_value="token_embeddings"),
                            strict=True):  # fmt: skip
        np.testing.assert_array_equal(np.float32(rows), states)


def test_large_states_are_sent_in_parts(tei, dot_encoder):
    texts = [f"{LONG} {number}" for number in range(8)] * 2
    with in_process({"m": dot_encoder.folder.path}, reproducible=True) as other:
        found = answer(other, "/embed_all", inputs=texts * 16, truncation_direction="left")
    assert sum(np.size(rows) for rows in found) > 65_536
    assert found[: len(texts)] == found[-len(texts) :]
    one = answer(tei, "/embed_all", inputs=texts[3], truncation_direction="left", model="dot")
    assert found[3] == one[0]


def test_no_model_is_sparse_yet(tei):
    for asked, expected in ({}, "no sparse model"), ({"model": "dot"}, "expected sparse"):
        found = tei.post("/embed_sparse", {"inputs": "the cat", **asked})
        assert (found.status, found.json()["error_type"]) == (424, "Backend")
        assert expected in found.json()["error"]


@pytest.mark.parametrize("left", ["left", "Left", "LEFT"])
def test_a_long_text_loses_its_tokens_at_either_side(tei, dot_encoder, left):
    words = LONG.split()
    for side, kept in ({}, words[:39]), ({"truncation_direction": left}, words[-39:]):
        found = tei.post("/embed", {"inputs": LONG, "model": "dot", **side})
        np.testing.assert_array_equal(
            np.float32(found.json()), dot_encoder.encode([" ".join(kept)])
        )
        assert found.headers["x-minibert-truncated"] == "1"
        assert found.headers["x-compute-tokens"] == "41"


@pytest.mark.parametrize(
    ("pair", "right", "left"),
    [
        ((LONG, OTHER), (slice(19), slice(19)), (slice(-19, None), slice(-19, None))),
        ((LONG, "the cat"), (slice(36), slice(2)), (slice(-36, None), slice(2))),
        (("dog a", OTHER), (slice(2), slice(36)), (slice(2), slice(-36, None))),
    ],
)
def test_a_long_pair_loses_tokens_at_the_same_side(tei, places, pair, right, left):
    model = scorer(places["three"])
    for side, kept in ("Right", right), ("Left", left):
        words = [" ".join(text.split()[part]) for text, part in zip(pair, kept, strict=True)]
        expected = model.predict([tuple(words)])[0]
        found = answer(
            tei, "/predict", inputs=list(pair), raw_scores=True, truncation_direction=side
        )
        assert by_label(found) == dict(zip(LABELS, expected.tolist(), strict=True))


def by_label(predictions):
    return {row["label"]: row["score"] for row in predictions}


@pytest.mark.parametrize("path", ["/embed", "/embed_all", "/predict", "/similarity"])
def test_a_long_text_is_refused_where_none_is_truncated(tei, path):
    inputs = {"/similarity": {"source_sentence": "a", "sentences": [LONG]}}.get(path, LONG)
    asked = {"truncate": False}
    found = tei.post(path, {"inputs": inputs, **asked, "parameters": asked})
    error = "Input validation error: `inputs` must have less than 41 tokens. Given: 62"
    assert found.status == 422
    assert found.json() == {"error": error, "error_type": "Validation"}


def test_labels_come_with_their_probabilities_highest_first(tei, places):
    model = scorer(places["three"])
    inputs = [["the cat", "a dog"], ["中 😀", ""], ["", "London"], ["dog", "barks."]]
    expected = softmax(model.predict(inputs))
    found = answer(tei, "/predict", inputs=inputs)
    for row, probabilities in zip(found, expected, strict=True):
        assert [one["score"] for one in row] == sorted((one["score"] for one in row), reverse=True)
        np.testing.assert_allclose(
            [by_label(row)[label] for label in LABELS], probabilities, atol=1e-6
        )
    single = answer(tei, "/predict", inputs=inputs[0], parameters={})
    assert single == found[0]  # two texts are a pair


def test_a_single_text_has_labels_of_its_own(tei):
    found = answer(tei, "/predict", inputs="the cat")
    assert found == answer(tei, "/predict", inputs=["the cat"])
    assert [found] == answer(tei, "/predict", inputs=[["the cat"]])
    pair = answer(tei, "/predict", inputs=["the cat", ""])
    assert by_label(found) != by_label(pair)
    assert [found, pair] == answer(tei, "/predict", inputs=[["the cat"], ["the cat", ""]])


def test_one_label_has_its_sigmoid(tei, places):
    logit = scorer(places["one"]).predict([("the cat", "a dog")])
    (row,) = answer(tei, "/predict", inputs=["the cat", "a dog"], model="one")
    np.testing.assert_allclose(row["score"], sigmoid(logit[0]), atol=1e-7)
    assert row["label"] == "LABEL_0"
    asked = {"inputs": ["the cat", "a dog"], "model": "one", "raw_scores": True}
    assert answer(tei, "/predict", **asked)[0]["score"] == logit[0]


DOCUMENTS = ["a dog barks", "London", "the cat", "", "a dog barks", "cat 中"]


def test_ranks_are_those_of_rank(tei, places):
    asked = {"query": "the cat", "texts": DOCUMENTS, "parameters": {}, "top_n": 1}
    found = answer(tei, "/", **asked, return_text=True)
    ranked = scorer(places["one"], "sigmoid").rank("the cat", DOCUMENTS)
    expected = [(row["corpus_id"], row["score"], DOCUMENTS[row["corpus_id"]]) for row in ranked]
    assert [(row["index"], row["score"], row["text"]) for row in found] == expected
    raw = answer(tei, "/", **asked, raw_scores=True)
    ranked = scorer(places["one"]).rank("the cat", DOCUMENTS)
    expected = [{"index": row["corpus_id"], "score": float(row["score"])} for row in ranked]
    assert raw == expected


def test_ranks_of_large_logits_have_their_order(tmp_path):
    folder = one_label_copy(tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"] *= 50
    tensors["classifier.bias"] += 300
    save_file(tensors, folder / "model.safetensors")
    activation = {"activation_fn": "torch.nn.modules.linear.Identity"}
    edit_json(folder / "config.json", sentence_transformers=activation)
    ranked = scorer(folder).rank("the cat", DOCUMENTS)
    with in_process({"m": folder}, reproducible=True) as tei:
        found = answer(tei, "/", query="the cat", texts=DOCUMENTS)
    order = [row["corpus_id"] for row in ranked]
    assert [row["index"] for row in found] == order != sorted(order)
    assert {row["score"] for row in found} == {1.0}


@pytest.mark.parametrize("path", ["/similarity", "/"])
def test_similarities_are_cosines_whatever_the_metric(tei, dot_encoder, path):
    vectors = dot_encoder.encode([QUERY, DOCUMENT, "", QUERY]).astype(np.float64)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    asked = {"source_sentence": QUERY, "sentences": [DOCUMENT, "", QUERY]}
    found = answer(tei, path, inputs=asked, parameters={}, model="dot")
    np.testing.assert_allclose(found, vectors[1:] @ vectors[0], atol=1e-6)
    prompted = answer(tei, path, inputs=asked, parameters={"prompt_name": "document"})
    vectors = dot_encoder.encode([PROMPTS["document"] + text for text in [QUERY, DOCUMENT]])
    cosine = np.dot(*vectors.astype(np.float64)) / np.prod(np.linalg.norm(vectors, axis=1))
    np.testing.assert_allclose(prompted[0], cosine, atol=1e-6)


def test_the_root_does_as_the_first_model_can(tei, places):
    vectors = answer(tei, "/", inputs=["the cat"], parameters={})
    assert vectors == answer(tei, "/embed", inputs=["the cat"])
    asked = {"inputs": ["the cat", "a dog"], "model": "three"}
    assert answer(tei, "/", **asked) == answer(tei, "/predict", **asked)
    first = {name: places[name] for name in ("one", "cosine")}
    with in_process(first, reproducible=True) as other:
        (row,) = answer(other, "/", inputs="the cat")
        assert row["label"] == "LABEL_0"


AWKWARD = ["sat 😀👩‍🚀 日中 dog, Cafe\u0301!", "", "\u200b", "x" * 120, "[SEP] a[MASK]", "中 é\tα"]


def test_tokens_have_their_places_in_utf_8(tei, dot_encoder):
    found = answer(tei, "/tokenize", inputs=AWKWARD)
    for text, tokens in zip(AWKWARD, found, strict=True):
        rows = dot_encoder.transformer.text_tokenizer.rows([text], None)
        assert [token["id"] for token in tokens] == rows.ids[0].tolist()
        first, *inner, last = tokens
        whole = {"special": True, "start": None, "stop": None}
        assert (first, last) == (
            {"id": 2, "text": "[CLS]", **whole},
            {"id": 3, "text": "[SEP]", **whole},
        )
        for token in inner:
            place = slice(token["start"], token["stop"])
            assert text.encode()[place].decode() == token["text"] != ""
            assert token["special"] is False
    expected = ["sat", "😀👩‍🚀", "日", "中", "dog", ",", "C", "a", "f", "e", "!"]
    assert [token["text"] for token in found[0][1:-1]] == expected


def test_tokens_of_the_prompted_text_without_special_ones(tei):
    asked = {"inputs": ["中 sat", LONG], "add_special_tokens": False, "prompt_name": "document"}
    short, long = answer(tei, "/tokenize", **asked)
    expected = [("dog", 0, 3), (":", 3, 4), ("中", 5, 8), ("sat", 9, 12)]
    assert [(token["text"], token["start"], token["stop"]) for token in short] == expected
    assert len(long) == 2 + 60  # nothing is truncated
    alone = answer(tei, "/tokenize", inputs="中 sat", add_special_tokens=False)
    assert [token["text"] for token in alone[0]] == ["中", "sat"]
    named = answer(tei, "/tokenize", inputs="中 sat", model="dot:document")
    assert [token["text"] for token in named[0]] == ["[CLS]", "dog", ":", "中", "sat", "[SEP]"]


def test_ids_are_decoded_with_and_without_special_tokens(tei):
    ids = [[token["id"] for token in row] for row in answer(tei, "/tokenize", inputs=TEXTS)]
    plain = ["the cat sat.", "", "a dog barks [UNK]", "中 london, 中!", "the cat sat."]
    found = answer(tei, "/decode", ids=ids, skip_special_tokens=False)
    assert found == [f"[CLS] {text} [SEP]".replace("  ", " ") for text in plain]
    without = [text.replace(" [UNK]", "") for text in plain]  # it is special, too
    assert answer(tei, "/decode", ids=ids, skip_special_tokens=None) == without
    assert answer(tei, "/decode", ids=ids[0]) == [plain[0]]


def test_info_tells_what_is_served_and_no_path(tei, places):
    found = tei.request("GET", "/info")
    info = found.json()
    assert str(places["cosine"].parent) not in found.body.decode()
    assert info["model_type"] == {"embedding": {"pooling": "mean"}}
    assert {name: info[name] for name in ("model_id", "model_dtype", "max_input_length")} == {
        "model_id": "cosine",
        "model_dtype": "float32",
        "max_input_length": 41,
    }
    assert (info["max_client_batch_size"], info["auto_truncate"]) == (8, True)
    assert info["minibert_version"] == "unknown"  # the command and the application say it
    weights = (places["cosine"] / "model.safetensors").read_bytes()
    assert info["weights_sha256"] == hashlib.sha256(weights).hexdigest()
    assert (info["metric"], info["dimension"], info["normalized"]) == ("cosine", 7, True)


def test_info_of_another_model_is_asked_for_by_name(tei):
    dot = tei.request("GET", "/info?model=dot").json()
    assert (dot["served_model_name"], dot["metric"], dot["normalized"]) == ("dot", "dot", False)
    three = tei.request("GET", "/info?model=three").json()
    assert three["model_type"]["classifier"]["id2label"] == dict(zip("012", LABELS, strict=True))
    assert three["model_type"]["classifier"]["label2id"]["fear"] == 2
    one = tei.request("GET", "/info?model=one").json()["model_type"]
    assert one == {"reranker": {"id2label": {"0": "LABEL_0"}, "label2id": {"LABEL_0": 0}}}
    assert tei.request("GET", "/info?model=none").status == 404


@pytest.mark.parametrize(("rule", "expected"), [("always", True), ("never", False)])
def test_info_and_vectors_follow_the_server_s_rule(places, dot_encoder, rule, expected):
    with in_process({"m": places["dot"]}, normalize=rule, reproducible=True) as other:
        assert other.request("GET", "/info").json()["normalized"] is expected
        found = answer(other, "/embed", inputs=TEXTS)
    np.testing.assert_array_equal(
        np.float32(found), dot_encoder.encode(TEXTS, normalize_embeddings=expected)
    )


MANY = ["a"] * 9
SENTENCES = {"source_sentence": "a", "sentences": []}
REFUSED = [
    ("/embed", {"inputs": []}, 400, "Empty", "`inputs` cannot be empty"),
    ("/embed", {"inputs": MANY}, 422, "Validation", "batch size 9 > maximum allowed batch size 8"),
    ("/embed", {}, 422, "Validation", "Input validation error: inputs is missing"),
    ("/embed", {"inputs": None}, 422, "Validation", "inputs is missing"),
    ("/embed", {"inputs": {"a": 1}}, 422, "Validation", "inputs is a dict"),
    ("/embed", {"inputs": ["a", 1]}, 422, "Validation", "inputs[1] is an int"),
    ("/embed", {"inputs": [1, 2]}, 422, "Validation", "token ids"),
    ("/embed", {"inputs": "a", "dimensions": 0}, 422, "Validation", "dimensions is"),
    ("/embed", {"inputs": "a", "dimensions": 8}, 422, "Validation", "dimensions is 8"),
    ("/embed", {"inputs": "a", "prompt_name": "x"}, 422, "Validation", "no prompt 'x'"),
    ("/embed", {"inputs": "a", "truncation_direction": "up"}, 422, "Validation", "truncation_dir"),
    ("/embed", {"inputs": "a", "model": "three"}, 424, "Backend", "Backend error: 'three' is"),
    ("/embed", {"inputs": "a", "model": "nope"}, 404, "Validation", "no model 'nope'"),
    ("/predict", {"inputs": "a", "model": "dot"}, 424, "Backend", "'dot' is"),
    ("/predict", {"inputs": []}, 400, "Empty", "`inputs` cannot be empty"),
    ("/predict", {"inputs": ["a", "b", "c"]}, 422, "Validation", "a pair of texts"),
    ("/predict", {"inputs": [["a"], "b"]}, 422, "Validation", "inputs[1] is"),
    ("/predict", {"inputs": [["a"], []]}, 422, "Validation", "inputs[1] is"),
    ("/predict", {"inputs": [["a"]] * 9}, 422, "Validation", "batch size 9 >"),
    ("/predict", {"inputs": ["a", None]}, 422, "Validation", "inputs[1] is"),
    ("/predict", {}, 422, "Validation", "inputs is missing"),
    ("/", {"query": "a", "texts": []}, 400, "Empty", "`texts` cannot be empty"),
    ("/", {"texts": ["a"]}, 422, "Validation", "query is missing"),
    ("/", {"query": "a", "texts": ["b"], "model": "three"}, 424, "Backend", "'three' is"),
    ("/", {"inputs": SENTENCES}, 400, "Empty", "`sentences` cannot be empty"),
    ("/similarity", {"inputs": "a"}, 422, "Validation", "inputs is"),
    ("/similarity", {"inputs": {**SENTENCES, "sentences": MANY}}, 422, "Validation", "size 9"),
    ("/similarity", {"inputs": {"sentences": ["a"]}}, 422, "Validation", "sentence is missing"),
    ("/tokenize", {"inputs": []}, 400, "Empty", "`inputs` cannot be empty"),
    ("/tokenize", {"inputs": "a", "prompt_name": "x"}, 422, "Validation", "no prompt 'x'"),
    ("/tokenize", {"inputs": 5}, 422, "Validation", "inputs is"),
    ("/decode", {"ids": []}, 400, "Empty", "`ids` cannot be empty"),
    ("/decode", {}, 422, "Validation", "ids is missing"),
    ("/decode", {"ids": [82]}, 422, "Validation", "ids has 82; this model has tokens 0 to 81"),
    ("/decode", {"ids": [[1], [-1]]}, 422, "Validation", "ids[1] has -1"),
    ("/decode", {"ids": [1, "a"]}, 422, "Validation", "ids is"),
    ("/decode", {"ids": [[1]] * 9}, 422, "Validation", "batch size 9 >"),
    ("/nowhere", {}, 404, "Validation", "/nowhere"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "body", "status", "kind", "error"), REFUSED)
def test_errors_have_tei_s_shape_status_and_words(tei, path, body, status, kind, error):
    found = tei.post(path, body)
    assert (found.status, found.json().keys()) == (status, {"error", "error_type"})
    assert found.json()["error_type"] == kind
    assert error in found.json()["error"]


def test_too_many_tokens_are_refused_on_every_path(places):
    with in_process(places, max_request_tokens=50) as small:
        for path, body in [
            ("/embed", {"inputs": [LONG, LONG]}),
            ("/tokenize", {"inputs": LONG}),
            ("/tokenize", {"inputs": " " * 401}),
            ("/decode", {"ids": [1] * 51}),
        ]:
            found = small.post(path, body)
            assert (found.status, found.json()["error_type"]) == (422, "Validation")
            assert "50" in found.json()["error"] or "400" in found.json()["error"]


def test_token_ids_are_decoded_where_they_are_accepted(places, dot_encoder):
    ids = dot_encoder.transformer.text_tokenizer.rows(["the cat", "a dog barks"], None).ids
    with in_process({"m": places["dot"]}, accept_token_ids=True, reproducible=True) as other:
        inputs = [ids[0].tolist(), "a dog barks"]
        found = answer(other, "/embed", inputs=inputs)
        one = answer(other, "/embed", inputs=ids[0].tolist())
    np.testing.assert_array_equal(np.float32(found), dot_encoder.encode(["the cat", "a dog barks"]))
    assert one == found[:1]


def test_a_full_queue_is_told_as_overload(places):
    release = threading.Event()
    with in_process({"m": places["dot"]}, max_queue_tokens=10) as full:
        core = full.state.core

        async def refused():
            running = asyncio.ensure_future(core.run(Facts(), release.wait, 9))
            await asyncio.sleep(0)
            while core.queue.tokens:
                await asyncio.sleep(0.001)
            waiting = asyncio.ensure_future(core.run(Facts(), release.wait, 9))
            await asyncio.sleep(0)
            found = await full.exchange("POST", "/embed", {"inputs": "the cat"})
            release.set()
            assert await running is await waiting is True
            return found

        found = full.run(refused())
    assert (found.status, found.json()["error_type"]) == (429, "Overloaded")
    assert found.json()["error"].startswith("Model is overloaded")
    assert found.headers["retry-after"] == "1"


def test_a_server_without_its_models_is_unhealthy(places):
    with in_process({"m": places["dot"]}) as loading:
        loading.state.models = None
        found = loading.post("/embed", {"inputs": "the cat"})
    assert (found.status, found.json()["error_type"]) == (503, "Unhealthy")


def test_a_result_without_numbers_is_the_model_s_fault(tmp_path):
    folder = copy_of("cross_encoder", tmp_path)
    tensors = load_file(folder / "model.safetensors")
    tensors["classifier.weight"] = np.sign(tensors["classifier.weight"]) * np.float32(3e38)
    save_file(tensors, folder / "model.safetensors")
    with in_process({"m": folder}) as tei:
        found = tei.post("/predict", {"inputs": "the cat"})
    assert (found.status, found.json()["error_type"]) == (424, "Backend")
    assert "NaN" in found.json()["error"]
    assert str(tmp_path) not in found.body.decode()


def test_headers_tell_the_work_in_tei_s_names(tei):
    found = tei.post("/embed", {"inputs": ["the cat", "中 😀"]})
    told = {name: value for name, value in found.headers.items() if name.startswith("x-")}
    assert told.pop("x-compute-type") == "cpu"
    assert (told.pop("x-compute-characters"), told.pop("x-compute-tokens")) == ("10", "8")
    del told["x-request-id"]
    times = {"compute", "total", "tokenization", "queue", "inference"}
    assert told.keys() == {f"x-{name}-time" for name in times}
    assert all(value.isdecimal() for value in told.values())
    assert int(told["x-inference-time"]) <= int(told["x-total-time"])
