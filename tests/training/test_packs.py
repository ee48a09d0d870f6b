"""Packs of whole examples: no text of one is in another pack."""

import numpy as np
import pytest

from minibert.training.packs import packs_of_examples

EXAMPLES, COLUMNS = 12, 3


def drawn():
    """Ids, positions and types of texts, all of them told apart by their numbers."""
    random = np.random.default_rng(0)
    lengths = random.integers(1, 9, COLUMNS * EXAMPLES)
    ids = [np.arange(length) + 100 * text for text, length in enumerate(lengths)]
    return ids, [row + 10_000 for row in ids], [row + 20_000 for row in ids]


def packed(tokens, types=True):
    ids, positions, token_types = drawn()
    return packs_of_examples(ids, positions, token_types if types else None, EXAMPLES, tokens)


@pytest.mark.parametrize("tokens", [1, 20, 50, 10_000])
def test_every_text_is_in_the_pack_of_its_example(tokens):
    found = packed(tokens)
    assert sorted(np.concatenate([pack.order for pack in found])) == list(range(36))
    for pack in found:
        for example in pack.order % EXAMPLES:
            assert set(example + EXAMPLES * np.arange(COLUMNS)) <= set(pack.order)


@pytest.mark.parametrize("tokens", [1, 20, 50, 10_000])
def test_a_pack_has_the_rows_of_its_texts(tokens):
    ids, positions, types = drawn()
    for pack in packed(tokens):
        np.testing.assert_array_equal(pack.lengths, [len(ids[text]) for text in pack.order])
        for found, rows in zip(pack[:3], (ids, positions, types), strict=True):
            np.testing.assert_array_equal(found, np.concatenate([rows[t] for t in pack.order]))


def test_without_token_types_all_are_0():
    assert not any(pack.token_types.any() for pack in packed(50, types=False))


def test_a_pack_has_no_more_tokens_than_allowed():
    ids, _, _ = drawn()
    largest = max(sum(len(ids[e + EXAMPLES * c]) for c in range(COLUMNS)) for e in range(EXAMPLES))
    for pack in packed(largest):
        assert pack.lengths.sum() <= largest


def test_an_example_longer_than_a_pack_is_one_of_its_own():
    assert [len(pack.order) for pack in packed(1)] == [COLUMNS] * EXAMPLES


def test_texts_of_a_pack_come_longest_first():
    for pack in packed(50):
        assert (np.diff(pack.lengths) <= 0).all()


def test_examples_with_the_most_tokens_come_first():
    totals = [pack.lengths.sum() for pack in packed(1)]
    assert totals == sorted(totals, reverse=True)
