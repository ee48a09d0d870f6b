"""The manifest of a corpus: which settings it tells apart, and that nobody edits it."""

import json
import re
from dataclasses import replace

import pytest
from corpora import SMALL, documents, sha256, stop_after
from golden_files import GOLDEN
from killing import tree

from minibert import SentenceTransformer
from minibert.corpus.building import add, build, delete
from minibert.corpus.corpus import Corpus
from minibert.corpus.manifest import read_manifest, write_manifest
from minibert.errors import CorpusError


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("precision", {"precision": "float16"}),
        ("prompt", {"prompt": "the "}),
        ("normalize", {"normalize": True}),
        ("dimension", {"truncate_dim": 3}),
        ("pack_tokens", {"pack_tokens": 7}),
        ("texts", {"texts": False}),
        ("fields", {"fields": ("lang",)}),
        ("shard_documents", {"shard_documents": 4}),
        ("shard_characters", {"shard_characters": 4}),
        ("long_texts", {"on_long": "window"}),
        ("files_sha256", {"model": "relu"}),
        ("modules", {"model": "poolings"}),
        ("metric", {"similarity_fn_name": "dot"}),
        ("reproducible", {"reproducible": True}),
        ("max_seq_length", {"max_seq_length": 9}),
    ],
)
def test_another_setting_is_refused_by_its_name(corpus_folder, model, name, change):
    stop_after(corpus_folder, model, 5)
    before = tree(corpus_folder)
    arguments = {
        key: change.pop(key) for key in ("similarity_fn_name", "reproducible") if key in change
    }
    other = SentenceTransformer(GOLDEN / change.pop("model", "gelu"), on_long="ignore", **arguments)
    other.max_seq_length = change.pop("max_seq_length", other.max_seq_length)
    if name == "modules":
        other.include_prompt = False
    given = [one._replace(fields={}) for one in documents()]  # read with fields, and without any
    with pytest.raises(CorpusError, match=rf"made in another way: (.*; )?{name} is .* there and "):
        build(corpus_folder, given, other, **{**SMALL, **change})
    assert tree(corpus_folder) == before


def test_a_value_that_is_cut_in_a_message_is_seen_to_be(corpus_folder, model):
    build(corpus_folder, documents(), model, **SMALL)
    settings = read_manifest(corpus_folder).settings
    with pytest.raises(CorpusError) as error:
        settings.check_same({"prompt": "x" * 300}, corpus_folder)
    assert f"'{'x' * 199}… here" in str(error.value)


def test_another_model_is_told_from_another_setting(corpus_folder, model, changed_model):
    build(corpus_folder, documents(), model, model_name="my/tiny")
    with pytest.raises(
        CorpusError, match=r"is of another model, 'my/tiny'. Give that one .* weights_sha"
    ):
        add(corpus_folder, documents(["x"], "x"), changed_model)
    with pytest.raises(CorpusError, match=r"here\. Repeat the settings that it was made with"):
        build(corpus_folder, documents(), model, model_name="my/tiny", pack_tokens=7)


def test_adding_on_another_device_says_how_to_go_on(corpus_folder, model):
    build(corpus_folder, documents(), model)
    manifest = read_manifest(corpus_folder)
    settings = replace(manifest.settings, device="cuda")
    write_manifest(corpus_folder, replace(manifest, settings=settings))
    with pytest.raises(CorpusError, match=r"device is 'cuda' there and 'cpu' here.* --device cuda"):
        add(corpus_folder, documents(["x"], "x"), model)
    Corpus(corpus_folder).check_model(model)  # searching works on any


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text.replace('"documents": 7', '"documents": 8'), "damaged or edited"),
        (lambda text: text.replace('"cosine"', '"dot"'), "damaged or edited"),
        (lambda text: text[:-9], "is not valid JSON"),
        (lambda text: "[]", r"format is \[\]; this minibert reads 1"),
        (lambda text: text.replace('"format": 1', '"format": 2'), "format is 2; this minibert"),
    ],
)
def test_a_manifest_that_was_edited_is_refused(corpus, model, run, change, message):
    path = corpus / "manifest.json"
    path.write_text(change(path.read_text()))
    before = tree(corpus)
    with pytest.raises(CorpusError, match=message):
        Corpus(corpus)
    for call in (
        lambda: build(corpus, documents(), model, **SMALL),
        lambda: add(corpus, documents(), model),
        lambda: delete(corpus, ["d1"]),
    ):
        with pytest.raises(CorpusError, match=message):
            call()
    code, out, err = run("index", "verify", corpus)
    assert code == 65
    assert re.search(message, out)
    assert "1 fault found" in err
    assert tree(corpus) == before


def test_a_manifest_with_other_fields_is_refused(corpus):
    content = json.loads((corpus / "manifest.json").read_text())
    del content["sha256"], content["cut"]
    content["sha256"] = sha256((json.dumps(content, indent=1, ensure_ascii=False) + "\n").encode())
    (corpus / "manifest.json").write_text(json.dumps(content))
    with pytest.raises(CorpusError, match="other fields than a manifest's: 'cut'"):
        Corpus(corpus)
