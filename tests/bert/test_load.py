"""Loading: every layout gives the same tensors, and every kind of damage is named."""

import hashlib
import json
import struct

import numpy as np
import pytest
from golden_files import LFS_POINTER, change_tensors, copy_of
from module_folders import refused, vector
from safetensors.numpy import load_file

from minibert import SentenceTransformer
from minibert.bert.load import load_checkpoint
from minibert.common.safetensors_files import weight_files


def rewrite_header(path, change):
    """Change the header of a safetensors file and leave the numbers behind it as they are."""
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    change(header)
    new = json.dumps(header).encode()
    path.unlink()
    path.write_bytes(struct.pack("<Q", len(new)) + new + content[8 + size :])


def test_weights_are_mapped_and_not_copied(folder):
    parameters = load_checkpoint(folder).parameters
    for array in (parameters.word_embeddings, parameters.layers[1].output_weight):
        while isinstance(array.base, np.ndarray):
            array = array.base
        assert type(array.base).__name__ == "memoryview"
        assert type(array.base.obj).__name__ == "mmap"
        assert not array.flags.writeable


def test_every_tensor_is_used_or_listed_as_ignored(old_folder):
    checkpoint = load_checkpoint(old_folder)
    assert "bert.embeddings.position_ids" in checkpoint.tensors.unused()
    assert "cls.predictions.bias" in checkpoint.tensors.unused()
    stored = load_file(old_folder / "model.safetensors")
    ignored = checkpoint.tensors.unused()
    used = {name: tensor.size for name, tensor in stored.items() if name not in ignored}
    assert all(name.startswith(("bert.embeddings.", "bert.encoder.layer.")) for name in used)
    assert checkpoint.tensors.taken_numbers == sum(used.values())


def test_a_prefix_old_names_and_a_buffer_change_no_vector(folder):
    before = vector(folder)

    def rename(tensors):
        for name in list(tensors):
            old = name.replace("LayerNorm.weight", "LayerNorm.gamma")
            old = old.replace("LayerNorm.bias", "LayerNorm.beta")
            tensors[f"bert.{old}"] = tensors.pop(name)
        tensors["bert.embeddings.position_ids"] = np.full((1, 41), 7)

    change_tensors(folder, rename)
    np.testing.assert_array_equal(vector(folder), before)


def test_tensors_that_are_not_aligned_change_no_vector(folder):
    before = vector(folder)
    # A header of one more byte shifts every tensor off its alignment.
    rewrite_header(folder / "model.safetensors", lambda header: None)
    path = folder / "model.safetensors"
    content = path.read_bytes()
    (size,) = struct.unpack("<Q", content[:8])
    padding = 1 + (-size) % 4
    path.unlink()
    path.write_bytes(
        struct.pack("<Q", size + padding)
        + content[8 : 8 + size]
        + b" " * padding
        + content[8 + size :]
    )
    words = load_checkpoint(folder).parameters.word_embeddings
    assert words.flags.aligned
    np.testing.assert_array_equal(vector(folder), before)


def test_sha256_is_that_of_the_file(folder):
    content = (folder / "model.safetensors").read_bytes()
    assert load_checkpoint(folder).sha256() == hashlib.sha256(content).hexdigest()


def test_an_adapter_is_not_left_out(folder):
    (folder / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (folder / "config.json").unlink()  # as in a folder of an adapter alone
    refused(folder, r"adapter_config\.json.*merge_and_unload")


def test_a_missing_tensor_is_named(folder):
    change_tensors(folder, lambda tensors: tensors.pop("encoder.layer.1.output.dense.bias"))
    refused(folder, r"no tensor 'encoder\.layer\.1\.output\.dense\.bias'")


def test_a_tensor_of_the_wrong_shape_is_named_with_both_shapes(folder):
    name = "encoder.layer.0.intermediate.dense.weight"
    change_tensors(folder, lambda tensors: tensors.update({name: tensors[name].T.copy()}))
    refused(folder, rf"{name} has the shape \(20, 37\); config.json implies \(37, 20\)")


@pytest.mark.parametrize("number", [np.nan, np.inf, -np.inf])
def test_weights_that_are_no_numbers_are_named(folder, number):
    def spoil(tensors):
        tensors["encoder.layer.2.output.dense.weight"][3, 4] = number

    change_tensors(folder, spoil)
    refused(folder, r"encoder\.layer\.2\.output\.dense\.weight holds NaN or infinity")


def test_weights_that_are_merely_large_are_taken(folder):
    def enlarge(tensors):
        tensors["embeddings.word_embeddings.weight"][3] = 1e30

    change_tensors(folder, enlarge)
    assert load_checkpoint(folder).parameters.word_embeddings[3, 0] == np.float32(1e30)


def test_a_tensor_stored_under_two_names_is_refused(folder):
    name = "embeddings.LayerNorm.bias"
    change_tensors(folder, lambda tensors: tensors.update({f"bert.{name}": tensors[name]}))
    refused(folder, "are the same tensor")


def test_float64_is_rounded_to_float32(folder):
    name = "embeddings.LayerNorm.bias"
    before = SentenceTransformer(folder).encode("the cat")
    change_tensors(folder, lambda tensors: tensors.update({name: tensors[name].astype(np.float64)}))
    np.testing.assert_array_equal(SentenceTransformer(folder).encode("the cat"), before)


@pytest.mark.parametrize("dtype", [np.int64, np.int32])
def test_other_types_of_numbers_are_refused_by_name(folder, dtype):
    name = "embeddings.LayerNorm.bias"
    change_tensors(folder, lambda tensors: tensors.update({name: tensors[name].astype(dtype)}))
    refused(folder, f"{name} has the type I..; expected F32, F16, BF16 or F64")


@pytest.mark.parametrize("kept", [0, 4, 8, 100, 20_000, -1])
def test_a_file_cut_short_is_refused(folder, kept):
    path = folder / "model.safetensors"
    content = path.read_bytes()[:kept]
    path.unlink()
    path.write_bytes(content)
    refused(folder, r"model\.safetensors is not a whole safetensors file")


NAME = "encoder.layer.0.output.dense.bias"


@pytest.mark.parametrize(
    "lie",
    [
        lambda header: header[NAME].update(shape=[21]),
        lambda header: header[NAME].update(dtype="F16"),
        lambda header: header[NAME].update(dtype="F31"),
        lambda header: header[NAME].update(data_offsets=[0, 80]),
        lambda header: header[NAME].update(data_offsets=[10**12, 10**12 + 80]),
        lambda header: header[NAME].update(shape=[-20]),
        lambda header: header.pop(NAME),
    ],
)
def test_a_header_that_lies_is_refused(folder, lie):
    rewrite_header(folder / "model.safetensors", lie)
    refused(folder, r"model\.safetensors is not a whole safetensors file")


def test_a_header_larger_than_the_file_is_refused(folder):
    path = folder / "model.safetensors"
    content = path.read_bytes()
    path.unlink()
    path.write_bytes(struct.pack("<Q", 1 << 62) + content[8:])
    refused(folder, r"model\.safetensors is not a whole safetensors file")


def test_a_pickle_under_a_false_name_is_refused(folder):
    path = folder / "model.safetensors"
    path.unlink()
    path.write_bytes(b"\x80\x04\x95" + b"\x00" * 100)
    refused(folder, r"model\.safetensors is not a whole safetensors file")


def test_a_folder_without_weights_is_refused(folder):
    (folder / "model.safetensors").unlink()
    refused(folder, r"has no model\.safetensors")


def test_shards_are_found_through_their_index(tmp_path):
    folder = copy_of("sharded", tmp_path)
    assert [path.name for path in weight_files(folder)] == [
        f"model-0000{number}-of-00003.safetensors" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    "name", ["../gelu/model.safetensors", "/etc/passwd", "a\\b.safetensors", "C:x", "", "\0", 7]
)
def test_a_shard_name_that_leaves_the_folder_is_refused(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    refused(folder, "leaves the model's folder|is not there|has a backslash|no name of a file")


def test_a_shard_that_is_not_there_is_named(tmp_path):
    folder = copy_of("sharded", tmp_path)
    (folder / "model-00002-of-00003.safetensors").unlink()
    refused(folder, r"names 'model-00002-of-00003.safetensors', which is not there")


@pytest.mark.parametrize("name", ["weights/model.safetensors", "1_Pooling", "config.json", "", "."])
def test_what_is_no_shard_is_named_as_the_index_has_it(tmp_path, name):
    folder = copy_of("sharded", tmp_path)
    index = folder / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": {"a": name}}))
    refused(folder, f"names {name!r}, which is not there")


@pytest.mark.parametrize("index", [{}, {"weight_map": {}}, {"weight_map": ["a"]}])
def test_an_index_without_shards_is_refused(folder, index):
    (folder / "model.safetensors").unlink()
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    refused(folder, "weight_map is missing or empty")


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("position_embedding_type", "relative_key", "computes 'absolute'"),
        ("is_decoder", True, "computes False"),
        ("is_encoder_decoder", True, "computes False"),
        ("add_cross_attention", True, "computes False"),
        ("pruned_heads", {"0": [1]}, "computes {}"),
        ("quantization_config", {"bits": 4}, "computes None"),
        ("hidden_act", "gelu_10", "computes gelu, gelu_python, gelu_new"),
        ("model_type", "t5", "runs bert"),
        ("model_type", ["bert"], "expected a str"),
        ("model_type", None, "is None; minibert runs bert"),
        ("num_hidden_layers", 10**12, "makes 1000000000000 layers; expected at most 10000"),
        ("num_hidden_layers", 10**30, "expected at most 10000"),
        ("num_hidden_layers", float("inf"), "expected a whole number"),
        ("hidden_act", "x" * 10_000, r" is .{0,90}; minibert computes gelu"),
        ("hidden_act", ["gelu"], "expected a str"),
        ("hidden_size", 0, "expected a whole number"),
        ("hidden_size", 20.0, "expected a whole number"),
        ("num_hidden_layers", True, "expected a whole number"),
        ("vocab_size", "83", "expected a whole number"),
        ("layer_norm_eps", 0, "expected a number above 0"),
        ("layer_norm_eps", "1e-12", "expected a number above 0"),
        ("num_attention_heads", 3, "which does not divide hidden_size 20"),
    ],
)
def test_a_configuration_that_is_not_computed_here_is_named(folder, edit, key, value, message):
    edit(folder / "config.json", **{key: value})
    refused(folder, f"{key}.*{message}")


@pytest.mark.parametrize(
    ("name", "key", "message"),
    [
        ("gelu", "vocab_size", r"\(83, 20\); config\.json implies \(10{12}, 20\)"),
        ("gelu", "max_position_embeddings", r"\(41, 20\); config\.json implies \(10{12}, 20\)"),
        ("gelu", "intermediate_size", "config.json implies"),
        ("albert", "num_hidden_layers", "expected at most 10000"),
        ("albert", "inner_group_num", "expected at most 10000"),
        ("modernbert", "num_hidden_layers", "expected at most 10000"),
        ("modernbert", "hidden_size", "config.json implies"),
        ("nomic_bert", "num_hidden_layers", "expected at most 10000"),
        ("nomic_bert", "hidden_size", "config.json implies"),
        ("mpnet", "max_position_embeddings", "config.json implies"),
        ("roberta", "pad_token_id", "positions begin after the first, so there is none"),
    ],
)
def test_a_huge_count_in_the_config_is_refused_at_once(tmp_path, edit, name, key, message):
    folder = copy_of(name, tmp_path)
    edit(folder / "config.json", **{key: 10**12})
    if key == "hidden_size":
        edit(folder / "config.json", num_attention_heads=1, head_dim=10**12)
    refused(folder, message)


@pytest.mark.parametrize("name", ["modernbert", "nomic_bert"])
def test_heads_that_do_not_fall_into_pairs_are_refused(tmp_path, edit, name):
    folder = copy_of(name, tmp_path)
    size = json.loads((folder / "config.json").read_text())["hidden_size"]
    edit(folder / "config.json", num_attention_heads=size, head_dim=1)
    refused(folder, f"num_attention_heads is {size}, which gives heads of 1 numbers; a {name}")


def test_more_layers_than_the_file_has_are_a_missing_tensor(folder, edit):
    edit(folder / "config.json", num_hidden_layers=4)
    refused(folder, r"no tensor 'encoder\.layer\.3\.attention")


def test_missing_keys_of_config_have_the_reference_s_defaults(folder, edit, removed):
    edit(folder / "config.json", layer_norm_eps=removed, hidden_act=removed, model_type=removed)
    config = load_checkpoint(folder).config
    assert (config.layer_norm_eps, config.hidden_act) == (1e-12, "gelu")


@pytest.mark.parametrize("content", ["", "{", "[]", "\xff", "[" * 100_000])
def test_a_config_json_that_is_no_object_is_refused(folder, content):
    (folder / "config.json").write_text(content, encoding="latin-1")
    refused(folder, r"config\.json (is not (valid JSON|UTF-8)|holds a list; expected an object)")


def test_a_folder_without_config_json_is_refused(folder):
    (folder / "config.json").unlink()
    refused(folder, r"config\.json is missing")


JSON_FILES = [
    "config.json",
    "modules.json",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "tokenizer_config.json",
    "tokenizer.json",
    "1_Pooling/config.json",
]
FILES = [*JSON_FILES, "model.safetensors"]


@pytest.mark.parametrize("name", FILES)
def test_a_pointer_of_git_lfs_is_told_from_a_damaged_file(folder, name):
    (folder / name).write_text(LFS_POINTER)
    refused(folder, rf"{name} is a pointer of git-lfs, .* Run `git lfs pull` in the repository")


def test_a_pointer_of_git_lfs_for_a_shard_is_named(tmp_path):
    folder = copy_of("sharded", tmp_path)
    for name in ("model-00002-of-00003.safetensors", "model.safetensors.index.json"):
        (folder / name).write_text(LFS_POINTER)
        refused(folder, f"{name} is a pointer of git-lfs")


@pytest.mark.parametrize("name", ["pytorch_model.bin", "pytorch_model-00001-of-00002.bin"])
def test_a_pointer_in_a_pickle_s_place_is_not_to_be_converted(folder, name):
    (folder / "model.safetensors").unlink()
    (folder / name).write_text(LFS_POINTER)
    refused(folder, f"{name} is a pointer of git-lfs, .* Run `git lfs pull`")


@pytest.mark.parametrize("name", FILES)
def test_a_folder_in_a_file_s_place_is_named(folder, name):
    (folder / name).unlink()
    (folder / name).mkdir()
    refused(folder, f"{name} is a folder; expected a file")


@pytest.mark.parametrize("name", [*FILES, "1_Pooling"])
@pytest.mark.parametrize("target", ["nothing", "../nothing", "itself"])
def test_a_dangling_link_is_named(folder, name, target):
    place = folder / name
    place.rename(folder.parent / "lost")
    place.symlink_to(place.name if target == "itself" else target)
    refused(folder, rf"{name} is a link to '.*', where nothing is. Fetch the model again")


@pytest.mark.parametrize("name", FILES)
def test_a_link_to_a_file_elsewhere_is_followed(folder, name):
    before = vector(folder)
    (folder / name).rename(folder.parent / "kept")
    (folder / name).symlink_to(folder.parent / "kept")
    np.testing.assert_array_equal(vector(folder), before)


@pytest.mark.parametrize("name", JSON_FILES)
def test_half_of_a_surrogate_pair_is_refused(folder, name):
    content = (folder / name).read_text(encoding="utf-8")
    (folder / name).write_text(content.replace("{", '{"\\ud800": 1, ', 1), encoding="utf-8")
    refused(folder, rf"{name} holds '\\ud800', half of a surrogate pair")


def test_a_whole_surrogate_pair_is_a_character(folder, edit):
    edit(folder / "config.json", _name_or_path="\U0001f600")
    assert "\\ud83d" in (folder / "config.json").read_text()
    assert load_checkpoint(folder).name_or_path == "\U0001f600"


@pytest.mark.parametrize("content", ["\ufeff{}", '{"a": ' + "9" * 5000 + "}"])
def test_odd_json_is_refused_in_words(folder, content):
    (folder / "config.json").write_text(content, encoding="utf-8")
    refused(folder, r"config\.json is not valid JSON")
