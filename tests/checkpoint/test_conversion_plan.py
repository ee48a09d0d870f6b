"""What becomes of each file of a folder that is converted: copied, written anew, or left out.

`pytorch_model.bin` is a safetensors file here, and a program that copies stands for torch.
"""

import json
import os
import shutil

import pytest
from golden_files import GOLDEN, copy_of
from pickled_folders import pickled, shards_of, tree
from safetensors.numpy import load_file, save_file

import minibert

LEFTOVERS = ["training_args.bin", "optimizer.pt", "scheduler.pt", "rng_state.pth", "last.ckpt"]


def test_pickles_of_other_things_are_left_out_by_name(run_convert, folder, tmp_path, copying):
    for name in LEFTOVERS:
        # Protocol 2, which torch writes, and protocol 0, which begins like a text.
        (folder / name).write_bytes(b"\x80\x02}q\x00." if name.endswith(".bin") else b"(dp0\n.")
    (folder / "openvino").mkdir()
    (folder / "openvino" / "openvino_model.bin").write_bytes(b"raw")
    code, _, err = run_convert(pickled(folder), tmp_path / "out", "--python", copying)
    assert code == 0
    for name in LEFTOVERS:
        assert f"minibert: {name} was left out: a pickle" in err
        assert not (tmp_path / "out" / name).exists()
    assert (tmp_path / "out" / "openvino" / "openvino_model.bin").read_bytes() == b"raw"


def test_safetensors_beside_a_pickle_count(run_convert, tmp_path, copying):
    folder = copy_of("modules", tmp_path)
    pickled(folder / "3_Dense")
    shutil.copy(folder / "3_Dense" / "pytorch_model.bin", folder / "pytorch_model.bin")
    code, out, err = run_convert(folder, tmp_path / "out", "--python", copying)
    assert code == 0
    assert "pytorch_model.bin was left out: model.safetensors beside it counts" in err
    assert "in 3_Dense/model.safetensors;" in out
    for name in ("model.safetensors", "config.json"):
        assert (tmp_path / "out" / name).read_bytes() == (folder / name).read_bytes()


def test_safetensors_of_an_adapter_count(run_convert, folder, tmp_path, copying):
    shutil.copy(folder / "model.safetensors", folder / "adapter_model.safetensors")
    (folder / "adapter_model.bin").write_bytes(b"")
    code, _, err = run_convert(pickled(folder), tmp_path / "out", "--python", copying)
    assert code == 0
    assert "adapter_model.bin was left out: adapter_model.safetensors beside it counts" in err


def test_shards_become_shards_with_an_index(run_convert, tmp_path, copying):
    source = copy_of("sharded", tmp_path)
    index = json.loads((source / "model.safetensors.index.json").read_text())
    shards_of(source, lambda index: index["metadata"].update(total_size=7, note="kept"))
    assert run_convert(source, tmp_path / "out", "--python", copying)[0] == 0
    names = {path.name for path in (tmp_path / "out").iterdir() if "model" in path.name}
    assert names == {*index["weight_map"].values(), "model.safetensors.index.json"}
    made = json.loads((tmp_path / "out" / "model.safetensors.index.json").read_text())
    shards = (tmp_path / "out").glob("model-*")
    size = sum(tensor.nbytes for shard in shards for tensor in load_file(shard).values())
    assert made["weight_map"] == index["weight_map"]
    assert made["metadata"] == {**index["metadata"], "total_size": size, "note": "kept"}
    model = minibert.AutoModel.from_pretrained(tmp_path / "out")
    assert model.config.hidden_size


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda index: index["weight_map"].update(x="pytorch_model-9.bin"), "is not beside it"),
        (lambda index: index["weight_map"].update(x="../gelu/x.bin"), "is not beside it"),
        (lambda index: index.pop("weight_map"), "weight_map is missing"),
        (lambda index: index["weight_map"].update(x=7), "names 7, which is no name of a file"),
        (
            lambda index: index["weight_map"].update(x="pytorch_model-00001-of-00003.bin"),
            "names the tensor 'x', which no shard holds",
        ),
    ],
)
def test_an_index_that_is_not_of_its_shards_is_refused(
    run_convert, tmp_path, copying, change, said
):
    folder = shards_of(copy_of("sharded", tmp_path), change)
    code, _, err = run_convert(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert said in err
    assert sorted(os.listdir(tmp_path)) == ["a python", "sharded"]


def test_a_tensor_in_two_shards_is_refused(run_convert, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    first, second, _ = sorted(folder.glob("pytorch_model-*"))
    name, tensor = next(iter(load_file(first).items()))
    save_file({**load_file(second), name: tensor}, second)
    code, _, err = run_convert(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert f"two shards hold the tensor {name!r}" in err


def test_shards_without_an_index_are_refused(run_convert, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    (folder / "pytorch_model.bin.index.json").unlink()
    code, _, err = run_convert(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert "pytorch_model.bin.index.json is missing" in err


def test_one_pickle_counts_before_shards(run_convert, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    shutil.copy(GOLDEN / "gelu" / "model.safetensors", folder / "pytorch_model.bin")
    code, _, err = run_convert(folder, tmp_path / "out", "--python", copying)
    assert code == 0
    assert err.count("was left out: pytorch_model.bin beside it counts") == 4
    assert not list((tmp_path / "out").glob("*index.json"))


def test_a_file_is_not_written_over_by_a_shard(run_convert, tmp_path, copying):
    folder = shards_of(copy_of("sharded", tmp_path))
    (folder / "model-00001-of-00003.safetensors").write_bytes(b"")
    code, _, err = run_convert(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert "model-00001-of-00003.safetensors would be written over" in err


@pytest.mark.parametrize("golden", ["gelu", "sharded"])
def test_nothing_to_convert_is_said(run_convert, tmp_path, golden, bare):
    folder = copy_of(golden, tmp_path)
    code, _, err = run_convert(folder, tmp_path / "out", "--python", bare)
    assert code == 65
    assert "nothing to convert" in err
    assert "its weights are safetensors. Open it as it is." in err


def test_a_folder_without_any_weights_is_refused(run_convert, folder, tmp_path, bare):
    (folder / "model.safetensors").unlink()
    code, _, err = run_convert(folder, tmp_path / "out", "--python", bare)
    assert (code, "Open it" in err) == (65, False)
    assert run_convert(tmp_path / "nope/x/y", tmp_path / "out")[0] == 66


def test_a_pointer_of_git_lfs_is_known(run_convert, folder, tmp_path, bare):
    (pickled(folder) / "pytorch_model.bin").write_text("version https://git-lfs.github.com/spec/v1")
    code, _, err = run_convert(folder, tmp_path / "out", "--python", bare)
    assert code == 65
    assert "git lfs pull" in err


def test_a_zip_file_is_a_pickle_only_with_one_inside(run_convert, folder, tmp_path, copying):
    import zipfile

    for name, inside in (("a.zip", "notes.txt"), ("b.bin", "archive/data.pkl")):
        with zipfile.ZipFile(folder / name, "w") as archive:
            archive.writestr(inside, "x")
    (folder / "c.zip").write_bytes(b"PK\x03\x04 and no more")
    assert run_convert(pickled(folder), tmp_path / "out", "--python", copying)[0] == 0
    found = set(os.listdir(tmp_path / "out"))
    assert found & {"a.zip", "b.bin", "c.zip"} == {"a.zip", "c.zip"}


# links


def test_a_model_of_a_cache_becomes_real_files(cache, run_convert, tmp_path, copying, no_network):
    snapshot = cache("someone/model", GOLDEN / "gelu")
    pickled(snapshot)
    before = tree(cache.root)
    code, _, _ = run_convert("someone/model", tmp_path / "out", "--python", copying, "--offline")
    assert code == 0
    assert not any(path.is_symlink() for path in (tmp_path / "out").rglob("*"))
    written = (tmp_path / "out" / "model.safetensors").read_bytes()
    assert written == (GOLDEN / "gelu" / "model.safetensors").read_bytes()
    assert tree(cache.root) == before


def test_a_link_to_a_file_of_the_folder_becomes_a_file(run_convert, folder, tmp_path, copying):
    (folder / "again.json").symlink_to("config.json")
    assert run_convert(pickled(folder), tmp_path / "out", "--python", copying)[0] == 0
    copied = tmp_path / "out" / "again.json"
    assert not copied.is_symlink()
    assert copied.read_bytes() == (folder / "config.json").read_bytes()


@pytest.mark.parametrize(
    ("target", "said"),
    [
        ("nowhere", "leads nowhere"),
        ("notes.txt", "leads nowhere"),  # itself
        ("../secret", "out of the model's folder"),
        ("..", "out of the model's folder"),
        (".", "in which it lies"),
    ],
)
def test_a_link_that_is_no_part_of_the_model_is_refused(
    run_convert, folder, tmp_path, copying, target, said
):
    (tmp_path / "secret").write_text("not to be copied")
    (pickled(folder) / "notes.txt").symlink_to(target)
    code, _, err = run_convert(folder, tmp_path / "out", "--python", copying)
    assert code == 65
    assert f"{folder / 'notes.txt'} is a link" in err
    assert said in err
    assert not (tmp_path / "out").exists()


def test_a_history_and_a_pipe_are_left_out(run_convert, folder, tmp_path, copying):
    os.mkfifo(folder / "pipe")
    (folder / ".git").mkdir()
    (folder / ".git" / "config").write_text("")
    code, _, err = run_convert(pickled(folder), tmp_path / "out", "--python", copying)
    assert code == 0
    assert ".git was left out: the history of the folder." in err
    assert "pipe was left out: neither a file nor a folder." in err
    assert not (tmp_path / "out" / ".git").exists()
