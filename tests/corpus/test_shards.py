"""Shards: damaged ones are refused when a corpus is opened, and ids of one hash told apart."""

import io
import json
import re

import numpy as np
import pytest
from corpora import SMALL, documents, header, npy, rewritten, wrong

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
        ("vectors.npy", b"not an array", "is no array of NumPy's"),
        ("vectors.npy", PICKLED.getvalue(), "is no array of NumPy's"),
        ("vectors.npy", b"PK\3\4 as an archive of arrays begins", "is no array of NumPy's"),
        ("vectors.npy", header((10**30, 20)), "is no array of NumPy's"),
        ("vectors.npy", header((10**12, 20)), "is no array of NumPy's"),
        ("vectors.npy", header((-3, 20)), "is no array of NumPy's"),
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
