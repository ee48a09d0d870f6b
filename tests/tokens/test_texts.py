"""Texts as callers give them: what is none is refused by its place; long lists go in slices."""

import pytest

from minibert.tokens.texts import check_texts, text_slices


@pytest.mark.parametrize(
    ("texts", "index", "kind"),
    [
        (["a", None], 1, "NoneType"),
        ([b"a"], 0, "bytes"),
        (["a", "b", 3], 2, "int"),
        ([float("nan")], 0, "float"),
        (["a", ["b"]], 1, "list"),
        ([("a", "b", "c")], 0, "tuple"),
        (["a", ("a", 1)], 1, "tuple"),
    ],
)
def test_what_is_no_text_is_refused_with_its_index(texts, index, kind):
    with pytest.raises(
        TypeError, match=rf"Text {index} of {len(texts)} is an? {kind}.*must be a str"
    ):
        check_texts(texts)


def test_a_lone_surrogate_is_refused_with_its_place():
    with pytest.raises(
        ValueError, match=r"Text 1 of 2 has a lone surrogate, '\\udc80', at char.* 2"
    ):
        check_texts(["fine", "a \udc80"])


def test_slices_bound_texts_and_characters():
    lengths = [1, 1, 1, 1, 9, 2, 50, 1]
    texts = ["x" * length for length in lengths]
    windows = list(text_slices(texts, max_texts=3, max_characters=10))
    assert [lengths[window] for window in windows] == [[1, 1, 1], [1, 9], [2], [50], [1]]
