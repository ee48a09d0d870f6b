"""A corpus opened for reading: what it holds, and where its model is looked for."""

import shutil
from pathlib import Path

import huggingface_hub
import numpy as np
import pytest
from corpora import GELU, LONG, SMALL, TEXTS, documents, header, npy, wrong
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.corpus.building import build
from minibert.corpus.corpus import Corpus, place_of_model
from minibert.corpus.manifest import read_manifest
from minibert.corpus.search import Index
from minibert.errors import CorpusError


def test_vectors_ids_and_texts_are_those_of_the_documents(corpus_folder, model):
    manifest, new = build(corpus_folder, documents(), model, **SMALL)
    corpus = Corpus(corpus_folder)
    assert (len(corpus), new, [shard.first for shard in corpus.shards]) == (7, 7, [0, 3, 6])
    for start, shard in zip((0, 3, 6), corpus.shards, strict=True):
        expected = model.encode(TEXTS[start : start + 3])
        np.testing.assert_allclose(shard.vectors, expected, rtol=0, atol=1e-5)  # packs as encode's
        assert isinstance(shard.vectors, np.memmap)
        assert shard.ids() == [f"d{n}" for n in range(start, min(start + 3, 7))]
        assert shard.texts() == TEXTS[start : start + 3]
    assert corpus.ids([6, 0, 4, 0]) == ["d6", "d0", "d4", "d0"]
    assert corpus.texts(np.array([3, 1])) == [LONG, ""]
    assert corpus.numbers(["d5", "nobody", "d0"]) == {"d5": 5, "d0": 0}
    assert corpus.deleted.dtype == np.int64
    assert (manifest.empty, manifest.truncated, manifest.complete) == (2, 1, True)
    assert wrong(corpus_folder) == []


@pytest.mark.parametrize("number", [-1, 7])
def test_a_number_that_no_document_has_is_refused(corpus_folder, model, number):
    build(corpus_folder, documents(), model)
    with pytest.raises(IndexError, match=f"no document {number}; numbers go from 0 to 6"):
        Corpus(corpus_folder).ids([0, number])


def test_texts_need_not_be_kept(corpus_folder, model):
    build(corpus_folder, documents(), model, texts=False, **SMALL)
    assert wrong(corpus_folder) == []
    assert not list(corpus_folder.rglob("texts*"))
    with pytest.raises(CorpusError, match="holds no texts"):
        Corpus(corpus_folder).texts([0])
    with pytest.raises(CorpusError, match="line 5: document 4, 'd4', is not the one"):
        build(
            corpus_folder, documents([*TEXTS[:4], "other", *TEXTS[5:]]), model, texts=False, **SMALL
        )


def test_a_corpus_with_edited_deletions_is_not_opened(corpus):
    (path,) = corpus.glob("deleted-*.npy")
    content = path.read_bytes()
    six = content[:-8] + npy(np.array([6]))[-8:]
    for other in (six, content[:-1], header((10**12,)), b"PK\3\4"):
        path.write_bytes(other)
        with pytest.raises(CorpusError, match="is missing or damaged"):
            Corpus(corpus)
        [told] = wrong(corpus)
        assert told.startswith(f"{path} is missing or damaged")


@pytest.fixture
def project(tmp_path, monkeypatch, run):
    """A folder with a model and a corpus, built from within with a relative path."""
    project = tmp_path / "project"
    shutil.copytree(GELU, project / "models" / "tiny")
    monkeypatch.chdir(project)
    assert run("index", "build", "data/corpus", "-m", "models/tiny", stdin=b"the cat\n")[0] == 0
    assert read_manifest(Path("data/corpus")).settings.model == "models/tiny"
    monkeypatch.chdir(tmp_path)
    return project


def test_a_relative_model_path_holds_anywhere_and_after_a_move(project, run, tmp_path):
    assert run("search", "project/data/corpus", "who")[0] == 0
    assert run("index", "add", "project/data/corpus", stdin=b"a dog\n")[0] == 0
    project.rename(tmp_path / "moved")
    assert run("search", "moved/data/corpus", "who")[0] == 0
    assert len(Index("moved/data/corpus").search(["who"], 2)[0]) == 2


def test_a_relative_model_is_looked_for_from_here_first(project, run, tmp_path):
    other = SentenceTransformer(project / "models" / "tiny")
    folder = project / "data" / "corpus"
    settings = read_manifest(folder).settings
    assert place_of_model(folder, settings) == str(other.folder.path)
    shutil.copytree(GELU, tmp_path / "models" / "tiny")
    assert place_of_model(folder, settings) == "models/tiny"


def test_a_model_that_is_gone_is_asked_for_with_the_option(project, run, tmp_path, monkeypatch):
    (project / "models").rename(tmp_path / "elsewhere")
    hint = "the model that 'project/data/corpus' was made with; if it lies elsewhere now"
    for command in (["search", "project/data/corpus", "who"], ["index", "add"]):
        code, _, err = run(*command, *(["project/data/corpus"] if len(command) == 2 else []))
        assert (code, hint in err, "--model" in err) == (66, True, True)
        assert "minibert: There is no folder 'models/tiny' with a model. It is" in err
    monkeypatch.setattr(huggingface_hub, "snapshot_download", None)  # the hub is not asked
    with pytest.raises(FileNotFoundError, match=hint) as raised:
        Index("project/data/corpus")
    assert raised.value.__suppress_context__
    assert run("search", "project/data/corpus", "who", "--model", "elsewhere/tiny")[0] == 0


def test_a_model_of_the_hub_stands_by_its_name(corpus_folder, cache):
    snapshot = cache("someone/tiny", GOLDEN / "gelu")
    build(corpus_folder, documents(), SentenceTransformer("someone/tiny"))
    settings = read_manifest(corpus_folder).settings
    assert (settings.model, settings.revision) == ("someone/tiny", snapshot.name)
    Index(corpus_folder)
