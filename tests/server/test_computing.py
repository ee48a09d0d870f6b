"""Rows that the worker computes together: in how many packs."""

import numpy as np
import pytest

from minibert.bert.packs import packs
from minibert.server.computing import FEWEST, pack_tokens_of


@pytest.mark.parametrize(
    ("lengths", "threads", "expected"),
    [
        ([10] * 16, 2, [80, 80]),
        ([10] * 16, 1, [160]),
        ([10] * 16, 4, [40, 40, 40, 40]),
        ([FEWEST // 2] * 4, 2, [FEWEST, FEWEST]),
        ([FEWEST // 2] * 3, 2, [FEWEST * 3 // 2]),  # too few: one pack for both threads
        ([100, 10, 10, 10, 10], 2, [140]),  # the longest alone would take one thread too long
        ([40], 2, [40]),
        ([40] * 60, 2, [600] * 4),  # no pack above the limit
    ],
)
def test_each_thread_gets_a_pack_if_rows_divide_well(lengths, threads, expected):
    rows = [np.full(length, 5, np.int64) for length in lengths]
    found = packs(rows, pack_tokens_of(lengths, threads, 1024))
    assert [int(pack.lengths.sum()) for pack in found] == expected
