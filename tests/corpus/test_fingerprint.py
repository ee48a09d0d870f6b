"""Which model a corpus is of, and when that model's files are read."""

import shutil

import pytest
from corpora import GELU, SMALL, documents, stop_after
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.corpus.build import add, build
from minibert.corpus.corpus import Corpus
from minibert.corpus.manifest import read_manifest
from minibert.errors import CorpusError


def test_other_weights_are_refused(folder, model, other_model):
    stop_after(folder, model, 5)
    with pytest.raises(CorpusError, match=r"weights_sha256 is .[0-9a-f]{64}. there and "):
        build(folder, documents(), other_model, **SMALL)


def test_another_revision_is_refused(folder, cache):
    snapshot = cache("someone/tiny", GOLDEN / "gelu")
    later = snapshot.with_name("f" * 40)
    shutil.copytree(snapshot, later, symlinks=True)
    build(folder, documents(), SentenceTransformer(snapshot))
    with pytest.raises(
        CorpusError, match=f"revision is '{snapshot.name}' there and '{later.name}' here"
    ):
        build(folder, documents(), SentenceTransformer(later))


def test_a_model_elsewhere_is_the_same_model(folder, tmp_path, model):
    stop_after(folder, model, 5)
    shutil.copytree(GELU, tmp_path / "elsewhere")
    build(folder, documents(), SentenceTransformer(tmp_path / "elsewhere"), **SMALL)
    assert read_manifest(folder).settings.model == GELU


def test_adding_with_another_model_is_refused(folder, model, other_model):
    build(folder, documents(), model)
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        add(folder, documents(["x"], "x"), other_model)
    with pytest.raises(CorpusError, match="weights_sha256 is"):
        Corpus(folder).check_model(other_model)
    Corpus(folder).check_model(SentenceTransformer(GELU))
