"""Distances of bits, counted one by one."""

import numpy as np
import pytest

from minibert.scoring.hamming import hamming_distances, nearest_bits
from minibert.scoring.matrices import Stack
from minibert.scoring.nearest import rescored
from minibert.scoring.quantization import dequantize_embeddings, quantize_embeddings


@pytest.mark.parametrize("width", [1, 7, 8, 9, 48])
@pytest.mark.parametrize("kind", [np.int8, np.uint8])
def test_distances_are_counts_of_bits(width, kind):
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 256, size=(n, width), dtype=np.uint8) for n in (3, 5))
    expected = [
        [sum(int(x ^ y).bit_count() for x, y in zip(i, j, strict=True)) for j in b] for i in a
    ]
    assert hamming_distances(a.view(kind), b.view(kind)).tolist() == expected


def test_nearest_codes_differ_in_fewest_bits_with_ties_by_number(monkeypatch):
    monkeypatch.setattr("minibert.scoring.hamming.BLOCK_BYTES", 100)
    random = np.random.default_rng(0)
    codes = random.integers(0, 256, size=(200, 2), dtype=np.uint8).view(np.int8)
    queries = codes[:4]
    distances = hamming_distances(queries, codes)
    left = [n for n in range(200) if n % 3]
    numbers, scores = nearest_bits(
        queries, Stack([codes[:50], codes[50:]]), 30, excluded=range(0, 200, 3)
    )
    for row, found, values in zip(distances, numbers, scores, strict=True):
        assert found.tolist() == sorted(left, key=lambda n, row=row: (row[n], n))[:30]
        np.testing.assert_array_equal(values, -row[found])
    numbers, _ = nearest_bits(queries, Stack([codes]), 30, allowed=[5, 3])
    assert {tuple(sorted(row)) for row in numbers.tolist()} == {(3, 5)}
    assert nearest_bits(queries[:0], Stack([codes]), 30)[0].shape == (0, 30)


def test_candidates_are_ranked_by_what_their_signs_stand_for():
    random = np.random.default_rng(0)
    vectors = random.normal(size=(100, 20)).astype(np.float32)
    queries = random.normal(size=(3, 20)).astype(np.float32)
    codes = quantize_embeddings(vectors, "binary")
    stack = Stack([codes], decode=lambda some: dequantize_embeddings(some, "binary", 20))
    candidates = np.array([[1, 5, 9, 50], [2, 3, 4, 5], [99, 0, 1, 2]])
    numbers, scores = rescored(queries, candidates, stack, 2, "dot")
    signs = np.where(vectors > 0, 1, -1)
    for query, given, found, values in zip(queries, candidates, numbers, scores, strict=True):
        exact = {n: float(query.astype(np.float64) @ signs[n]) for n in given}
        assert found.tolist() == sorted(given.tolist(), key=lambda n: -exact[n])[:2]
        np.testing.assert_allclose(values, [exact[n] for n in found], rtol=1e-6)
