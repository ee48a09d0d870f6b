"""Every pooling against loops over tokens in float64; what its settings may say."""

import json
import math

import numpy as np
import pytest
from module_folders import refused

from minibert import SentenceTransformer
from minibert.checkpoint.folder import read_folder
from minibert.kernels import cpu as kernels
from minibert.pooling.modes import POOLINGS, PoolingMode
from minibert.pooling.pooling import factors, pool

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
def test_a_text_with_nothing_left_is_what_the_reference_makes_of_it(mode):
    hidden = states()
    vectors = pool([mode], hidden, LENGTHS, 3, kernels)
    first = hidden[[4, 5, 8]]  # of the texts of 1, 3 and 3 tokens
    nothing = {"cls": first, "max": np.full_like(first, -np.inf)}.get(mode, np.zeros_like(first))
    np.testing.assert_array_equal(vectors[1:], nothing)
    np.testing.assert_allclose(vectors[0], hidden[3], rtol=1e-6)  # one token: every mean is it


def test_several_poolings_stand_side_by_side_in_the_order_asked_for():
    hidden = states()
    vectors = pool(["mean", "cls"], hidden, LENGTHS, 1, kernels)
    for number, mode in enumerate(["mean", "cls"]):
        alone = pool([mode], hidden, LENGTHS, 1, kernels)
        np.testing.assert_array_equal(vectors[:, 5 * number : 5 * number + 5], alone)


@pytest.mark.parametrize("skipped", [0, 2])
@pytest.mark.parametrize("mode", POOLINGS)
def test_a_text_s_states_times_their_factors_sum_to_its_vector(mode, skipped):
    hidden = states(6)
    found = factors([mode], hidden.astype(np.float64), skipped, kernels)
    (vector,) = pool([mode], hidden, np.array([6]), skipped, kernels)
    assert (found.shape, found.dtype) == ((6, 5), np.float64)
    np.testing.assert_allclose((found * hidden).sum(axis=0), vector, rtol=0, atol=1e-6)
    assert not found[:skipped].any()


def test_factors_by_hand():
    text = np.array([[9.0, 9.0], [1.0, 4.0], [3.0, 2.0], [3.0, 0.0]])
    found = factors(["weightedmean", "max", "lasttoken", "cls", "mean"], text, 1, kernels)
    places, thirds = [2 / 9, 3 / 9, 4 / 9], [1 / 3] * 3
    largest = [[0, 1], [1, 0], [0, 0]]  # of two that are level, the first
    expected = [
        [0] * 10,
        *(
            [place, place, *top, last, last, first, first, third, third]
            for place, top, last, first, third in zip(
                places, largest, [0, 0, 1], [1, 0, 0], thirds, strict=True
            )
        ),
    ]
    np.testing.assert_allclose(found, expected, rtol=1e-12)


def test_no_factors_where_a_vector_is_no_sum_or_no_token_is_left(monkeypatch):
    monkeypatch.setitem(POOLINGS, "median", PoolingMode(POOLINGS["mean"].pool))
    with pytest.raises(ValueError, match="pooled by 'median' is no sum"):
        factors(["mean", "median"], states(3), 0, kernels)
    with pytest.raises(ValueError, match="takes all 3 tokens that the model reads"):
        factors(["cls"], states(3), 3, kernels)


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ({"pooling_mode": "median"}, "the pooling is 'median'; minibert computes cls, max, mean"),
        ({"pooling_mode": ["mean", "median"]}, "the pooling is 'median'"),
        ({"pooling_mode": []}, r"pooling_mode is \[\]; expected a name"),
        ({"pooling_mode": 0}, "pooling_mode is 0; expected a name"),
        ({"pooling_mode": [1]}, r"pooling_mode is \[1\]; expected a name"),
        (
            {"pooling_mode": "mean", "include_prompt": "no"},
            "include_prompt is 'no'; expected a bool",
        ),
        ({"pooling_mode": "mean", "power": 2}, "does not know the key 'power'"),
        ({"pooling_mode": "mean", "embedding_dimension": {}}, "embedding_dimension is {}; expect"),
        ({"pooling_mode": "mean", "embedding_dimension": 20.0}, "is 20.0; expected a whole number"),
        ({"pooling_mode": "mean", "word_embedding_dimension": "20"}, "dimension is '20'; expected"),
        ({"pooling_mode": "mean", "embedding_dimension": 21}, "expects 21 dimensions; .* gives 20"),
    ],
)
def test_a_pooling_that_is_not_computed_is_refused_by_name(folder, pooling, message):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    refused(folder, message)


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode": "mean"},
        {"pooling_mode": ["mean"], "embedding_dimension": 20, "include_prompt": True},
        {"word_embedding_dimension": 20, "pooling_mode_mean_tokens": True},
        {"word_embedding_dimension": 20, "pooling_mode_mean_tokens": False},  # none: the mean
    ],
)
def test_every_way_to_write_the_mean_is_understood(folder, pooling):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert read_folder(folder).modules[0].pooling_mode == ("mean",)


def test_a_pooling_without_its_file_is_refused(folder):
    (folder / "1_Pooling" / "config.json").unlink()
    refused(folder, r"1_Pooling/config\.json is missing")


def test_an_include_prompt_of_null_is_false(folder, edit):
    edit(folder / "1_Pooling" / "config.json", include_prompt=None)
    assert SentenceTransformer(folder).include_prompt is False
