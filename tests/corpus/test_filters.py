"""Conditions on fields: the documents that meet them, and conditions that are refused."""

import operator

import numpy as np
import pytest
from corpora import GELU, with_fields

from minibert import SentenceTransformer
from minibert.corpus.building import add, build, delete
from minibert.corpus.corpus import Corpus
from minibert.corpus.filters import matching
from minibert.documents import Document

FIELDS = ("lang", "year", "is_open", "none")


@pytest.fixture(scope="module")
def filtered(tmp_path_factory):
    """A corpus of shards of 7 documents with fields, some deleted; and its documents."""
    folder = tmp_path_factory.mktemp("filtered") / "corpus"
    documents = [
        one._replace(fields={**one.fields, "is_open": [True, False, None][n % 3]})
        for n, one in enumerate(with_fields())
    ]
    documents += [
        Document("e0", "a cat", "here", {"lang": "DE", "year": 2000.0}),
        Document("e1", "a dog", "here", {}),
        Document("e2", "a cat", "here", {"lang": "dé", "year": 1999.5, "none": None}),
        Document("e3", "the dog", "here", {"year": 10**30}),
    ]
    model = SentenceTransformer(GELU)
    build(folder, documents[:-2], model, fields=FIELDS, shard_documents=7)
    add(folder, documents[-2:], model)
    delete(folder, ["d4", "d8", "d33"])
    return Corpus(folder), documents


COMPARE = {">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}


def is_equal(value, wanted):
    """Python takes True for 1."""
    return value == wanted and isinstance(value, bool) == isinstance(wanted, bool)


def holds(value, condition):
    """Whether a condition holds, by its definition."""
    for name, wanted in (condition if isinstance(condition, dict) else {"=": condition}).items():
        if name in COMPARE:
            if value is None or not COMPARE[name](value, wanted):
                return False
        else:
            several = wanted if isinstance(wanted, list | tuple | set) else [wanted]
            if any(is_equal(value, one) for one in several) != (name == "="):
                return False
    return True


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"lang": "de"},
        {"lang": ["de", "fr"]},
        {"lang": {"de"}},
        {"lang": []},
        {"lang": "d"},
        {"lang": "zz"},
        {"lang": None},
        {"lang": {"!=": "de"}},
        {"lang": {"!=": ["de", None]}},
        {"lang": {"!=": []}},
        {"lang": {">": "de"}},
        {"lang": {">=": "de", "<": "en"}},
        {"lang": {"<": ""}},
        {"year": 2000},
        {"year": 2000.0},
        {"year": {">=": 2000, "<": 2010}},
        {"year": {">": 1999.5, "<=": 2000}},
        {"year": {">": 2000.0}},
        {"year": {"<": -1e300}},
        {"year": {">=": 10**30}},
        {"year": {">": float(10**30)}},
        {"year": {"=": [1997, 2004], "!=": 2004}},
        {"is_open": True},
        {"is_open": [False, None]},
        {"none": None},
        {"none": "x"},
        {"none": {"<": 5}},
        {"lang": "fr", "year": {">": 2005}, "is_open": {"!=": True}},
    ],
    ids=str,
)
def test_the_documents_that_meet_the_conditions_are_found(filtered, where):
    corpus, documents = filtered
    expected = [
        number
        for number, one in enumerate(documents)
        if one.id not in ("d4", "d8", "d33")
        and all(holds(one.fields.get(name), wanted) for name, wanted in where.items())
    ]
    found = matching(corpus, where)
    assert found.tolist() == expected
    assert found.dtype == np.int64


def test_values_of_numpy_are_those_of_python(filtered):
    corpus, _ = filtered
    expected = matching(corpus, {"year": [1997, 2004]}).tolist()
    assert expected
    assert matching(corpus, {"year": np.array([1997, 2004])}).tolist() == expected
    assert matching(corpus, {"year": [np.int64(1997), np.float32(2004)]}).tolist() == expected


@pytest.mark.parametrize(
    ("where", "error", "message"),
    [
        ("lang=de", TypeError, r'where is a str; expected a dict of fields, as \{"lang": "de"\}'),
        ({"lnag": "de"}, ValueError, "names 'lnag', which the corpus lacks: it has lang, year, is"),
        ({"lang": {}}, ValueError, "has no condition for 'lang'; expected a value"),
        ({"lang": {"==": "de"}}, ValueError, "operator '==' for 'lang'; expected one of =, !=, >"),
        ({"lang": {"in": ["de"]}}, ValueError, "operator 'in' for 'lang'"),
        ({"year": "2000"}, ValueError, "asks for '2000' in 'year', and the corpus has numbers"),
        ({"year": True}, ValueError, "asks for True in 'year', and the corpus has numbers"),
        ({"lang": ["de", 5]}, ValueError, "asks for 5 in 'lang', and the corpus has texts there"),
        ({"is_open": 1}, ValueError, "asks for 1 in 'is_open', and the corpus has true or false"),
        ({"lang": {">": 5}}, ValueError, "asks for 5 in 'lang'"),
        ({"year": {">": None}}, ValueError, "'year' by > with None; expected a number or a text"),
        ({"is_open": {">": False}}, ValueError, "'is_open' by > with False; expected a number"),
        ({"year": {"<": [5]}}, ValueError, r"'year' by < with \[5\]; expected a number"),
        ({"year": float("nan")}, ValueError, "where: year is nan; expected a finite number"),
        ({"lang": b"de"}, ValueError, "where: lang is b'de'; expected a text, .* it is a bytes"),
        ({"lang": "\ud800"}, ValueError, "where: lang is .* lone surrogate"),
    ],
    ids=str,
)
def test_conditions_that_cannot_be_met_are_refused(filtered, where, error, message):
    with pytest.raises(error, match=message):
        matching(filtered[0], where)


def test_a_corpus_without_fields_says_so(corpus):
    with pytest.raises(ValueError, match="which the corpus lacks: it was built without fields"):
        matching(Corpus(corpus), {"lang": "de"})
