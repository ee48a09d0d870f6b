"""CSV and TSV -> documents, and a word where a quote may have swallowed rows."""

import pytest
from document_files import assert_refused, read, written

from minibert.documents import Document


@pytest.mark.parametrize(
    ("name", "form", "delimiter"), [("a.csv", None, ","), ("a.tsv", "tsv-quoted", "\t")]
)
def test_rows_under_a_header_are_documents(tmp_path, name, form, delimiter):
    rows = [["id", "text"], ["1", f'"a{delimiter} ""b""\nsecond line"'], ["2", "é"]]
    path = written(tmp_path / name, "\ufeff" + "\n".join(map(delimiter.join, rows)) + "\n")
    assert read(path, form) == [
        Document("1", f'a{delimiter} "b"\nsecond line', f"{path}, line 2"),
        Document("2", "é", f"{path}, line 4"),
    ]


def test_a_field_may_be_longer_than_the_csv_module_s_limit(tmp_path):
    path = written(tmp_path / "a.csv", "text\n" + "x" * 200_000 + "\n")
    assert [len(d.text) for d in read(path)] == [200_000]


def test_a_tsv_has_no_quotes_and_loses_no_row(tmp_path, caplog):
    texts = ['"Hello there”', "Second.", 'He said hi."', 'last\r inside "', '"all"', " ", '""']
    content = "".join(f"{number}\t{text}\n" for number, text in enumerate(texts, 1))
    path = written(tmp_path / "a.tsv", f"id\ttext\n\n{content}".removesuffix("\n"))
    assert [(d.id, d.text) for d in read(path)] == [
        (str(number), text.strip()) for number, text in enumerate(texts, 1)
    ]
    assert [d.origin for d in read(path)][:2] == [f"{path}, line 3", f"{path}, line 4"]
    assert not caplog.messages


def test_doubled_quotes_in_a_tsv_are_said_once_and_kept(tmp_path, caplog):
    path = written(tmp_path / "a.tsv", 'text\n"say ""a"""\n"say ""b"""\n')
    assert [d.text for d in read(path)] == ['"say ""a"""', '"say ""b"""']
    assert [message.partition(" has a field")[0] for message in caplog.messages] == [
        f"{path}, line 2"
    ]
    assert "--input-format tsv-quoted" in caplog.text
    assert [d.text for d in read(path, "tsv-quoted")] == ['say "a"', 'say "b"']


def test_a_quote_that_may_have_swallowed_rows_is_told(tmp_path, caplog):
    rows = 'd1,"Hello there”\nd2,Second.\nd3,He said hi."\nd4,"two\nlines, not rows"\n'
    path = written(tmp_path / "a.csv", f"id,text\n{rows}")
    assert [d.id for d in read(path)] == ["d1", "d4"]
    (message,) = caplog.messages
    assert message.startswith(f"{path}, line 2: a quote that opens there")
    assert "'d2,Second.'" in message


def test_columns_behind_the_quote_hide_no_swallowed_row(tmp_path, caplog):
    path = written(tmp_path / "a.csv", 'id,text,lang\n1,"Hello”,en\n2,hi.",en\n3,"a\nb, c",en\n')
    assert [d.id for d in read(path)] == ["1", "3"]
    (message,) = caplog.messages
    assert "'2,hi.'" in message


def test_quotes_and_ends_of_lines_within_a_field_are_kept(tmp_path):
    content = b'id,text\n1,He said "hi" to her\n2,"a\r\nb\rc\xe2\x80\xa8d\xc2\x85e"\r\n3,last'
    path = written(tmp_path / "a.csv", content)
    assert [d.text for d in read(path)] == [
        'He said "hi" to her', "a\r\nb\rc\u2028d\x85e", "last"
    ]  # fmt: skip


@pytest.mark.parametrize("name", ["a.csv", "a.tsv"])
def test_a_blank_line_of_one_column_is_an_empty_text(tmp_path, name):
    path = written(tmp_path / name, "\ntext\na\n\ntext\n")
    assert [d.text for d in read(path)] == ["a", "", "text"]


def test_a_column_without_a_name_is_no_text(tmp_path):
    path = written(tmp_path / "a.csv", ",text\n0,a\n")  # as pandas writes its index
    assert [(d.id, d.text) for d in read(path)] == [(None, "a")]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "id,text\n1,a\n2\n", "line 3 has 1 field; the header has 2: id, text"),
        ("a.csv", 'id,text\n1,"a"b\n', "line 2 is no row: .*Expected fields between ','"),
        ("a.csv", 'id,text\n1,"a\n', "line 2 is no row: unexpected end of data"),
        (
            "a.csv",
            "id,body\n1,a\n",
            "line 1 has no field 'text'; it has id, body. Expected _id, .*--text-field",
        ),
        ("a.csv", "1,the cat\n", "line 1 has no field 'text'; it has 1, the cat. Expected _id, "),
        ("a.tsv", "1\tthe cat\n", "line 1 has no field 'text'; it has 1, the cat. Expected _id, "),
        ("a.csv", "text,text\na,b\n", "line 1: the header names 'text' twice"),
        ("a.csv", "id,text\n1,a\nid,text\n2,b\n", "line 3 is the header once more"),
        ("a.csv", "id,text\r1,a\r2,b\r", "line 1 is no row: new-line character"),
        ("a.csv", "id,text\n,a\n", "line 2: id is ''; expected a text that is not empty"),
        ("a.tsv", "id\ttext\n1\ta\n2\n", "line 3 has 1 field; the header has 2: .*tsv-quoted"),
        ("a.tsv", 'id\ttext\n1\t"a\nb"\n', "line 3 has 1 field; the header has 2: .*tsv-quoted"),
        ("a.tsv", 'id\ttext\n1\t"a\tb"\n', "line 2 has 3 fields; the header has 2: .*tsv-quoted"),
        ("a.tsv", '"id"\t"text"\n1\ta\n', "line 1: all names of the header stand in quotes.*tsv-q"),
        ("a.tsv", "id\ttext\r1\ta\r2\tb\r", "line 1: the header holds a carriage return"),
        ("a.tsv", "id\ttext\n1\ta\r2\tb\n", "line 2 has 3 fields"),
    ],
)
def test_a_row_that_does_not_fit_is_told_with_its_line(tmp_path, name, content, message):
    assert_refused(tmp_path / name, content, message)
