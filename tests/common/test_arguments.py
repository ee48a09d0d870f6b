"""Arguments of calls: what is refused, in words that name it, and what is taken."""

import re
from pathlib import Path

import numpy as np
import pytest

from minibert.common.arguments import (
    check_choice,
    check_counts,
    check_given_counts,
    check_several,
    is_count,
    one_name,
    type_of,
)


@pytest.mark.parametrize("value", ["shout", None, 3, ["warn"]])
def test_a_value_that_is_no_choice_is_refused_with_all_choices(value):
    message = f"on_long is {value!r}; expected one of 'warn', 'error'."
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        check_choice("on_long", value, {"warn": 1, "error": 2})


@pytest.mark.parametrize(
    ("value", "expected"),
    [(3, "an int"), ("a", "a str"), (np.zeros(1), "an ndarray"), (None, "a NoneType")],
)
def test_a_type_in_a_message_has_its_article(value, expected):
    assert type_of(value) == expected


def test_every_choice_is_taken_none_among_them():
    for value in ("warn", None):
        check_choice("on_long", value, ("warn", None))


@pytest.mark.parametrize("value", [1, 7, np.int32(2), 1 << 70])
def test_a_whole_number_from_1_up_is_a_count(value):
    assert is_count(value)


@pytest.mark.parametrize("value", [0, -1, 1.0, True, np.True_, "1", None, np.float32(2)])
def test_anything_else_is_no_count(value):
    assert not is_count(value)


def test_a_count_may_be_left_out_where_it_is_not_needed():
    check_counts(batch_size=None, pack_tokens=3)
    with pytest.raises(ValueError, match=r"^k is None; expected a whole number from 1 up\.$"):
        check_given_counts(k=None)
    with pytest.raises(ValueError, match="pack_tokens is 0"):
        check_counts(batch_size=3, pack_tokens=0)


@pytest.mark.parametrize(("given", "kind"), [("a text", "text"), (Path("a"), "file")])
def test_one_where_several_are_expected_is_refused(given, kind):
    with pytest.raises(TypeError, match=f"^texts is one {kind}, .*; expected a list of them"):
        check_several(paths=["a"], texts=given)


def test_an_argument_of_two_names_is_taken_under_either():
    assert one_name(inputs=None, sentences=[]) == []
    assert one_name(inputs="a", sentences=None) == "a"
    assert one_name(inputs=None, sentences=None) is None
    with pytest.raises(TypeError, match="inputs and sentences are two names of one argument"):
        one_name(inputs="a", sentences="a")
