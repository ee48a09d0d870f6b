"""Truncation: where a text or a pair is cut, and how it is counted."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizing import CLS, SEP, ids_of, load

from minibert.tokens.truncation import Truncation


def test_the_limit_counts_cls_and_sep_and_keeps_both(tokenizer):
    ids = ids_of(tokenizer, "one two three four", limit=4)
    assert ids == [CLS, *ids_of(tokenizer, "one two")[1:-1], SEP]
    assert ids_of(tokenizer, "one two three", limit=2) == [CLS, SEP]


def test_a_limit_below_the_special_tokens_truncates_nothing(tokenizer):
    assert ids_of(tokenizer, "one two", limit=1) == ids_of(tokenizer, "one two")


def test_truncated_texts_are_counted_with_the_longest(tokenizer):
    truncation = tokenizer.rows(["one", "one two three four five", "one two three"], 4).truncation
    assert truncation == Truncation(texts=2, longest=7, in_tokens=True)


def test_a_text_of_exactly_the_limit_is_not_truncated(tokenizer):
    truncation = tokenizer.rows(["one two"], 4).truncation
    assert truncation == Truncation()


def test_truncations_add_up_and_characters_outweigh_tokens():
    assert Truncation(1, 9) + Truncation(2, 7) == Truncation(3, 9)
    assert Truncation(1, 9) + Truncation(1, 10**6, in_tokens=False) == Truncation(
        2, 10**6, in_tokens=False
    )
    assert Truncation(1, 10**6, in_tokens=False) + Truncation(1, 9) == Truncation(
        2, 10**6, in_tokens=False
    )
    assert Truncation() + Truncation(1, 50, in_tokens=False) == Truncation(1, 50, in_tokens=False)
    assert Truncation(1, 50, in_tokens=False) + Truncation() == Truncation(1, 50, in_tokens=False)


def longest_first(first, second, room):
    """The rule of the reference: measured for all lengths from 0 to 8 and limits from 3 to 13."""
    shorter, longer = sorted((first, second))
    if shorter + longer > room:
        longer = shorter if shorter > room else max(shorter, room - shorter)
        if shorter + longer > room:
            shorter, longer = room // 2, room // 2 + room % 2
    return (shorter, longer) if first <= second else (longer, shorter)


@given(first=st.integers(0, 30), second=st.integers(0, 30), limit=st.integers(1, 40))
def test_a_pair_is_truncated_as_by_the_tokenizers_library(tokenizer, first, second, limit):
    pair = (" ".join("a" * first), " ".join("b" * second))
    rows = tokenizer.rows([pair], limit)
    ids = rows.ids[0].tolist()
    whole = first + second + 3
    if limit < 3:  # below the special tokens nothing is cut
        assert len(ids) == whole
        return
    kept = longest_first(first, second, limit - 3)
    assert (ids.count(1037), ids.count(1038)) == kept
    assert sum(kept) + 3 == len(ids) == min(whole, limit)
    assert rows.is_truncated == [len(ids) < whole]
    backend = tokenizer.backend
    backend.enable_truncation(limit, strategy="longest_first")
    try:
        assert backend.encode(*pair).ids == ids
    finally:
        backend.no_truncation()


@pytest.mark.parametrize("long", [("w " * 90_000, "b"), ("b", "w " * 90_000)])
def test_a_pair_with_one_long_text_is_truncated_as_the_whole(tokenizer, long):
    rows = tokenizer.rows([long], 50)
    backend = tokenizer.backend
    backend.enable_truncation(50, strategy="longest_first")
    try:
        assert rows.ids[0].tolist() == backend.encode(*long).ids
    finally:
        backend.no_truncation()
    assert (rows.truncation.texts, rows.truncation.in_tokens) == (1, False)


@pytest.mark.parametrize("more", [0, 9])
def test_of_two_long_texts_the_longer_keeps_the_odd_token(tokenizer, more):
    pair = ("w " * (60_000 + more), "x " * 60_000)
    ids = tokenizer.rows([pair], 50).ids[0].tolist()
    assert ids.count(1059) == (24 if more else 23)
    assert len(ids) == 50


def test_a_folder_that_truncates_on_the_left_keeps_the_ends(folder, edit):
    edit(folder / "tokenizer_config.json", truncation_side="left")
    tokenizer = load(folder)
    whole = tokenizer.rows(["the cat sat", ("the cat", "a dog")], None).ids
    cut = tokenizer.rows(["the cat sat", ("the cat", "a dog"), "the " * 9000 + "dog"], 4).ids
    assert cut[0].tolist() == [whole[0][0], *whole[0][-3:]]
    assert cut[1].tolist() == [whole[1][0], whole[1][3], whole[1][-2], whole[1][-1]]
    assert cut[2].tolist()[-2] == whole[1][-2]
