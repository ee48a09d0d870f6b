"""Parquet -> documents."""

import sys

import pytest
from document_files import read, written

from minibert.documents import count_documents
from minibert.errors import MissingLibraryError


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


def test_a_nul_that_json_or_parquet_writes_is_kept(tmp_path):
    """It is a character to them, which a tokenizer leaves out as it does all that control."""
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    parquet.write_table(pyarrow.table({"text": ["b\0c"]}), tmp_path / "a.parquet")
    written(tmp_path / "a.jsonl", rb'{"text": "b\u0000c"}')
    for name in ("a.parquet", "a.jsonl"):
        (document,) = read(str(tmp_path / name))
        assert document.text == "b\0c"
