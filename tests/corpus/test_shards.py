"""Shards: damaged ones are refused when a corpus is opened, and ids of one hash told apart."""

import io
import json
import re

import numpy as np
import pytest
from corpora import SMALL, documents, header, npy, rewritten, with_fields, wrong

from minibert.corpus import shards
from minibert.corpus.building import add, build
from minibert.corpus.corpus import Corpus
from minibert.documents.reading import Document
from minibert.errors import CorpusError


def test_ids_with_one_hash_are_told_apart(corpus_folder, model, monkeypatch):
    monkeypatch.setattr(shards, "hashes_of", lambda ids: np.zeros(len(list(ids)), np.uint64))
    monkeypatch.setattr("minibert.corpus.corpus.hashes_of", shards.hashes_of)
    build(corpus_folder, documents(), model, **SMALL)
    assert Corpus(corpus_folder).numbers(["d4", "d1", "x"]) == {"d4": 4, "d1": 1}
    with pytest.raises(CorpusError, match="the id 'd6' is also"):
        add(corpus_folder, [Document("d6", "x", "list")], model)


PICKLED = io.BytesIO()
np.save(PICKLED, np.full((3, 20), None), allow_pickle=True)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        (
            "vectors.npy",
            npy(np.zeros((3, 19), np.float32)),
            r"holds \(3, 19\) of float32; expected \(3, 20\)",
        ),
        ("vectors.npy", npy(np.zeros((2, 20), np.float32)), r"holds \(2, 20\)"),
        ("vectors.npy", npy(np.zeros((3, 20), np.float16)), "of float16; expected"),
        ("vectors.npy", b"not an array", "is no file of NumPy"),
        ("vectors.npy", PICKLED.getvalue(), "is no file of NumPy"),
        ("vectors.npy", b"PK\3\4 as an archive of arrays begins", "is no file of NumPy"),
        ("vectors.npy", header((10**30, 20)), "is no file of NumPy"),
        ("vectors.npy", header((10**12, 20)), "is no file of NumPy"),
        ("vectors.npy", header((-3, 20)), "is no file of NumPy"),
    ],
)
def test_vectors_of_another_shape_are_refused_at_the_door(corpus, name, content, message):
    rewritten(corpus, "00001", name, content)
    with pytest.raises(CorpusError, match=message):
        Corpus(corpus)
    [told] = wrong(corpus)
    assert re.search(message, told)


def test_a_file_of_another_size_is_refused_at_the_door(corpus):
    path = corpus / "shards" / "00001" / "ids.utf8"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CorpusError, match=r"ids.utf8 is of 5 bytes; shard.json says 6"):
        Corpus(corpus)
    path.unlink()
    with pytest.raises(CorpusError, match=r"ids.utf8 is missing"):
        Corpus(corpus)


def test_a_shard_s_description_that_was_edited_is_refused(corpus):
    path = corpus / "shards" / "00001" / "shard.json"
    path.write_text(path.read_text().replace('"empty": 1', '"empty": 0'))
    with pytest.raises(CorpusError, match="the shards' descriptions are not those"):
        Corpus(corpus)
    assert any("was edited" in told for told in wrong(corpus))


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.update(documents="3"),
        lambda content: content.update(documents=-3),
        lambda content: content.update(documents=True),
        lambda content: content.update(cut=1.0),
        lambda content: content["files"].pop("ids.npy"),
        lambda content: content["files"].pop("texts.npy"),
        lambda content: content["files"].update({"ids.npy": 5}),
        lambda content: content["files"]["ids.npy"].pop("sha256"),
        lambda content: content["files"]["ids.npy"].update(bytes="160"),
    ],
)
def test_a_description_of_another_kind_is_refused(corpus, change):
    path = corpus / "shards" / "00001" / "shard.json"
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(CorpusError, match=r"00001/shard.json is missing or damaged: "):
        Corpus(corpus)
    assert any("00001/shard.json is missing or damaged: " in told for told in wrong(corpus))


def test_a_description_leads_nowhere_else(corpus):
    path = corpus / "shards" / "00001" / "shard.json"
    path.write_text(path.read_text().replace("ids.utf8", "../../secret"))
    with pytest.raises(CorpusError, match=r"names '../../secret', which no shard has"):
        Corpus(corpus)


@pytest.fixture
def shards_with_fields(corpus_folder, model):
    """A corpus of three shards of three documents, with two fields."""
    build(corpus_folder, with_fields()[:9], model, fields=("lang", "year"), **SMALL)
    return corpus_folder


def codes(*rows):
    return npy(np.array(rows, dtype=np.int32))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("fields.npy", codes([0, 1, 1]), r"holds \(1, 3\) of int32; expected \(2, 3\)"),
        ("fields.npy", npy(np.zeros((2, 3))), "of float64; expected"),
        ("fields.npy", codes([0, -1, 1], [0, 1, 2]), "fields.npy was damaged: a code is negative"),
        ("fields.npy", codes([0, 1, 9], [0, 1, 2]), r"values.npy holds \(7,\) .*; expected \(14,"),
        ("fields.npy", codes([0, 2, 2], [0, 1, 2]), "a value of field 0 is of no document"),
        ("values.utf8", b'null"fr""de"201120182025', "the values of field 0 are not in order"),
        ("values.utf8", b'nulx"de""fr"201120182025', "values.utf8 was damaged"),
        (
            "values.utf8",
            b'null"da""fr"201120182025',
            "documents.npy is not of the ids, texts and f",
        ),
    ],
)
def test_damaged_fields_are_noticed(shards_with_fields, name, content, message):
    shard = Corpus(shards_with_fields).shards[1]
    assert shard.fields() == [(None, 2011), ("de", 2018), ("fr", 2025)]
    rewritten(shards_with_fields, "00001", name, content)
    assert re.search(message, "\n".join(wrong(shards_with_fields)))


def test_a_code_that_no_value_has_is_refused_when_it_is_read(shards_with_fields):
    rewritten(shards_with_fields, "00001", "fields.npy", codes([0, 1, 2], [0, 1, 2**30]))
    with pytest.raises(CorpusError, match=r"values.npy holds \(7,\) of int64; expected"):
        Corpus(shards_with_fields).fields([4])


@pytest.mark.parametrize("names", [["fields.npy"], ["values.npy", "values.utf8", "fields.npy"]])
def test_fields_that_are_missing_are_refused_at_the_door(shards_with_fields, names):
    path = shards_with_fields / "shards" / "00001"
    content = json.loads((path / "shard.json").read_text())
    for name in names:
        del content["files"][name]
    (path / "shard.json").write_text(json.dumps(content))
    with pytest.raises(CorpusError, match=r"missing or damaged: it names|has no fields; the mani"):
        Corpus(shards_with_fields)
