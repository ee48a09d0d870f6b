"""Rerank as the clients of Cohere, Jina, vLLM and infinity ask: the order and scores of rank()."""

import numpy as np
import pytest
from golden_files import GOLDEN, edit_json
from in_process import in_process
from safetensors.numpy import load_file, save_file

from minibert import CrossEncoder

QUERY = "the cat"
# Words of the golden vocabulary in all orders; some of the documents are equal.
WORDS = ["the", "cat", "a", "dog", "barks", "sat", "London", "."]
ORDERS = np.random.default_rng(20).integers(0, len(WORDS), (40, 7))
DOCUMENTS = [" ".join(WORDS[place] for place in order[: order[0]]) for order in ORDERS]
DOCUMENTS += DOCUMENTS[::3]

PATHS = ["/rerank", "/v1/rerank", "/v2/rerank", "/v1/v1/rerank", "/v1/v2/rerank"]


@pytest.fixture
def ask(one_label):
    """POST /v2/rerank of a server with the cross-encoder of one label: -> the answer's JSON."""
    with in_process({"m": one_label}, reproducible=True) as server:

        def asked(path="/v2/rerank", status=200, **body):
            answer = server.post(path, {"query": QUERY, "documents": DOCUMENTS, **body})
            assert answer.status == status, answer.body
            return answer.json()

        yield asked


def ranked(folder, documents=DOCUMENTS, **arguments):
    """The same by rank(): -> [(index, score)]."""
    rows = CrossEncoder(folder, reproducible=True).rank(QUERY, documents, **arguments)
    return [(row["corpus_id"], row["score"]) for row in rows]


def results_of(answer):
    return [(result["index"], result["relevance_score"]) for result in answer["results"]]


def test_order_and_scores_are_those_of_rank(ask, one_label):
    expected = ranked(one_label)
    found = results_of(ask())
    assert found == expected
    scores = [score for _, score in found]
    assert scores == sorted(scores, reverse=True)
    assert len(set(scores)) < len(scores)  # ties, in the order of the documents
    assert [number for number, _ in found] != list(range(len(found)))


@pytest.mark.parametrize("path", PATHS)
def test_every_path_gives_the_same_results(ask, one_label, path):
    assert results_of(ask(path)) == ranked(one_label)


@pytest.mark.parametrize("top_n", [1, 7, 1000, None])
def test_top_n_keeps_the_best(ask, one_label, top_n):
    assert results_of(ask(top_n=top_n)) == ranked(one_label, top_k=top_n)


def test_raw_scores_are_logits(ask, one_label):
    logits = ranked(one_label, activation_fn="identity")
    assert results_of(ask(raw_scores=True)) == logits
    assert max(abs(score) for _, score in logits) > 1


def test_saturated_scores_keep_the_order_of_rank(one_label):
    """Sigmoids of large logits are all 1; a model of logits still knows which is larger."""
    tensors = load_file(one_label / "model.safetensors")
    tensors["classifier.weight"] *= 20
    tensors["classifier.bias"] += 200
    save_file(tensors, one_label / "model.safetensors")
    identity = "torch.nn.modules.linear.Identity"
    edit_json(one_label / "config.json", sentence_transformers={"activation_fn": identity})
    with in_process({"m": one_label}, reproducible=True) as server:
        answer = server.post("/v1/rerank", {"query": QUERY, "documents": DOCUMENTS}).json()
    expected = ranked(one_label)
    assert min(score for _, score in expected) > 100
    assert results_of(answer) == [(number, 1.0) for number, _ in expected]


def test_an_answer_has_what_each_client_reads(ask):
    answer = ask(documents=["a dog", "the cat"], return_documents=True)
    assert (answer["object"], answer["model"]) == ("list", "m")
    assert answer["id"]
    # [CLS] the cat [SEP] a dog [SEP]
    assert answer["usage"] == {"prompt_tokens": 14, "total_tokens": 14}
    assert answer["meta"]["api_version"] == {"version": "2"}
    for result in answer["results"]:
        assert set(result) == {"index", "relevance_score", "document"}
        assert result["document"] == {"text": ["a dog", "the cat"][result["index"]]}


@pytest.mark.parametrize("wanted", [False, None])
def test_documents_are_repeated_on_demand_alone(ask, wanted):
    answer = ask(documents=["a dog"], return_documents=wanted)
    assert set(answer["results"][0]) == {"index", "relevance_score"}


def test_null_is_as_absent(ask, one_label):
    keys = ["model", "top_n", "rank_fields", "raw_scores", "max_tokens_per_doc", "max_chunks"]
    assert results_of(ask(**dict.fromkeys(keys))) == ranked(one_label)


@pytest.mark.parametrize("ranked_by", [None, [], ["text"]])
def test_objects_are_ranked_by_their_text(ask, one_label, ranked_by):
    objects = [{"text": text, "title": "London", "year": 1999} for text in DOCUMENTS]
    answer = ask(documents=objects, return_documents=True, top_n=3, rank_fields=ranked_by)
    assert results_of(answer) == ranked(one_label, top_k=3)
    best = answer["results"][0]
    assert best["document"] == {"text": DOCUMENTS[best["index"]], "title": "London"}


def test_objects_are_ranked_by_their_rank_fields(ask, one_label):
    objects = [{"body": text, "title": "London", "text": "the"} for text in DOCUMENTS]
    objects[3] = {"title": "London"}
    joined = [f"London\n{text}" for text in DOCUMENTS]
    joined[3] = "London"
    answer = ask(documents=objects, rank_fields=["title", "body"], return_documents=True)
    assert results_of(answer) == ranked(one_label, joined)
    texts = {result["index"]: result["document"]["text"] for result in answer["results"]}
    assert (texts[0], texts[3]) == ("the", "London")


@pytest.mark.parametrize("most", [1, 3, 5])
def test_documents_are_truncated_to_max_tokens_per_doc(ask, one_label, most):
    backend = CrossEncoder(one_label).transformer.text_tokenizer.backend
    encodings = backend.encode_batch(DOCUMENTS, add_special_tokens=False)
    short = [
        text[: ([0, *(end for _, end in encoding.offsets)])[: most + 1][-1]]
        for text, encoding in zip(DOCUMENTS, encodings, strict=True)
    ]
    assert short != DOCUMENTS
    assert results_of(ask(max_tokens_per_doc=most)) == ranked(one_label, short)


def test_only_truncation_by_the_model_is_told(one_label):
    with in_process({"m": one_label}) as server:
        body = {"query": QUERY, "documents": ["cat " * 60, "cat " * 6]}
        assert server.post("/v1/rerank", body).headers["x-minibert-truncated"] == "1"
        headers = server.post("/v1/rerank", body | {"max_tokens_per_doc": 5}).headers
        assert "x-minibert-truncated" not in headers


def test_other_kinds_of_models_are_refused(one_label):
    models = {"e": GOLDEN / "modules", "three": GOLDEN / "cross_encoder"}
    body = {"query": QUERY, "documents": DOCUMENTS}
    with in_process(models) as server:
        for name in (None, "e", "three"):
            answer = server.post("/v2/rerank", body | {"model": name})
            assert answer.status == 400
            assert "reranker" in answer.json()["message"]
        assert server.post("/v2/rerank", body | {"model": "x"}).status == 404


def test_an_error_has_the_keys_of_cohere_and_jina(ask):
    answer = ask(status=400, documents="a dog")
    assert set(answer) == {"message", "detail"}
    assert answer["message"] == answer["detail"]
    assert answer["message"].startswith("documents is a str ('a dog'); expected a list of texts")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"texts": DOCUMENTS, "documents": DOCUMENTS}, "The body has both texts and documents"),
        ({}, "documents is missing; expected a list of texts, here or as texts"),
    ],
)
def test_rerank_wants_either_texts_or_documents(one_label, given, said):
    with in_process({"r": one_label}) as server:
        answer = server.post("/rerank", {"query": QUERY, **given})
        assert answer.status == 400
        assert answer.json()["message"].startswith(said)
