"""minibert convert --layers: the layers that stay, the files around them, and refusals."""

import json
import os

import numpy as np
import pytest
from golden_files import GOLDEN, change_tensors, copy_of, edit_json
from hub_stand_in import TINY
from pickled_folders import pickled, shards_of, tree
from safetensors.numpy import load_file, save_file

import minibert
from minibert import CheckpointError, SentenceTransformer
from minibert.errors import OutputError

TEXTS = ["the cat sat.", "Dogs, cats and London!", "", "a dog barks at the cat"]
NUMBERED = ["gelu", "roberta", "xlm_roberta", "camembert", "mpnet", "electra", "distilbert",
            "old_layout", "sharded", "bfloat16", "plain"]  # fmt: skip
REWRITTEN = ("config.json", "model.safetensors", "model.safetensors.index.json")


def by_hand(folder, layers):
    """Vectors of a model whose forward pass runs some of its layers alone."""
    model = SentenceTransformer(folder, on_long="ignore")
    before = model.transformer.parameters
    kept = tuple(before.layers[layer] for layer in layers)
    model.transformer.use_parameters(before._replace(layers=kept))
    return model.encode(TEXTS)


def tensors_of(folder):
    """All tensors in a folder's own files, by name."""
    return {k: v for file in folder.glob("*.safetensors") for k, v in load_file(file).items()}


@pytest.fixture
def deep(folder):
    """A model of twelve layers, so that the number of one begins that of another."""

    def add_layers(tensors):
        for name in [name for name in tensors if name.startswith("encoder.layer.")]:
            _, _, number, rest = name.split(".", 3)
            for more in (3, 6, 9):
                new = f"encoder.layer.{int(number) + more}.{rest}"
                tensors[new] = tensors[name] * np.float32(1 + more / 16)

    change_tensors(folder, add_layers)
    edit_json(folder / "config.json", num_hidden_layers=12)
    return folder


@pytest.mark.parametrize("name", NUMBERED)
@pytest.mark.parametrize("layers", [[0, 2], [1]])
def test_vectors_are_those_of_the_layers_that_stay(tmp_path, name, layers):
    converted = minibert.keep_layers(GOLDEN / name, tmp_path / "out", layers)
    model = SentenceTransformer(converted.folder, on_long="ignore")
    assert model.config.num_hidden_layers == len(layers)
    expected = by_hand(GOLDEN / name, layers)
    # The same numbers at other places in memory.
    np.testing.assert_allclose(model.encode(TEXTS), expected, rtol=0, atol=1e-6)
    assert np.abs(expected - SentenceTransformer(GOLDEN / name).encode(TEXTS)).max() > 1e-3


def test_layers_of_two_digits_are_told_from_those_of_one(deep, tmp_path):
    minibert.keep_layers(deep, tmp_path / "out", [1, 10, 11])
    vectors = SentenceTransformer(tmp_path / "out", on_long="ignore").encode(TEXTS)
    np.testing.assert_allclose(vectors, by_hand(deep, [1, 10, 11]), rtol=0, atol=1e-6)
    names = {name.split(".")[2] for name in tensors_of(tmp_path / "out") if ".layer." in name}
    assert names == {"0", "1", "2"}


@pytest.mark.parametrize("name", ["masked", "cross_encoder"])
def test_tensors_behind_a_prefix_and_a_head_stay(tmp_path, name):
    source = copy_of(name, tmp_path)

    def add_layer(tensors):
        for name in [name for name in tensors if ".layer.0." in name]:
            tensors[name.replace(".layer.0.", ".layer.1.")] = tensors[name] + np.float32(0.1)

    change_tensors(source, add_layer)
    edit_json(source / "config.json", num_hidden_layers=2)
    minibert.keep_layers(source, tmp_path / "out", [1])
    before, after = tensors_of(source), tensors_of(tmp_path / "out")
    expected = {
        name.replace(".layer.1.", ".layer.0."): tensor
        for name, tensor in before.items()
        if ".layer.0." not in name
    }
    assert after.keys() == expected.keys()
    assert all((after[name] == tensor).all() for name, tensor in expected.items())


def test_all_other_files_are_copied_as_they_are(tmp_path):
    source = copy_of("gelu", tmp_path)
    (source / "README.md").write_text("kept as it is, \r\n")
    (source / "notes").mkdir()
    (source / "notes" / "a.txt").write_bytes(b"\x00\xff")
    before = tree(source)
    converted = minibert.keep_layers(source, tmp_path / "out", [0, 1, 2])
    after = tree(tmp_path / "out")
    assert {name: found[0] for name, found in after.items() if name not in REWRITTEN} == {
        name: found[0] for name, found in before.items() if name not in REWRITTEN
    }
    assert after.keys() == before.keys()
    assert set(converted.copied) == {
        name for name in before if name not in REWRITTEN and (source / name).is_file()
    }
    assert tree(source) == before
    settings = json.loads((source / "config.json").read_text())
    assert json.loads((tmp_path / "out" / "config.json").read_text()) == settings


def test_the_settings_have_the_name_of_a_model_on_the_hub(cached_model, tmp_path):
    minibert.keep_layers(TINY, tmp_path / "out", [0], local_files_only=True)
    folders = cached_model, tmp_path / "out"
    before, after = (json.loads((path / "config.json").read_text()) for path in folders)
    assert before.get("_name_or_path") != after["_name_or_path"] == TINY


def test_the_index_names_the_shards_that_are_left(tmp_path):
    source = copy_of("sharded", tmp_path)
    edit_json(source / "model.safetensors.index.json", note="kept")
    converted = minibert.keep_layers(source, tmp_path / "out", [1])
    index = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    shards = {path.name: load_file(path) for path in (tmp_path / "out").glob("*.safetensors")}
    assert index["weight_map"] == {name: shard for shard in shards for name in shards[shard]}
    total = sum(tensor.nbytes for tensors in shards.values() for tensor in tensors.values())
    assert index["metadata"] == {"total_size": total}  # without the parameters of all layers
    assert index["note"] == "kept"
    assert set(converted.weights) == shards.keys()
    assert converted.tensors == len(index["weight_map"])


def test_a_shard_without_a_tensor_that_stays_is_not_written(tmp_path):
    source = copy_of("sharded", tmp_path)
    path = source / "model.safetensors.index.json"
    index = json.loads(path.read_text())
    tensors = tensors_of(source)
    for shard in source.glob("model-*.safetensors"):
        shard.unlink()
    of_layer = {name: tensor for name, tensor in tensors.items() if ".layer.0." in name}
    rest = {name: tensor for name, tensor in tensors.items() if name not in of_layer}
    save_file(of_layer, source / "model-00001-of-00002.safetensors")
    save_file(rest, source / "model-00002-of-00002.safetensors")
    index["weight_map"] = {
        name: f"model-0000{1 if name in of_layer else 2}-of-00002.safetensors" for name in tensors
    }
    path.write_text(json.dumps(index))
    converted = minibert.keep_layers(source, tmp_path / "out", [1, 2])
    assert converted.weights == ("model-00002-of-00002.safetensors",)
    vectors = SentenceTransformer(tmp_path / "out", on_long="ignore").encode(TEXTS)
    np.testing.assert_allclose(vectors, by_hand(source, [1, 2]), rtol=0, atol=1e-6)


def test_weights_with_all_layers_are_left_out_by_name(run_convert, folder, tmp_path):
    stale = ["pytorch_model.bin", "model.fp16.safetensors", "tf_model.h5", 
             "training_args.bin", "onnx/model.onnx", "openvino/openvino_model.xml",
             "model.safetensors.index.json"]  # fmt: skip
    for name in stale:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(b"\x80\x02}q\x00." if name.endswith(".bin") else b"raw")
    code, _, err = run_convert(folder, tmp_path / "out", "--layers", "0,2")
    assert code == 0
    for name in stale:
        assert f"minibert: {name} was left out: " in err
        assert not (tmp_path / "out" / name).exists()


@pytest.mark.parametrize(
    ("layers", "said"),
    [
        ([0, 3], "layers has 3; the model has 3 layers, so expected numbers from 0 to 2"),
        ([-1], "layers has -1"),
        ([0, 0], "layers has 0 behind 0"),
        ([2, 0], "layers has 0 behind 2; expected numbers from 0 to 2 in ascending order"),
        ([], "layers is empty"),
        ([0, True], "layers has True"),
        ([0.0], "layers has 0.0"),
    ],
)
def test_layers_that_cannot_be_meant_are_refused(tmp_path, layers, said):
    with pytest.raises(ValueError, match=said):
        minibert.keep_layers(GOLDEN / "gelu", tmp_path / "out", layers)
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["albert", "modernbert", "nomic_bert"])
def test_a_family_without_layers_to_take_is_refused_by_name(tmp_path, name):
    with pytest.raises(CheckpointError, match=f"model_type is '{name}'.*Expected one of bert, rob"):
        minibert.keep_layers(GOLDEN / name, tmp_path / "out", [0])
    assert os.listdir(tmp_path) == []


def test_a_number_of_layers_beside_config_json_is_refused(folder, tmp_path):
    edit_json(folder / "sentence_bert_config.json", config_args={"num_hidden_layers": 2})
    with pytest.raises(CheckpointError, match="give num_hidden_layers, too"):
        minibert.keep_layers(folder, tmp_path / "out", [0])


@pytest.mark.parametrize("name", ["gelu", "sharded", "modules"])
def test_weights_that_are_pickles_are_refused(run_convert, tmp_path, name):
    source = copy_of(name, tmp_path)
    if name == "sharded":
        shards_of(source)
    else:
        pickled(source / ("3_Dense" if name == "modules" else ""))
    code, out, err = run_convert(source, tmp_path / "out", "--layers", "0")
    assert (code, out) == (65, "")
    assert f"minibert convert {source} {name}-safetensors" in err
    assert os.listdir(tmp_path) == [name]


def test_a_folder_that_exists_is_left_alone(run_convert, folder, tmp_path):
    (tmp_path / "out").mkdir()
    code, _, err = run_convert(folder, tmp_path / "out", "--layers", "0")
    assert code == 73
    assert "it exists, and nothing is written over" in err
    assert os.listdir(tmp_path / "out") == []
    with pytest.raises(OutputError, match="which is only read"):
        minibert.keep_layers(folder, folder / "out", [0])


def test_the_command_prints_the_new_folder(run_convert, folder, tmp_path):
    code, out, err = run_convert(folder, tmp_path / "out", "--layers", "0,2")
    assert (code, err) == (0, "")
    count = len(tensors_of(tmp_path / "out"))
    copied = sum(path.is_file() for path in folder.rglob("*")) - 2
    assert out == (
        f"{tmp_path / 'out'}: {count} tensors in model.safetensors; {copied} other files copied "
        "as they are\n"
    )


@pytest.mark.parametrize("given", ["", "0,x", "0,,2", "-1"])
def test_numbers_that_are_none_are_an_error_of_usage(run_convert, folder, tmp_path, given):
    code, _, err = run_convert(folder, tmp_path / "out", f"--layers={given}")
    assert code == 2
    assert "is no whole number from 0 up" in err


def test_layers_and_a_python_for_pickles_do_not_go_together(run_convert, folder, tmp_path):
    code, _, err = run_convert(folder, tmp_path / "out", "--layers", "0", "--python", "python3")
    assert code == 65
    assert "--python opens pickles, and --layers takes safetensors" in err
