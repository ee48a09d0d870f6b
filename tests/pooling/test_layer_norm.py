"""LayerNorm by hand, whole and in parts, and its gradients; what its settings may say."""

import math

import numpy as np
from differences import derivatives, relative
from module_folders import POOLING, refused, with_modules

from minibert.kernels import cpu as kernels
from minibert.kernels import cpu_gradients
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


def test_gradients_agree_with_differences():
    random = np.random.default_rng(1)
    # Rows so flat that the epsilon counts, too.
    rows = random.normal(size=(4, 6)) * np.array([[1], [3], [3e-3], [1e-2]])
    weight, bias, given = (random.normal(0.3, 1, shape) for shape in (6, 6, (4, 6)))
    module, found = RowNorm(weight, bias), {}
    by_rows = module.backward(rows.copy(), given.copy(), kernels, cpu_gradients, found.__setitem__)

    def loss():
        return (module(rows.copy(), kernels) * given).sum()

    assert relative(derivatives(loss, rows, 1e-5), by_rows) < 1e-6  # worst seen 6e-9
    assert relative(derivatives(loss, weight), found["norm.weight"]) < 1e-6
    assert relative(derivatives(loss, bias), found["norm.bias"]) < 1e-6
    assert found.keys() == {"norm.weight", "norm.bias"}


def test_settings_of_a_layer_norm_that_are_not_known_are_refused(folder):
    with_modules(folder, POOLING, ("LayerNorm", "2", {"dimension": 20, "eps": 1e-12}))
    refused(folder, r"2/config\.json: minibert does not know the key 'eps'")
