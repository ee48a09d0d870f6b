"""Arguments that are meant for torch: neutral ones change nothing, all others are refused."""

import re

import numpy as np
import pytest

from minibert import CrossEncoder, SentenceTransformer
from minibert.models.foreign_arguments import Meaning, meaning_of

NEUTRAL = [
    {"model_kwargs": None, "tokenizer_kwargs": None, "processor_kwargs": None},
    {"model_kwargs": {}, "processor_kwargs": {}, "config_kwargs": {}},
    {"backend": "torch", "trust_remote_code": False, "model_card_data": None},
    {"model_kwargs": {"torch_dtype": "float32"}},
    {"model_kwargs": {"torch_dtype": "auto", "dtype": None, "device_map": "auto"}},
    {"model_kwargs": {"dtype": np.float32, "attn_implementation": "sdpa", "device_map": None}},
    {"model_kwargs": {"low_cpu_mem_usage": True, "use_safetensors": True}},
    {"tokenizer_kwargs": {"use_fast": True, "padding_side": "right"}},
    {"config_kwargs": {"output_hidden_states": False, "use_cache": False}},
]


@pytest.mark.parametrize("arguments", NEUTRAL, ids=str)
def test_neutral_arguments_change_no_bit(folder, model, texts, arguments):
    found = SentenceTransformer(folder, on_long="ignore", **arguments).encode(texts)
    np.testing.assert_array_equal(found, model.encode(texts))


@pytest.mark.parametrize("arguments", NEUTRAL, ids=str)
def test_a_cross_encoder_takes_neutral_arguments(one, arguments):
    pair = [("a cat", "a dog")]
    assert CrossEncoder(one, **arguments).predict(pair) == CrossEncoder(one).predict(pair)


REFUSED = [
    ({"backend": "onnx"}, "backend is 'onnx'. There is one way to compute here: leave it out"),
    ({"model_kwargs": {"load_in_8bit": True}}, "model_kwargs has 'load_in_8bit': True. minibert"),
    ({"model_kwargs": {"device_map": "cuda:1"}}, "'device_map': 'cuda:1'. Pass device=\"cuda\""),
    ({"model_kwargs": {"revision": "v2"}}, "model_kwargs has 'revision': 'v2'. Pass it beside it"),
    ({"model_kwargs": {"torch_dtype": "bfloat16"}}, "dtype is 'bfloat16'; expected \"float32\""),
    ({"model_kwargs": {"dtype": "float16"}}, "dtype is 'float16' on the device \"cpu\""),
    ({"processor_kwargs": {"padding_side": "left"}}, "processor_kwargs has 'padding_side': 'left'"),
    ({"tokenizer_kwargs": {"do_lower_case": True}}, "Write it into the folder's sentence_bert_con"),
    ({"processor_kwargs": {"model_max_length": 0}}, "model_max_length is 0; expected a whole num"),
    ({"config_kwargs": {"num_hidden_layers": 1}}, "config_kwargs has 'num_hidden_layers': 1. mi"),
    ({"config_kwargs": {"output_hidden_states": True}}, "has 'output_hidden_states': True"),
    ({"model_card_data": {"language": "en"}}, "model_card_data is {'language': 'en'}. Set model"),
]


@pytest.mark.parametrize(("arguments", "message"), REFUSED, ids=str)
def test_what_is_not_neutral_is_refused_by_name(folder, arguments, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        SentenceTransformer(folder, **arguments)


def test_a_cross_encoder_refuses_layers_of_another_type(one):
    CrossEncoder(one, keep_in_fp32_modules=[])
    with pytest.raises(ValueError, match=r"keep_in_fp32_modules is \['classifier'\]. All after"):
        CrossEncoder(one, keep_in_fp32_modules=["classifier"])


def test_what_is_no_dict_of_arguments_is_a_type_error(folder):
    with pytest.raises(TypeError, match=r"model_kwargs is a list \(\[1\]\); expected a dict"):
        SentenceTransformer(folder, model_kwargs=[1])


def test_arguments_that_minibert_has_count_as_its_own():
    assert meaning_of({"torch_dtype": "float16"}) == Meaning(dtype="float16")
    assert meaning_of({"dtype": "auto", "torch_dtype": "float16"}) == Meaning(dtype="float16")
    assert meaning_of(None, {"model_max_length": 12}) == Meaning(max_seq_length=12)
    assert meaning_of(None, None, {"num_labels": 3}) == Meaning(num_labels=3)


def test_the_tokenizer_s_maximum_length_is_the_model_s(folder, one):
    for limited in (
        SentenceTransformer(folder, processor_kwargs={"model_max_length": 7}),
        CrossEncoder(one, tokenizer_kwargs={"model_max_length": 7}),
    ):
        assert limited.max_seq_length == 7
    assert CrossEncoder(one, 1, 9, tokenizer_kwargs={"model_max_length": 7}).max_seq_length == 9


def test_a_number_of_labels_in_the_settings_is_checked(three):
    CrossEncoder(three, config_kwargs={"num_labels": 3})
    with pytest.raises(ValueError, match="num_labels is 2; this model has 3"):
        CrossEncoder(three, config_kwargs={"num_labels": 2})


def test_older_names_of_a_cross_encoder_s_arguments_are_taken(one):
    older = CrossEncoder(
        model_name=str(one), default_activation_function="identity", automodel_args={},
        tokenizer_args={"model_max_length": 9}, config_args=None, cache_dir=None,
    )  # fmt: skip
    assert (older.activation_fn, older.max_seq_length) == ("identity", 9)
    with pytest.raises(TypeError, match="activation_fn and default_activation_function are two"):
        CrossEncoder(one, activation_fn="identity", default_activation_function="sigmoid")


def test_the_dropout_of_a_classifier_changes_no_score(one):
    pairs = [("the cat", "a dog"), ("a dog", "a dog")]
    older = CrossEncoder(one, classifier_dropout=0.9)
    np.testing.assert_array_equal(older.predict(pairs), CrossEncoder(one).predict(pairs))


def test_an_older_name_of_the_token_is_taken(folder):
    SentenceTransformer(folder, use_auth_token=None)
    with pytest.raises(TypeError, match="token and use_auth_token are two names"):
        SentenceTransformer(folder, token="a", use_auth_token="b")


def test_the_device_may_be_the_third_argument(folder):
    assert SentenceTransformer(folder, None, "cpu").device == "cpu"
    with pytest.raises(ValueError, match="device is 'tpu'"):
        SentenceTransformer(folder, None, "tpu")
