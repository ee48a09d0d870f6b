"""Ways from tensors to a field and back: each by itself."""

import math

import numpy as np

from minibert.bert.tensor_uses import relative_buckets


def test_distance_buckets_grow_logarithmically():
    """8 + 8 log(n / 8) / log(16), which transformers takes in float32, from 8 to 127."""
    buckets = relative_buckets(300)
    assert buckets[0, 0] == 0
    for distance in (*range(1, 130), 200, 299):
        steps = math.log(distance / 8) / math.log(16) * 8
        expected = distance if distance < 8 else min(15, 8 + math.floor(steps + 1e-6))
        assert buckets[distance, 0] == expected, distance
        assert buckets[0, distance] == expected + 16, distance
    # It depends on nothing but the distance.
    np.testing.assert_array_equal(buckets[5:, 5:], buckets[:-5, :-5])
