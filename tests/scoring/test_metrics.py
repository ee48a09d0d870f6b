"""The rows of the metrics: each agrees with itself, and one from outside is used like ours."""

from dataclasses import replace

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer, semantic_search
from minibert.corpus.building import build
from minibert.corpus.search import Index
from minibert.documents.reading import Document
from minibert.evaluation import Collection, rankings
from minibert.explain import NoSumError, explain, occlusion
from minibert.pictures.explanation_page import explanation_page
from minibert.pictures.heat_map import heat_map_svg
from minibert.scoring.metrics import METRICS, Metric, title_of
from minibert.scoring.nearest import nearest
from minibert.scoring.similarity import SimilarityFunction

TEXTS = ["the cat sat", "a dog barks", "London", "the big river", "old dog", "the cats"]
QUERY = "a cat and a dog"


def minkowski_sim(a, b):
    """Minus the Minkowski distance of order 3 of all pairs."""
    a, b = np.atleast_2d(a), np.atleast_2d(b)
    return -((np.abs(a[:, None] - b) ** 3).sum(axis=2) ** (1 / 3))


def pairwise_minkowski_sim(a, b):
    """The same of the vectors in one place."""
    return -((np.abs(np.subtract(a, b)) ** 3).sum(axis=-1) ** (1 / 3))


@pytest.fixture
def minkowski_model(monkeypatch):
    """A model whose metric is of this file."""
    monkeypatch.setitem(METRICS, "minkowski", Metric(minkowski_sim, pairwise_minkowski_sim))
    return SentenceTransformer(GOLDEN / "gelu", similarity_fn_name="minkowski")


def by_hand(model):
    """The numbers of the texts, best first, and their scores: of the query, by the metric."""
    scores = minkowski_sim(model.encode([QUERY]), model.encode(TEXTS))[0]
    order = np.argsort(-scores)
    return order.tolist(), scores[order]


@pytest.mark.parametrize("name", METRICS)
def test_scores_in_place_are_the_diagonal(name):
    a, b = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    a[2] = 0
    pairwise, whole = METRICS[name].pairwise, METRICS[name].all_pairs
    np.testing.assert_allclose(pairwise(a, b), np.diag(whole(a, b)), rtol=0, atol=1e-6)
    assert pairwise(a[0], b[0]) == pytest.approx(whole(a[0], b[0])[0, 0], abs=1e-6)
    np.testing.assert_allclose(pairwise(a[0], b), whole(a[0], b)[0], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"shapes \(6, 5\) and \(5, 5\)"):
        pairwise(a, b[:5])
    with pytest.raises(ValueError, match=r"shapes \(6, 5\) and \(1,\)"):
        pairwise(a, b[0, :1])


def test_names_of_metrics_are_strings():
    assert SimilarityFunction.DOT_PRODUCT is SimilarityFunction.DOT == "dot"
    assert set(SimilarityFunction) == METRICS.keys()


def test_a_model_scores_by_a_metric_from_outside(minkowski_model, tmp_path):
    a, b = minkowski_model.encode(TEXTS[:3]), minkowski_model.encode(TEXTS[3:])
    np.testing.assert_array_equal(minkowski_model.similarity(a, b), minkowski_sim(a, b))
    np.testing.assert_array_equal(
        minkowski_model.similarity_pairwise(a, b), pairwise_minkowski_sim(a, b)
    )
    minkowski_model.save(tmp_path / "saved")
    assert SentenceTransformer(tmp_path / "saved").similarity_fn_name == "minkowski"
    with pytest.raises(ValueError, match=r"expected one of .*'minkowski'"):
        minkowski_model.similarity_fn_name = "cubes"


def test_a_search_in_memory_finds_by_a_metric_from_outside(minkowski_model):
    numbers, scores = by_hand(minkowski_model)
    vectors = minkowski_model.encode([QUERY]), minkowski_model.encode(TEXTS)
    for chosen in ({"model": minkowski_model}, {"score_function": "minkowski"}):
        hits = semantic_search(*vectors, top_k=4, **chosen)[0]
        assert [hit["corpus_id"] for hit in hits] == numbers[:4]
        np.testing.assert_allclose([hit["score"] for hit in hits], scores[:4], rtol=1e-6)


@pytest.mark.parametrize("precision", ["float32", "binary"])
def test_a_corpus_is_searched_by_a_metric_from_outside(minkowski_model, tmp_path, precision):
    there = [Document(str(n), text, "here") for n, text in enumerate(TEXTS)]
    build(tmp_path / "corpus", there, minkowski_model, precision=precision)
    index = Index(tmp_path / "corpus")  # with the model that the manifest names
    vectors = minkowski_model.encode(TEXTS)
    vectors = np.sign(vectors) if precision == "binary" else vectors
    scores = minkowski_sim(minkowski_model.encode([QUERY]), vectors)[0]
    expected = [str(number) for number in np.argsort(-scores)]
    rescore = {} if precision == "float32" else {"rescore": 2}
    hits = index.search(QUERY, k=6, **rescore)
    assert [hit.id for hit in hits] == expected
    np.testing.assert_allclose([hit.score for hit in hits], sorted(scores)[::-1], rtol=1e-6)


def test_rankings_are_made_by_a_metric_from_outside(minkowski_model):
    numbers, scores = by_hand(minkowski_model)
    documents = {str(number): text for number, text in enumerate(TEXTS)}
    collection = Collection(documents, {"q": QUERY}, {"q": {"0": 1}})
    [(_, ranking)] = rankings(minkowski_model, collection)
    assert ranking.ids == list(map(str, numbers))
    np.testing.assert_allclose(ranking.scores, scores, rtol=1e-6)


def test_occlusion_compares_by_a_metric_from_outside(minkowski_model):
    lost = occlusion(minkowski_model, "the cat", "a dog")[0][0]
    queries = minkowski_model.encode_query(["the cat", "cat", "the"])
    document = minkowski_model.encode_document(["a dog", "dog", "a"])[:1]
    scores = minkowski_sim(queries, document)[:, 0]
    assert lost.difference == float(scores[0] - scores[1])


@pytest.mark.parametrize("like", ["dot", "cosine"])
def test_a_product_from_outside_is_split_and_drawn(monkeypatch, like):
    model = SentenceTransformer(GOLDEN / "gelu", similarity_fn_name=like)
    expected = explain(model, "the cat", "a dog")
    monkeypatch.setitem(METRICS, "inner", replace(METRICS[like], title="inner product"))
    model.similarity_fn_name = "inner"
    found = explain(model, "the cat", "a dog")
    assert (found.metric, found.score) == ("inner", expected.score)
    np.testing.assert_array_equal(found.contributions, expected.contributions)
    assert "<title>inner product " in heat_map_svg(found)
    assert ">inner product" in explanation_page(model, "the cat", "a dog")


def test_a_metric_without_a_title_is_called_by_its_name():
    assert [title_of(name) for name in METRICS] == [
        *("cosine", "dot product", "euclidean", "manhattan"),
    ]


def test_a_metric_from_outside_that_is_no_product_is_not_split(minkowski_model):
    with pytest.raises(NoSumError, match=r"'minkowski', .*; expected 'dot' or 'cosine'"):
        minkowski_model.explain("the cat", "a dog")


def test_an_estimate_within_its_bound_changes_no_ranking():
    random = np.random.default_rng(0)
    queries, vectors = (random.normal(size=(n, 8)).astype(np.float32) for n in (3, 500))
    metric = Metric(minkowski_sim, pairwise_minkowski_sim)

    def estimate(queries, block):
        scores = minkowski_sim(queries, block.vectors)
        return scores + random.uniform(-0.1, 0.1, scores.shape).astype(np.float32)

    def bound(lengths, block):
        epsilons = (8 + 8) * float(np.finfo(np.float32).eps)
        return np.full_like(lengths, 0.1 / epsilons)

    estimated = Metric(minkowski_sim, pairwise_minkowski_sim, estimate, bound)
    expected = nearest(queries, [vectors], 5, metric)
    found = nearest(queries, [vectors], 5, estimated)
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_allclose(found[1], expected[1], rtol=1e-6)
    assert (found[1].dtype, expected[1].dtype) == (np.float32, np.float64)


@pytest.mark.parametrize("given", [{"estimate": minkowski_sim}, {"bound": minkowski_sim}])
def test_an_estimate_and_its_bound_go_together(given):
    with pytest.raises(ValueError, match="an estimate and the bound of its error, or neither"):
        Metric(minkowski_sim, pairwise_minkowski_sim, **given)
