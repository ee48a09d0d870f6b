"""Where texts begin among rows that lie end to end, and which of them attention takes together."""

import numpy as np
import pytest

from minibert.kernels.segments import equal_runs, firsts, near_runs, places_of


def test_texts_begin_where_those_before_them_end():
    lengths = np.array([3, 1, 2])
    assert firsts(lengths).tolist() == [0, 3, 4]
    assert places_of(lengths).tolist() == [0, 1, 2, 0, 0, 1]


def test_equal_buckets_hold_one_length_and_every_row_once():
    runs = [
        ((r.texts.start, r.texts.stop), (r.rows.start, r.rows.stop), r.longest)
        for r in equal_runs(np.array([5, 5, 3, 1, 1]))
    ]
    assert runs == [((0, 2), (0, 10), 5), ((2, 3), (10, 13), 3), ((3, 5), (13, 15), 1)]


def test_texts_of_nearly_one_length_stand_in_one_bucket():
    lengths = [512, 455, 449, 448, 40, 33, 32, 8, 7, 1, 1]
    runs = list(near_runs(np.array(lengths)))
    found = [(lengths[run.texts], run.longest) for run in runs]
    assert found == [
        ([512, 455, 449], 512), ([448], 448), ([40, 33], 40), ([32], 32), ([8, 7, 1, 1], 8),
    ]  # fmt: skip
    rows = [row for run in runs for row in range(sum(lengths))[run.rows]]
    assert rows == list(range(sum(lengths)))
    for run in runs:
        assert len(range(sum(lengths))[run.rows]) == sum(lengths[run.texts])


@pytest.mark.parametrize("lengths", [range(512, 0, -1), range(1, 513), [3, 500, 2, 500, 1], []])
def test_buckets_hold_every_text_and_are_few_when_sorted(lengths):
    lengths = list(lengths)
    runs = list(near_runs(np.array(lengths, dtype=np.int64)))
    assert [length for run in runs for length in lengths[run.texts]] == lengths
    for run in runs:
        assert run.longest % 8 == 0
        slack = max(8, run.longest // 8)
        assert all(run.longest - slack < length <= run.longest for length in lengths[run.texts])
    if lengths == sorted(lengths, reverse=True):
        assert len(runs) <= 27
