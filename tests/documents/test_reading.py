"""Files of every form -> documents, one file after another."""

import pytest
from document_files import read, written

from minibert.documents import count_documents, read_documents


def test_several_files_are_read_in_order_each_in_its_own_form(tmp_path):
    first = written(tmp_path / "a.txt", "one\n")
    second = written(tmp_path / "b.csv", "text\ntwo\n")
    assert [d.text for d in read_documents([first, second, first])] == ["one", "two", "one"]
    assert [d.text for d in read_documents([second], "text")] == ["text", "two"]


@pytest.mark.parametrize("text", ['{"text": "x"}', "{not json}", "{} and more", "[1]"])
def test_json_that_is_read_as_text_is_told_unless_asked_for(tmp_path, caplog, text):
    path = written(tmp_path / "a.txt", f'{text}\n{{"text": "y"}}\n')
    assert [d.text for d in read(path, "text")] == [text, '{"text": "y"}']
    assert not caplog.messages
    assert [d.text for d in read(path)] == [text, '{"text": "y"}']
    expected = f"{path}, line 1 is a JSON object, and is read as a text; "
    assert [message.startswith(expected) for message in caplog.messages] == (
        [True] if text.endswith('"x"}') else []
    )


def test_a_missing_file_is_told_before_the_first_is_read(tmp_path):
    with pytest.raises(FileNotFoundError, match="There is no file"):
        read_documents([written(tmp_path / "a.txt", "x\n"), str(tmp_path / "b.txt")])


@pytest.mark.parametrize(
    ("name", "content", "count"),
    [("a.txt", "a\nb", 2), ("a.txt", "a\nb\n", 2), ("a.txt", "", 0), ("a.csv", "text\na\n", None)],
)
def test_documents_are_counted_where_lines_tell(tmp_path, name, content, count):
    path = written(tmp_path / name, content)
    assert count_documents([path]) == count
    assert count_documents([path, "-"]) is None


def test_an_unknown_form_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"^form is 'xml'; expected one of 'text', 'jsonl'"):
        read(written(tmp_path / "a.txt", "x\n"), "xml")
