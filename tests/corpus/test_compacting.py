"""A corpus without its deleted documents: no byte of them is left, and all else is as it was."""

import dataclasses
import errno
import json
import os
import shutil
from contextlib import suppress

import numpy as np
import pytest
from corpora import (
    GELU,
    QUERIES,
    SMALL,
    Full,
    documents,
    sentences,
    stop_after,
    three_shards,
    wrong,
)
from killing import tree
from kills import KILLS, killing

from minibert.common import files
from minibert.corpus import shards
from minibert.corpus.building import add, build, delete
from minibert.corpus.compacting import compact
from minibert.corpus.corpus import HELD, Corpus
from minibert.corpus.manifest import Input, read_manifest, write_manifest
from minibert.corpus.replacing import Replaced, replace
from minibert.corpus.search import Index
from minibert.documents import Document
from minibert.errors import CorpusError

SECRETS = ("zebra", "Quagga-7", "okapi")


def secret(number):
    """A document whose id, text and fields all hold a word that nothing else has."""
    word = SECRETS[number]
    fields = {"lang": "de", "owner": f"{word} the owner"}
    return Document(f"{word}-{number}", f"the cat sat on {word}", "here", fields)


def plain(texts, name="d"):
    return [document._replace(fields={"lang": "en"}) for document in documents(texts, name)]


def holding(folder, words):
    """The files in which one of the words stands, in any letters or as a number's digits."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            content = path.read_bytes().lower()
            told = [word for word in words if word.lower().encode() in content]
            if told:
                found[str(path.relative_to(folder))] = told
    return found


def there(folder):
    """All that a corpus has of the documents that can be found, in their order."""
    corpus = Corpus(folder)
    numbers = np.setdiff1d(np.arange(len(corpus)), corpus.deleted)
    return {
        "ids": corpus.ids(numbers),
        "texts": corpus.texts(numbers),
        "fields": corpus.fields(numbers),
        "digests": corpus.digests(numbers),
        "vectors": np.concatenate([shard.vectors for shard in corpus.shards])[numbers].tobytes(),
    }


@pytest.mark.parametrize("texts", [True, False])
def test_no_byte_of_a_deleted_document_is_left(corpus_folder, model, texts):
    given = [*plain(["the cat", "a dog"]), secret(0), *plain(["London"], "e"), secret(1)]
    build(corpus_folder, given, model, texts=texts, fields=["lang", "owner"], shard_documents=2)
    add(corpus_folder, [secret(2), *plain(["Paris"], "f")], model)
    delete(corpus_folder, ["zebra-0"])
    replace(
        corpus_folder,
        [secret(1)._replace(text="new", fields={}), secret(2)._replace(text="x", fields={})],
        model,
    )
    # What runs that were killed have left, a graph among it, is of the same texts.
    shutil.copytree(corpus_folder / "shards" / "00001", corpus_folder / "shards" / "00009.partial")
    shutil.copytree(corpus_folder / "shards", corpus_folder / "shards-1")
    for name in ("graph.usearch", "graph.json", "manifest.json.7.partial", "deleted-12.npy"):
        (corpus_folder / name).write_bytes(b"vectors of zebra, quagga-7 and okapi")
    assert len(holding(corpus_folder, SECRETS)) > 12
    compact(corpus_folder)
    # The ids of the replaced ones are still there, since they have new texts.
    left = {"ids.utf8": ["Quagga-7", "okapi"]}
    found = holding(corpus_folder, SECRETS)
    assert {path.rpartition("/")[2]: words for path, words in found.items()} == left
    delete(corpus_folder, ["Quagga-7-1", "okapi-2"])
    compact(corpus_folder)
    assert holding(corpus_folder, SECRETS) == {}
    assert Corpus(corpus_folder).ids(range(4)) == ["d0", "d1", "e0", "f0"]
    assert {path.name for path in corpus_folder.iterdir()} == {
        "manifest.json", "lock", "digests.json", "shards-2",
    }  # fmt: skip
    assert wrong(corpus_folder) == []


@pytest.mark.parametrize("precision", ["float32", "float16", "int8", "binary"])
def test_what_stays_is_copied_bit_for_bit(corpus_folder, model, precision):
    given = [doc._replace(fields={"n": n % 4}) for n, doc in enumerate(sentences(40))]
    build(corpus_folder, given, model, precision=precision, fields=["n"], shard_documents=7)
    delete(corpus_folder, [f"d{n}" for n in (0, 6, 7, 20, 39)])
    before = there(corpus_folder)
    manifest, removed = compact(corpus_folder)
    assert (removed, manifest.documents, manifest.deleted) == (5, 35, 0)
    assert there(corpus_folder) == before
    assert wrong(corpus_folder) == []


def test_the_files_are_those_of_a_new_corpus_of_what_stays(tmp_path, model):
    """But for the vectors, whose bits depend on the neighbours in a pack."""
    given = [document._replace(fields={"n": n}) for n, document in enumerate(sentences())]
    build(tmp_path / "old", given, model, fields=["n"], shard_documents=25)
    delete(tmp_path / "old", [f"d{n}" for n in range(50) if n % 5])
    compact(tmp_path / "old")
    rest = [document for n, document in enumerate(given) if n > 49 or n % 5 == 0]
    build(tmp_path / "new", rest, model, fields=["n"])
    new = {
        path.removeprefix("shards/"): content for path, content in tree(tmp_path / "new").items()
    }
    same = set()
    for path, content in tree(tmp_path / "old").items():
        if content == new.get(path.removeprefix("shards-1/")):
            same.add(path.rpartition("/")[2])
    assert same == {
        "ids.utf8", "ids.npy", "texts.utf8", "texts.npy", "fields.npy", "values.utf8", "values.npy",
        "hashes.npy", "documents.npy",
    }  # fmt: skip


def test_a_search_finds_what_it_found_before(corpus_folder, model):
    build(corpus_folder, sentences(), model, shard_documents=9)
    delete(corpus_folder, [f"d{n}" for n in range(0, 60, 7)])
    before = Index(corpus_folder, model).search(QUERIES, 60)
    compact(corpus_folder)
    assert Index(corpus_folder, model).search(QUERIES, 60) == before


def test_shards_without_deleted_documents_are_the_same_files(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    delete(corpus_folder, ["d0"])
    kept = [(path.name, path.stat().st_ino) for path in (corpus_folder / "shards/00001").iterdir()]
    compact(corpus_folder)
    new = corpus_folder / "shards-1" / "00001"
    assert sorted(kept) == sorted((path.name, path.stat().st_ino) for path in new.iterdir())


def test_a_disk_without_second_names_gets_copies(corpus_folder, tmp_path, model, monkeypatch):
    build(corpus_folder, documents(), model, **SMALL)
    delete(corpus_folder, ["d0"])
    shutil.copytree(corpus_folder, tmp_path / "other")
    compact(tmp_path / "other")

    def refused(*arguments, **named):
        raise OSError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refused)
    compact(corpus_folder)
    assert tree(corpus_folder) == tree(tmp_path / "other")


def test_small_neighbours_are_joined_up_to_a_shard(corpus_folder, model):
    build(corpus_folder, documents(), model, shard_documents=3, shard_characters=10**6)
    for n in range(5):
        add(corpus_folder, documents(["the cat"], f"e{n}-"), model)
    before = there(corpus_folder)
    # Nothing is deleted. The first input and the last one stay apart.
    manifest, removed = compact(corpus_folder)
    assert removed == 0
    assert [len(shard) for shard in Corpus(corpus_folder).shards] == [3, 3, 1, 3, 1, 1]
    assert manifest.inputs == (Input(3, 7, True), Input(2, 4, True), Input(1, 1, True))
    assert there(corpus_folder) == before
    after = tree(corpus_folder)
    assert compact(corpus_folder) == (manifest, 0)
    assert tree(corpus_folder) == after


def test_joined_shards_are_no_longer_than_a_shard(corpus_folder, model):
    texts = ["12345", "1234", "123", "12", "1"]  # a shard each, for it would have 5 with the next
    build(corpus_folder, documents(texts), model, shard_documents=1, shard_characters=5)
    manifest = read_manifest(corpus_folder)
    settings = dataclasses.replace(manifest.settings, shard_documents=8, shard_characters=9)
    write_manifest(corpus_folder, dataclasses.replace(manifest, settings=settings))
    compact(corpus_folder)
    assert [shard.texts() for shard in Corpus(corpus_folder).shards] == [
        ["12345", "1234"],
        ["123", "12", "1"],
    ]


def test_all_documents_may_go_and_others_come(corpus_folder, model):
    build(corpus_folder, documents(), model, precision="int8", **SMALL)
    delete(corpus_folder, [f"d{n}" for n in range(7)])
    manifest, removed = compact(corpus_folder)
    assert (removed, manifest.documents, manifest.shards) == (7, 0, 0)
    assert wrong(corpus_folder) == []
    assert build(corpus_folder, documents(), model, precision="int8", **SMALL)[1] == 0
    with pytest.raises(CorpusError, match="holds no documents"):
        Index(corpus_folder, model)
    more = [Document(None, "the cat", "list"), Document(None, "a dog", "list")]
    assert add(corpus_folder, more, model)[1] == 2
    assert Corpus(corpus_folder).ids([0, 1]) == ["7", "8"]
    assert wrong(corpus_folder) == []


# What comes after.


@pytest.mark.parametrize("gone", [[0], [3], [6], [0, 1, 2], [1, 5], [3, 4, 5, 6], [0, 2, 4, 6]])
def test_the_same_build_again_brings_nothing_back(corpus_folder, model, gone):
    given = [document._replace(id=None) for document in documents()]
    build(corpus_folder, given, model, **SMALL)
    delete(corpus_folder, map(str, gone))
    compact(corpus_folder)
    before = tree(corpus_folder)
    assert build(corpus_folder, given, model, **SMALL)[1] == 0
    assert tree(corpus_folder) == before
    assert len(Corpus(corpus_folder)) == 7 - len(gone)
    with pytest.raises(CorpusError, match="the input goes on after its document 6"):
        build(corpus_folder, [*given, Document(None, "x", "list, line 8")], model, **SMALL)
    with pytest.raises(CorpusError, match="The input ends before document 6"):
        build(corpus_folder, given[:6], model, **SMALL)


def test_documents_are_known_again_without_their_texts(corpus_folder, model):
    given = [doc._replace(fields={"n": n}) for n, doc in enumerate(documents())]
    build(corpus_folder, given, model, texts=False, fields=["n"], **SMALL)
    delete(corpus_folder, ["d1", "d4"])
    compact(corpus_folder)
    assert build(corpus_folder, given, model, texts=False, fields=["n"], **SMALL)[1] == 0
    assert replace(corpus_folder, given, model)[1] == Replaced(0, 2, 5)
    assert wrong(corpus_folder) == []


def test_another_input_is_refused_after_a_compaction(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    delete(corpus_folder, ["d1", "d3"])
    compact(corpus_folder)
    other = documents()
    other[4] = other[4]._replace(text="other")
    # With d1 and d3, which may be any, three differ.
    with pytest.raises(CorpusError, match=r"line 5: document 4, 'd4', is not the one .* 'd4'"):
        build(corpus_folder, other, model, **SMALL)


@pytest.mark.parametrize("gone", [["7"], ["8"], ["10"], ["7", "8"], ["7", "8", "9", "10"]])
def test_the_same_add_again_brings_nothing_back(corpus_folder, model, gone):
    build(corpus_folder, documents(), model, **SMALL)
    more = [document._replace(id=None) for document in documents(["a", "b", "c", "d"])]
    add(corpus_folder, more, model)
    delete(corpus_folder, ["d2", *gone])
    compact(corpus_folder)
    before = tree(corpus_folder)
    if len(gone) < 4:
        assert add(corpus_folder, more, model)[1] == 0
        assert tree(corpus_folder) == before
    # Numbers that were ids once are not given again.
    assert add(corpus_folder, [Document(None, "x", "list")], model)[1] == 1
    corpus = Corpus(corpus_folder)
    assert corpus.ids([len(corpus) - 1]) == ["11"]
    assert wrong(corpus_folder) == []


def test_counts_are_of_all_documents_that_were_read(corpus_folder, model, run):
    texts = ["the cat " * 40, "the dog " * 40, "", " ", "a cat"]
    build(corpus_folder, documents(texts), model, shard_documents=3)
    delete(corpus_folder, ["d0", "d2"])
    manifest, _ = compact(corpus_folder)
    assert (manifest.truncated, manifest.empty, manifest.read) == (2, 1, 5)
    assert wrong(corpus_folder) == []
    _, _, err = run("index", "add", corpus_folder, "-m", GELU, stdin=b"x\n")
    assert err == "minibert: 2 of 6 texts were longer than 41 tokens and lost their ends.\n"


# Beside others, and when it fails.


def test_an_open_corpus_stays_as_it_was(corpus_folder, model):
    given = [doc._replace(fields={"n": n}) for n, doc in enumerate(sentences())]
    build(corpus_folder, given, model, fields=["n"], shard_documents=9)
    delete(corpus_folder, ["d5", "d30"])
    corpus, index = Corpus(corpus_folder), Index(corpus_folder, model)
    found = Index(corpus_folder, model).search(QUERIES, 10)
    compact(corpus_folder)
    delete(corpus_folder, ["d7"])
    compact(corpus_folder)
    assert corpus.ids(range(60)) == [f"d{n}" for n in range(60)]
    assert corpus.texts(range(60)) == [document.text for document in given]
    assert corpus.fields([59, 7]) == [{"n": 59}, {"n": 7}]
    assert corpus.numbers(["d5", "d7"]) == {"d7": 7}
    assert index.search(QUERIES, 10) == found
    assert index.search(QUERIES, 1, ids=["d7"])[0][0].text == given[7].text


@pytest.mark.slow
def test_a_large_open_corpus_says_what_happened(corpus_folder, model):
    texts = [f"cat {n}" for n in range(HELD + 1)]
    build(corpus_folder, documents(texts), model, shard_documents=1)
    delete(corpus_folder, ["d5"])
    corpus = Corpus(corpus_folder)
    assert corpus.texts([3]) == ["cat 3"]
    compact(corpus_folder)
    assert corpus.texts([3]) == ["cat 3"]
    with pytest.raises(CorpusError, match="is gone: `minibert index compact` has rewritten"):
        corpus.texts([6])


def test_a_reader_that_comes_in_between_gets_the_new_corpus(corpus_folder, model, monkeypatch):
    build(corpus_folder, documents(), model, **SMALL)
    delete(corpus_folder, ["d0"])
    manifest = read_manifest(corpus_folder)
    given = iter([manifest])

    def old_first(folder):
        found = next(given, None)
        if found:
            compact(folder)
        return found or read_manifest(folder)

    monkeypatch.setattr("minibert.corpus.corpus.read_manifest", old_first)
    corpus = Corpus(corpus_folder)
    assert (len(corpus), corpus.ids([0])) == (6, ["d1"])


def test_a_corpus_that_is_not_finished_is_not_compacted(corpus_folder, model):
    stop_after(corpus_folder, model, 5)
    before = tree(corpus_folder)
    with pytest.raises(CorpusError, match="is not finished; repeat the command that was stopped"):
        compact(corpus_folder)
    with pytest.raises(FileNotFoundError, match="no folder"):
        compact(corpus_folder / "none")
    assert tree(corpus_folder) == before


def test_a_damaged_shard_is_not_given_new_digests(corpus_folder, model):
    three_shards(corpus_folder, model)
    path = corpus_folder / "shards" / "00001" / "vectors.npy"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    before = tree(corpus_folder)
    with pytest.raises(CorpusError, match=f"{path} was damaged.* A shard cannot be rewritten"):
        compact(corpus_folder)
    assert tree(corpus_folder) == before


def test_a_corpus_that_was_never_compacted_says_nothing_of_it(corpus_folder, model):
    """Its manifest has the bytes that it had before there was a compaction."""
    three_shards(corpus_folder, model)
    content = json.loads((corpus_folder / "manifest.json").read_bytes())
    assert {"generation", "removed"} & {*content, *content["inputs"][0]} == set()
    compact(corpus_folder)
    content = json.loads((corpus_folder / "manifest.json").read_bytes())
    assert (content["generation"], content["inputs"][0]["removed"]) == (1, 2)


def test_an_interruption_leaves_the_old_corpus_and_no_more(corpus_folder, model):
    before = tree(three_shards(corpus_folder, model))

    def interrupted(done):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        compact(corpus_folder, advance=interrupted)
    assert tree(corpus_folder) == before
    assert not (corpus_folder / "shards-1").exists()


@pytest.mark.slow
def test_a_full_disk_leaves_the_old_corpus(tmp_path, model, monkeypatch):
    """At whichever byte it is full."""
    folder = tmp_path / "corpus"
    build(folder, documents(), model, **SMALL)
    delete(folder, ["d0", "d4"])
    before, failures, room = tree(folder), 0, 0
    monkeypatch.setattr(shards, "open", Full, raising=False)
    monkeypatch.setattr(files, "open", Full, raising=False)
    while True:
        monkeypatch.setattr(Full, "room", room)
        with suppress(OSError):
            compact(folder)
            break
        assert tree(folder) == before
        assert not list(folder.glob("shards-*"))
        failures, room = failures + 1, room + 251
    assert failures > 20
    assert wrong(folder) == []


def test_no_file_that_no_run_wrote_is_removed(corpus_folder, model):
    three_shards(corpus_folder, model)
    (corpus_folder / "shards" / "notes").mkdir()
    (corpus_folder / "shards" / "notes" / "mine").write_text("mine")
    (corpus_folder / "shards-old").mkdir()
    (corpus_folder / "shards-old" / "00000").write_text("mine")
    compact(corpus_folder)
    assert (corpus_folder / "shards" / "notes" / "mine").read_text() == "mine"
    assert (corpus_folder / "shards-old" / "00000").read_text() == "mine"
    assert [path.name for path in (corpus_folder / "shards").iterdir()] == ["notes"]
    assert wrong(corpus_folder) == []


@pytest.mark.slow
def test_a_kill_at_any_moment_of_a_rewrite_costs_no_byte():
    found = killing("rewriting_kills.py", GELU, KILLS)
    assert found == {"kills": KILLS, "differing": []}
