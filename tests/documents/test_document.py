"""The fields of a record -> a document, or an error that names the field."""

import pytest
from document_files import GOOD, RECORDS, assert_refused, lines, read, written

from minibert.documents import Document

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
