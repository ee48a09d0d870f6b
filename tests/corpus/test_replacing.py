"""Documents that are replaced by others of the same ids: what is encoded, and what is refused."""

import shutil
from contextlib import suppress
from itertools import count

import numpy as np
import pytest
from corpora import SMALL, Full, documents, stop_after, wrong
from killing import tree

from minibert.common import files
from minibert.corpus import shards
from minibert.corpus.building import add, build, delete
from minibert.corpus.corpus import Corpus
from minibert.corpus.manifest import read_manifest
from minibert.corpus.replacing import Replaced, replace
from minibert.documents import Document
from minibert.errors import CorpusError


def content(folder):
    """The documents of a corpus that can be found: id -> text."""
    corpus = Corpus(folder)
    there = np.setdiff1d(np.arange(len(corpus)), corpus.deleted)
    return dict(zip(corpus.ids(there), corpus.texts(there), strict=True))


def changed(*pairs):
    return [Document(id, text, f"list, line {n}") for n, (id, text) in enumerate(pairs, start=1)]


def test_a_document_of_the_same_id_takes_the_place_of_the_old(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    before = content(corpus_folder)
    given = changed(("d4", "a dog barks"), ("new", "the cat"), ("d0", "who?"))
    manifest, done = replace(corpus_folder, given, model)
    assert done == Replaced(replaced=2, added=1, unchanged=0)
    assert content(corpus_folder) == {**before, "d4": "a dog barks", "new": "the cat", "d0": "who?"}
    corpus = Corpus(corpus_folder)
    assert (corpus.deleted.tolist(), len(corpus), manifest.deleted) == ([0, 4], 10, 2)
    assert corpus.numbers(["d0", "d4", "new"]) == {"d0": 9, "d4": 7, "new": 8}
    expected = model.encode(["a dog barks", "the cat", "who?"])
    np.testing.assert_allclose(corpus.shards[-1].vectors, expected, rtol=0, atol=1e-5)
    assert wrong(corpus_folder) == []


def test_an_unchanged_document_is_kept_and_not_encoded(corpus_folder, model, encoded):
    build(corpus_folder, documents(), model, **SMALL)
    encoded.clear()
    given = documents()
    given[3] = given[3]._replace(text="the cat")
    assert replace(corpus_folder, given, model)[1] == Replaced(1, 0, 6)
    assert encoded == ["the cat"]
    assert Corpus(corpus_folder).deleted.tolist() == [3]


def test_a_replacement_given_again_changes_nothing(corpus_folder, model, encoded):
    build(corpus_folder, documents(), model, **SMALL)
    given = changed(("d1", "a dog"), ("d6", "cats"), ("d2", "Paris"), ("e", "x"), ("f", "y"))
    assert replace(corpus_folder, given, model)[1] == Replaced(3, 2, 0)
    before = tree(corpus_folder)
    encoded.clear()
    assert replace(corpus_folder, given, model)[1] == Replaced(0, 0, 5)
    assert (tree(corpus_folder), encoded) == (before, [])
    assert replace(corpus_folder, [], model)[1] == Replaced(0, 0, 0)
    assert tree(corpus_folder) == before


@pytest.mark.parametrize(("read", "done"), [(3, 0), (7, 3), (10, 6)])
def test_a_stopped_replacement_goes_on_with_the_same_bytes(tmp_path, model, encoded, read, done):
    given = documents([f"a dog and {n} cats" for n in range(11)])
    given[2] = documents()[2]  # unchanged
    for name in ("whole", "stopped"):
        build(tmp_path / name, documents(), model, **SMALL)
    replace(tmp_path / "whole", given, model)

    def until():
        yield from given[:read]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        replace(tmp_path / "stopped", until(), model)
    assert wrong(tmp_path / "stopped") == []
    # No id is missing meanwhile, and none has two documents.
    assert content(tmp_path / "stopped").keys() >= {f"d{n}" for n in range(7)}
    encoded.clear()
    replace(tmp_path / "stopped", given, model)
    assert tree(tmp_path / "stopped") == tree(tmp_path / "whole")
    assert len(encoded) == 10 - done


@pytest.mark.slow
def test_a_full_disk_leaves_each_document_old_or_new(tmp_path, model, monkeypatch):
    """At whichever byte it is full."""
    given = documents([f"a dog and {n} cats" for n in range(8)])
    for name in ("whole", "corpus"):
        build(tmp_path / name, documents(), model, **SMALL)
    folder, before = tmp_path / "corpus", content(tmp_path / "corpus")
    replace(tmp_path / "whole", given, model)
    after = content(tmp_path / "whole")
    monkeypatch.setattr(shards, "open", Full, raising=False)
    monkeypatch.setattr(files, "open", Full, raising=False)
    states = []
    for room in count(0, 499):
        monkeypatch.setattr(Full, "room", room)
        shutil.rmtree(tmp_path / "tried", ignore_errors=True)
        shutil.copytree(folder, tmp_path / "tried")
        with suppress(OSError):
            replace(tmp_path / "tried", given, model)
            break
        found = content(tmp_path / "tried")
        assert wrong(tmp_path / "tried") == []
        assert all(found[id] in (before[id], after[id]) for id in before)
        states.append(sum(found[id] != before[id] for id in before))
        monkeypatch.setattr(Full, "room", 10**6)
        replace(tmp_path / "tried", given, model)
        assert tree(tmp_path / "tried") == tree(tmp_path / "whole")
    assert states == sorted(states)
    assert set(states) == {0, 3, 6}


def test_another_replacement_may_come_between(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    before = content(corpus_folder)
    broken = [*documents(["a", "b", "c", "d"]), Document(None, "no id", "list, line 5")]
    with pytest.raises(CorpusError, match="list, line 5 has no id"):
        replace(corpus_folder, broken, model)
    assert replace(corpus_folder, changed(("d6", "the cat")), model)[1] == Replaced(1, 0, 0)
    assert content(corpus_folder) == {**before, "d6": "the cat"}
    assert delete(corpus_folder, ["d6"]) == (1, [])
    assert wrong(corpus_folder) == []


def test_a_deleted_document_is_added_and_not_replaced(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    delete(corpus_folder, ["d1"])
    # Also with the text that it had: it is deleted, so it is not there unchanged.
    given = [documents()[1]]
    assert replace(corpus_folder, given, model)[1] == Replaced(0, 1, 0)
    assert Corpus(corpus_folder).numbers(["d1"]) == {"d1": 7}
    assert Corpus(corpus_folder).deleted.tolist() == [1]


TWICE = [
    [("d1", "a"), ("d1", "b")],
    [("new", "a"), ("new", "a")],
    [("d1", "a"), ("x", "b"), ("y", "c"), ("d1", "d")],
    [("d1", "a"), ("x", "b"), ("y", "c"), ("d1", "a")],
    # one of the two as it is in the corpus
    [("d6", "a cat"), ("d6", "a cat")],
    [("d6", "a cat"), ("d6", "a dog")],
    [("d6", "a dog"), ("d6", "a cat")],
    [("d6", "a dog"), ("x", "b"), ("y", "c"), ("d6", "a cat")],
]


@pytest.mark.parametrize("of_a_shard", [1, 2, 3, 9])
@pytest.mark.parametrize("pairs", TWICE)
def test_an_id_twice_in_the_input_is_refused(corpus_folder, model, pairs, of_a_shard):
    build(corpus_folder, documents(), model, shard_documents=of_a_shard)
    message = f"list, line [14{len(pairs)}]: the id '{pairs[0][0]}' (stands twice|is also that of)"
    for _ in range(2):  # whatever was written of it, the second time it is refused as well
        with pytest.raises(CorpusError, match=message):
            replace(corpus_folder, changed(*pairs), model)
        assert wrong(corpus_folder) == []


def test_changed_fields_replace_a_document(corpus_folder, model):
    given = [document._replace(fields={"lang": "de", "year": 7}) for document in documents()]
    build(corpus_folder, given, model, fields=["lang", "year"], **SMALL)
    given[2] = given[2]._replace(fields={"lang": "fr"})
    assert replace(corpus_folder, given, model)[1] == Replaced(1, 0, 6)
    corpus = Corpus(corpus_folder)
    assert corpus.fields([6, 7]) == [{"lang": "de", "year": 7}, {"lang": "fr", "year": None}]
    assert corpus.ids([7]) == ["d2"]


@pytest.mark.parametrize("precision", ["int8", "binary"])
def test_a_replacement_has_the_settings_of_the_corpus(corpus_folder, model, precision):
    build(corpus_folder, documents(), model, precision=precision, prompt="the ", **SMALL)
    settings, ranges = read_manifest(corpus_folder).settings, read_manifest(corpus_folder).ranges
    manifest, _ = replace(corpus_folder, changed(("d1", "a dog")), model)
    assert (manifest.settings, manifest.ranges) == (settings, ranges)
    assert wrong(corpus_folder) == []


def test_another_model_replaces_nothing(corpus_folder, model, changed_model):
    build(corpus_folder, documents(), model)
    before = tree(corpus_folder)
    with pytest.raises(CorpusError, match="is of another model"):
        replace(corpus_folder, changed(("d1", "a dog")), changed_model)
    with pytest.raises(FileNotFoundError, match="no folder"):
        replace(corpus_folder / "none", changed(("d1", "a dog")), model)
    assert tree(corpus_folder) == before


def test_a_corpus_that_is_not_finished_is_not_replaced_in(corpus_folder, model):
    stop_after(corpus_folder, model, 5)
    with pytest.raises(CorpusError, match="repeat its `minibert index build` first"):
        replace(corpus_folder, changed(("d1", "a dog")), model)
    build(corpus_folder, documents(), model, **SMALL)

    def until():
        yield from documents(["a", "b", "c", "d", "e"], "e")[:4]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        add(corpus_folder, until(), model)
    with pytest.raises(CorpusError, match="repeat the command that was stopped, then replace"):
        replace(corpus_folder, changed(("d1", "a dog")), model)


def test_a_long_replacement_follows_on_long(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    before = tree(corpus_folder)
    with pytest.raises(ValueError, match="41 tokens"):
        replace(corpus_folder, changed(("d1", "a dog " * 50)), model, on_long="error")
    assert tree(corpus_folder) == before


def test_a_build_and_an_add_are_still_recognised(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    replace(corpus_folder, changed(("d1", "a dog"), ("x", "y")), model)
    before = tree(corpus_folder)
    assert build(corpus_folder, documents(), model, **SMALL)[1] == 0
    assert tree(corpus_folder) == before
    with pytest.raises(CorpusError, match="`minibert index replace` replace that one"):
        add(corpus_folder, changed(("d1", "other")), model)


def test_a_field_that_no_replacement_has_is_told_of(corpus_folder, model, caplog):
    """As when only some of the corpus's fields were read."""
    given = [Document("1", "a cat", fields={"lang": "en", "year": 5})]
    build(corpus_folder, given, model, fields=("lang", "year"))
    replace(corpus_folder, given, model)
    assert not caplog.messages
    replace(corpus_folder, [Document("1", "a cat", fields={"lang": "en"})], model)
    [told] = caplog.messages
    assert told.startswith("No document has the field 'year', which the corpus keeps, so it is nu")
