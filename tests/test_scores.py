"""Scores against sums written out, and the shapes that users of sentence-transformers expect."""

import numpy as np
import pytest

import minibert.util
from minibert.scores import cos_sim, dot_score

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
