"""Trained models and models of modules, saved here and opened by sentence-transformers itself."""

import json

import numpy as np
import pytest
import sentence_transformers
import torch
from folders import WIDTH
from golden_files import GOLDEN, change_tensors, copy_of, edit_json
from safetensors.torch import load_file
from sentence_transformers import models as reference_models
from trained import change_tensors_of

import minibert
from minibert import models

TEXTS = ["the cat", "a dog barks in London", "the cat sat on the dog", ""]
NAMES = ["gelu", "modules", "sharded", "plain", "float16", "bfloat16", "old_layout", "distilbert",
         "mpnet", "electra", "albert", "roberta", "modernbert", "nomic_bert"]  # fmt: skip


def tensors_of(folder):
    """All tensors of a folder's files: the module's folder and the name -> the tensor."""
    return {
        f"{file.parent.relative_to(folder).as_posix()}/{name}".removeprefix("./"): tensor
        for file in folder.rglob("*.safetensors")
        for name, tensor in load_file(file).items()
    }


@pytest.mark.parametrize("name", NAMES)
def test_a_trained_folder_has_equal_vectors_in_the_reference(name, tmp_path):
    model = minibert.SentenceTransformer(GOLDEN / name, on_long="ignore")
    before = model.encode(TEXTS)
    trained = change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    reference = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    found = model.encode(TEXTS)
    np.testing.assert_allclose(reference.encode(TEXTS), found, rtol=0, atol=1e-5)
    assert np.abs(found - before).max() > 1e-3
    original, saved = tensors_of(GOLDEN / name), tensors_of(tmp_path / "saved")
    assert saved.keys() == original.keys()
    for key, tensor in saved.items():
        if key in trained:
            assert torch.equal(tensor, torch.from_numpy(trained[key])), key
        else:
            assert torch.equal(tensor, original[key]), key


def test_the_reference_loads_a_trained_model_in_float32(tmp_path):
    """Though its folder was of float16, by its weights, its config.json and its arguments."""
    folder = copy_of("float16", tmp_path)
    edit_json(folder / "config.json", dtype="float16")
    edit_json(folder / "sentence_bert_config.json", model_args={"torch_dtype": "float16"})
    model = minibert.SentenceTransformer(folder)
    change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    reference = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    assert {parameter.dtype for parameter in reference.parameters()} == {torch.float32}
    np.testing.assert_allclose(reference.encode(TEXTS), model.encode(TEXTS), rtol=0, atol=1e-5)


def test_tensors_beside_the_model_s_do_not_disturb_the_reference(tmp_path):
    folder = copy_of("gelu", tmp_path)
    ids = np.arange(41).reshape(1, 41)
    change_tensors(folder, lambda tensors: tensors.update({"embeddings.position_ids": ids}))
    model = minibert.SentenceTransformer(folder)
    change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    assert torch.equal(
        load_file(tmp_path / "saved/model.safetensors")["embeddings.position_ids"],
        torch.from_numpy(ids),
    )
    reference = sentence_transformers.SentenceTransformer(str(tmp_path / "saved"), device="cpu")
    np.testing.assert_allclose(reference.encode(TEXTS), model.encode(TEXTS), rtol=0, atol=1e-5)


def made_by(library):
    """Modules after the Transformer, by the names and arguments that both libraries have."""
    return {
        "mean": [library.Pooling(WIDTH)],
        "by name": [library.Pooling(WIDTH, "cls"), library.Normalize()],
        "by keyword": [library.Pooling(embedding_dimension=WIDTH, pooling_mode="max")],
        "several": [library.Pooling(WIDTH, ("mean", "cls")), library.Dropout(0.3)],
        "by flags": [
            library.Pooling(
                WIDTH, pooling_mode_mean_tokens=False, pooling_mode_max_tokens=True,
                pooling_mode_cls_token=True,
            )
        ],
        "older name": [library.Pooling(word_embedding_dimension=WIDTH)],
        "before the pooling": [
            library.Normalize("token_embeddings"), library.Pooling(WIDTH, "mean")
        ],
    }  # fmt: skip


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("name", made_by(models))
@pytest.mark.parametrize("settings", [{}, {"max_seq_length": 5}])
def test_modules_of_a_program_are_those_of_the_reference(name, settings, tmp_path):
    """The same program with its imports changed: vectors, length, the folder that it writes."""
    folder = str(GOLDEN / "plain")
    ours = minibert.SentenceTransformer(
        modules=[models.Transformer(folder, **settings), *made_by(models)[name]]
    )
    ours.on_long = "ignore"
    theirs = sentence_transformers.SentenceTransformer(
        modules=[
            reference_models.Transformer(folder, **settings), *made_by(reference_models)[name]
        ],
        device="cpu",
    )  # fmt: skip
    expected = theirs.encode(TEXTS)
    np.testing.assert_allclose(ours.encode(TEXTS), expected, rtol=0, atol=1e-5)
    assert ours.max_seq_length == theirs.max_seq_length
    assert ours[0].get_word_embedding_dimension() == WIDTH
    assert ours.similarity_fn_name == theirs.similarity_fn_name
    ours.save_pretrained(tmp_path / "ours")
    again = sentence_transformers.SentenceTransformer(str(tmp_path / "ours"), device="cpu")
    np.testing.assert_allclose(again.encode(TEXTS), expected, rtol=0, atol=1e-5)
    assert again.max_seq_length == theirs.max_seq_length
    theirs.save_pretrained(str(tmp_path / "theirs"), create_model_card=False)
    opened = minibert.SentenceTransformer(tmp_path / "theirs", on_long="ignore")
    np.testing.assert_allclose(opened.encode(TEXTS), expected, rtol=0, atol=1e-5)
    kinds = [type(module).__name__ for module in again]
    assert kinds == [type(module).__name__ for module in theirs]
    paths = [entry["path"] for entry in json.loads((tmp_path / "ours/modules.json").read_text())]
    assert paths == [
        entry["path"] for entry in json.loads((tmp_path / "theirs/modules.json").read_text())
    ]
