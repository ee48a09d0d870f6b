"""Bytes -> lines of text, and an error that names the line."""

import gzip
import json

import pytest
from document_files import assert_refused, read, written


@pytest.mark.parametrize("content", [b"no gzip", gzip.compress(b"the cat\n" * 9999)[:-9]])
def test_a_damaged_gzip_file_is_named(tmp_path, content):
    path = written(tmp_path / "a.txt.gz", content)
    with pytest.raises(ValueError, match=r"a\.txt\.gz is no gzip file, or a damaged one"):
        read(path)


def test_joined_gzip_files_are_read_to_the_last(tmp_path):
    content = gzip.compress(b"one\n") + gzip.compress(b"two\nthree")
    path = written(tmp_path / "a.txt.gz", content)
    assert [d.text for d in read(path)] == ["one", "two", "three"]
    with pytest.raises(ValueError, match="is no gzip file, or a damaged one, after line 2"):
        read(written(tmp_path / "b.txt.gz", content + b"more"))


def test_only_a_line_feed_ends_a_line_of_any_form(tmp_path):
    text = "a\x0bb\x0cc\x1cd\x85e\u2028f\u2029g\rh"
    for name, content in (("a.txt", text), ("a.tsv", f"text\n{text}"),
                          ("a.jsonl", json.dumps({"text": text}, ensure_ascii=False))):  # fmt: skip
        assert [d.text for d in read(written(tmp_path / name, content))] == [text]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", b'{"text": "\xff"}\n', "line 1 is not UTF-8"),
        ("a.csv", b"id,text\n1,a\0b\n", "line 2 holds a NUL byte"),
        ("a.txt", "the cat".encode("utf-16-le"), "line 1 holds a NUL byte.*is it UTF-16"),
        ("a.txt", "the cat".encode("utf-16"), "line 1 is not UTF-8.*It is UTF-16: save it as"),
        ("a.csv", b"\xfe\xff\0i\0d", "line 1 is not UTF-8.*It is UTF-16: save it as"),
        ("a.txt", gzip.compress(b"a"), "line 1 is not UTF-8.*unpack it, or let its name end"),
    ],
)
def test_bytes_that_are_no_text_are_told_with_their_line(tmp_path, name, content, message):
    assert_refused(tmp_path / name, content, message)
