"""Normalize, of rows and of the parts of a vector, and its gradient."""

import numpy as np
import pytest
from differences import derivatives, relative
from module_folders import POOLING, with_modules

from minibert import SentenceTransformer
from minibert.kernels import cpu as kernels
from minibert.kernels import cpu_gradients
from minibert.pooling.normalize import Normalize, normalized


def test_normalize_gives_unit_length():
    rows = np.random.default_rng(0).normal(-1, 2, (11, 5)).astype(np.float32)
    np.testing.assert_allclose(np.linalg.norm(Normalize()(rows, kernels), axis=1), 1, rtol=1e-6)


def test_a_normalize_of_zeros_leaves_zeros():
    zeros = np.zeros((4, 3))
    assert normalized(zeros).tolist() == zeros.tolist()
    assert Normalize().split(zeros, np.full((4, 1), 0.25)).tolist() == zeros.tolist()


def test_normalize_before_the_pooling_changes_no_vector(folder):
    before = SentenceTransformer(folder).encode("the cat")
    with_modules(folder, ("Normalize", "2", None), POOLING)
    np.testing.assert_array_equal(SentenceTransformer(folder).encode("the cat"), before)


def gone_back(rows, given):
    return Normalize().backward(rows.copy(), given.copy(), kernels, cpu_gradients, None)


# A row below 1e-12 is divided by that, as a row of zeros is.
@pytest.mark.parametrize(("scale", "step"), [(1, 3e-4), (1e-9, 1e-13), (1e-14, 1e-17)])
def test_the_gradient_agrees_with_differences(scale, step):
    random = np.random.default_rng(3)
    rows, given = random.normal(0.3, 1, (2, 5, 4))
    rows *= scale

    def loss():
        return (Normalize()(rows.copy(), kernels) * given).sum()

    by_rows = gone_back(rows, given)
    assert relative(derivatives(loss, rows, step) * scale, by_rows * scale) < 1e-6  # seen 3e-10


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_gradient_at_a_zero_vector_is_that_of_torch(dtype):
    rows, given = np.zeros((2, 4), dtype), np.array([[1, -2, 0, 3], [3, 4, 5, 6]], dtype)
    found = gone_back(rows, given)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, given * 1e12, rtol=1e-6)
