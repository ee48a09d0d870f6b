"""Files of every form -> documents, and what is said of a file that is none."""

import gzip
import io
import json
import sys

import pytest

from minibert.documents import Document, Fields, count_documents, read_documents
from minibert.errors import MissingLibraryError

RECORDS = [
    {"_id": "a", "title": "A title", "text": "a text"},
    {"_id": "b", "title": "", "text": " blank around "},
    {"_id": "c", "title": "", "text": ""},
]
TEXTS = ["A title a text", "blank around", ""]


def written(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def read(path, form=None, **fields):
    return list(read_documents([path], form, Fields(**fields)))


def test_a_line_of_text_is_a_document_without_an_id(tmp_path):
    path = written(tmp_path / "a.txt", "the cat\n\n  dogs \r\nno end")
    texts = ["the cat", "", "  dogs ", "no end"]
    assert read(path) == [
        Document(None, text, f"{path}, line {number}") for number, text in enumerate(texts, 1)
    ]


def test_beir_s_title_and_text_are_joined_by_a_space_and_stripped(tmp_path):
    path = written(tmp_path / "corpus.jsonl", lines(*RECORDS))
    assert [(d.id, d.text) for d in read(path)] == list(zip("abc", TEXTS, strict=True))
    assert [d.origin for d in read(path)] == [f"{path}, line {n}" for n in (1, 2, 3)]


def test_a_folder_is_a_beir_data_set(tmp_path):
    written(tmp_path / "corpus.jsonl", lines(*RECORDS))
    assert [d.id for d in read(str(tmp_path))] == ["a", "b", "c"]


def test_a_folder_without_a_corpus_is_no_input(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"without corpus\.jsonl"):
        read(str(tmp_path))


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


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.gz"])
def test_gzip_is_unpacked(tmp_path, name):
    path = written(tmp_path / name, gzip.compress(lines({"text": "x"}).encode()))
    text = "x" if "jsonl" in name else '{"text": "x"}'
    assert [d.text for d in read(path)] == [text]


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"the cat\n" * 9999)[:-9]])
def test_a_damaged_gzip_file_is_named(tmp_path, content):
    path = written(tmp_path / "a.txt.gz", content)
    with pytest.raises(ValueError, match=r"a\.txt\.gz is no gzip file, or a damaged one"):
        read(path)


def test_a_dash_is_standard_input_in_any_form(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(*RECORDS).encode())))
    assert [d.origin for d in read("-", "jsonl")] == [
        f"standard input, line {n}" for n in (1, 2, 3)
    ]
    assert not sys.stdin.closed


def test_several_files_follow_one_another_and_the_form_is_each_one_s_own(tmp_path):
    first = written(tmp_path / "a.txt", "one\n")
    second = written(tmp_path / "b.csv", "text\ntwo\n")
    assert [d.text for d in read_documents([first, second, first])] == ["one", "two", "one"]
    assert [d.text for d in read_documents([second], "text")] == ["text", "two"]


def test_parquet_is_read_in_batches(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = str(tmp_path / "a.parquet")
    names = [f"d{n}" for n in range(3000)]
    table = {"_id": names, "text": [f"text {n}" for n in names], "other": [0] * 3000}
    parquet.write_table(pyarrow.table(table), path)
    found = read(path)
    assert [(d.id, d.text) for d in found] == list(zip(table["_id"], table["text"], strict=True))
    assert found[2999].origin == f"{path}, row 3000"
    assert count_documents([path]) == 3000
    assert [d.text for d in read(path, text=("_id",))] == names
    with pytest.raises(ValueError, match="no field 'body'; it has _id, text, other"):
        read(path, text=("body",))
    with pytest.raises(ValueError, match="is no Parquet file"):
        read(written(tmp_path / "b.parquet", b"PAR1 not"))


def test_without_pyarrow_parquet_is_refused_with_the_way_out(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingLibraryError, match=r"pyarrow, .*pip install '\.\[parquet\]' in a"):
        read(written(tmp_path / "a.parquet", b"PAR1"))


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
    assert "tsv-quoted (--input-format)" in caplog.text
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


def test_only_a_line_feed_ends_a_line_of_any_form(tmp_path):
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh"
    for name, content in (("a.txt", text), ("a.tsv", f"text\n{text}"),
                          ("a.jsonl", json.dumps({"text": text}, ensure_ascii=False))):  # fmt: skip
        assert [d.text for d in read(written(tmp_path / name, content))] == [text]


def test_joined_gzip_files_are_read_to_the_last(tmp_path):
    content = gzip.compress(b"one\n") + gzip.compress(b"two\nthree")
    path = written(tmp_path / "a.txt.gz", content)
    assert [d.text for d in read(path)] == ["one", "two", "three"]
    with pytest.raises(ValueError, match="is no gzip file, or a damaged one, after line 2"):
        read(written(tmp_path / "b.txt.gz", content + b"more"))


@pytest.mark.parametrize("is_closed", [False, True])
def test_standard_input_that_is_not_there_is_no_input(monkeypatch, is_closed):
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    monkeypatch.setattr(sys, "stdin", stream if is_closed else None)
    with pytest.raises(FileNotFoundError, match="Standard input is closed"):
        read_documents(["-"])
    with pytest.raises(FileNotFoundError, match="Standard input is closed"):
        read_documents([])


GOOD = '{"text": "x"}\n'


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", GOOD + '{"text": "x"\n', "line 2 is not JSON: .*Expected an object a line"),
        ("a.jsonl", GOOD + "\n" + "[1]\n", "line 3 holds a list; expected an object"),
        ("a.jsonl", GOOD + '{"body": "x"}\n', "line 2 has no field 'text'; it has body"),
        ("a.jsonl", '{"text": null}\n', "line 1: text is None; expected a text"),
        ("a.jsonl", '{"text": ["x"]}\n', r"line 1: text is \['x'\]; expected a text"),
        ("a.jsonl", '{"_id": "", "text": "x"}\n', "line 1: _id is ''; expected a text that is"),
        ("a.jsonl", '{"_id": 1.5, "text": "x"}\n', "line 1: _id is 1.5; expected"),
        ("a.jsonl", '{"_id": true, "text": "x"}\n', "line 1: _id is True; expected"),
        ("a.jsonl", GOOD + '{"_id": "1", "text": "x"}\n', "line 2 has an '_id', and what comes"),
        ("a.jsonl", '{"_id": "1", "text": "x"}\n' + GOOD, "line 2 has no field '_id'"),
        ("a.jsonl", b'{"text": "\xff"}\n', "line 1 is not UTF-8"),
        ("a.csv", "id,text\n1,a\n2\n", "line 3 has 1 fields; the header has 2: id, text"),
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
        ("a.csv", b"id,text\n1,a\0b\n", "line 2 holds a NUL byte"),
        ("a.csv", "id,text\n,a\n", "line 2: id is ''; expected a text that is not empty"),
        ("a.tsv", "id\ttext\n1\ta\n2\n", "line 3 has 1 fields; the header has 2: .*tsv-quoted"),
        ("a.tsv", 'id\ttext\n1\t"a\nb"\n', "line 3 has 1 fields; the header has 2: .*tsv-quoted"),
        ("a.tsv", 'id\ttext\n1\t"a\tb"\n', "line 2 has 3 fields; the header has 2: .*tsv-quoted"),
        ("a.tsv", '"id"\t"text"\n1\ta\n', "line 1: all names of the header stand in quotes.*tsv-q"),
        ("a.tsv", "id\ttext\r1\ta\r2\tb\r", "line 1: the header holds a carriage return"),
        ("a.tsv", "id\ttext\n1\ta\r2\tb\n", "line 2 has 3 fields"),
        ("a.txt", "the cat".encode("utf-16-le"), "line 1 holds a NUL byte.*is it UTF-16"),
        ("a.txt", "the cat".encode("utf-16"), "line 1 is not UTF-8.*It is UTF-16: save it as"),
        ("a.csv", b"\xfe\xff\0i\0d", "line 1 is not UTF-8.*It is UTF-16: save it as"),
        ("a.txt", gzip.compress(b"a"), "line 1 is not UTF-8.*unpack it, or let its name end"),
        (
            "a.jsonl",
            GOOD + r'{"text": "\ud83d\ude00 \ud800"}',
            "line 2 has a lone surrogate, '.ud800'",
        ),
        ("a.jsonl", r'{"_id": "\udc80", "text": "x"}', "line 1 has a lone surrogate"),
        ("a.jsonl", '{"text": "a", "text": "b"}\n', "line 1 has two fields 'text'"),
        ("a.jsonl", GOOD + '{"_id": 1, "_id": 2, "text": "b"}\n', "line 2 has two fields '_id'"),
        (
            "a.doc",
            "x\n",
            "tells no format by its suffix. Give --input-format: text, jsonl, csv, tsv",
        ),
    ],
)
def test_what_cannot_be_read_is_told_with_its_line(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message) as refused:
        read(written(tmp_path / name, content))
    assert str(tmp_path / name) in str(refused.value)


def test_an_id_field_that_is_asked_for_must_be_there(tmp_path):
    path = written(tmp_path / "a.jsonl", GOOD)
    with pytest.raises(ValueError, match="line 1 has no field 'key'; it has text"):
        read(path, id="key")


def test_a_nul_that_json_or_parquet_writes_is_kept(tmp_path):
    """It is a character to them, which a tokenizer leaves out as it does all that control."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"text": ["b\0c"]}), tmp_path / "a.parquet")
    written(tmp_path / "a.jsonl", rb'{"text": "b\u0000c"}')
    for name in ("a.parquet", "a.jsonl"):
        (document,) = read(str(tmp_path / name))
        assert document.text == "b\0c"


def test_a_path_and_a_suffix_in_capitals_are_read_as_well(tmp_path):
    written(tmp_path / "A.TSV.GZ", gzip.compress(b"id\ttext\n1\tx\n"))
    (document,) = read_documents([tmp_path / "A.TSV.GZ"])
    assert document == Document("1", "x", f"{tmp_path / 'A.TSV.GZ'}, line 2")
    assert count_documents([str(tmp_path / "A.TSV.GZ")]) is None
    with pytest.raises(TypeError, match="is one file"):
        read_documents(tmp_path / "A.TSV.GZ")


def test_text_has_no_fields_to_name(tmp_path):
    with pytest.raises(ValueError, match="text has no fields"):
        read(written(tmp_path / "a.txt", "x\n"), id="key")


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
    with pytest.raises(ValueError, match="format is 'xml'; expected one of text, jsonl"):
        read(written(tmp_path / "a.txt", "x\n"), "xml")
