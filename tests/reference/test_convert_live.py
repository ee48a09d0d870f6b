"""minibert convert with torch itself: real pickles, what they hold, and what they must not do."""

import contextlib
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import sentence_transformers
import torch
import transformers
from folders import dense, pooling, write
from golden_models import FAMILIES, awkward, config, tokenizer
from pickled_folders import shards_of, tree
from safetensors import safe_open
from safetensors.torch import load, load_file

import minibert
from minibert import CheckpointError
from minibert.checkpoint.unpickling import ConversionError, converted
from minibert.commands import cli

PAIRS = [("the cat", "a dog"), ("London", "the cat sat on London")]
TEXTS = ["the cat", "a dog barks in London", ""]


def as_pickle(folder, **options):
    """Write a folder's safetensors as torch would have: -> its tensors."""
    tensors = load_file(folder / "model.safetensors")
    torch.save(tensors, folder / "pytorch_model.bin", **options)
    (folder / "model.safetensors").unlink()
    return tensors


def assert_same_tensors(found, expected):
    assert list(found) == sorted(expected)
    for name, tensor in expected.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape), name
        assert torch.equal(found[name], tensor), name


def read(path):
    tensors = load_file(path)
    return {name: tensors[name] for name in sorted(tensors)}


def fails(folder, out, capsys):
    """Run the command on a folder that it must leave alone: -> its code and its word."""
    before = tree(folder)
    code = cli.main(["convert", str(folder), str(out)])
    assert tree(folder) == before
    assert not os.path.lexists(out)
    assert not list(out.parent.glob("*.partial"))
    return code, capsys.readouterr().err


@pytest.fixture
def config_folder(tmp_path):
    """A folder with a config alone, for a pickle of a test's own."""
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "bert"}')
    return folder


# every kind of model, there and back


@pytest.mark.parametrize(
    ("family", "old_format"), [("bert", True), *((name, False) for name in ["bert", *FAMILIES])]
)
def test_a_cross_encoder_keeps_its_head(tmp_path, family, old_format):
    torch.manual_seed(20261128)
    source, out = tmp_path / "source", tmp_path / "out"
    made = FAMILIES.get(family)
    head = made.classifier(1) if made else transformers.BertForSequenceClassification(config())
    awkward(head).save_pretrained(source)
    (made.words() if made else tokenizer()).save_pretrained(source)
    expected = sentence_transformers.CrossEncoder(str(source), device="cpu").predict(PAIRS)
    tensors = as_pickle(source, _use_new_zipfile_serialization=not old_format)
    minibert.convert(source, out)
    assert_same_tensors(read(out / "model.safetensors"), tensors)
    for file in source.iterdir():
        if file.name != "pytorch_model.bin":
            assert (out / file.name).read_bytes() == file.read_bytes()
    again = sentence_transformers.CrossEncoder(str(out), device="cpu").predict(PAIRS)
    np.testing.assert_array_equal(again, expected)
    ours = minibert.CrossEncoder(out).predict(PAIRS)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_modules_with_pickles_keep_their_vectors(tmp_path):
    torch.manual_seed(20261128)
    source, out = tmp_path / "source", tmp_path / "out"
    write(source, pooling(), dense(), dense(7, 5))
    expected = sentence_transformers.SentenceTransformer(str(source), device="cpu").encode(TEXTS)
    found = [path.parent for path in source.rglob("model.safetensors")]
    assert len(found) == 3
    for place in found:
        as_pickle(place)
    written = minibert.convert(source, out)
    assert written.weights == ("model.safetensors", *(
        f"{place.name}/model.safetensors" for place in sorted(found)[1:]
    ))  # fmt: skip
    model = sentence_transformers.SentenceTransformer(str(out), device="cpu")
    np.testing.assert_array_equal(model.encode(TEXTS), expected)
    ours = minibert.SentenceTransformer(out).encode(TEXTS)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_shards_of_torch_keep_their_tensors(tmp_path):
    torch.manual_seed(20261128)
    source, out = tmp_path / "source", tmp_path / "out"
    model = awkward(transformers.BertModel(config())).eval()
    model.save_pretrained(source, max_shard_size="25KB")
    tokenizer().save_pretrained(source)
    shards_of(source)
    for shard in source.glob("pytorch_model-*.bin"):
        torch.save(load(shard.read_bytes()), shard)
    minibert.convert(source, out)
    loaded = transformers.AutoModel.from_pretrained(out)
    assert_same_tensors(dict(sorted(loaded.state_dict().items())), dict(model.state_dict()))
    index = json.loads((out / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {p.name for p in out.glob("model-*.safetensors")}
    ids = tokenizer()(TEXTS[1], return_tensors="pt")
    with torch.no_grad():
        expected = model(**ids).last_hidden_state
    ours = minibert.AutoModel.from_pretrained(out)(ids["input_ids"].numpy()).last_hidden_state
    np.testing.assert_allclose(ours, expected, rtol=0, atol=1e-5)


def test_a_masked_lm_keeps_tied_tensors_under_all_names(tmp_path):
    torch.manual_seed(20261128)
    source, out = tmp_path / "source", tmp_path / "out"
    model = awkward(transformers.BertForMaskedLM(config())).eval()
    model.save_pretrained(source)
    tokenizer().save_pretrained(source)
    (source / "model.safetensors").unlink()
    tensors = model.state_dict()
    words = tensors["bert.embeddings.word_embeddings.weight"]
    assert words.data_ptr() == tensors["cls.predictions.decoder.weight"].data_ptr()
    torch.save(tensors, source / "pytorch_model.bin")
    minibert.convert(source, out)
    assert_same_tensors(read(out / "model.safetensors"), dict(tensors))
    text = "the [MASK] sat"
    made = tokenizer()(text, return_tensors="pt")
    with torch.no_grad():
        logits = model(**made).logits[
            0, made["input_ids"][0].tolist().index(tokenizer().mask_token_id)
        ]
    best = minibert.fill_mask(out, text)[0]
    assert best["token"] == int(logits.argmax())
    assert best["score"] == pytest.approx(float(logits.softmax(0).max()), abs=1e-5)


def test_every_type_and_layout_is_kept(config_folder, tmp_path):
    base = torch.arange(12, dtype=torch.float32).reshape(3, 4)
    tensors = {
        "linear.weight": base,  # as a ColBERT's projection
        "transposed": base.T,
        "part": base[1, 1:],
        "expanded": torch.ones(1, 3).expand(2, 3),
        "parameter": torch.nn.Parameter(base.clone()),
        "scalar": torch.tensor(3.0),
        "empty": torch.zeros(0, 3),
        "nan": torch.tensor([float("nan")]),
        "embeddings.position_ids": torch.arange(5).expand(1, 5),
        "float16": base.half(),
        "bfloat16": base.bfloat16(),
        "float64": base.double(),
        "bool": base > 4,
        "uint8": base.to(torch.uint8),
        "float8": base.to(torch.float8_e4m3fn),
        "complex64": base.to(torch.complex64),
    }
    torch.save(tensors, config_folder / "pytorch_model.bin")
    minibert.convert(config_folder, tmp_path / "out")
    path = tmp_path / "out" / "model.safetensors"
    found = load_file(path)
    assert set(found) == set(tensors)
    for name, tensor in tensors.items():
        assert (found[name].dtype, found[name].shape) == (tensor.dtype, tensor.shape), name
        both = [
            one.detach().contiguous().reshape(-1).view(torch.uint8) for one in (found[name], tensor)
        ]
        assert torch.equal(*both), name
    with safe_open(path, "pt") as file:
        assert file.metadata() == {"format": "pt"}


def test_an_adapter_of_a_pickle_is_converted_too(config_folder, tmp_path):
    torch.save({"lora": torch.ones(2)}, config_folder / "adapter_model.bin")
    written = minibert.convert(config_folder, tmp_path / "out")
    assert written.weights == ("adapter_model.safetensors",)


def test_entries_that_are_no_tensors_are_said(config_folder, tmp_path, caplog):
    torch.save(
        {"a": torch.ones(2), "epoch": 3, "of": {"b": 1}}, config_folder / "pytorch_model.bin"
    )
    torch.save({"state": {}}, config_folder / "training_args.bin")
    written = minibert.convert(config_folder, tmp_path / "out")
    assert written.left_out == {
        "training_args.bin": "a pickle, and no file of weights by its name",
        "pytorch_model.bin: epoch": "no tensor, but of the type int",
        "pytorch_model.bin: of": "no tensor, but of the type dict",
    }
    assert [record.args[0] for record in caplog.records] == list(written.left_out)
    assert written.tensors == 1


# what a pickle must not do


class Touching:
    """Makes a file where it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f"touch {self.path}",)


@pytest.mark.parametrize("form", ["torch", "old torch", "plain", "plain 2", "beside tensors"])
def test_a_pickle_that_runs_code_runs_none(config_folder, tmp_path, capsys, monkeypatch, form):
    evil = Touching(tmp_path / "ran")
    path = config_folder / "pytorch_model.bin"
    if form.startswith("plain"):
        path.write_bytes(pickle.dumps(evil, protocol=2 if "2" in form else 4))
    else:
        content = {"a": torch.ones(2), "b": evil} if form == "beside tensors" else evil
        torch.save(content, path, _use_new_zipfile_serialization=form != "old torch")
    monkeypatch.setenv("TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD", "1")
    code, said = fails(config_folder, tmp_path / "out", capsys)
    assert code == 65
    assert f"{path} " in said
    if form != "plain":  # of whose protocol torch knows nothing
        assert "asks for posix.system; torch takes only tensors" in said
    assert "False" not in said  # torch's own advice
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize("name", ["torch.py", "json.py"])
def test_no_file_here_or_in_the_model_passes_for_a_library(
    config_folder, tmp_path, monkeypatch, name
):
    torch.save({"a": torch.ones(2)}, config_folder / "pytorch_model.bin")
    (config_folder / name).write_text("raise SystemExit('ran')")
    monkeypatch.chdir(config_folder)
    assert minibert.convert(config_folder, tmp_path / "out").tensors == 1


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ([torch.ones(2)], "holds a list, no tensors by name"),
        ({"model": {"a": torch.ones(2)}}, "holds no tensors by name, but model (dict)"),
        ({0: torch.ones(2)}, "a tensor whose name is 0"),
        ({"a": torch.ones(2).to_sparse()}, "'a', which is sparse"),
        ({"a": torch.ones(2, dtype=torch.complex128)}, "torch.complex128; safetensors has none"),
        (torch.nn.Linear(2, 2), "asks for torch.nn.modules.linear.Linear"),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path, content, said):
    torch.save(content, tmp_path / "pytorch_model.bin")
    with pytest.raises(ConversionError) as error:
        converted(str(tmp_path / "pytorch_model.bin"), str(tmp_path / "out"))
    assert error.value.args[0] == "refused"
    assert said in error.value.args[1]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", [b"", b"\x80\x02junk", b"PK\x03\x04junk", b"\x80\x04."])
def test_a_damaged_pickle_is_refused(tmp_path, content):
    (tmp_path / "pytorch_model.bin").write_bytes(content)
    with pytest.raises(ConversionError, match="damaged, or no pickle of tensors alone") as error:
        converted(str(tmp_path / "pytorch_model.bin"), str(tmp_path / "out"))
    assert "weights_only" not in str(error.value)


def test_half_a_pickle_is_refused(config_folder, tmp_path, capsys):
    path = config_folder / "pytorch_model.bin"
    torch.save({"a": torch.ones(1000)}, path)
    path.write_bytes(path.read_bytes()[:2000])
    assert fails(config_folder, tmp_path / "out", capsys)[0] == 65


def test_one_bad_pickle_of_two_leaves_nothing(config_folder, tmp_path, capsys):
    torch.save({"a": torch.ones(2)}, config_folder / "pytorch_model.bin")
    (config_folder / "2_Dense").mkdir()
    torch.save(Touching(tmp_path / "ran"), config_folder / "2_Dense" / "pytorch_model.bin")
    code, word = fails(config_folder, tmp_path / "out", capsys)
    assert code == 65
    assert str(config_folder / "2_Dense" / "pytorch_model.bin") in word


# what stops it


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.parametrize("wait", [0.5, 3.0])
def test_a_kill_at_some_moment_leaves_no_half(config_folder, tmp_path, sent, wait):
    tensors = {f"t{n}": torch.full((250_000,), float(n)) for n in range(40)}
    torch.save(tensors, config_folder / "pytorch_model.bin")
    out = tmp_path / "out"
    running = subprocess.Popen(
        [sys.executable, "-m", "minibert", "convert", str(config_folder), str(out)],
        start_new_session=True,  # as a terminal does, send it to the child as well
        stdout=subprocess.DEVNULL,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    )
    time.sleep(wait)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(running.pid, sent)
    code = running.wait(60)
    if code == 0:  # it was done before
        assert len(load_file(out / "model.safetensors")) == len(tensors)
        return
    assert not out.exists()
    left = [path.name for path in tmp_path.iterdir() if path != config_folder]
    assert left == [] or (sent == signal.SIGKILL and all(n.endswith(".partial") for n in left))


def test_the_same_command_converts_after_a_kill(config_folder, tmp_path):
    torch.save({"a": torch.ones(2)}, config_folder / "pytorch_model.bin")
    (tmp_path / "out.123.partial").mkdir()  # of a run that was killed
    assert minibert.convert(config_folder, tmp_path / "out").tensors == 1


def test_the_printed_command_runs_as_it_is_pasted(tmp_path):
    source = tmp_path / "it's one"
    torch.manual_seed(20261128)
    awkward(transformers.BertModel(config())).save_pretrained(source)
    tokenizer().save_pretrained(source)
    as_pickle(source)
    with pytest.raises(CheckpointError) as error:
        minibert.AutoModel.from_pretrained(source)
    command = str(error.value)[str(error.value).index("minibert convert") :]
    # Whatever `minibert` there is on the path, this is the one under test.
    script = tmp_path / "bin" / "minibert"
    script.parent.mkdir()
    script.write_text(f'#!/bin/sh\nexec {sys.executable} -m minibert "$@"\n')
    script.chmod(0o755)
    path = f"{script.parent}{os.pathsep}{os.environ['PATH']}"
    subprocess.run(command, shell=True, check=True, cwd=tmp_path, env={**os.environ, "PATH": path})
    assert minibert.AutoModel.from_pretrained(tmp_path / "it's one-safetensors").config.hidden_size
    shutil.rmtree(source)
