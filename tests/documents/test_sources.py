"""Names -> files, and standard input where it is there."""

import gzip
import io
import sys

import pytest
from document_files import RECORDS, lines, read, written

from minibert.documents import Document, count_documents, read_documents


def test_a_folder_is_a_beir_data_set(tmp_path):
    written(tmp_path / "corpus.jsonl", lines(*RECORDS))
    assert [d.id for d in read(str(tmp_path))] == ["a", "b", "c"]


def test_a_folder_without_a_corpus_is_no_input(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"without corpus\.jsonl"):
        read(str(tmp_path))


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.txt.gz"])
def test_gzip_is_unpacked(tmp_path, name):
    path = written(tmp_path / name, gzip.compress(lines({"text": "x"}).encode()))
    text = "x" if "jsonl" in name else '{"text": "x"}'
    assert [d.text for d in read(path)] == [text]


def test_a_dash_is_standard_input_in_any_form(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(lines(*RECORDS).encode())))
    assert [d.origin for d in read("-", "jsonl")] == [
        f"standard input, line {n}" for n in (1, 2, 3)
    ]
    assert not sys.stdin.closed


@pytest.mark.parametrize("is_closed", [False, True])
def test_standard_input_that_is_not_there_is_no_input(monkeypatch, is_closed):
    stream = io.TextIOWrapper(io.BytesIO())
    stream.close()
    monkeypatch.setattr(sys, "stdin", stream if is_closed else None)
    with pytest.raises(FileNotFoundError, match="Standard input is closed"):
        read_documents(["-"])
    with pytest.raises(FileNotFoundError, match="Standard input is closed"):
        read_documents([])


def test_a_path_and_a_suffix_in_capitals_are_read_as_well(tmp_path):
    written(tmp_path / "A.TSV.GZ", gzip.compress(b"id\ttext\n1\tx\n"))
    (document,) = read_documents([tmp_path / "A.TSV.GZ"])
    assert document == Document("1", "x", f"{tmp_path / 'A.TSV.GZ'}, line 2")
    assert count_documents([str(tmp_path / "A.TSV.GZ")]) is None
    with pytest.raises(TypeError, match="is one file"):
        read_documents(tmp_path / "A.TSV.GZ")
