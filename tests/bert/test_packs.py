"""Packs hold every token once, within the budget, and remember where each text stood."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from minibert.bert.packs import packs, split


def texts_of(lengths):
    """Texts of the given lengths, no two ids alike."""
    return np.split(np.arange(sum(lengths)), np.cumsum(lengths)[:-1])


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=60),
    pack_tokens=st.integers(1, 100),
    max_texts=st.none() | st.integers(1, 9),
)
def test_packs_hold_every_text_once_within_the_budget(lengths, pack_tokens, max_texts):
    ids = texts_of(lengths)
    seen = []
    for pack in packs(ids, pack_tokens, max_texts):
        assert len(pack.ids) <= pack_tokens or len(pack.lengths) == 1
        assert max_texts is None or len(pack.lengths) <= max_texts
        assert pack.lengths.sum() == len(pack.ids) == len(pack.positions) == len(pack.token_types)
        ends = np.cumsum(pack.lengths)[:-1]
        for order, text, positions in zip(
            pack.order, np.split(pack.ids, ends), np.split(pack.positions, ends), strict=True
        ):
            np.testing.assert_array_equal(text, ids[order])
            np.testing.assert_array_equal(positions, np.arange(len(text)))
        assert (pack.token_types == 0).all()
        seen += pack.order.tolist()
    assert sorted(seen) == list(range(len(lengths)))


def test_the_longest_texts_come_first():
    order = [pack.lengths.tolist() for pack in packs(texts_of([2, 9, 4, 9, 1]), 11)]
    assert order == [[9], [9], [4], [2, 1]]


def test_a_pack_is_filled_to_the_budget_exactly():
    assert [len(pack.ids) for pack in packs(texts_of([5, 5, 5]), 10)] == [10, 5]


@given(lengths=st.lists(st.integers(1, 10), min_size=50, max_size=200))
def test_packs_are_about_equal(lengths):
    sizes = [len(pack.ids) for pack in packs(texts_of(lengths), 100)]
    assert len(sizes) == 1 or max(sizes) - min(sizes) <= 20


@given(texts=st.integers(26, 500))
def test_several_packs_are_even_in_number(texts):
    sizes = [len(pack.ids) for pack in packs(texts_of([4] * texts), 100)]
    assert len(sizes) % 2 == 0
    assert max(sizes) - min(sizes) <= 4


def test_no_texts_make_no_packs():
    assert list(packs([], 10)) == []


def test_given_positions_and_token_types_travel_with_their_text():
    (pack,) = packs(
        [np.array([7]), np.array([8, 9])],
        10,
        positions=[np.array([4]), np.array([1, 3])],
        token_types=[np.array([0]), np.array([1, 2])],
    )
    assert pack.ids.tolist() == [8, 9, 7]
    assert pack.positions.tolist() == [1, 3, 4]
    assert pack.token_types.tolist() == [1, 2, 0]


def test_a_pack_splits_into_packs_with_the_same_texts_in_order():
    (pack,) = packs(texts_of([5, 3, 4, 1]), 100)
    parts = list(split(pack, 7))
    assert len(parts) > 1
    assert all(part.lengths.sum() == len(part.ids) <= 7 for part in parts)
    for name, together in pack._asdict().items():
        np.testing.assert_array_equal(np.concatenate([getattr(p, name) for p in parts]), together)
