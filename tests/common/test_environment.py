"""Variables that stand for options."""

import pytest

from minibert.common.environment import is_on, listed, variable_of


def test_an_option_s_variable_has_its_name_in_capitals():
    assert {variable_of("--max-body"), variable_of("max_body")} == {"MINIBERT_MAX_BODY"}


def test_a_list_has_commas_and_no_blanks_or_empty_parts():
    assert listed(" a, b c,,") == ["a", "b c"]
    assert listed("") == []


@pytest.mark.parametrize(("text", "expected"), [("1", True), ("ON", True), ("no", False)])
def test_a_switch_is_on_or_off_in_any_case(text, expected):
    assert is_on(text) is expected


def test_a_switch_that_is_neither_is_refused():
    with pytest.raises(ValueError, match="'2' is none of 1, true, yes, on, 0, false"):
        is_on("2")
