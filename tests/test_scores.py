"""Scores against sums written out, and the shapes that users of sentence-transformers expect."""

import numpy as np
import pytest

import minibert.scores
import minibert.util
from minibert.scores import (
    PAIRWISE_SIMILARITIES,
    SIMILARITIES,
    SimilarityFunction,
    cos_sim,
    dot_score,
    euclidean_sim,
    manhattan_sim,
    normalize_embeddings,
    pairwise_angle_sim,
    semantic_search,
    top_k,
)

A = np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]], dtype=np.float32)
B = np.array([[2.0, 0.0, 0.0], [3.0, 0.0, 4.0], [1.0, 1.0, 1.0]], dtype=np.float32)


def test_dot_score_is_the_sum_of_products():
    np.testing.assert_array_equal(dot_score(A, B), [[2, 11, 5], [0, 0, 0]])


def test_cos_sim_divides_by_both_lengths_and_a_zero_vector_scores_0():
    expected = [[1 / 3, 11 / 15, 5 / (3 * 3**0.5)], [0, 0, 0]]
    np.testing.assert_allclose(cos_sim(A, B), expected, rtol=0, atol=1e-7)


def test_cos_sim_leaves_its_arguments_as_they_were():
    a, b = A.copy(), B.copy()
    cos_sim(a, b)
    np.testing.assert_array_equal(a, A)
    np.testing.assert_array_equal(b, B)


@pytest.mark.parametrize("score", [dot_score, cos_sim])
def test_one_vector_counts_as_one_row(score):
    assert score(A[0], B).shape == (1, 3)
    assert score(A, B[0]).shape == (2, 1)
    assert score([1, 2, 2], [[2, 0, 0]]).shape == (1, 1)


@pytest.mark.parametrize("score", [dot_score, cos_sim])
def test_scores_are_float32_but_of_float64(score):
    assert score(A, B).dtype == np.float32
    assert score(A.astype(np.float16), B).dtype == np.float32
    assert score(A.astype(np.float64), B.astype(np.float64)).dtype == np.float64


def test_numbers_written_out_are_float32_and_arrays_what_they_are():
    for written in ([1.0, 2.0], [[1.0, 2.0]], ((1, 2),)):
        assert cos_sim(written, written).dtype == np.float32
    wide = [np.array([1.0, 2.0])]
    assert cos_sim(wide, wide).dtype == np.float64


def test_codes_of_int8_do_not_overflow():
    codes = np.full((1, 768), 100, dtype=np.int8)
    assert dot_score(codes, codes)[0, 0] == 7_680_000


@pytest.mark.parametrize("score", [dot_score, cos_sim])
def test_vectors_of_two_widths_are_refused_with_both(score):
    with pytest.raises(ValueError, match="3 and 4 dimensions"):
        score(A, np.zeros((1, 4)))


def test_more_axes_than_two_are_refused():
    with pytest.raises(ValueError, match=r"shape \(1, 2, 3\)"):
        dot_score(A[None], B)


def test_util_holds_the_same_functions():
    assert minibert.util.dot_score is dot_score
    assert minibert.util.cos_sim is cos_sim


def test_distances_are_negative_and_exact_for_neighbours():
    a = np.array([[0.0, 0.0], [1000.0, 1.0]], dtype=np.float32)
    b = np.array([[3.0, -4.0], [1000.0, 1.001]], dtype=np.float32)
    expected = [[-5, -((1e6 + 1.001**2) ** 0.5)], [-((997**2 + 25) ** 0.5), -0.001]]
    np.testing.assert_allclose(euclidean_sim(a, b), expected, rtol=1e-4)
    np.testing.assert_array_equal(manhattan_sim(a, b)[0], [-7, -np.float32(1001.001)])
    assert manhattan_sim(a, b)[1, 0] == -1002
    assert euclidean_sim(a, a).tolist()[0][0] == 0


def test_distances_of_many_vectors_are_computed_in_blocks(monkeypatch):
    a, b = np.random.default_rng(0).normal(size=(2, 23, 5)).astype(np.float32)
    whole = euclidean_sim(a, b), manhattan_sim(a, b)
    monkeypatch.setattr("minibert.scores.BLOCK_FLOATS", 100)
    for one, other in zip(whole, (euclidean_sim(a, b), manhattan_sim(a, b)), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


@pytest.mark.parametrize("name", PAIRWISE_SIMILARITIES)
def test_scores_in_place_are_the_diagonal(name):
    a, b = np.random.default_rng(0).normal(size=(2, 6, 5)).astype(np.float32)
    a[2] = 0
    pairwise, whole = PAIRWISE_SIMILARITIES[name], SIMILARITIES[name]
    np.testing.assert_allclose(pairwise(a, b), np.diag(whole(a, b)), rtol=0, atol=1e-6)
    assert pairwise(a[0], b[0]) == pytest.approx(whole(a[0], b[0])[0, 0], abs=1e-6)
    np.testing.assert_allclose(pairwise(a[0], b), whole(a[0], b)[0], rtol=0, atol=1e-6)
    with pytest.raises(ValueError, match=r"shapes \(6, 5\) and \(5, 5\)"):
        pairwise(a, b[:5])
    with pytest.raises(ValueError, match=r"shapes \(6, 5\) and \(1,\)"):
        pairwise(a, b[0, :1])


def test_the_angle_adds_cosine_and_sine():
    # (1, i) and (1, 1) as complex numbers of two dimensions: cos 45 degrees plus sin.
    a, b = np.array([[1.0, 0.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 0.0, 0.0]])
    cosine = 1 / 2
    sine = (0 * 1 + 1 * 1 - (1 * 0 + 0 * 0)) / 2
    np.testing.assert_allclose(pairwise_angle_sim(a, b), [cosine + sine])
    # An odd dimension gets a zero: (3, 0) and (4, 0).
    np.testing.assert_allclose(pairwise_angle_sim([[3.0, 4.0, 0.0]], [[3.0, 4.0, 0.0]]), [1])


@pytest.mark.parametrize("k", [0, 1, 3, 7, 50])
def test_the_highest_scores_come_best_first_and_ties_by_column(k):
    scores = np.random.default_rng(0).integers(0, 4, size=(20, 7)).astype(np.float32)
    scores[3] = -np.inf
    scores[4, 2] = np.inf
    columns, values = top_k(scores, k)
    expected = [sorted(range(7), key=lambda c, row=row: (-row[c], c))[:k] for row in scores]
    assert columns.tolist() == expected
    np.testing.assert_array_equal(values, np.take_along_axis(scores, columns, axis=1))


def test_nan_has_no_rank():
    scores = np.zeros((3, 9), dtype=np.float32)
    scores[1, 4] = np.nan
    with pytest.raises(ValueError, match="Row 1 of the scores holds NaN"):
        top_k(scores, 2)


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


def test_hits_are_by_cosine_unless_a_model_or_a_function_says_otherwise():
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


@pytest.mark.parametrize("name", SIMILARITIES)
def test_a_search_by_a_metric_s_name_is_one_by_its_function(name):
    function = SIMILARITIES[name]
    expected = semantic_search(A, B, score_function=lambda a, b: function(a, b))
    assert semantic_search(A, B, score_function=name) == expected


def test_the_lengths_of_a_corpus_are_taken_once(monkeypatch):
    taken = []

    def normalized(vectors):
        taken.append(len(vectors))
        return normalize_embeddings(vectors)

    monkeypatch.setattr(minibert.scores, "normalize_embeddings", normalized)
    semantic_search(np.ones((50, 3)), np.ones((7, 3)), query_chunk_size=4, corpus_chunk_size=5)
    assert taken == [50, 5, 2]


@pytest.mark.parametrize("texts", ["a dog", ["a dog", "a cat"], None, [None]])
def test_texts_are_no_vectors(texts):
    with pytest.raises(TypeError, match=r"These are no vectors.*encode\(\) makes them"):
        semantic_search(texts, A)
    with pytest.raises(TypeError, match="These are no vectors"):
        cos_sim(A, texts)


def test_normalised_copies_have_unit_length():
    a = A.copy()
    np.testing.assert_allclose(normalize_embeddings(a), [[1 / 3, 2 / 3, 2 / 3], [0, 0, 0]])
    np.testing.assert_allclose(normalize_embeddings([3.0, 4.0]), [0.6, 0.8])
    np.testing.assert_array_equal(a, A)


def test_names_of_metrics_are_strings():
    assert SimilarityFunction.DOT_PRODUCT is SimilarityFunction.DOT == "dot"
    assert set(SimilarityFunction) == SIMILARITIES.keys() == PAIRWISE_SIMILARITIES.keys()
