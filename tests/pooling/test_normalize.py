"""Normalize, of rows and of the parts of a vector."""

import numpy as np
from module_folders import POOLING, with_modules

from minibert import SentenceTransformer
from minibert.kernels import cpu as kernels
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
