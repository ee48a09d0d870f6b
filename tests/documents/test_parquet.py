"""Parquet -> documents."""

import sys
from datetime import date, datetime

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


def test_fields_of_a_row_are_kept_and_dates_become_texts(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    columns = {
        "text": ["a", "b"],
        "year": pyarrow.array([1990, None], pyarrow.int16()),
        "price": pyarrow.array([0.5, 2.0], pyarrow.float32()),
        "day": pyarrow.array([date(2020, 2, 29), None]),
        "at": pyarrow.array([datetime(2020, 2, 29, 12, 30), None], pyarrow.timestamp("us", "UTC")),
        "tags": [["x"], []],
    }
    path = str(tmp_path / "a.parquet")
    parquet.write_table(pyarrow.table(columns), path)
    first, second = read(path, kept=("year", "price", "day", "at"))
    assert first.fields == {
        "year": 1990, "price": 0.5, "day": "2020-02-29", "at": "2020-02-29T12:30:00+00:00",
    }  # fmt: skip
    assert second.fields == {"year": None, "price": 2.0, "day": None, "at": None}
    with pytest.raises(ValueError, match=r"row 1: tags is \['x'\]; expected a text"):
        read(path, kept=("tags",))
