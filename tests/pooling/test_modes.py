"""Every pooling mode against loops over the tokens in float64, and its gradient."""

import math

import numpy as np
import pytest
from differences import derivatives, relative

from minibert.kernels import cpu as kernels
from minibert.pooling.modes import POOLINGS
from minibert.pooling.pooling import factors, pool, pool_gradient

LENGTHS = np.array([4, 1, 3, 3])


def states(tokens=11):
    return np.random.default_rng(0).normal(-1, 2, (tokens, 5)).astype(np.float32)


# One text's tokens, from the one with the number `first` -> a vector.
NAIVE = {
    "cls": lambda tokens, first: tokens[0],
    "max": lambda tokens, first: [max(column) for column in zip(*tokens, strict=True)],
    "mean": lambda tokens, first: sum(tokens) / len(tokens),
    "mean_sqrt_len_tokens": lambda tokens, first: sum(tokens) / math.sqrt(len(tokens)),
    "weightedmean": lambda tokens, first: (
        sum((first + n) * token for n, token in enumerate(tokens, start=1))
        / sum(first + n for n in range(1, len(tokens) + 1))
    ),
    "lasttoken": lambda tokens, first: tokens[-1],
}


def test_every_pooling_has_a_textbook():
    assert NAIVE.keys() == POOLINGS.keys()


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("mode", POOLINGS)
def test_a_pooling_agrees_with_the_textbook(mode, skipped):
    hidden = states(12)
    vectors = pool([mode], hidden, np.array([4, 3, 5]), skipped, kernels)
    texts = np.split(hidden.astype(np.float64), [4, 7])
    expected = [NAIVE[mode](tokens[skipped:], skipped) for tokens in texts]
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize("mode", POOLINGS)
def test_a_text_of_prompt_alone_pools_as_in_the_reference(mode):
    hidden = states()
    vectors = pool([mode], hidden, LENGTHS, 3, kernels)
    first = hidden[[4, 5, 8]]  # of the texts of 1, 3 and 3 tokens
    nothing = {"cls": first, "max": np.full_like(first, -np.inf)}.get(mode, np.zeros_like(first))
    np.testing.assert_array_equal(vectors[1:], nothing)
    np.testing.assert_allclose(vectors[0], hidden[3], rtol=1e-6)  # one token: every mean is it


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("mode", POOLINGS)
def test_a_text_s_states_times_their_factors_sum_to_its_vector(mode, skipped):
    hidden = states(6)
    found = factors([mode], hidden.astype(np.float64), skipped, kernels)
    (vector,) = pool([mode], hidden, np.array([6]), skipped, kernels)
    assert (found.shape, found.dtype) == ((6, 5), np.float64)
    np.testing.assert_allclose((found * hidden).sum(axis=0), vector, rtol=0, atol=1e-6)
    assert not found[:skipped].any()


@pytest.mark.parametrize("skipped", [0, 2, 3])
@pytest.mark.parametrize("mode", POOLINGS)
def test_a_gradient_agrees_with_differences(mode, skipped):
    hidden, given = states().astype(np.float64), np.random.default_rng(1).normal(size=(4, 5))

    def loss():
        vectors = pool([mode], hidden, LENGTHS, skipped, kernels)
        return vectors[np.isfinite(vectors)] @ given[np.isfinite(vectors)]

    found = pool_gradient([mode], given, hidden, LENGTHS, skipped, kernels)
    assert (found.shape, found.dtype) == (hidden.shape, np.float64)
    assert relative(derivatives(loss, hidden), found) < 1e-6  # worst seen 1.5e-8


@pytest.mark.parametrize("mode", POOLINGS)
def test_tokens_that_are_left_out_have_no_gradient(mode):
    hidden, given = states(), np.ones((4, 5), np.float32)
    found = pool_gradient([mode], given, hidden, LENGTHS, 3, kernels)
    assert found.dtype == np.float32
    # Only the first text has a token after the third; without any, "cls" takes the first.
    taken = [3, 4, 5, 8] if mode == "cls" else [3]
    np.testing.assert_allclose(found[taken], 1, rtol=1e-6)
    assert not np.delete(found, taken, axis=0).any()


def test_the_first_of_level_values_has_the_gradient_of_max():
    hidden = np.array([[1.0, 5], [3, 5], [3, 5], [9, 5], [0, 0], [0, 7]], np.float32)
    given = np.array([[2.0, 3], [4, 5]], np.float32)
    lengths = np.array([4, 2])
    found = pool_gradient(["max"], given, hidden, lengths, 1, kernels)
    assert found.tolist() == [[0, 0], [0, 3], [0, 0], [2, 0], [0, 0], [4, 5]]
