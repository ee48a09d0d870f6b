"""save_pretrained: what is written, what is copied, and what is left alone."""

import copy
import json
import os
import shutil

import numpy as np
import pytest
from golden_files import GOLDEN, change_tensors, copy_of
from safetensors.numpy import load_file, save_file
from trained import change_tensors_of

from minibert import CheckpointError, SentenceTransformer
from minibert.common.safetensors_files import map_safetensors


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["gelu", "modules", "poolings", "old_layout", "sharded", "plain",
                                  "float16"])  # fmt: skip
def test_a_saved_model_has_the_same_vectors(name, texts, tmp_path):
    model = SentenceTransformer(GOLDEN / name, on_long="ignore")
    model.save_pretrained(tmp_path / "saved" / "here")
    again = SentenceTransformer(tmp_path / "saved" / "here", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    assert again.max_seq_length == model.max_seq_length
    assert [type(m).__name__ for m in again] == [type(m).__name__ for m in model]
    assert list(tmp_path.rglob("*.partial")) == []


def test_what_a_program_changed_is_saved(folder, texts, tmp_path):
    model = SentenceTransformer(
        folder, prompts={"query": "the "}, default_prompt_name="query", truncate_dim=9
    )
    model.max_seq_length = 7
    model.similarity_fn_name = "dot"
    model.set_pooling_include_prompt(False)
    model.save(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved", on_long="ignore")
    model.on_long = "ignore"
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    for name in ("prompts", "default_prompt_name", "truncate_dim", "max_seq_length", "pooling",
                 "similarity_fn_name"):  # fmt: skip
        assert getattr(again, name) == getattr(model, name), name
    assert "says dot" in again.similarity_reason


def test_a_maximum_that_was_set_beats_the_folder_s_own(folder, edit, tmp_path):
    edit(folder / "sentence_bert_config.json", tokenizer_args={"model_max_length": 9})
    model = SentenceTransformer(folder)
    model.save_pretrained(tmp_path / "as it was")
    assert SentenceTransformer(tmp_path / "as it was").max_seq_length == 9
    model.max_seq_length = 12
    model.save_pretrained(tmp_path / "changed")
    assert SentenceTransformer(tmp_path / "changed").max_seq_length == 12


def test_a_plain_bert_becomes_a_sentence_transformers_folder(tmp_path, edit):
    folder = copy_of("plain", tmp_path)
    edit(folder / "sentence_bert_config.json", max_seq_length=5)  # not read, and so not saved
    SentenceTransformer(folder).save_pretrained(tmp_path / "saved")
    types = [entry["type"].rpartition(".")[2] for entry in read(tmp_path / "saved/modules.json")]
    assert types == ["Transformer", "Pooling"]
    assert read(tmp_path / "saved/1_Pooling/config.json")["pooling_mode_mean_tokens"] is True
    assert SentenceTransformer(tmp_path / "saved").max_seq_length == 41


def test_settings_under_an_older_name_are_saved_under_the_first(folder, tmp_path):
    (folder / "sentence_bert_config.json").rename(folder / "sentence_xlnet_config.json")
    SentenceTransformer(folder).save_pretrained(tmp_path / "saved")
    assert (tmp_path / "saved/sentence_bert_config.json").exists()
    assert not (tmp_path / "saved/sentence_xlnet_config.json").exists()


def test_a_model_saved_onto_itself_is_the_same(folder, texts):
    model = SentenceTransformer(folder, on_long="ignore")
    before, weights = model.encode(texts), (folder / "model.safetensors").stat()
    model.prompts["query"] = "the "
    model.save_pretrained(folder)
    assert (folder / "model.safetensors").stat().st_ino == weights.st_ino
    np.testing.assert_array_equal(model.encode(texts), before)
    assert SentenceTransformer(folder).prompts["query"] == "the "


def test_a_model_that_is_in_use_can_be_saved_over(folder, texts, tmp_path):
    target = tmp_path / "saved"
    SentenceTransformer(folder).save_pretrained(target)
    used = SentenceTransformer(target, on_long="ignore")
    before = used.encode(texts)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    SentenceTransformer(folder).save_pretrained(target)
    np.testing.assert_array_equal(used.encode(texts), before)  # its map is of the old file
    assert np.abs(SentenceTransformer(target, on_long="ignore").encode(texts) - before).max() > 0.1


def test_saving_over_another_model_is_refused_without_a_change(folder, tmp_path):
    target = copy_of("old_layout", tmp_path)
    before = {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()}
    with pytest.raises(FileExistsError, match=r"vocab\.txt is of another model.*empty this one"):
        SentenceTransformer(folder).save_pretrained(target)
    after = {path.name: path.read_bytes() for path in target.iterdir() if path.is_file()}
    assert after == before
    (tmp_path / "more").mkdir()
    (tmp_path / "more" / "notes.txt").write_text("mine")
    SentenceTransformer(folder).save_pretrained(tmp_path / "more")
    assert (tmp_path / "more" / "notes.txt").read_text() == "mine"


def test_no_pickle_and_no_code_is_copied(folder, tmp_path):
    for name in ("pytorch_model.bin", "modeling.py", "onnx/model.onnx"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text("x")
    SentenceTransformer(folder).save_pretrained(tmp_path / "saved")
    names = {path.name for path in (tmp_path / "saved").rglob("*")}
    assert not names & {"pytorch_model.bin", "modeling.py", "onnx"}


def contents(folder):
    """Every file below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture
def other(folder, tmp_path):
    """A model with other weights and another vocabulary, and where the first one is saved."""
    SentenceTransformer(folder).save_pretrained(tmp_path / "saved")
    words = (folder / "tokenizer.json").read_text().replace('"cat"', '"cow"')
    (folder / "tokenizer.json").write_text(words)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, folder / "model.safetensors")
    return SentenceTransformer(folder), tmp_path / "saved"


def test_a_save_that_fails_leaves_the_old_model(other, monkeypatch):
    model, target = other
    before, copyfile = contents(target), shutil.copyfile

    def full(source, partial):
        if source.name == "model.safetensors":
            partial.write_text("ha")
            raise OSError(28, "No space left on device")
        copyfile(source, partial)

    monkeypatch.setattr(shutil, "copyfile", full)
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(target)
    assert contents(target) == before


def test_a_save_that_is_cut_short_leaves_no_model_of_two(other, monkeypatch):
    model, target = other
    replace, kept = os.replace, []
    for count in range(len(contents(target))):
        kept.append(0)

        def cut_short(partial, path, count=count):
            if kept[-1] == count:
                raise KeyboardInterrupt
            kept[-1] += 1
            replace(partial, path)

        monkeypatch.setattr(os, "replace", cut_short)
        with pytest.raises(KeyboardInterrupt):
            model.save_pretrained(target)
        with pytest.raises(
            CheckpointError, match=r"neither modules\.json nor config|config\.json is missing"
        ):
            SentenceTransformer(target)
    monkeypatch.setattr(os, "replace", replace)
    model.save_pretrained(target)
    np.testing.assert_array_equal(SentenceTransformer(target).encode("cat"), model.encode("cat"))


def test_a_copy_has_the_time_of_its_file(folder, tmp_path):
    """So that a model of a folder that was saved anew, with the same files, can be saved."""
    first = SentenceTransformer(folder)
    first.save_pretrained(tmp_path / "saved")
    second = SentenceTransformer(tmp_path / "saved")
    first.save_pretrained(tmp_path / "saved")
    second.save_pretrained(tmp_path / "again")
    assert SentenceTransformer(tmp_path / "again").max_seq_length == 41


def test_a_module_path_that_leads_outside_is_never_written(folder, tmp_path, edit):
    model = SentenceTransformer(folder)
    modules = read(folder / "modules.json")
    modules[1]["path"] = "../elsewhere"
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(CheckpointError, match="leaves the model's folder"):
        model.save_pretrained(tmp_path / "deep" / "saved")
    assert not (tmp_path / "deep" / "elsewhere").exists()


def test_a_relative_path_holds_when_the_directory_changes(folder, texts, tmp_path, monkeypatch):
    monkeypatch.chdir(folder.parent)
    model = SentenceTransformer(folder.name, on_long="ignore")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    model.save_pretrained("saved")
    again = SentenceTransformer(tmp_path / "elsewhere" / "saved", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    assert copy.deepcopy(model).folder.path == folder


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_a_model_whose_files_are_gone_is_not_saved_in_part(folder, tmp_path, name):
    model = SentenceTransformer(folder)
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name} is gone"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_a_model_whose_weights_have_changed_since_is_not_saved(folder, tmp_path):
    model = SentenceTransformer(folder)
    tensors = load_file(folder / "model.safetensors")
    save_file({name: 2 * tensor for name, tensor in tensors.items()}, folder / "new")
    os.utime(folder / "new", ns=(1, 1))
    (folder / "new").replace(folder / "model.safetensors")
    with pytest.raises(OSError, match=r"model.safetensors has changed since the model was loaded"):
        model.save_pretrained(tmp_path / "saved")
    assert not (tmp_path / "saved").exists()


def test_only_the_key_that_a_folder_has_loses_its_length(folder, edit, tmp_path):
    edit(folder / "sentence_bert_config.json", processor_kwargs={"model_max_length": 9, "x": 1})
    model = SentenceTransformer(folder)
    model.max_seq_length = 12
    model.save_pretrained(tmp_path / "saved")
    written = read(tmp_path / "saved/sentence_bert_config.json")
    assert (written["processor_kwargs"], written["max_seq_length"]) == ({"x": 1}, 12)
    assert "tokenizer_args" not in written


def test_settings_of_an_earlier_model_do_not_stay(folder, texts, tmp_path):
    target = tmp_path / "saved"
    SentenceTransformer(folder).save_pretrained(target)
    (target / "sentence_bert_config.json").write_text('{"max_seq_length": 4}')
    (target / "sentence_xlnet_config.json").write_text('{"max_seq_length": 5}')
    (folder / "sentence_bert_config.json").unlink()
    model = SentenceTransformer(folder, on_long="ignore")
    model.save_pretrained(target)
    again = SentenceTransformer(target, on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    assert again.max_seq_length == model.max_seq_length == 41


def test_a_pooling_that_did_not_count_is_not_saved(tmp_path, texts):
    folder = copy_of("plain", tmp_path)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text('{"pooling_mode": "cls"}')
    model = SentenceTransformer(folder, on_long="ignore")
    model.save_pretrained(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))


def test_a_module_without_a_path_gets_one(folder, tmp_path):
    modules = read(folder / "modules.json")
    (folder / "modules.json").write_text(
        json.dumps([{"type": modules[0]["type"]}, *modules[1:]]), "utf-8"
    )
    SentenceTransformer(folder).save_pretrained(tmp_path / "saved")
    assert read(tmp_path / "saved/modules.json")[0] == {
        "idx": 0, "name": "0", "path": "", "type": modules[0]["type"]
    }  # fmt: skip


def test_shards_in_a_folder_of_their_own_stay_there(texts, tmp_path):
    folder = copy_of("sharded", tmp_path)
    index = read(folder / "model.safetensors.index.json")
    (folder / "w").mkdir()
    for shard in set(index["weight_map"].values()):
        (folder / shard).rename(folder / "w" / shard)
    moved = {name: f"w/{shard}" for name, shard in index["weight_map"].items()}
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": moved}))
    model = SentenceTransformer(folder, on_long="ignore")
    model.save_pretrained(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))


def test_settings_of_two_modules_of_one_kind_are_both_checked(tmp_path):
    folder = copy_of("modules", tmp_path)
    entries = read(folder / "modules.json")
    kind = next(entry["type"] for entry in entries if entry["type"].endswith("Normalize"))
    entries += [{"type": kind, "path": path} for path in ("8_Normalize", "9_Normalize")]
    (folder / "modules.json").write_text(json.dumps(entries))
    target = tmp_path / "saved"
    (target / "8_Normalize").mkdir(parents=True)
    stray = target / "8_Normalize" / "config.json"
    stray.write_text("{}")
    with pytest.raises(FileExistsError, match=f"{stray} is of another model"):
        SentenceTransformer(folder).save_pretrained(target)


def test_a_save_expands_home_and_refuses_an_empty_path(folder, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    model = SentenceTransformer(folder)
    model.save_pretrained("~/saved")
    assert (tmp_path / "home" / "saved" / "modules.json").exists()
    with pytest.raises(ValueError, match="The path is empty"):
        model.save_pretrained("")


def test_what_could_not_be_loaded_again_is_not_saved(folder, tmp_path):
    model = SentenceTransformer(folder)
    model.truncate_dim = np.int64(7)
    model.save_pretrained(tmp_path / "saved")
    assert SentenceTransformer(tmp_path / "saved").truncate_dim == 7
    for name, value, message in (
        ("default_prompt_name", "nobody", "nobody"),
        ("prompts", {"query": 3}, "prompts is"),
    ):
        model = SentenceTransformer(folder)
        setattr(model, name, value)
        with pytest.raises(ValueError, match=message):
            model.save_pretrained(tmp_path / "bad")
        assert not (tmp_path / "bad").exists()


TRAINED = ["gelu", "modules", "poolings", "old_layout", "sharded", "plain", "float16", "bfloat16",
           "albert", "nomic_bert"]  # fmt: skip


def stored_in(folder):
    """Every tensor below a folder: its file's folder and its name -> the tensor, undecoded."""
    return {
        f"{file.parent.relative_to(folder)}/{tensor.name}": tensor
        for file in sorted(folder.rglob("*.safetensors"))
        for tensor in map_safetensors(file)
    }


def bytes_of(tensor):
    """The bytes of a stored tensor."""
    return tensor.buffer[tensor.offset : tensor.offset + tensor.nbytes]


@pytest.mark.parametrize("name", TRAINED)
def test_a_trained_model_is_saved_with_all_its_tensors(name, texts, tmp_path):
    """Trained ones are float32; all others, among them of other types, keep their bytes."""
    model = SentenceTransformer(GOLDEN / name, on_long="ignore")
    before = model.encode(texts)
    trained = change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    again = SentenceTransformer(tmp_path / "saved", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
    assert np.abs(model.encode(texts) - before).max() > 0.01
    original, saved = stored_in(GOLDEN / name), stored_in(tmp_path / "saved")
    assert saved.keys() == original.keys()
    for place, tensor in saved.items():
        key = place.removeprefix("./")
        if key in trained:
            assert tensor.dtype == "F32", place
            np.testing.assert_array_equal(tensor.read(), trained[key], err_msg=place)
        else:
            assert tensor.dtype == original[place].dtype, place
            assert bytes_of(tensor) == bytes_of(original[place]), place


def test_tensors_that_are_not_trained_keep_their_bytes(folder, tmp_path):
    """Whatever their types are, and even if minibert cannot read them."""
    others = {
        "embeddings.position_ids": np.arange(41).reshape(1, 41),
        "extra.flags": np.array([True, False]),
        "extra.half": np.array([1.5, np.nan], dtype=np.float16),
    }
    change_tensors(folder, lambda tensors: tensors.update(others))
    model = SentenceTransformer(folder)
    trained = change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    found = load_file(tmp_path / "saved" / "model.safetensors")
    assert found.keys() == {*trained, *others}
    for name, tensor in others.items():
        assert found[name].dtype == tensor.dtype
        np.testing.assert_array_equal(found[name], tensor)


def test_the_shards_of_a_trained_model_stay_where_they_were(tmp_path, edit):
    half, sizes = copy_of("sharded", tmp_path), {"total_size": 12345, "total_parameters": 7}
    edit(half / "model.safetensors.index.json", metadata=sizes)
    for shard in half.glob("*.safetensors"):
        tensors = {name: tensor.astype(np.float16) for name, tensor in load_file(shard).items()}
        shard.unlink()
        save_file(tensors, shard, metadata={"format": "pt"})
    model = SentenceTransformer(half)
    change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    before = read(half / "model.safetensors.index.json")
    index = read(tmp_path / "saved" / "model.safetensors.index.json")
    assert index["weight_map"] == before["weight_map"]
    shards = [load_file(path) for path in (tmp_path / "saved").glob("model-*.safetensors")]
    assert len(shards) == 3
    total = sum(tensor.nbytes for shard in shards for tensor in shard.values())
    assert index["metadata"] == {**sizes, "total_size": total}
    for name, shard in index["weight_map"].items():
        assert name in load_file(tmp_path / "saved" / shard)


def test_the_settings_of_a_trained_model_say_float32(folder, edit, tmp_path):
    """Also those for the reference's loading; a missing type stays missing."""
    edit(folder / "config.json", torch_dtype="float16", dtype=None)
    edit(folder / "sentence_bert_config.json", model_args={"torch_dtype": "bfloat16"})
    model = SentenceTransformer(folder)
    model.save_pretrained(tmp_path / "copied")
    change_tensors_of(model)
    model.save_pretrained(tmp_path / "saved")
    before, config = read(tmp_path / "copied/config.json"), read(tmp_path / "saved/config.json")
    assert before["torch_dtype"] == "float16"
    assert config == {**before, "torch_dtype": "float32"}
    settings = read(tmp_path / "saved/sentence_bert_config.json")
    assert settings["model_args"] == {"torch_dtype": "float32"}


def test_a_trained_model_saved_onto_itself_can_be_trained_on(folder, texts, tmp_path):
    model = SentenceTransformer(folder, on_long="ignore")
    for factor in (1.25, 0.75):
        change_tensors_of(model, factor)
        model.save_pretrained(folder)
        again = SentenceTransformer(folder, on_long="ignore")
        np.testing.assert_array_equal(again.encode(texts), model.encode(texts))
        np.testing.assert_array_equal(copy.copy(model).encode(texts), model.encode(texts))
    model.save_pretrained(tmp_path / "saved")


def test_a_trained_model_is_saved_when_an_earlier_save_is_gone(folder, texts, tmp_path):
    model = SentenceTransformer(folder, on_long="ignore")
    change_tensors_of(model)
    model.save_pretrained(tmp_path / "first")
    shutil.rmtree(tmp_path / "first")
    model.save_pretrained(tmp_path / "second")
    again = SentenceTransformer(tmp_path / "second", on_long="ignore")
    np.testing.assert_array_equal(again.encode(texts), model.encode(texts))


def test_a_trained_model_s_save_cut_short_leaves_no_mix(folder, monkeypatch):
    """Onto its own folder, where no vocabulary and no settings but config.json would be moved."""
    model, replace = SentenceTransformer(folder), os.replace
    change_tensors_of(model)
    moved = []

    def cut_short(partial, path):
        moved.append(path)
        if len(moved) == 2:
            raise KeyboardInterrupt
        replace(partial, path)

    monkeypatch.setattr(os, "replace", cut_short)
    with pytest.raises(KeyboardInterrupt):
        model.save_pretrained(folder)
    with pytest.raises(CheckpointError, match=r"neither modules\.json nor config"):
        SentenceTransformer(folder)


def test_a_full_disk_leaves_the_model_that_was_there(folder, monkeypatch):
    model = SentenceTransformer(folder)
    before = contents(folder)
    change_tensors_of(model)

    def full(path, tensors):
        path.write_bytes(b"ha")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("minibert.checkpoint.save.write_safetensors", full)
    with pytest.raises(OSError, match="No space left"):
        model.save_pretrained(folder)
    assert contents(folder) == before


def test_a_card_takes_the_place_of_the_folder_s(folder, tmp_path):
    (folder / "README.md").write_text("of the folder")
    model = SentenceTransformer(folder)
    model.save_pretrained(tmp_path / "copied")
    model.card = "# größer"
    model.save_pretrained(tmp_path / "saved")
    assert (tmp_path / "copied/README.md").read_text("utf-8") == "of the folder"
    assert (tmp_path / "saved/README.md").read_text("utf-8") == "# größer"
