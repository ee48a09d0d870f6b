"""Files of documents for tests: written, read, and refused."""

import json

import pytest

from minibert.documents import Fields, read_documents

RECORDS = [
    {"_id": "a", "title": "A title", "text": "a text"},
    {"_id": "b", "title": "", "text": " blank around "},
    {"_id": "c", "title": "", "text": ""},
]
GOOD = '{"text": "x"}\n'


def written(path, content):
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return str(path)


def lines(*records):
    return "".join(json.dumps(record) + "\n" for record in records)


def read(path, form=None, **fields):
    return list(read_documents([path], form, fields=Fields(**fields)))


def assert_refused(path, content, message):
    """A file that cannot be read is told of by its name and what is wrong in it."""
    with pytest.raises(ValueError, match=message) as refused:
        read(written(path, content))
    assert str(path) in str(refused.value)
