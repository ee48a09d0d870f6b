"""Conditions as they are typed: split, and read as the values of their fields are."""

import argparse

import pytest

from minibert.commands.conditions import Typed, typed, where_of
from minibert.corpus.fields import FLAGS, NUMBERS, TEXTS

KINDS = {"lang": TEXTS, "year": NUMBERS, "is_open": FLAGS}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("lang=de", ("lang", "=", "de")),
        ("lang==de", ("lang", "=", "de")),
        ("lang != de ", ("lang", "!=", "de")),
        ("year>=2000", ("year", ">=", "2000")),
        ("year<=2000", ("year", "<=", "2000")),
        ("year>2000", ("year", ">", "2000")),
        ("year<-5", ("year", "<", "-5")),
        ("url=http://a/?b=c&d>e", ("url", "=", "http://a/?b=c&d>e")),
        ("a b=c d", ("a b", "=", "c d")),
        ("lang=", ("lang", "=", "")),
        ("text=two\nlines", ("text", "=", "two\nlines")),
    ],
)
def test_a_condition_is_split_at_its_first_operator(text, expected):
    assert typed(text) == Typed(*expected)


@pytest.mark.parametrize("text", ["", "lang", "=de", ">", "lang~de"])
def test_a_text_without_an_operator_is_no_condition(text):
    with pytest.raises(argparse.ArgumentTypeError, match="is no condition; expected a field, one"):
        typed(text)


@pytest.mark.parametrize(
    ("texts", "expected"),
    [
        (["lang=de"], {"lang": {"=": ["de"]}}),
        (["lang=de", "lang=fr"], {"lang": {"=": ["de", "fr"]}}),
        (["lang!=de", "lang!=null"], {"lang": {"!=": ["de", None]}}),
        (["year>=2000", "year<2010.5"], {"year": {">=": 2000, "<": 2010.5}}),
        (
            ["year=2000", "lang=5", "lang>7"],
            {"year": {"=": [2000]}, "lang": {"=": ["5"], ">": "7"}},
        ),
        (['lang="null"', 'lang=" a"'], {"lang": {"=": ["null", " a"]}}),
        (['lang="', 'lang="a', r'lang="\x"'], {"lang": {"=": ['"', '"a', r'"\x"']}}),
        (["is_open=true", "is_open=null"], {"is_open": {"=": [True, None]}}),
        (["lang=true"], {"lang": {"=": ["true"]}}),
        (["unknown=5", "unknown=null"], {"unknown": {"=": ["5", None]}}),
        ([], {}),
    ],
)
def test_values_are_read_as_those_of_their_fields(texts, expected):
    assert where_of(map(typed, texts), KINDS) == expected


@pytest.mark.parametrize(
    ("texts", "message"),
    [
        (["year>=late"], "--where: year is 'late'; expected a number"),
        (["year="], "--where: year has no value; expected a number, or null"),
        (["is_open=1"], "--where: is_open is '1'; expected true, false or null"),
        (["year>1", "year>2"], "--where has year> twice; expected one of them"),
    ],
)
def test_values_of_another_kind_are_refused(texts, message):
    with pytest.raises(ValueError, match=message):
        where_of(map(typed, texts), KINDS)
