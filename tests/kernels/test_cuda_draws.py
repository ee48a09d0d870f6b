"""Dropout drawn on a GPU has NumPy's bits: over the strict stand-in for CuPy."""

import numpy as np
import pytest

from minibert.bert.dropout import PLACES, Draws, Dropout, Rates
from minibert.kernels.segments import equal_buckets

LENGTHS = np.array([16, 15, 15, 7, 1])
TEXTS = np.array([3, 0, 2**31 - 1, 1, 70_000])
SEEDS = [(0, 0), (42, 7), (2**64 - 1, 2**40)]


def pair(cuda, seed=42, step=7, rates=Rates(0.3, 0.2), **settings):  # noqa: B008
    """The same dropout on the host and on the GPU."""
    on_host = Dropout(Draws(seed, step), rates, TEXTS, LENGTHS, **settings)
    return on_host, on_host.on(cuda.draw_kernels())


def same_bits(cuda, found, expected):
    found = cuda.to_host(found)
    assert found.dtype == expected.dtype == np.float32
    assert found.shape == expected.shape
    assert found.tobytes() == expected.tobytes()


@pytest.mark.parametrize(("seed", "step"), SEEDS)
@pytest.mark.parametrize("columns", [1, 5, 16, 20, 600])
def test_rows_have_the_factors_of_the_host(cuda, columns, seed, step):
    on_host, on_gpu = pair(cuda, seed, step)
    for layer, place in enumerate(PLACES):
        found = on_gpu.rows(3 * layer, place, columns)
        same_bits(cuda, found, on_host.rows(3 * layer, place, columns))


@pytest.mark.parametrize(("seed", "step"), SEEDS)
def test_weights_have_the_factors_of_the_host(cuda, seed, step):
    on_host, on_gpu = pair(cuda, seed, step)
    for bucket in equal_buckets(LENGTHS):
        found = on_gpu.weights(2, 3)(bucket)
        same_bits(cuda, found, on_host.weights(2, 3)(bucket))


def test_a_padded_text_has_its_own_weights_and_then_zeros(cuda):
    on_host, on_gpu = pair(cuda)
    expected = [on_host.weights(2, 3)(bucket) for bucket in equal_buckets(LENGTHS)]
    of_text = [factors for of_bucket in expected for factors in of_bucket]
    buckets = cuda.kernels.buckets(LENGTHS)
    assert [bucket.longest for bucket in buckets] == [16, 8]
    for bucket in buckets:
        found = cuda.to_host(on_gpu.weights(2, 3)(bucket))
        for number, factors in zip(range(*bucket.texts.indices(5)), found, strict=True):
            length = LENGTHS[number]
            np.testing.assert_array_equal(factors[:, :length, :length], of_text[number])
            assert factors.sum() == pytest.approx(of_text[number].sum())


@pytest.mark.parametrize("rate", [1e-5, 0.1, 0.5, 0.99999])
def test_a_rate_is_rounded_as_on_the_host(cuda, rate):
    on_host, on_gpu = pair(cuda, rates=Rates(rate, rate))
    same_bits(cuda, on_gpu.rows(0, "output", 40), on_host.rows(0, "output", 40))


def test_vectors_have_one_row_a_text(cuda):
    on_host, on_gpu = (one.of_vectors() for one in pair(cuda))
    found = on_gpu.rows(1, "module", 7, rate=0.4)
    same_bits(cuda, found, on_host.rows(1, "module", 7, rate=0.4))
