"""What a sentence-transformers folder may say, and what is refused by name."""

import json

import numpy as np
import pytest
from safetensors.numpy import save_file

from minibert import CheckpointError, SentenceTransformer
from minibert.checkpoint.folder import read_folder
from minibert.checkpoint.modules import Normalize
from minibert.common.json_files import inside
from minibert.pooling.pooling import POOLINGS

OLD = "sentence_transformers.models."


def write_modules(folder, *types):
    paths = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [
        {"idx": n, "name": str(n), "path": paths.get(kind.rpartition(".")[2], ""), "type": kind}
        for n, kind in enumerate(types)
    ]
    (folder / "modules.json").write_text(json.dumps(modules))


def refused(folder, message):
    with pytest.raises(CheckpointError, match=message):
        SentenceTransformer(folder)


def test_old_and_new_names_of_modules_mean_the_same(folder):
    assert Normalize() not in read_folder(folder).modules
    write_modules(folder, OLD + "Transformer", OLD + "Pooling", OLD + "Normalize")
    # The reference writes no folder for Normalize, either.
    assert read_folder(folder).modules[-1] == Normalize()
    np.testing.assert_allclose(np.linalg.norm(SentenceTransformer(folder).encode("a")), 1, 1e-6)


def test_a_transformer_in_a_folder_of_its_own_is_found(folder):
    inner = folder / "0_Transformer"
    inner.mkdir()
    for name in ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json"):
        (folder / name).rename(inner / name)
    (folder / "sentence_bert_config.json").rename(inner / "sentence_bert_config.json")
    modules = json.loads((folder / "modules.json").read_text())
    modules[0]["path"] = "0_Transformer"
    (folder / "modules.json").write_text(json.dumps(modules))
    assert SentenceTransformer(folder).encode("a").shape == (20,)


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
    ("types", "message"),
    [
        (
            ["Transformer", "Pooling", "CNN"],
            "there is a CNN after the Transformer; .* Pooling, Dense",
        ),
        (["Transformer", "Pooling", "Transformer"], "there is a Transformer after the Transformer"),
        (
            ["Transformer", "Pooling", "Pooling"],
            "modules are Transformer, Pooling, Pooling; .* one",
        ),
        (
            ["Transformer", "Dropout", "Pooling"],
            "modules are Transformer, Dropout, Pooling; .* one",
        ),
        (["Pooling", "Transformer"], "Pooling comes first; minibert expects a Transformer there"),
        (["BERT", "Pooling"], "BERT comes first"),
        (["Transformer"], "modules are Transformer; without a Pooling"),
        ([], "no module comes first"),
    ],
)
def test_modules_that_do_not_run_are_refused_by_name(folder, types, message):
    write_modules(folder, *(OLD + kind for kind in types))
    refused(folder, message)


def test_code_outside_sentence_transformers_is_never_imported(folder):
    write_modules(folder, "os.system", OLD + "Pooling")
    refused(folder, "'os.system' is code outside sentence-transformers")


@pytest.mark.parametrize("modules", [[7], [{"path": ""}], [{"type": 3}]])
def test_a_module_without_type_is_refused(folder, modules):
    (folder / "modules.json").write_text(json.dumps(modules))
    refused(folder, "is no module; expected a type and a path")


def test_a_module_path_that_leaves_the_folder_is_refused(folder):
    modules = json.loads((folder / "modules.json").read_text())
    modules[1]["path"] = "../1_Pooling"
    (folder / "modules.json").write_text(json.dumps(modules))
    refused(folder, r"'\.\./1_Pooling', which leaves the model's folder")


@pytest.mark.parametrize("name", ["", "a", "a/b", "a..b"])
def test_names_inside_the_folder_are_paths(tmp_path, name):
    assert inside(tmp_path, name) == tmp_path / name


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
def test_settings_of_the_transformer_that_change_its_output_are_refused(
    folder, edit, key, value, message
):
    edit(folder / "sentence_bert_config.json", **{key: value})
    refused(folder, message)


@pytest.mark.parametrize(
    ("pooling", "message"),
    [
        ({"pooling_mode": "median"}, "the pooling is 'median'; minibert computes cls, max, mean"),
        ({"pooling_mode": ["mean", "median"]}, "the pooling is 'median'"),
        ({"pooling_mode": []}, r"pooling_mode is \[\]; expected a name"),
        ({"pooling_mode": 0}, "pooling_mode is 0; expected a name"),
        ({"pooling_mode": [1]}, r"pooling_mode is \[1\]; expected a name"),
        (
            {"pooling_mode": "mean", "include_prompt": "no"},
            "include_prompt is 'no'; expected a bool",
        ),
        ({"pooling_mode": "mean", "power": 2}, "does not know the key 'power'"),
        ({"pooling_mode": "mean", "embedding_dimension": {}}, "embedding_dimension is {}; expect"),
        ({"pooling_mode": "mean", "embedding_dimension": 20.0}, "is 20.0; expected a whole number"),
        ({"pooling_mode": "mean", "word_embedding_dimension": "20"}, "dimension is '20'; expected"),
        ({"pooling_mode": "mean", "embedding_dimension": 21}, "expects 21 dimensions; .* gives 20"),
    ],
)
def test_a_pooling_that_is_not_computed_is_refused_by_name(folder, pooling, message):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    refused(folder, message)


@pytest.mark.parametrize(
    "pooling",
    [
        {"pooling_mode": "mean"},
        {"pooling_mode": ["mean"], "embedding_dimension": 20, "include_prompt": True},
        {"word_embedding_dimension": 20, "pooling_mode_mean_tokens": True},
        {"word_embedding_dimension": 20, "pooling_mode_mean_tokens": False},  # none: the mean
    ],
)
def test_every_way_to_write_the_mean_is_understood(folder, pooling):
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    assert read_folder(folder).modules[0].pooling_mode == ("mean",)


def test_a_new_pooling_needs_no_more_than_its_row(folder, edit, monkeypatch):
    def shortest(hidden, lengths, skipped, kernels):
        return kernels.rows_at(hidden, np.cumsum(lengths) - 1) * 0 + lengths.min()

    monkeypatch.setitem(POOLINGS, "shortest", shortest)
    edit(folder / "1_Pooling" / "config.json", pooling_mode=["mean", "shortest"])
    vectors = SentenceTransformer(folder).encode(["the cat", "a"])
    assert vectors.shape == (2, 40)
    assert (vectors[:, 20:] == 3).all()


def test_a_pooling_without_its_file_is_refused(folder):
    (folder / "1_Pooling" / "config.json").unlink()
    refused(folder, r"1_Pooling/config\.json is missing")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("model_type", "CrossEncoder", "expected 'SentenceTransformer'"),
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
def test_settings_of_the_model_that_cannot_be_followed_are_refused(
    folder, edit, key, value, message
):
    edit(folder / "config_sentence_transformers.json", **{key: value})
    refused(folder, message)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        SentenceTransformer(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match="is no folder"):
        read_folder(tmp_path / "nowhere")


def test_a_folder_that_is_no_model_s_is_refused(tmp_path):
    refused(tmp_path, r"neither modules\.json nor config\.json")


def test_settings_of_the_transformer_are_found_under_their_older_names(folder, edit):
    edit(folder / "sentence_distilbert_config.json", max_seq_length=7)
    edit(folder / "sentence_xlnet_config.json", max_seq_length=8)
    assert SentenceTransformer(folder).max_seq_length == 41
    (folder / "sentence_bert_config.json").write_text("{}")
    assert SentenceTransformer(folder).max_seq_length == 7


def test_do_lower_case_of_sentence_bert_config_lower_cases_a_cased_model(folder, edit):
    edit(folder / "tokenizer_config.json", do_lower_case=False)
    cased = SentenceTransformer(folder)
    edit(folder / "sentence_bert_config.json", do_lower_case=True)
    np.testing.assert_array_equal(SentenceTransformer(folder).encode("CAT"), cased.encode("cat"))


def with_modules(folder, *modules):
    """Write modules.json: (type, folder, settings) after the Transformer; None writes no file."""
    entries = [{"path": "", "type": OLD + "Transformer"}]
    for kind, path, settings in modules:
        entries.append({"path": path, "type": OLD + kind})
        if settings is not None:
            (folder / path).mkdir(exist_ok=True)
            (folder / path / "config.json").write_text(json.dumps(settings))
    (folder / "modules.json").write_text(json.dumps(entries))
    return folder


POOLING = ("Pooling", "1_Pooling", {"pooling_mode": "mean"})
DENSE = {"in_features": 20, "out_features": 3}
WEIGHT = {"linear.weight": np.ones((3, 20), np.float32), "linear.bias": np.ones(3, np.float32)}


@pytest.mark.parametrize(
    ("modules", "message"),
    [
        ([POOLING, ("Dense", "2", {**DENSE, "activation_function": "torch.nn.functional.relu"})],
         "activation_function is 'torch.nn.functional.relu'; minibert computes torch.nn's GELU"),
        ([POOLING, ("Dense", "2", {**DENSE, "activation_function": "mine.Swoosh"})],
         "'mine.Swoosh'; minibert computes"),
        ([POOLING, ("Dense", "2", {**DENSE, "activation_function": None})], "is None; minibert"),
        ([POOLING, ("Dense", "2", {"in_features": 20})], "out_features is missing"),
        ([POOLING, ("Dense", "2", {**DENSE, "in_features": 0})], "in_features is 0; expected"),
        ([POOLING, ("Dense", "2", {**DENSE, "in_features": 21})], "expects 21 dimensions; .* 20"),
        ([POOLING, ("Dense", "2", {**DENSE, "bias": "yes"})], "bias is 'yes'; expected a bool"),
        ([POOLING, ("Dense", "2", {**DENSE, "module_output_name": "other"})],
         "turns 'sentence_embedding' into 'other'"),
        ([POOLING, ("Dense", "2", {**DENSE, "module_input_name": "x"})], "turns 'x' into 'x'"),
        ([POOLING, ("Dense", "2", {**DENSE, "module_input_name": "token_embeddings"})],
         "modules are Transformer, Pooling, Dense; minibert runs one Pooling, before it"),
        ([("Dense", "2", DENSE), POOLING], "modules are Transformer, Dense, Pooling"),
        ([POOLING, ("LayerNorm", "2", {"dimension": 19})], "expects 19 dimensions; .* gives 20"),
        ([POOLING, ("LayerNorm", "2", {})], "dimension is missing; expected a whole number"),
        ([POOLING, ("Dense", "2", None)], "2/config.json is missing"),
    ],
)  # fmt: skip
def test_modules_that_are_not_computed_are_refused_by_name(folder, modules, message):
    with_modules(folder, *modules)
    (folder / "2").mkdir(exist_ok=True)
    save_file(WEIGHT, folder / "2" / "model.safetensors")
    refused(folder, message)


def test_a_dense_with_tensors_that_its_settings_do_not_mention_is_refused(folder):
    with_modules(folder, POOLING, ("Dense", "2", {**DENSE, "bias": False}))
    save_file(WEIGHT, folder / "2" / "model.safetensors")
    refused(folder, r"config\.json does not mention the tensor 'linear\.bias'")


@pytest.mark.parametrize("lost", ["linear.bias", "linear.weight"])
def test_a_tensor_that_a_dense_lacks_is_named_with_its_file(folder, lost):
    with_modules(folder, POOLING, ("Dense", "2", DENSE))
    tensors = {name: tensor for name, tensor in WEIGHT.items() if name != lost}
    save_file(tensors, folder / "2" / "model.safetensors")
    refused(folder, rf"2/model\.safetensors has no tensor '{lost}'")


def test_settings_of_a_layer_norm_that_are_not_known_are_refused(folder):
    with_modules(folder, POOLING, ("LayerNorm", "2", {"dimension": 20, "eps": 1e-12}))
    refused(folder, r"2/config\.json: minibert does not know the key 'eps'")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("1_Pooling\\", r"names '1_Pooling\\\\', which has a backslash. Names are written with /"),
        ("a\\b", "which has a backslash"),
        ("..\\a", "leaves the model's folder"),
        ("C:\\a", "leaves the model's folder"),
        ("../a", "leaves the model's folder"),
        ("/a", "leaves the model's folder"),
        ("a\0b", "is no name of a file"),
        (7, "names '7', which is no name of a file"),
        ("x" * 5000, "cannot be read: File name too long"),
    ],
)
def test_the_path_of_a_module_is_refused_with_what_is_wrong(folder, path, message):
    with_modules(folder, POOLING)
    entries = json.loads((folder / "modules.json").read_text())
    entries[1]["path"] = path
    (folder / "modules.json").write_text(json.dumps(entries))
    refused(folder, message)


@pytest.mark.parametrize("names", [["0", "0"], ["0", None], ["0", 1]])
def test_names_of_modules_that_are_none_are_refused(folder, names):
    with_modules(folder, POOLING)
    entries = json.loads((folder / "modules.json").read_text())
    for entry, name in zip(entries, names, strict=True):
        entry["name"] = name
    (folder / "modules.json").write_text(json.dumps(entries))
    refused(folder, r"modules\.json: a module's name is .*; expected a text that no other has")


def test_a_missing_activation_is_tanh(folder):
    with_modules(folder, POOLING, ("Dense", "2", DENSE))
    save_file(WEIGHT, folder / "2" / "model.safetensors")
    vectors = SentenceTransformer(folder).encode(["a", "the cat"])
    assert vectors.shape == (2, 3)
    assert (np.abs(vectors) <= 1).all()


def test_a_prompt_of_null_is_empty(folder, edit):
    edit(folder / "config_sentence_transformers.json", prompts={"query": None, "other": "a "})
    assert SentenceTransformer(folder).prompts == {"query": "", "document": "", "other": "a "}


def test_normalize_before_the_pooling_changes_no_vector(folder):
    before = SentenceTransformer(folder).encode("the cat")
    with_modules(folder, ("Normalize", "2", None), POOLING)
    np.testing.assert_array_equal(SentenceTransformer(folder).encode("the cat"), before)


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
def test_common_beats_text(folder, edit, kinds):
    lengths = {"common": 6, "text": 5}
    edit(
        folder / "sentence_bert_config.json",
        processing_kwargs={kind: {"max_length": lengths[kind]} for kind in kinds},
    )
    tokens = SentenceTransformer(folder).tokens("a b c d e f")
    assert len(tokens.ids) == 6


def test_an_include_prompt_of_null_is_false(folder, edit):
    edit(folder / "1_Pooling" / "config.json", include_prompt=None)
    assert SentenceTransformer(folder).include_prompt is False


def test_a_default_prompt_that_a_folder_lacks_is_refused_unless_it_is_given(folder, edit):
    edit(folder / "config_sentence_transformers.json", default_prompt_name="ask")
    with pytest.raises(CheckpointError, match=r"default_prompt_name: There is no prompt 'ask'"):
        SentenceTransformer(folder)
    assert SentenceTransformer(folder, default_prompt_name="query").default_prompt_name == "query"
    model = SentenceTransformer(folder, prompts={"ask": "the "})
    np.testing.assert_array_equal(model.encode("cat"), model.encode("cat", prompt="the "))


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
