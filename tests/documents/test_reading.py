"""Files of every form -> documents, one file after another."""

import pytest
from document_files import read, written

from minibert.documents import FORMS, Form, Record, count_documents, read_documents, read_records


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


@pytest.mark.parametrize(
    ("name", "form", "content", "second"),
    [
        ("a.jsonl", None, '{"a": 1, "b": [null]}\n\n{"c": "\\ud800"}\n', {"c": "\ud800"}),
        ("a.csv", None, 'a,b\n1,"x\ny"\n2,\n', {"a": "2", "b": ""}),
        ("a.tsv", None, 'a\tb\n1\tx\n"2"\t \n', {"a": '"2"', "b": " "}),
        ("a.csv", "tsv-quoted", 'a\tb\n1\tx\n"2"\t \n', {"a": "2", "b": " "}),
    ],
)
def test_records_have_all_fields_as_the_form_has_them(tmp_path, name, form, content, second):
    path = written(tmp_path / name, content)
    records = list(read_records(path, form))
    assert len(records) == 2
    assert records[1].values == second
    assert records[1].origin == f"{path}, line {4 if 'y' in content else 3}"


def test_records_of_parquet_have_all_columns(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(
        pyarrow.table({"b": [[1.5], None], "a": ["x", "y"]}), tmp_path / "a.parquet"
    )
    path = str(tmp_path / "a.parquet")
    assert list(read_records(path)) == [
        Record({"b": [1.5], "a": "x"}, f"{path}, row 1"),
        Record({"b": None, "a": "y"}, f"{path}, row 2"),
    ]
    twice = pyarrow.table([["x"], ["y"]], names=["a", "a"])
    parquet.write_table(twice, tmp_path / "twice.parquet")
    with pytest.raises(ValueError, match=r"twice\.parquet has two columns 'a'; expected one"):
        list(read_records(tmp_path / "twice.parquet"))


def test_a_form_without_named_fields_has_no_records(tmp_path, monkeypatch):
    message = (
        r"no suffix of a form .*\. Give form= .*, one of jsonl, csv, tsv, tsv-quoted, parquet\."
    )
    for name in ("a.txt", "a.doc", "-"):
        with pytest.raises(ValueError, match=message):
            read_records(name if name == "-" else written(tmp_path / name, "x\n"))
    with pytest.raises(ValueError, match=r"form is 'text'; expected one of 'jsonl', 'csv', 'tsv'"):
        read_records(written(tmp_path / "a.txt", "x\n"), "text")
    monkeypatch.setitem(
        FORMS,
        "pair",
        Form(read, (".pair",), records=lambda _, name: iter([Record({"a": 1}, name)])),
    )
    path = written(tmp_path / "a.pair", "")
    assert list(read_records(path)) == [Record({"a": 1}, path)]
