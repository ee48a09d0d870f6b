"""Dropout: nothing outside training, given factors in it; what its settings may say."""

import numpy as np
import pytest
from module_folders import POOLING, refused, vector, with_modules

from minibert import SentenceTransformer
from minibert.kernels import cpu as kernels
from minibert.kernels import cpu_gradients
from minibert.pooling.dropout import Drop, Dropout


@pytest.mark.parametrize(
    ("settings", "rate"), [(None, 0.2), ({}, 0.2), ({"dropout": 0.5}, 0.5), ({"dropout": 0}, 0)]
)
def test_the_rate_is_read_and_changes_no_vector(folder, settings, rate):
    before = vector(folder)
    with_modules(folder, POOLING, ("Dropout", "2", settings))
    assert SentenceTransformer(folder)[2] == Dropout(rate)
    np.testing.assert_array_equal(vector(folder), before)


@pytest.mark.parametrize("rate", ["0.1", -0.1, 1.5, None, [0.1]])
def test_a_rate_that_is_no_share_is_refused(folder, rate):
    with_modules(folder, POOLING, ("Dropout", "2", {"dropout": rate}))
    refused(folder, r"2/config\.json: dropout is .*; expected a number from 0 to 1")


def test_outside_training_rows_and_parts_stay_as_they_are():
    rows = np.random.default_rng(0).normal(size=(3, 4))
    np.testing.assert_array_equal(Drop(0.5)(rows.copy(), kernels), rows)
    np.testing.assert_array_equal(Drop(0.5).split(rows, np.ones((3, 1)) / 3), rows)


def test_rows_and_gradients_are_multiplied_by_the_factors():
    factors = np.array([[2, 0, 2], [0, 2, 0]], np.float32)
    rows, gradient = np.random.default_rng(0).normal(size=(2, 2, 3)).astype(np.float32)
    module = Drop(0.5, lambda columns: factors[:, :columns])
    np.testing.assert_array_equal(module(rows.copy(), kernels), rows * factors)
    found = module.backward(rows.copy(), gradient.copy(), kernels, cpu_gradients, None)
    np.testing.assert_array_equal(found, gradient * factors)
