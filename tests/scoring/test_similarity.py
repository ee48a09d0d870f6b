"""Scores against sums written out, and the shapes that users of sentence-transformers expect."""

import numpy as np
import pytest

import minibert.scoring.similarity
import minibert.util
from minibert.scoring.similarity import (
    cos_sim,
    dot_score,
    euclidean_sim,
    manhattan_sim,
    normalize_embeddings,
    pairwise_angle_sim,
)

A = np.array([[1.0, 2.0, 2.0], [0.0, 0.0, 0.0]], dtype=np.float32)
B = np.array([[2.0, 0.0, 0.0], [3.0, 0.0, 4.0], [1.0, 1.0, 1.0]], dtype=np.float32)


def test_dot_score_is_the_sum_of_products():
    np.testing.assert_array_equal(dot_score(A, B), [[2, 11, 5], [0, 0, 0]])


def test_cos_sim_divides_by_lengths_and_gives_0_for_zeros():
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


def test_lists_of_numbers_become_float32_and_arrays_keep_dtypes():
    for written in ([1.0, 2.0], [[1.0, 2.0]], ((1, 2),)):
        assert cos_sim(written, written).dtype == np.float32
    wide = [np.array([1.0, 2.0])]
    assert cos_sim(wide, wide).dtype == np.float64


def test_codes_of_int8_do_not_overflow():
    codes = np.full((1, 768), 100, dtype=np.int8)
    assert dot_score(codes, codes)[0, 0] == 7_680_000


@pytest.mark.parametrize("score", [dot_score, cos_sim])
def test_vectors_of_two_dimensions_are_refused_with_both(score):
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


def test_distances_of_many_vectors_are_computed_in_blocks():
    a, b = np.random.default_rng(0).normal(size=(2, 23, 5)).astype(np.float32)
    whole = euclidean_sim(a, b), manhattan_sim(a, b)
    in_blocks = [score(a, b, block_floats=100) for score in (euclidean_sim, manhattan_sim)]
    for one, other in zip(whole, in_blocks, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-6)


def test_the_angle_adds_cosine_and_sine():
    # (1, i) and (1, 1) as complex numbers of two dimensions: cos 45 degrees plus sin.
    a, b = np.array([[1.0, 0.0, 0.0, 1.0]]), np.array([[1.0, 1.0, 0.0, 0.0]])
    cosine = 1 / 2
    sine = (0 * 1 + 1 * 1 - (1 * 0 + 0 * 0)) / 2
    np.testing.assert_allclose(pairwise_angle_sim(a, b), [cosine + sine])
    # An odd dimension gets a zero: (3, 0) and (4, 0).
    np.testing.assert_allclose(pairwise_angle_sim([[3.0, 4.0, 0.0]], [[3.0, 4.0, 0.0]]), [1])


@pytest.mark.parametrize("texts", ["a dog", ["a dog", "a cat"], None, [None]])
def test_texts_are_no_vectors(texts):
    with pytest.raises(TypeError, match=r"Expected vectors, got.*encode\(\) turns texts"):
        cos_sim(A, texts)


def test_normalised_copies_have_unit_length():
    a = A.copy()
    np.testing.assert_allclose(normalize_embeddings(a), [[1 / 3, 2 / 3, 2 / 3], [0, 0, 0]])
    np.testing.assert_allclose(normalize_embeddings([3.0, 4.0]), [0.6, 0.8])
    np.testing.assert_array_equal(a, A)


def test_a_table_s_column_of_vectors_is_a_matrix():
    column = np.empty(len(A), object)
    column[:] = list(A)
    for score in (cos_sim, dot_score, pairwise_angle_sim):
        np.testing.assert_array_equal(score(column, A), score(A, A))
    column[1] = A[1, :2]
    with pytest.raises(ValueError, match="same shape"):
        cos_sim(A, column)
