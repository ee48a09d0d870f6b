"""LayerNorm by hand, whole and in parts; what its settings may say."""

import math

import numpy as np
from module_folders import POOLING, refused, with_modules

from minibert.kernels import cpu as kernels
from minibert.pooling.layer_norm import RowNorm


def test_a_row_norm_has_the_epsilon_of_torch_and_not_of_bert():
    rows = np.array([[1e-3, -1e-3, 0.0, 0.0]], dtype=np.float32)
    ones = np.ones(4, dtype=np.float32)
    expected = rows / math.sqrt(0.5e-6 + 1e-5) * 2 + 3
    found = RowNorm(2 * ones, 3 * ones)(rows.copy(), kernels)
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_layer_norm_uses_mean_and_variance_of_the_whole_vector():
    random = np.random.default_rng(0)
    states = random.normal(size=(6, 5))
    weight, bias = random.normal(size=(2, 5))
    vector = states.mean(axis=0)
    spread = np.sqrt(((vector - vector.mean()) ** 2).mean() + 1e-5)
    one = (states - states.mean(axis=1, keepdims=True)) / 6 / spread * weight + bias / 6
    found = RowNorm(weight, bias).split(states / 6, np.full((6, 1), 1 / 6))
    np.testing.assert_allclose(found, one, rtol=1e-6)


def test_settings_of_a_layer_norm_that_are_not_known_are_refused(folder):
    with_modules(folder, POOLING, ("LayerNorm", "2", {"dimension": 20, "eps": 1e-12}))
    refused(folder, r"2/config\.json: minibert does not know the key 'eps'")
