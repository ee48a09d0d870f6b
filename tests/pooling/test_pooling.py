"""Several modes side by side, what each token gives of a vector, and what the settings may say."""

import copy
import json
import pickle

import numpy as np
import pytest
from module_folders import refused

from minibert import SentenceTransformer
from minibert.checkpoint.folder import read_folder
from minibert.kernels import cpu as kernels
from minibert.pooling.modes import POOLINGS, PoolingMode
from minibert.pooling.pooling import Pooling, factors, pool, pool_gradient


def test_several_poolings_are_concatenated_in_the_order_given():
    hidden = np.random.default_rng(0).normal(-1, 2, (11, 5)).astype(np.float32)
    lengths = np.array([4, 1, 3, 3])
    vectors = pool(["mean", "cls"], hidden, lengths, 1, kernels)
    for number, mode in enumerate(["mean", "cls"]):
        alone = pool([mode], hidden, lengths, 1, kernels)
        np.testing.assert_array_equal(vectors[:, 5 * number : 5 * number + 5], alone)


def test_gradients_of_several_poolings_are_added():
    hidden = np.random.default_rng(0).normal(-1, 2, (11, 5))
    lengths, modes = np.array([4, 1, 3, 3]), ["mean", "max", "cls"]
    given = np.random.default_rng(1).normal(size=(4, 15))
    found = pool_gradient(modes, given, hidden, lengths, 1, kernels)
    alone = [
        pool_gradient([mode], given[:, 5 * number :][:, :5], hidden, lengths, 1, kernels)
        for number, mode in enumerate(modes)
    ]
    np.testing.assert_allclose(found, sum(alone), rtol=0, atol=1e-14)


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
        factors(["mean", "median"], np.ones((3, 5)), 0, kernels)
    with pytest.raises(ValueError, match=r"pooled by 'median' is no sum .* explained nor trained"):
        pool_gradient(["median"], np.ones((1, 5)), np.ones((3, 5)), np.array([3]), 0, kernels)
    with pytest.raises(ValueError, match="takes all 3 tokens that the model reads"):
        factors(["cls"], np.ones((3, 5)), 3, kernels)


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


def test_a_pooling_is_made_as_in_the_reference():
    for made in (
        Pooling(7, "cls", False),
        Pooling(7, ["cls"], include_prompt=False),
        Pooling(word_embedding_dimension=7, pooling_mode_cls_token=True, include_prompt=False),
        copy.copy(Pooling(7, "cls", False)),
        pickle.loads(pickle.dumps(Pooling(7, "cls", False))),
        Pooling(7, "cls")._replace(include_prompt=False),
    ):
        assert made._asdict() == {
            "pooling_mode": ("cls",), "embedding_dimension": 7, "include_prompt": False
        }  # fmt: skip
        assert type(made) is Pooling
    assert Pooling(7).pooling_mode == Pooling(7, pooling_mode_mean_tokens=False).pooling_mode
    flags = {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": True}
    assert Pooling(7, **flags).pooling_mode == ("cls", "mean")
    assert Pooling(7, ("mean", "cls"), **flags).pooling_mode == ("mean", "cls")


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"pooling_mode": "median"}, ValueError, "the pooling is 'median'; minibert computes cls"),
        ({"pooling_mode": ()}, ValueError, r"pooling_mode is \(\); expected a name or names"),
        ({"pooling_mode": [3]}, ValueError, r"pooling_mode is \[3\]; expected a name or names"),
        ({"pooling_mode_median": True}, TypeError, "got 'pooling_mode_median'; expected pooling_"),
    ],
)
def test_a_pooling_that_is_not_there_is_refused_when_made(arguments, error, message):
    with pytest.raises(error, match=message):
        Pooling(7, **arguments)
