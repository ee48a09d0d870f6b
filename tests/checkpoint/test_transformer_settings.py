"""What sentence_bert_config.json may say, and what is refused by name."""

import numpy as np
import pytest
from module_folders import refused

from minibert import SentenceTransformer


def test_max_seq_length_is_taken_from_sentence_bert_config(folder, edit):
    edit(folder / "sentence_bert_config.json", max_seq_length=9)
    assert SentenceTransformer(folder).max_seq_length == 9


@pytest.mark.parametrize("length", [0, -1, 3.5, "9", True])
def test_a_max_seq_length_that_is_no_length_is_refused(folder, edit, length):
    edit(folder / "sentence_bert_config.json", max_seq_length=length)
    refused(folder, "max_seq_length is .*; expected a whole number from 1 up, or null")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("query_length", "32", "query_length is '32'; expected a whole number from 1 up, or null"),
        ("query_size", 32, "does not know the key 'query_size'"),
        ("query_expansion", {"length": 32}, "query_expansion is for multi-vector models"),
        ("transformer_task", "fill-mask", "'fill-mask'; minibert computes feature-extraction"),
        ("transformer_task", "sequence-classification", "modality_config is"),
        ("model_args", {"gguf_file": "x"}, "does not know the model argument 'gguf_file'"),
        ("processing_kwargs", {"text": {"stride": 3}}, "does not know the key 'stride'"),
        ("processing_kwargs", {"text": 3}, "text is 3; expected a dict"),
        ("processing_kwargs", {"text": {"truncation": "only_first"}}, "truncation is 'only_first'"),
        ("processing_kwargs", {"text": {"max_length": 0}}, "max_length is 0; expected a whole"),
        ("module_output_name", "sentence_embedding", "minibert computes 'token_embeddings'"),
        ("modality_config", {"text": {"method": "forward", "method_output_name": "pooler_output"}},
         "minibert computes {'text'"),
    ],
)  # fmt: skip
def test_transformer_settings_that_change_outputs_are_refused(folder, edit, key, value, message):
    edit(folder / "sentence_bert_config.json", **{key: value})
    refused(folder, message)


def test_transformer_settings_are_found_under_older_names(folder, edit):
    edit(folder / "sentence_distilbert_config.json", max_seq_length=7)
    edit(folder / "sentence_xlnet_config.json", max_seq_length=8)
    assert SentenceTransformer(folder).max_seq_length == 41
    (folder / "sentence_bert_config.json").write_text("{}")
    assert SentenceTransformer(folder).max_seq_length == 7


def test_do_lower_case_of_sentence_bert_config_is_followed(folder, edit):
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    cased = SentenceTransformer(folder)
    edit(folder / "sentence_bert_config.json", do_lower_case=True)
    np.testing.assert_array_equal(SentenceTransformer(folder).encode("CAT"), cased.encode("cat"))


def test_config_args_and_harmless_arguments_are_followed(folder, edit):
    edit(
        folder / "sentence_bert_config.json",
        config_args={"num_hidden_layers": 1},
        model_args={"torch_dtype": "float16", "attn_implementation": "sdpa"},
        unpad_inputs=True,
    )
    model = SentenceTransformer(folder)
    assert model.config.num_hidden_layers == 1
    assert "encoder.layer.2.output.dense.weight" in model.checkpoint.tensors.unused()


@pytest.mark.parametrize(("old", "length"), [({"model_max_length": 8}, 8), ({}, 41), (None, 41)])
def test_where_a_key_has_both_its_names_the_old_one_counts(folder, edit, old, length):
    edit(
        folder / "sentence_bert_config.json",
        max_seq_length=None,
        tokenizer_args=old,
        processor_kwargs={"model_max_length": 7},
    )
    assert SentenceTransformer(folder).max_seq_length == length


@pytest.mark.parametrize("kinds", [("common", "text"), ("text", "common")])
def test_max_length_of_common_beats_that_of_text(folder, edit, kinds):
    lengths = {"common": 6, "text": 5}
    edit(
        folder / "sentence_bert_config.json",
        processing_kwargs={kind: {"max_length": lengths[kind]} for kind in kinds},
    )
    tokens = SentenceTransformer(folder).tokens("a b c d e f")
    assert len(tokens.ids) == 6


def test_the_limit_of_processing_kwargs_beats_the_others(folder, edit):
    edit(
        folder / "sentence_bert_config.json",
        processing_kwargs={"text": {"max_length": 5}, "audio": {}},
        max_seq_length=9,
        query_length=7,
    )
    model = SentenceTransformer(folder)
    assert model.max_seq_length == 9
    for encode in (model.encode, model.encode_query):
        assert len(encode("a b c d e f", output_value="token_embeddings", on_long="ignore")) == 5
