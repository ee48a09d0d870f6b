"""What a folder says of its model, and what is refused by name."""

import numpy as np
import pytest
from golden_files import GOLDEN
from module_folders import refused

from minibert import CheckpointError, SentenceTransformer
from minibert.checkpoint.folder import model_type_of, read_folder


def test_plain_bert_takes_the_mean_and_says_so(folder, caplog, edit):
    before = SentenceTransformer(folder).encode("the cat")
    assert caplog.messages == []
    (folder / "modules.json").unlink()
    # Not read without modules.json, like the reference.
    edit(folder / "sentence_bert_config.json", max_seq_length=10)
    model = SentenceTransformer(folder)
    assert "has no modules.json; taking the mean" in caplog.text
    assert model.max_seq_length == 41
    np.testing.assert_array_equal(model.encode("the cat"), before)


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model_type", "SparseEncoder", "expected 'SentenceTransformer'"),
        ("prompts", ["query: "], "expected names and their texts"),
        ("prompts", [], "expected names and their texts"),
        ("prompts", False, "expected names and their texts"),
        ("prompts", {"query": 0}, "expected names and their texts"),
        ("prompts", {"query": 3}, "expected names and their texts"),
        ("truncate_dim", 0, "expected a whole number"),
        ("default_prompt_name", ["query"], "expected a str"),
        ("similarity_fn_name", {"dot": 1}, "expected a str"),
        ("similarity_fn_name", "maxsim", "similarity_fn_name is 'maxsim'"),
    ],
)
def test_model_settings_that_cannot_be_followed_are_refused(folder, edit, key, value, message):
    edit(folder / "config_sentence_transformers.json", **{key: value})
    refused(folder, message)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        SentenceTransformer(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="is no folder"):
        read_folder(tmp_path / "nowhere")


def test_a_folder_that_is_no_model_s_is_refused(tmp_path):
    refused(tmp_path, r"neither modules\.json nor config\.json")


def test_a_prompt_of_null_is_empty(folder, edit):
    edit(folder / "config_sentence_transformers.json", prompts={"query": None, "other": "a "})
    assert SentenceTransformer(folder).prompts == {"query": "", "document": "", "other": "a "}


def test_a_missing_default_prompt_is_refused_unless_it_is_given(folder, edit):
    edit(folder / "config_sentence_transformers.json", default_prompt_name="ask")
    with pytest.raises(CheckpointError, match=r"default_prompt_name: There is no prompt 'ask'"):
        SentenceTransformer(folder)
    assert SentenceTransformer(folder, default_prompt_name="query").default_prompt_name == "query"
    model = SentenceTransformer(folder, prompts={"ask": "the "})
    np.testing.assert_array_equal(model.encode("cat"), model.encode("cat", prompt="the "))


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("gelu", "SentenceTransformer"),
        ("old_layout", "SentenceTransformer"),
        ("masked", "SentenceTransformer"),  # a plain BERT, whose mean is taken
        ("cross_encoder", "CrossEncoder"),
    ],
)
def test_a_folder_tells_the_class_of_its_model(name, kind):
    assert model_type_of(GOLDEN / name) == kind


def test_the_class_that_a_folder_names_counts(folder, edit):
    edit(folder / "config.json", architectures=["BertForSequenceClassification"])
    assert model_type_of(folder) == "SentenceTransformer"  # as modules.json has a pooling
    for kind in ("CrossEncoder", "SparseEncoder"):
        edit(folder / "config_sentence_transformers.json", model_type=kind)
        assert model_type_of(folder) == kind
    edit(folder / "config_sentence_transformers.json", model_type=7)
    with pytest.raises(CheckpointError, match="model_type is 7; expected a str"):
        model_type_of(folder)


def test_a_folder_of_nothing_has_no_other_class(tmp_path):
    assert model_type_of(tmp_path) == "SentenceTransformer"  # which refuses it with advice
