"""What tests of commands need: a model, and files to read and to replace."""

import gzip
import json

import pyarrow
import pyarrow.parquet
import pytest
from command_line import TEXTS


@pytest.fixture(autouse=True)
def buffered(monkeypatch):
    """Like its users' Python, that of a new process keeps output back until there is enough."""
    monkeypatch.delenv("PYTHONUNBUFFERED", raising=False)


@pytest.fixture
def text_file(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", encoding="utf-8")
    return path


@pytest.fixture
def old_output(tmp_path):
    """A file that an earlier run wrote, alone in its folder."""
    path = tmp_path / "out" / "vectors.npy"
    path.parent.mkdir()
    path.write_bytes(b"what an earlier run wrote")
    return path


@pytest.fixture
def files(tmp_path):
    """The same two records in every form: tmp_path / "a.FORM"; a third column is no text."""
    rows = [["key", "text", "n"], ["d1", 'the "cat"', "1"], ["d2", "Café, 中文", "2"]]
    objects = [dict(zip(rows[0], row, strict=True)) for row in rows[1:]]
    lines = "".join(f"{json.dumps(one)}\n" for one in objects)
    quoted = 'key,text,n\nd1,"the ""cat""",1\nd2,"Café, 中文",2\n'
    contents = {
        "jsonl": lines,
        "csv": quoted,
        "tsv": "".join("\t".join(row) + "\n" for row in rows),
    }
    for form, content in contents.items():
        (tmp_path / f"a.{form}").write_text(content, encoding="utf-8")
        (tmp_path / f"a.{form}.gz").write_bytes(gzip.compress(content.encode()))
    table = {name: [one[name] for one in objects] for name in rows[0]}
    pyarrow.parquet.write_table(pyarrow.table(table), tmp_path / "a.parquet")
    return tmp_path
