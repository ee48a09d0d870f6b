"""Plain text -> documents: a line each."""

import pytest
from document_files import read, written

from minibert.documents import Document


def test_a_line_of_text_is_a_document_without_an_id(tmp_path):
    path = written(tmp_path / "a.txt", "the cat\n\n  dogs \r\nno end")
    texts = ["the cat", "", "  dogs ", "no end"]
    assert read(path) == [
        Document(None, text, f"{path}, line {number}") for number, text in enumerate(texts, 1)
    ]


def test_text_has_no_fields_to_name(tmp_path):
    with pytest.raises(ValueError, match="text has no fields"):
        read(written(tmp_path / "a.txt", "x\n"), id="key")
