"""The forms of files are rows of a table, to which a row can be added from outside."""

from pathlib import Path

from document_files import assert_refused, read, written

from minibert.documents import FORMS, Document, Form, count_documents, read_documents
from minibert.documents.lines import lines_of


def read_fasta(stream, name, fields):
    """A record of a FASTA file: its name behind `>`, and the letters of the lines below."""
    id, letters = "", []
    for number, line in enumerate([*lines_of(stream, name), ">"], start=1):
        if not line.startswith(">"):
            letters.append(line)
            continue
        if letters:
            yield Document(id, "".join(letters), f"{name}, before line {number}")
        id, letters = line[1:], []


def count_records(path):
    return Path(path).read_text(encoding="utf-8").count(">")


def test_a_form_from_outside_is_read_by_suffix_and_by_name(tmp_path, monkeypatch):
    monkeypatch.setitem(FORMS, "fasta", Form(read_fasta, (".fa", ".fasta"), count_records))
    content = ">one\nACGT\nTT\n>two\nGG\n"
    found = [("one", "ACGTTT"), ("two", "GG")]
    for name, form in (("a.fa", None), ("A.FASTA", None), ("a.txt", "fasta")):
        path = written(tmp_path / name, content)
        assert [(one.id, one.text) for one in read(path, form)] == found
        assert count_documents([path], form) == 2


def test_only_a_form_that_may_be_gzipped_is_unpacked(tmp_path, monkeypatch):
    def read_size(stream, name, fields):
        yield Document(None, str(len(stream.read())), name)

    path = written(tmp_path / "a.bin.gz", b"not packed")
    monkeypatch.setitem(FORMS, "bin", Form(read_size, (".bin",), may_be_gzipped=False))
    assert [one.text for one in read_documents([path])] == ["10"]
    assert count_documents([path]) is None


def test_a_suffix_that_no_form_has_is_told(tmp_path):
    message = "has no suffix of a known format. Give --input-format: text, jsonl, csv, tsv"
    assert_refused(tmp_path / "a.doc", "x\n", message)
