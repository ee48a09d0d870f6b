"""Damage that `verify` finds: it reads every byte."""

import json
from dataclasses import replace

import numpy as np
import pytest
from corpora import SMALL, npy, rewritten, with_fields, wrong

from minibert.corpus.building import build
from minibert.corpus.corpus import Corpus
from minibert.corpus.manifest import read_manifest, write_manifest


@pytest.mark.parametrize(
    "name", ["ids", "texts", "hashes", "documents", "vectors", "fields", "values"]
)
def test_verify_notices_every_flipped_bit(corpus_folder, model, run, name):
    corpus = corpus_folder
    build(corpus, with_fields()[:9], model, fields=("lang", "year"), **SMALL)
    suffix = "utf8" if name in ("ids", "texts", "values") else "npy"
    path = corpus / "shards" / "00001" / f"{name}.{suffix}"
    content = bytearray(path.read_bytes())
    content[-8 if name == "fields" else -1] ^= 1  # a code that some value has, in another place
    path.write_bytes(content)
    Corpus(corpus)  # sizes and shapes are right
    code, out, _ = run("index", "verify", corpus, "--json")
    assert code == 65
    [told] = json.loads(out)["wrong"]
    assert told.startswith(f"{path} was damaged")


def test_verify_tells_each_thing_that_is_wrong(corpus):
    for shard, name in (("00000", "texts.utf8"), ("00002", "ids.utf8"), ("00002", "vectors.npy")):
        path = corpus / "shards" / shard / name
        path.write_bytes(b"z" + path.read_bytes()[1:])
    (corpus / "shards" / "00001" / "hashes.npy").unlink()
    (deleted,) = corpus.glob("deleted-*.npy")
    deleted.unlink()
    told = "\n".join(wrong(corpus))
    for expected in ("00000/texts.utf8 was", "00002/ids.utf8 was", "00002/vectors.npy was"):
        assert expected in told
    assert "00001/hashes.npy cannot be read" in told
    assert f"{deleted} is missing or damaged" in told


def test_verify_notices_what_has_the_right_digests(corpus):
    shard = Corpus(corpus).shards[1]
    vectors = np.array(shard.vectors)
    vectors[2, 5] = np.nan
    rewritten(corpus, "00001", "vectors.npy", npy(vectors))
    rewritten(corpus, "00001", "ids.utf8", b"d3d4d4")
    told = "\n".join(wrong(corpus))
    assert "the vector of document 5 is not finite" in told
    assert "hashes.npy is not of the ids" in told
    assert "documents.npy is not of the ids and texts" in told


def test_verify_notices_an_id_that_two_documents_have(corpus):
    first, second = corpus / "shards" / "00000", corpus / "shards" / "00001"
    for name in ("ids.utf8", "hashes.npy"):
        rewritten(corpus, "00001", name, (first / name).read_bytes())
    # d0 and d4 were deleted: of d0, the second is there.
    told = [line for line in wrong(corpus) if "same id" in line]
    assert len(told) == 1
    assert "documents 2 and 5 have the same id, 'd2'" in told[0]
    assert second.exists()


def test_verify_notices_counts_that_are_no_sums(corpus):
    manifest = read_manifest(corpus)
    write_manifest(corpus, replace(manifest, truncated=5, deleted=1))
    told = "\n".join(wrong(corpus))
    assert "The manifest says cut 5; the shards have 1" in told
    assert "holds (2,) of int64; expected (1,)" in told
