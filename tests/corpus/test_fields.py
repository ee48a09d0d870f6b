"""Values of fields as codes: in order, each once, and found without reading the others."""

import json
from itertools import pairwise

import numpy as np
import pytest

from minibert.corpus.fields import (
    FLAGS,
    KINDS,
    NUMBERS,
    TEXTS,
    Column,
    check_kinds,
    coded_fields,
    kind_of,
    order_of,
)
from minibert.errors import CorpusError

# Numbers of equal size, also as texts; characters beyond the first plane, which UTF-16 would order
# otherwise; a number that no float64 holds.
VALUES = [
    *(None, True, False, 1, 1.0, 0, -0.0, 0.0, -7.5, 1e300, 2**63 + 1, 2**63, float(2**63)),
    *("", "1", "a", "B", "ä", "é", "e\u0301", "\uff5e", "\U0001f600", 'a"b', "a\nb", "null"),
]


def columns_of(rows):
    """The columns of some documents, as a shard makes them of its files."""
    codes, values = coded_fields(rows)
    content, ends = b"".join(values), np.cumsum([0, *map(len, values)])
    firsts = np.cumsum([0, *(codes.max(axis=1) + 1)])
    assert firsts[-1] == len(values)
    return [
        Column(of_field, np.frombuffer(content, np.uint8), ends[first : end + 1], "values.utf8")
        for of_field, (first, end) in zip(codes, pairwise(firsts), strict=True)
    ]


def test_values_come_back_with_their_types():
    rows = [(value, number % 3) for number, value in enumerate(VALUES)]
    first, second = columns_of(rows)
    for place, (value, number) in enumerate(rows):
        found = first.value(first.codes[place])
        assert (type(found), repr(found)) == (type(value), repr(value))
        assert second.value(second.codes[place]) == number
    assert (len(first), len(second)) == (len(VALUES), 3)


def test_values_stand_in_order_whatever_that_of_the_documents():
    (column,) = columns_of([(value,) for value in VALUES])
    (backwards,) = columns_of([(value,) for value in reversed(VALUES)])
    stored = [column.value(code) for code in range(len(column))]
    assert list(map(repr, stored)) == [repr(backwards.value(code)) for code in range(len(column))]
    assert [kind_of(value) for value in stored] == sorted(map(kind_of, VALUES))
    numbers = [value for value in stored if kind_of(value) == NUMBERS]
    assert numbers == sorted(numbers)
    texts = [value for value in stored if isinstance(value, str)]
    assert texts == sorted(texts, key=lambda text: text.encode())


@pytest.mark.parametrize("value", [*VALUES, 3, 0.5, "zz", "aa", -1e9])
def test_a_search_finds_the_codes_of_equal_values(value):
    (column,) = columns_of([(one,) for one in VALUES])
    first, end = column.range_of(value)
    found = [column.value(code) for code in range(first, end)]
    expected = [one for one in VALUES if kind_of(one) == kind_of(value) and one == value]
    assert sorted(map(repr, found)) == sorted(map(repr, expected))
    before = [one for one in VALUES if order_of(one) < order_of(value)]
    assert first == len(before)


def test_the_codes_of_a_kind_are_a_range():
    (column,) = columns_of([(one,) for one in VALUES])
    for kind in range(len(KINDS)):
        codes = range(*column.range_of_kind(kind))
        assert len(codes) == sum(kind_of(one) == kind for one in VALUES)
        assert {kind_of(column.value(code)) for code in codes} == {kind}


@pytest.mark.parametrize(
    ("values", "kind"),
    [([None, None], 0), ([None, True], 1), ([2.5, None], 2), (["", None], 3)],
)
def test_the_kind_of_a_column_is_that_of_its_values(values, kind):
    (column,) = columns_of([(value,) for value in values])
    assert column.kind == kind


def test_documents_without_fields_have_no_columns():
    codes, values = coded_fields([])
    assert (codes.shape, values) == ((0, 0), [])


@pytest.mark.parametrize("content", [b"nul", b"[1]", b"\xff", b'"a'])
def test_bytes_that_are_no_value_are_refused(content):
    column = Column(
        np.zeros(1, np.int32), np.frombuffer(content, np.uint8), np.array([0, len(content)]), "here"
    )
    with pytest.raises(CorpusError, match="here was damaged"):
        column.value(0)


def test_a_value_of_another_kind_than_before_is_refused():
    kinds = {"year": NUMBERS}
    check_kinds(kinds, ("lang", "year"), ("de", None), "here")
    check_kinds(kinds, ("lang", "year"), (None, 5.5), "here")
    with pytest.raises(ValueError, match=r"there: the field 'year' is '5', and has numbers in .*"):
        check_kinds(kinds, ("lang", "year"), ("fr", "5"), "there")
    with pytest.raises(ValueError, match="'lang' is True, and has texts"):
        check_kinds(kinds, ("lang", "year"), (True, 5), "there")


def test_the_json_of_values_is_what_json_reads():
    _, values = coded_fields([(value,) for value in VALUES])
    assert sorted(map(repr, map(json.loads, values))) == sorted(map(repr, VALUES))


@pytest.mark.parametrize(
    ("before", "value", "helps"),
    [(NUMBERS, "5", True), (TEXTS, 5, True), (FLAGS, "true", False), (TEXTS, True, False)],
)
def test_reading_as_numbers_is_advised_only_where_it_helps(before, value, helps):
    with pytest.raises(ValueError, match="'a' is") as error:
        check_kinds({"a": before}, ("a",), (value,), "here")
    assert ("a:number" in str(error.value)) == helps
