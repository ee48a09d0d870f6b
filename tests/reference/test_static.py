"""Tables of word embeddings, written by sentence-transformers, through both libraries."""

import json

import numpy as np
import pytest
import sentence_transformers
import torch
from folders import PROMPTS, dense, layer_norm
from golden_files import edit_json
from golden_models import FAMILIES, tokenizer
from safetensors.torch import save_file
from sentence_transformers.models import Normalize, StaticEmbedding

import minibert

CLOSE = {"rtol": 0, "atol": 1e-5}
TEXTS = [
    *("the cat", "", "A dog BARKS at the cat, \u00e9 \u4e2d!", "zzzz [MASK] the", " ", "s" * 120),
    *("the cat sat on a dog, b c d " * 90, "\U0001f600 the"),
]
PAIRS = [("the cat", "a dog"), ("", "a"), ("the cat", "")]
WIDTH = 12


def written(words, *modules, **arguments):
    """A function that writes a folder of a table and modules after it."""

    def write(folder):
        torch.manual_seed(3)
        made = words()
        table = torch.randn(max(made.get_vocab().values()) + 1, WIDTH) + 0.3
        after = [module() for module in modules]
        whole = sentence_transformers.SentenceTransformer(
            modules=[StaticEmbedding(made, embedding_weights=table), *after],
            device="cpu",
            **arguments,
        )
        whole.save_pretrained(str(folder), create_model_card=False)
        return folder

    return write


def model2vec(**tensors):
    """A function that writes a folder with the tensors of model2vec in place of the table."""

    def write(folder):
        written(tokenizer, Normalize)(folder)
        save_file(tensors, folder / "model.safetensors")

    return write


def truncated(folder):
    written(tokenizer)(folder)
    limits = {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Left"}
    edit_json(folder / "tokenizer.json", truncation=limits)


def older_names(folder):
    """The names of types, and the path, of a folder of model2vec."""
    written(tokenizer, Normalize)(folder)
    entries = json.loads((folder / "modules.json").read_text())
    for entry in entries:
        entry["type"] = "sentence_transformers.models." + entry["type"].rpartition(".")[2]
    entries[0]["path"] = "."
    (folder / "modules.json").write_text(json.dumps(entries))


MAPPING = torch.tensor(np.random.default_rng(1).integers(0, 30, 83))
FOLDERS = {
    "a table": written(tokenizer),
    "normalized": written(tokenizer, Normalize),
    "dense and a layer norm": written(
        tokenizer, lambda: dense(WIDTH, 5), lambda: layer_norm(5), Normalize
    ),
    "a dot product": written(tokenizer, similarity_fn_name="dot", truncate_dim=7),
    "prompts": written(tokenizer, prompts=PROMPTS, default_prompt_name="document"),
    "bytes": written(FAMILIES["roberta"].words),
    "pieces": written(FAMILIES["xlm_roberta"].words, Normalize),
    "model2vec": model2vec(embeddings=torch.randn(83, WIDTH)),
    "model2vec, folded": model2vec(
        embeddings=torch.randn(30, WIDTH), mapping=MAPPING, weights=torch.rand(83)
    ),
    "model2vec, float64 weights": model2vec(
        embeddings=torch.randn(83, WIDTH), weights=torch.rand(83).double()
    ),
    "model2vec, whole numbers": model2vec(
        embeddings=torch.randint(-120, 120, (30, WIDTH), dtype=torch.int8),
        mapping=MAPPING.int(),
        weights=torch.rand(83) / 50,
    ),
    "a truncation left behind": truncated,
    "older names": older_names,
}


@pytest.fixture(scope="module", params=FOLDERS)
def both_tables(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp("static") / "model"
    FOLDERS[request.param](folder)
    theirs = sentence_transformers.SentenceTransformer(str(folder), device="cpu")
    return minibert.SentenceTransformer(folder, on_long="ignore"), theirs


@pytest.mark.parametrize(
    "arguments",
    [{}, {"normalize_embeddings": True}, {"truncate_dim": 3}, {"prompt": "the cat "}],
)
def test_vectors_are_equal(both_tables, arguments):
    for texts in (TEXTS, PAIRS, TEXTS[0], []):
        ours, theirs = (model.encode(texts, **arguments) for model in both_tables)
        assert (ours.dtype, np.atleast_1d(ours).shape[-1:]) == (
            np.float32, theirs.shape[-1:] if len(texts) else ours.shape[-1:],
        )  # fmt: skip
        if len(texts):
            np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize("name", ["encode_query", "encode_document"])
def test_queries_and_documents_are_equal(both_tables, name):
    ours, theirs = (getattr(model, name)(TEXTS) for model in both_tables)
    np.testing.assert_allclose(ours, theirs, **CLOSE)


@pytest.mark.parametrize("prompt", [None, "the "])
def test_preprocess_is_equal(both_tables, prompt):
    ours, theirs = (model.preprocess(TEXTS, prompt=prompt) for model in both_tables)
    assert list(ours) == list(theirs)
    for name, other in theirs.items():
        np.testing.assert_array_equal(ours[name], other.numpy(), err_msg=name)
        assert ours[name].dtype == np.int64


def test_settings_are_equal(both_tables):
    ours, theirs = both_tables
    for name in ("prompts", "default_prompt_name", "similarity_fn_name", "truncate_dim"):
        assert getattr(ours, name) == getattr(theirs, name)
    assert ours.get_embedding_dimension() == theirs.get_embedding_dimension()
    assert [type(m).__name__ for m in ours] == [type(m).__name__ for m in theirs]
    vectors = theirs.encode(TEXTS)
    similar = [np.asarray(model.similarity(vectors, vectors[:3])) for model in both_tables]
    np.testing.assert_allclose(*similar, **CLOSE)


def test_a_saved_folder_is_what_sentence_transformers_loads(both_tables, tmp_path):
    ours, theirs = both_tables
    ours.save_pretrained(tmp_path / "saved")
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_array_equal(again.encode(TEXTS), theirs.encode(TEXTS))
    np.testing.assert_array_equal(again.encode_query(TEXTS), theirs.encode_query(TEXTS))
    assert again.similarity_fn_name == theirs.similarity_fn_name
