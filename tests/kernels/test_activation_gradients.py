"""Gradients of activations against central differences, and their results against the kernels'."""

import numpy as np
import pytest

from minibert.kernels import activation_gradients, cpu, cpu_gradients
from minibert.kernels.activations import ACTIVATIONS

STEP = 1e-5  # of the differences
# Places at which an activation bends, and where its derivative is not one number.
KINKS = {
    "relu": {0.0: 0.0},
    "leaky_relu": {0.0: 0.01},
    "elu": {0.0: 1.0},
    "relu6": {0.0: 0.0, 6.0: 0.0},
    "hardtanh": {-1.0: 0.0, 1.0: 0.0},
}
HUGE = np.array([[1e30, -1e30, 3e18, -3e18, 300, -300, 90, -90, 1e-40, 0]], dtype=np.float32)


def computed(name, x):
    result = x.copy()
    ACTIVATIONS[name](cpu, result)
    return result


def gone_back(name, x, gradient):
    """The result and the gradient by x, both new."""
    result, by_x = x.copy(), gradient.copy()
    ACTIVATIONS[name].gradient(cpu_gradients, result, by_x)
    return result, by_x


def smooth(name):
    """Places in float64, dense where activations bend, each a step or more from every kink."""
    x = np.concatenate([np.linspace(-12, 12, 401), np.linspace(-1.7, 1.7, 118)])
    kinks = KINKS.get(name, {})
    near = [np.abs(x - kink) < 2 * STEP for kink in kinks]
    return x[~np.any(near, axis=0)][:, None] if kinks else x[:, None]


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_agree_with_central_differences(name):
    x = smooth(name)
    gradient = np.random.default_rng(0).normal(size=x.shape)
    differences = gradient * (computed(name, x + STEP) - computed(name, x - STEP)) / (2 * STEP)
    result, by_x = gone_back(name, x, gradient)
    assert (result.dtype, by_x.dtype) == (np.float64, np.float64)
    np.testing.assert_array_equal(result, computed(name, x))
    scale = np.maximum(1e-4, np.maximum(np.abs(differences), np.abs(by_x)))
    assert (np.abs(by_x - differences) / scale).max() < 1e-6  # worst seen 3.8e-7


@pytest.mark.parametrize("shape", [(1, 1), (0, 5), (257, 301), (7, cpu.BLOCK_FLOATS // 3)])
@pytest.mark.parametrize("name", ACTIVATIONS)
def test_the_result_has_the_bits_of_the_kernel(name, shape):
    x = np.random.default_rng(1).normal(0, 3, shape).astype(np.float32)
    result, by_x = gone_back(name, x, np.ones_like(x))
    assert by_x.dtype == np.float32
    assert result.tobytes() == computed(name, x).tobytes()
    assert gone_back(name, HUGE, HUGE)[0].tobytes() == computed(name, HUGE).tobytes()


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gradients_in_float32_are_those_of_float64(name):
    places = np.linspace(-12, 12, 4003).astype(np.float32).reshape(-1, 1)
    for x in (places, HUGE):
        _, expected = gone_back(name, x.astype(np.float64), np.ones(x.shape))
        _, found = gone_back(name, x, np.ones_like(x))
        assert found.dtype == np.float32
        # Worst seen 1.9e-6: a gate near 0 is rounded to 6e-8, and x * slope multiplies that.
        np.testing.assert_allclose(found, expected, rtol=0, atol=5e-6)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("name", KINKS)
def test_a_kink_has_the_derivative_of_torch(name, dtype):
    x = np.array([list(KINKS[name])], dtype)
    _, found = gone_back(name, x, np.full_like(x, -2))
    np.testing.assert_allclose(found, [[-2 * slope for slope in KINKS[name].values()]], rtol=1e-6)


def test_every_gradient_of_an_activation_is_among_the_kernels():
    for name in activation_gradients.__all__:
        assert getattr(cpu_gradients, name) is getattr(activation_gradients, name)
        assert name in cpu_gradients.__all__
