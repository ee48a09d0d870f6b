"""JSON Lines -> documents, and an error for a line that is no object."""

import pytest
from document_files import GOOD, assert_refused


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "a.jsonl",
            GOOD + '{"text": "x"\n',
            "line 2 is not JSON: .*Expected one object on each line",
        ),
        ("a.jsonl", GOOD + "\n" + "[1]\n", "line 3 holds a list; expected an object"),
        (
            "a.jsonl",
            GOOD + r'{"text": "\ud83d\ude00 \ud800"}',
            "line 2 has a lone surrogate, '.ud800'",
        ),
        ("a.jsonl", r'{"_id": "\udc80", "text": "x"}', "line 1 has a lone surrogate"),
        ("a.jsonl", '{"text": "a", "text": "b"}\n', "line 1 has two fields 'text'"),
        ("a.jsonl", GOOD + '{"_id": 1, "_id": 2, "text": "b"}\n', "line 2 has two fields '_id'"),
    ],
)
def test_a_line_that_is_no_object_is_told(tmp_path, name, content, message):
    assert_refused(tmp_path / name, content, message)
