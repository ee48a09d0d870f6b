"""/v1/search, /v1/explain and /v1/served: what Index and explain give, over HTTP."""

import logging
import re
import shutil

import numpy as np
import pytest
from corpora import QUERIES, sentences, with_fields
from golden_files import GOLDEN, copy_of, edit_json, one_label_copy
from in_process import in_process

from minibert import CrossEncoder, SentenceTransformer
from minibert.corpus.building import build, delete
from minibert.corpus.search import Index
from minibert.documents.reading import Document
from minibert.errors import CorpusError
from minibert.explain.occluding import losses_as_dict, occlusion
from minibert.pictures.explanation_page import explanation_page
from minibert.server.opening import open_all
from minibert.server.settings import ModelPlace, Settings

MODEL = GOLDEN / "gelu"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    """A corpus of sentences, with some deleted ones."""
    folder = tmp_path_factory.mktemp("searched") / "corpus"
    build(folder, sentences(), SentenceTransformer(MODEL))
    delete(folder, ["d3", "d43"])
    return folder


@pytest.fixture(scope="module")
def reranker(tmp_path_factory):
    return one_label_copy(tmp_path_factory.mktemp("reranker"))


@pytest.fixture(scope="module")
def owned(searched, reranker):
    """A server of two models, with a corpus of the second."""
    models = {"first": GOLDEN / "mpnet", "m": MODEL, "r": reranker}
    with in_process(models, aliases=[("a", "m")], corpus=str(searched)) as server:
        yield server


@pytest.fixture(scope="module")
def index(searched):
    return Index(searched, SentenceTransformer(MODEL))


def as_json(hits):
    return [{**hit.as_dict(), "score": pytest.approx(hit.score, abs=2e-6)} for hit in hits]


def refused(server, path, body, status=400, **headers):
    """The message and the key of an error in OpenAI's shape."""
    answer = server.post(path, body, **headers)
    assert answer.status == status, answer.body
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    return error["message"], error["param"]


def test_a_search_finds_what_index_finds(owned, index):
    answer = owned.post("/v1/search", {"query": QUERIES[0], "k": 7, "rerank": False})
    assert answer.status == 200
    found = answer.json()
    assert found["query"] == QUERIES[0]
    assert found["hits"] == as_json(index.search(QUERIES[0], 7))
    assert found["model"] == "m"
    assert found["rerank"] is None
    tokens = len(index.model.tokens(QUERIES[0]).ids)
    assert found["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_several_queries_have_their_hits_in_order(owned, index):
    body = {"queries": QUERIES, "k": 3, "model": "a", "rerank": False}
    found = owned.post("/v1/search", body).json()
    expected = index.search(QUERIES, 3)
    assert found["results"] == [
        {"query": query, "hits": as_json(hits)}
        for query, hits in zip(QUERIES, expected, strict=True)
    ]
    assert owned.post("/v1/search", {"queries": []}).json()["results"] == []


def test_long_texts_come_whole(tmp_path):
    """So long that the answer is written in a thread."""
    model, text = SentenceTransformer(MODEL, on_long="ignore"), "the cat " * 10_000
    build(tmp_path / "c", [Document("d0", text, "here")], model)
    with in_process({"m": MODEL}, corpus=str(tmp_path / "c")) as server:
        answer = server.post("/v1/search", {"query": "a cat", "k": 1})
    assert "content-length" not in answer.headers
    assert [hit["text"] for hit in answer.json()["hits"]] == [text]


def test_ten_documents_are_found_where_k_is_not_given(owned, index):
    found = owned.post("/v1/search", {"query": QUERIES[1], "k": None, "rerank": False}).json()
    assert found["hits"] == as_json(index.search(QUERIES[1], 10))


def test_only_the_documents_of_the_ids_are_found(owned, index):
    ids = ["d9", "d40", "d2"]
    body = {"query": QUERIES[0], "ids": ids, "rerank": False}
    found = owned.post("/v1/search", body).json()
    assert found["hits"] == as_json(index.search(QUERIES[0], 3, ids=ids))
    assert owned.post("/v1/search", {"query": "a cat", "ids": []}).json()["hits"] == []


@pytest.fixture(scope="module")
def server_with_fields(reranker, tmp_path_factory):
    """A server of a corpus with fields, and its index."""
    folder, model = (
        tmp_path_factory.mktemp("server_with_fields") / "corpus",
        SentenceTransformer(MODEL),
    )
    build(folder, with_fields(), model, fields=("lang", "year"))
    with in_process({"m": MODEL, "r": reranker}, corpus=str(folder)) as server:
        yield server, Index(folder, model)


WHERE = {"lang": ["de", "fr"], "year": {">=": 2000, "<": 2020}}


def test_only_documents_that_meet_where_are_found(server_with_fields):
    server, index = server_with_fields
    ids = [f"d{number}" for number in range(30)]
    body = {"query": QUERIES[0], "where": WHERE, "ids": ids, "rerank": False, "k": 30}
    found = server.post("/v1/search", body).json()["hits"]
    assert found == as_json(index.search(QUERIES[0], 30, where=WHERE, ids=ids))
    assert {hit["id"]: hit["fields"] for hit in found} == {
        one.id: one.fields
        for one in with_fields()[:30]
        if one.fields["lang"] in ("de", "fr") and 2000 <= one.fields["year"] < 2020
    }
    ranked = server.post("/v1/search", {"query": QUERIES[0], "where": WHERE, "k": 3}).json()
    assert all(hit["fields"]["lang"] in ("de", "fr") for hit in ranked["hits"])
    assert (len(ranked["hits"]), ranked["rerank"]) == (3, "r")
    assert server.request("GET", "/v1/served").json()["corpus"]["fields"] == ["lang", "year"]


@pytest.mark.parametrize("rerank", [False, True])
def test_conditions_that_no_document_meets_find_nothing(server_with_fields, rerank):
    body = {"queries": QUERIES, "where": {"year": {">": 3000}}, "rerank": rerank}
    found = server_with_fields[0].post("/v1/search", body).json()
    assert [one["hits"] for one in found["results"]] == [[], [], []]


@pytest.mark.parametrize(
    ("where", "message"),
    [
        ({"yeear": 1953}, "names 'yeear', which the corpus lacks: it has lang, year"),
        ({"year": "1953"}, "asks for '1953' in 'year', and the corpus has numbers there"),
        ({"lang": {"like": "d"}}, "has the operator 'like' for 'lang'; expected one of =, !="),
        ({"lang": [["de"]]}, r"lang is \['de'\]; expected a text, a number"),
        ({"lang": {}}, "has no condition for 'lang'; expected a value"),
        ({"lang": {"a": {"b": 1}}}, "has the operator 'a' for 'lang'"),
        ({"lang": {"=": {"b": 1}}}, r"lang is \{'b': 1\}; expected a text, a number"),
        ({"year": {">=": []}}, r"compares 'year' by >= with \[\]; expected a number or a text"),
        ({"year": {">=": [1990]}}, r"compares 'year' by >= with \[1990\]"),
        ({"year": {">=": None}}, "compares 'year' by >= with None"),
        ({"year": {">=": True}}, "compares 'year' by >= with True"),
        ({"year": {">=": "\ud800"}}, "year is '.ud800'; expected whole characters"),
    ],
)
def test_conditions_that_cannot_be_met_are_refused(server_with_fields, where, message):
    told, param = refused(server_with_fields[0], "/v1/search", {"query": "a", "where": where})
    assert re.search(message, told), told
    assert param == "where"
    assert str(server_with_fields[1].corpus.folder) not in told


@pytest.mark.parametrize("condition", ["1e999", '{">=": 1e999}', '{"!=": [-1e999]}'])
def test_a_number_that_no_float_holds_is_refused(server_with_fields, condition):
    body = f'{{"query": "a", "where": {{"year": {condition}}}}}'.encode()  # no writer gives 1e999
    told, param = refused(server_with_fields[0], "/v1/search", body)
    assert re.search("year is -?inf; expected a finite number", told), told
    assert param == "where"


@pytest.mark.parametrize("rerank", [None, True, "r"])
def test_a_cross_encoder_ranks_the_first_again(owned, index, reranker, rerank):
    scorer = CrossEncoder(reranker)
    expected = index.search(QUERIES, 4, rerank=scorer, candidates=9)
    assert expected != index.search(QUERIES, 4)
    body = {"queries": QUERIES, "k": 4, "rerank": rerank, "candidates": 9}
    found = owned.post("/v1/search", body).json()
    assert [one["hits"] for one in found["results"]] == [as_json(hits) for hits in expected]
    assert found["rerank"] == "r"
    tokens = sum(len(one.ids) for one in index.model.tokens(QUERIES))
    for query in QUERIES:
        documents = [hit.text for hit in index.search(query, 9)]
        answer = owned.post("/v1/rerank", {"query": query, "documents": documents})
        tokens += answer.json()["usage"]["total_tokens"]
    assert found["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}


def test_rerank_false_ranks_by_the_vectors(owned, index):
    found = owned.post("/v1/search", {"query": QUERIES[0], "rerank": False, "candidates": 9}).json()
    assert found["hits"] == as_json(index.search(QUERIES[0], 10))


def test_a_corpus_of_bits_is_searched_in_two_passes(tmp_path):
    model = SentenceTransformer(MODEL)
    build(tmp_path / "bits", sentences(), model, precision="binary")
    index = Index(tmp_path / "bits", model)
    expected = [index.search(query, 3, rescore=1) for query in QUERIES]
    assert expected != index.search(QUERIES, 3)
    with in_process({"m": MODEL}, corpus=str(tmp_path / "bits")) as server:
        found = server.post("/v1/search", {"queries": QUERIES, "k": 3, "rescore": 1}).json()
    assert [one["hits"] for one in found["results"]] == list(map(as_json, expected))


def test_questions_are_encoded_as_the_corpus_says(tmp_path):
    """With its prompt for questions, its dimensions, and its length."""
    folder = copy_of("gelu", tmp_path)
    config = {"prompts": {"query": "the old house "}, "similarity_fn_name": "dot"}
    edit_json(folder / "config_sentence_transformers.json", **config)
    model = SentenceTransformer(folder)
    build(tmp_path / "c", sentences(), model, truncate_dim=7, normalize=True)
    expected = Index(tmp_path / "c", model).search(QUERIES[0], 3)
    with in_process({"m": folder}, corpus=str(tmp_path / "c"), normalize="never") as server:
        found = server.post("/v1/search", {"query": QUERIES[0], "k": 3}).json()
    assert found["hits"] == as_json(expected)


@pytest.mark.parametrize(
    ("body", "message", "key"),
    [
        ({}, "both are missing", "query"),
        ({"query": "a", "queries": ["a"]}, "both are there", "query"),
        ({"query": ["a"]}, r"query is a list .*; expected a text", "query"),
        ({"queries": "a"}, "queries is a str .*; expected a list of texts", "queries"),
        ({"queries": ["a", 1]}, r"queries\[1\] is an int", "queries[1]"),
        ({"query": " \n"}, "query is empty", "query"),
        ({"queries": ["a", ""]}, r"queries\[1\] is empty", "queries"),
        ({"query": "a", "k": 0}, "k is an int .*; expected a whole number from 1", "k"),
        ({"query": "a", "k": "2"}, "k is a str", "k"),
        ({"query": "a", "ids": "d1"}, "ids is a str .*; expected a list of ids", "ids"),
        ({"query": "a", "ids": ["d1", 2]}, r"ids\[1\] is an int", "ids[1]"),
        ({"query": "a", "ids": ["d1", "d3", "x"]}, "2 of 3 ids are not .*: 'd3' is", "ids"),
        ({"query": "a", "rerank": 1}, "rerank is an int", "rerank"),
        ({"query": "a", "rerank": True, "candidates": -1}, "candidates is an int", "candidates"),
        ({"query": "a", "rerank": "m"}, "'m' is of the kind embedding", "rerank"),
        ({"query": "a", "rescore": 2}, "rescore is 2, and the corpus is of float32", "rescore"),
        ({"query": "a", "where": {"year": 1953}}, "it was built without fields", "where"),
        ({"query": "a", "where": "year"}, "where is a str .*; expected an object of", "where"),
        ({"query": "a", "model": "first"}, "was made with 'm'; 'first' is another", "model"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused(owned, body, message, key):
    told, param = refused(owned, "/v1/search", body)
    assert re.search(message, told), told
    assert param == key


def test_an_unknown_model_or_reranker_is_404(owned):
    for body in ({"query": "a", "model": "nope"}, {"query": "a", "rerank": "nope"}):
        message, _ = refused(owned, "/v1/search", body, 404)
        assert "no model 'nope'" in message


def test_more_documents_than_a_request_may_have_are_refused(owned):
    message, _ = refused(owned, "/v1/search", {"queries": ["a", "b"], "k": 1025})
    assert message == "2 x 1025 documents are asked for; expected 2048 at most in one request."
    body = {"queries": ["a"] * 21, "k": 2, "rerank": True}
    assert "21 x 100 documents" in refused(owned, "/v1/search", body)[0]


def test_without_texts_no_cross_encoder_ranks(tmp_path, reranker):
    build(tmp_path / "c", sentences(), SentenceTransformer(MODEL), texts=False)
    with in_process({"m": MODEL, "r": reranker}, corpus=str(tmp_path / "c")) as server:
        message, key = refused(server, "/v1/search", {"query": "a", "rerank": True})
        assert (message, key) == (
            "rerank needs the texts of the documents, and this corpus keeps none.", "rerank",
        )  # fmt: skip
        (hit,) = server.post("/v1/search", {"query": "a", "k": 1}).json()["hits"]
        assert hit["text"] is None
        assert server.request("GET", "/v1/served").json()["corpus"]["texts"] is False


def test_without_a_corpus_a_search_is_404_with_advice():
    with in_process({"m": MODEL}) as server:
        problems = []
        server.state.log = lambda call, *rest: problems.append(call.problem)
        message, _ = refused(server, "/v1/search", {"query": "a"}, 404)
        assert problems == ["no_corpus"]
        assert "Start it with --corpus DIR" in message
        assert server.request("GET", "/v1/served").json()["corpus"] is None


def test_served_tells_of_all_models_and_the_corpus(owned, index):
    of_all, vectors = {"prompts": [], "max_tokens": 41}, {"dimension": 20, "metric": "cosine"}
    assert owned.request("GET", "/v1/served").json() == {
        "models": [
            {"name": "first", "kind": "embedding", "aliases": [], **of_all, **vectors},
            {"name": "m", "kind": "embedding", "aliases": ["a"], **of_all, **vectors},
            {"name": "r", "kind": "reranker", "aliases": [], **of_all},
        ],
        "corpus": {
            "documents": len(index),
            "model": "m",
            "metric": "cosine",
            "texts": True,
            "fields": [],
        },
    }


def opened(corpus, **models):
    places = tuple(ModelPlace(name, str(folder)) for name, folder in models.items())
    return open_all(Settings(places, corpus=str(corpus)))


def test_the_model_of_a_corpus_is_served_if_none_made_it(searched):
    found = opened(searched, first=GOLDEN / "mpnet")
    assert [one.name for one in found.models.all] == ["first", "gelu"]
    assert found.index.model is found.models.all[1].encoder
    assert [one.name for one in opened(searched).models.all] == ["gelu"]  # it may be the only one


def test_a_served_model_with_other_files_is_no_maker(searched, tmp_path):
    """A copy of the folder has the same files; a change makes another model of it."""
    copy = shutil.copytree(MODEL, tmp_path / "copy")
    found = opened(searched, copy=copy)
    assert [one.name for one in found.models.all] == ["copy"]
    edit_json(copy / "1_Pooling" / "config.json", pooling_mode="cls")
    found = opened(searched, copy=copy)
    assert [one.name for one in found.models.all] == ["copy", "gelu"]


def test_a_corpus_of_another_metric_gets_a_model_of_its_own(tmp_path):
    model = SentenceTransformer(MODEL, similarity_fn_name="dot")
    build(tmp_path / "c", sentences(), model)
    found = opened(tmp_path / "c", cosine=MODEL)
    assert [one.encoder.similarity_fn_name for one in found.models.all] == ["cosine", "dot"]
    with pytest.raises(CorpusError, match=r"the metric 'dot', and .* served as 'gelu' is not the"):
        opened(tmp_path / "c", gelu=MODEL)


def test_a_corpus_that_cannot_be_opened_is_told(tmp_path, searched):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        opened(tmp_path / "nowhere", m=MODEL)
    damaged = shutil.copytree(searched, tmp_path / "damaged")
    edit_json(damaged / "manifest.json", documents=7)
    with pytest.raises(CorpusError, match="damaged or edited"):
        opened(damaged, m=GOLDEN / "mpnet")
    gone = copy_of("gelu", tmp_path)
    build(tmp_path / "orphan", sentences(), SentenceTransformer(gone))
    shutil.rmtree(gone)
    with pytest.raises(FileNotFoundError, match="now, name it as a MODEL to serve"):
        opened(tmp_path / "orphan", m=GOLDEN / "mpnet")


QUERY, DOCUMENT = "the old house", "a dog barks in London, and the cat sat by the river."


@pytest.mark.parametrize("metric", [None, "cosine", "dot"])
def test_an_explanation_is_that_of_the_model(owned, metric):
    body = {"query": QUERY, "document": DOCUMENT, "model": "m", "metric": metric}
    answer = owned.post("/v1/explain", body)
    expected = SentenceTransformer(MODEL).explain(QUERY, DOCUMENT, metric=metric).as_dict()
    assert answer.headers["content-type"] == "application/json"
    assert answer.json() == expected
    assert np.sum(answer.json()["contributions"]) == pytest.approx(expected["score"])


def test_an_explanation_is_by_the_first_embedding_model(owned):
    found = owned.post("/v1/explain", {"query": QUERY, "document": DOCUMENT}).json()
    assert found == SentenceTransformer(GOLDEN / "mpnet").explain(QUERY, DOCUMENT).as_dict()


def test_losses_without_each_word_are_told_on_demand(owned):
    body = {"query": QUERY, "document": DOCUMENT, "model": "m", "occlusion": True}
    model = SentenceTransformer(MODEL)
    expected = losses_as_dict(*occlusion(model, QUERY, DOCUMENT))
    found = owned.post("/v1/explain", body).json()
    assert found.pop("occlusion") == expected
    assert found == model.explain(QUERY, DOCUMENT).as_dict()


def test_a_score_that_is_no_sum_needs_occlusion(owned):
    body = {"query": QUERY, "document": DOCUMENT, "model": "m", "metric": "euclidean"}
    assert "no sum over pairs of tokens" in refused(owned, "/v1/explain", body)[0]
    found = owned.post("/v1/explain", {**body, "occlusion": True}).json()
    assert found["metric"] == "euclidean"
    assert "contributions" not in found
    assert len(found["occlusion"]["query"]) == 3
    message, _ = refused(owned, "/v1/explain", {**body, "metric": "x", "occlusion": True})
    assert "metric" in message


@pytest.mark.parametrize(
    ("body", "message", "key"),
    [
        ({"document": "a"}, "query is missing", "query"),
        ({"query": "a"}, "document is missing", "document"),
        ({"query": "a", "document": ["b"]}, "document is a list", "document"),
        ({"query": "a", "document": "b", "occlusion": 1}, "occlusion is an int", "occlusion"),
        ({"query": "a", "document": "b", "metric": 1}, "metric is an int", "metric"),
        ({"query": "a", "document": "b", "metric": "x"}, "metric is 'x'", None),
        ({"query": "a", "document": "b", "model": "r"}, "'r' is of the kind reranker", "model"),
    ],
)
def test_an_explanation_that_cannot_be_given_is_refused(owned, body, message, key):
    told, param = refused(owned, "/v1/explain", body)
    assert message in told
    assert param == key


def test_an_explanation_has_the_facts_of_its_texts(owned):
    noted = []
    owned.state.log = lambda call, *rest: noted.append(call.facts)
    try:
        answer = owned.post(
            "/v1/explain", {"query": "a", "document": "the cat " * 50, "model": "a"}
        )
    finally:
        owned.state.log = None
    assert answer.headers["x-minibert-truncated"] == "1"
    (facts,) = noted
    assert (facts.model, facts.texts, facts.tokens, facts.truncated) == ("m", 2, 3 + 41, 1)
    assert facts.compute_s > 0


@pytest.mark.parametrize(
    ("limit", "document", "occlusion", "message"),
    [
        (100, "cat " * 30, False, "123 characters; expected 100"),
        (160, "a " * 60, False, "164 pairs of tokens; expected 160"),
        (164, "a " * 60, True, "1697 tokens to read; expected 164"),
        (1697, "a " * 60, True, None),
    ],
)
def test_an_explanation_is_as_large_as_a_request_may_be(limit, document, occlusion, message):
    """The texts have 4 and 41 tokens."""
    body = {"query": "a a", "document": document, "occlusion": occlusion}
    with in_process({"m": MODEL}, max_request_tokens=limit) as server:
        if message is None:
            assert server.post("/v1/explain", body).status == 200
        else:
            assert message in refused(server, "/v1/explain", body)[0]


def test_html_is_the_page_of_the_explanation(owned):
    body = {"query": QUERY, "document": DOCUMENT, "model": "m"}
    answer = owned.post("/v1/explain", body, accept="text/html,application/xhtml+xml,*/*;q=0.8")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    expected = explanation_page(SentenceTransformer(MODEL), QUERY, DOCUMENT)
    assert answer.body.decode() == expected
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none';")
    assert "script-src 'sha256-" in policy
    assert policy.endswith("frame-ancestors 'none'")


def test_html_of_a_score_that_is_no_sum_has_the_losses(owned):
    body = {"query": QUERY, "document": DOCUMENT, "model": "m", "metric": "euclidean"}
    shown = owned.post("/v1/explain", body, accept="text/html").body.decode()
    assert '<h2 id="ranked">Losses without each word</h2>' in shown
    found = owned.post("/v1/explain", {**body, "occlusion": True}).json()
    assert f"<h1>−{-found['score']:.3f} <small>euclidean" in shown


def test_an_explanation_of_a_text_is_no_part_of_the_log(owned, caplog):
    with caplog.at_level(logging.DEBUG):
        owned.post("/v1/explain", {"query": "confidential", "document": "secret"})
        owned.post("/v1/search", {"query": "confidential"})
        owned.post("/v1/search", {"query": "confidential", "ids": ["secret"]})
    assert "confidential" not in caplog.text
    assert "secret" not in caplog.text
