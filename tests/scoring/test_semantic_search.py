"""Hits as lists of dicts, like the reference's, and by which metric they are found."""

from enum import Enum

import numpy as np
import pytest

from minibert.scoring.metrics import METRICS
from minibert.scoring.semantic_search import semantic_search
from minibert.scoring.similarity import cos_sim, dot_score

A = np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]], dtype=np.float32)
B = np.array([[2.0, 0.0, 0.0], [3.0, 0.0, 4.0], [1.0, 1.0, 1.0]], dtype=np.float32)


@pytest.mark.parametrize("chunks", [{}, {"query_chunk_size": 2, "corpus_chunk_size": 3}])
def test_hits_are_the_best_with_ties_by_id(chunks):
    random = np.random.default_rng(0)
    corpus = random.integers(-2, 3, size=(30, 3)).astype(np.float32)  # many ties
    queries = random.normal(size=(5, 3)).astype(np.float32)
    hits = semantic_search(queries, corpus, top_k=6, score_function=dot_score, **chunks)
    for query, found in zip(queries, hits, strict=True):
        scores = corpus @ query
        expected = sorted(range(30), key=lambda n, s=scores: (-round(float(s[n]), 5), n))[:6]
        assert [hit["corpus_id"] for hit in found] == expected
        np.testing.assert_allclose(
            [hit["score"] for hit in found], scores[expected], rtol=0, atol=1e-6
        )


def test_hits_are_by_cosine_or_by_the_given_model_or_function():
    query, corpus = np.array([1.0, 0.0]), np.array([[2.0, 2.0], [1.0, 0.1]])
    best = [hits[0]["corpus_id"] for hits in (
        semantic_search(query, corpus)[0],
        semantic_search(query, corpus, score_function=dot_score)[0],
    )]  # fmt: skip
    assert best == [1, 0]

    class Dot:
        similarity_fn_name = "dot"

    assert semantic_search(query, corpus, model=Dot())[0][0]["corpus_id"] == 0
    assert (
        semantic_search(query, corpus, score_function=cos_sim, model=Dot())[0][0]
        == (semantic_search(query, corpus)[0][0])
    )


def test_a_search_with_nothing_in_it_finds_nothing():
    none, one = np.empty((0, 3)), np.ones((1, 3))
    assert semantic_search(none, one) == semantic_search([], one) == []
    assert semantic_search(one, none) == semantic_search(one, []) == [[]]
    assert semantic_search(one, one, top_k=0) == [[]]
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        semantic_search(one, np.ones((2, 4)))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"top_k": -1}, "top_k is -1; expected a whole number from 0 up"),
        ({"top_k": None}, "top_k is None; expected a whole number from 0 up"),
        ({"query_chunk_size": 0}, "query_chunk_size is 0; expected a whole number from 1 up"),
        ({"corpus_chunk_size": None}, "corpus_chunk_size is None; expected a whole number"),
        ({"score_function": "dots"}, "score_function is 'dots'; expected a function or one of cos"),
    ],
)
def test_a_search_that_cannot_be_meant_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        semantic_search(np.ones((1, 3)), np.ones((1, 3)), **arguments)


def test_a_metric_of_the_reference_is_known_by_its_name():
    def cos_sim(a, b):
        raise AssertionError("called")

    cos_sim.__module__ = "sentence_transformers.util.similarity"
    metric = Enum("SimilarityFunction", {"DOT_PRODUCT": "dot"})
    for function, name in ((cos_sim, "cosine"), (metric.DOT_PRODUCT, "dot")):
        found = semantic_search(A, B, score_function=function)
        assert found == semantic_search(A, B, score_function=name)
    cos_sim.__module__, cos_sim.__name__ = "torch", "mm"
    with pytest.raises(ValueError, match=r"expected a function or one of .* is given NumPy arrays"):
        semantic_search(A, B, score_function=cos_sim)
    with pytest.raises(TypeError, match="score_function is 3; expected a function or one of"):
        semantic_search(A, B, score_function=3)


@pytest.mark.parametrize("name", METRICS)
def test_a_search_by_a_metric_s_name_is_one_by_its_function(name):
    function = METRICS[name].all_pairs
    by_name = semantic_search(A, B, score_function=name)
    assert semantic_search(A, B, score_function=function) == by_name
    by_value = semantic_search(A, B, score_function=lambda a, b: function(a, b))
    for one, other in zip(by_name, by_value, strict=True):
        assert [hit["corpus_id"] for hit in one] == [hit["corpus_id"] for hit in other]
        np.testing.assert_allclose(
            [hit["score"] for hit in one], [hit["score"] for hit in other], rtol=1e-6
        )


@pytest.mark.parametrize("texts", ["a dog", ["a dog", "a cat"], None, [None]])
def test_texts_are_no_vectors(texts):
    with pytest.raises(TypeError, match=r"Expected vectors, got.*encode\(\) turns texts"):
        semantic_search(texts, A)
