"""Where texts begin among rows that lie end to end, and which of them attention takes together."""

import numpy as np
import pytest

from minibert.kernels.segments import equal_buckets, firsts, near_buckets, places_of


def test_texts_begin_where_those_before_them_end():
    lengths = np.array([3, 1, 2])
    assert firsts(lengths).tolist() == [0, 3, 4]
    assert places_of(lengths).tolist() == [0, 1, 2, 0, 0, 1]


def test_equal_buckets_hold_one_length_and_every_row_once():
    buckets = [
        ((r.texts.start, r.texts.stop), (r.rows.start, r.rows.stop), r.longest)
        for r in equal_buckets(np.array([5, 5, 3, 1, 1]))
    ]
    assert buckets == [((0, 2), (0, 10), 5), ((2, 3), (10, 13), 3), ((3, 5), (13, 15), 1)]


def test_texts_of_nearly_one_length_stand_in_one_bucket():
    lengths = [512, 455, 449, 448, 40, 33, 32, 8, 7, 1, 1]
    buckets = list(near_buckets(np.array(lengths)))
    found = [(lengths[bucket.texts], bucket.longest) for bucket in buckets]
    assert found == [
        ([512, 455, 449], 512), ([448], 448), ([40, 33], 40), ([32], 32), ([8, 7, 1, 1], 8),
    ]  # fmt: skip
    rows = [row for bucket in buckets for row in range(sum(lengths))[bucket.rows]]
    assert rows == list(range(sum(lengths)))
    for bucket in buckets:
        assert len(range(sum(lengths))[bucket.rows]) == sum(lengths[bucket.texts])


@pytest.mark.parametrize("lengths", [range(512, 0, -1), range(1, 513), [3, 500, 2, 500, 1], []])
def test_buckets_hold_every_text_and_are_few_when_sorted(lengths):
    lengths = list(lengths)
    buckets = list(near_buckets(np.array(lengths, dtype=np.int64)))
    assert [length for bucket in buckets for length in lengths[bucket.texts]] == lengths
    for bucket in buckets:
        assert bucket.longest % 8 == 0
        slack = max(8, bucket.longest // 8)
        assert all(
            bucket.longest - slack < length <= bucket.longest for length in lengths[bucket.texts]
        )
    if lengths == sorted(lengths, reverse=True):
        assert len(buckets) <= 27
