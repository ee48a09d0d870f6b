"""The fields of a record -> a document, or an error that names the field."""

from datetime import date, datetime, time

import numpy as np
import pytest
from document_files import GOOD, RECORDS, assert_refused, lines, read, written

from minibert.documents import Document, Fields, read_documents, scalar_of

TEXTS = ["A title a text", "blank around", ""]


def test_title_and_text_are_joined_by_a_space_and_stripped(tmp_path):
    path = written(tmp_path / "corpus.jsonl", lines(*RECORDS))
    assert [(d.id, d.text) for d in read(path)] == list(zip("abc", TEXTS, strict=True))
    assert [d.origin for d in read(path)] == [f"{path}, line {n}" for n in (1, 2, 3)]


@pytest.mark.parametrize("title", [None, 1])
def test_a_title_may_be_absent_but_is_a_text(tmp_path, title):
    path = written(tmp_path / "a.jsonl", lines({"title": title, "text": "x"}))
    if title is None:
        assert read(path) == [Document(None, "x", f"{path}, line 1")]
    else:
        with pytest.raises(ValueError, match="line 1: title is 1; expected a text"):
            read(path)


def test_named_fields_are_joined_in_the_order_given(tmp_path):
    path = written(tmp_path / "a.jsonl", lines({"key": 7, "body": "b", "head": "h", "text": "no"}))
    [document] = read(path, id="key", text=("head", "body"))
    assert (document.id, document.text) == ("7", "h b")


def test_an_id_field_that_is_asked_for_must_be_there(tmp_path):
    path = written(tmp_path / "a.jsonl", GOOD)
    with pytest.raises(ValueError, match="line 1 has no field 'key'; it has text"):
        read(path, id="key")


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", GOOD + '{"body": "x"}\n', "line 2 has no field 'text'; it has body"),
        ("a.jsonl", '{"text": null}\n', "line 1: text is None; expected a text"),
        ("a.jsonl", '{"text": ["x"]}\n', r"line 1: text is \['x'\]; expected a text"),
        ("a.jsonl", '{"_id": "", "text": "x"}\n', "line 1: _id is ''; expected a text that is"),
        ("a.jsonl", '{"_id": 1.5, "text": "x"}\n', "line 1: _id is 1.5; expected"),
        ("a.jsonl", '{"_id": true, "text": "x"}\n', "line 1: _id is True; expected"),
        ("a.jsonl", GOOD + '{"_id": "1", "text": "x"}\n', "line 2 has an '_id', but no record"),
        ("a.jsonl", '{"_id": "1", "text": "x"}\n' + GOOD, "line 2 has no field '_id'"),
    ],
)
def test_a_record_that_is_no_document_is_told_with_its_line(tmp_path, name, content, message):
    assert_refused(tmp_path / name, content, message)


def kept(tmp_path, name, content, *fields, numbers=()):
    path = written(tmp_path / name, content)
    return [document.fields for document in read(path, kept=fields, numbers=numbers)]


def test_fields_are_kept_beside_the_text_as_the_record_has_them(tmp_path):
    values = {"a": "x ", "b": 5, "c": -2.5, "d": False, "e": None}
    records = lines({"text": "t", **values, "other": [1]}, {"text": "t", "c": 10**20})
    found = kept(tmp_path, "a.jsonl", records, *"eabcd")
    assert found[0] == values
    assert list(found[0]) == [*"eabcd"]
    assert found[0]["d"] is False
    assert found[1] == {"a": None, "b": None, "c": 10**20, "d": None, "e": None}
    assert kept(tmp_path, "a.jsonl", records) == [None, None]
    assert kept(tmp_path, "a.jsonl", records, "text") == [{"text": "t"}, {"text": "t"}]


def test_a_field_of_a_table_is_a_text_unless_it_is_a_number(tmp_path):
    table = "id,text,n,code\n1,a,5,007\n2,b, -2.50 ,\n3,c,,x\n4,d,1e3,5\n5,e,+.5,5\n"
    expected = [{"n": "5", "code": "007"}, {"n": " -2.50 ", "code": ""}, {"n": "", "code": "x"}]
    assert kept(tmp_path, "a.csv", table, "n", "code")[:3] == expected
    found = kept(tmp_path, "a.csv", table, "n", "code", numbers=("n",))
    assert [one["n"] for one in found] == [5, -2.5, None, 1000.0, 0.5]
    assert [type(one["n"]) for one in found] == [int, float, type(None), float, float]
    assert [one["code"] for one in found] == ["007", "", "x", "5", "5"]
    assert kept(tmp_path, "a.tsv", "text\tn\na\t12\n", "n", numbers=("n",)) == [{"n": 12}]
    assert kept(tmp_path, "a.jsonl", lines({"text": "t", "n": "12"}), "n", numbers=("n",)) == [
        {"n": 12}
    ]


@pytest.mark.parametrize(
    "text", ["five", "1_000", "1,5", "0x10", "nan", "inf", "1e999", "5 6", "\u0665", "9" * 5000]
)
def test_a_text_that_is_no_number_is_told_with_its_line(tmp_path, text):
    with pytest.raises(ValueError, match=r"line 2: n is '.*; expected a number, or nothing"):
        kept(tmp_path, "a.tsv", f"text\tn\na\t{text}\n", "n", numbers=("n",))


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ('["x"]', r"line 1: n is \['x'\]; expected a text, a number, .* it is a list"),
        ('{"a": 1}', "line 1: n is {'a': 1}; expected a text, a number, .* it is a dict"),
        ("NaN", "line 1: n is nan; expected a finite number, or null"),
        ("-Infinity", "line 1: n is -inf; expected a finite number, or null"),
        ('"\\ud800"', "line 1: n is .* lone surrogate"),
    ],
)
def test_a_value_that_no_field_can_have_is_refused(tmp_path, value, message):
    with pytest.raises(ValueError, match=message):
        kept(tmp_path, "a.jsonl", f'{{"text": "t", "n": {value}}}\n', "n")


def test_a_table_must_have_the_columns_to_keep(tmp_path):
    with pytest.raises(ValueError, match=r"line 1 has no field 'm'; it has text, n.*--fields name"):
        kept(tmp_path, "a.csv", "text,n\na,1\n", "n", "m")


def test_a_field_that_no_record_has_is_told(tmp_path, caplog):
    path = written(tmp_path / "a.jsonl", lines({"text": "a"}, {"text": "b", "m": None}))
    assert [one.fields for one in read(path, kept=("n", "m"))] == [{"n": None, "m": None}] * 2
    assert caplog.messages == [f"{path}: no document has the field 'n', so it is null in all."]


def test_plain_text_has_no_fields_to_keep(tmp_path):
    with pytest.raises(ValueError, match="text has no fields"):
        kept(tmp_path, "a.txt", "a line", "n")


def test_a_number_of_numpy_is_one_of_python():
    for given, expected in [(np.int64(3), 3), (np.float32(0.5), 0.5), (np.bool_(True), True)]:
        found = scalar_of(given, "a", "origin")
        assert (type(found), found) == (type(expected), expected)
    for given in (np.datetime64("2020-01-01", "ns"), np.timedelta64(3, "ns"), np.float64("nan")):
        with pytest.raises(ValueError, match=r"origin: a is .*; expected a"):
            scalar_of(given, "a", "origin")


def test_a_field_of_a_table_may_be_true_or_false(tmp_path):
    content = "text,ok\na,true\nb, False\nc,\nd,TRUE\n"
    path = written(tmp_path / "a.csv", content)
    found = [one.fields["ok"] for one in read(path, kept=("ok",), flags=("ok",))]
    assert found == [True, False, None, True]
    path = written(tmp_path / "a.csv", "text,ok\na,yes\n")
    with pytest.raises(ValueError, match="line 2: ok is 'yes'; expected true, false, or nothing"):
        read(path, kept=("ok",), flags=("ok",))


def test_fields_may_be_given_as_their_names(tmp_path):
    path = written(tmp_path / "a.jsonl", lines({"text": "t", "a": 1, "b": 2}))
    [document] = read_documents([path], fields=["b"])
    assert document == Document(None, "t", f"{path}, line 1", {"b": 2})


@pytest.mark.parametrize(
    ("fields", "error", "message"),
    [
        (Fields(kept=("lang", "year"), numbers=("yaer",)), ValueError,
         "numbers has 'yaer', which is not kept; expected names among lang, year"),
        (Fields(flags=("ok",)), ValueError, "flags has 'ok', which is not kept"),
        (Fields(None, (), ("a",), ("a",), ("a",)), ValueError, "numbers and flags both have 'a'"),
        (Fields(kept="lang"), TypeError, "kept is one text, 'lang'"),
        (Fields(text="body"), TypeError, "text is one text, 'body'"),
        ("lang", TypeError, "fields is one text, 'lang'"),
        (["lang", "lang"], ValueError, "fields has 'lang'; expected names .* each of them once"),
    ],
)  # fmt: skip
def test_fields_that_contradict_themselves_are_refused(tmp_path, fields, error, message):
    path = written(tmp_path / "a.jsonl", GOOD)
    with pytest.raises(error, match=message):
        read_documents([path], fields=fields)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (date(2020, 2, 29), "2020-02-29"),
        (datetime(2020, 2, 29, 5, 6), "2020-02-29T05:06:00"),
        (time(5, 6), "05:06:00"),
    ],
)
def test_a_date_or_time_of_python_becomes_a_text(value, text):
    assert scalar_of(value, "day", "here") == text


class NotATime(datetime):
    """As pandas' NaT: a time by its class, which differs from itself."""

    __hash__ = None

    def __eq__(self, other):
        return False


def test_a_missing_value_of_a_table_is_told_to_be_none():
    with pytest.raises(ValueError, match=r"n is nan; .* or null \(in Python None\) for no value"):
        scalar_of(float("nan"), "n", "here")
    with pytest.raises(ValueError, match=r"or null \(in Python None\), and it is a NotATime"):
        scalar_of(NotATime(2020, 1, 1), "n", "here")
