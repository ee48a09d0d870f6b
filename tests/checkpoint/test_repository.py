"""What is said of a model that the hub does not give, and what it has instead of safetensors."""

import io
import re
import shutil
import sys
from functools import partial

import huggingface_hub
import pytest
from golden_files import GOLDEN
from hub_stand_in import TINY
from huggingface_hub.errors import LocalEntryNotFoundError
from huggingface_hub.utils import tqdm

from minibert import CheckpointError, ModelUnavailableError
from minibert.checkpoint.hub import find_model, find_pickles
from minibert.checkpoint.repository import HubOptions

pytestmark = pytest.mark.usefixtures("online")

SHARDS = [f"pytorch_model-0000{number}-of-00002.bin" for number in (1, 2)]


@pytest.mark.parametrize(
    ("golden", "missing", "files"),
    [
        ("gelu", "model.safetensors", ["pytorch_model.bin", "tf_model.h5"]),
        ("gelu", "model.safetensors", ["pytorch_model.bin.index.json", *SHARDS]),
        ("modules", "3_Dense/model.safetensors", ["3_Dense/pytorch_model.bin"]),
        ("modules", "model.safetensors", ["onnx/model.safetensors", "pytorch_model.bin"]),
    ],
)
def test_a_model_with_a_pickle_only_names_the_command(
    hub, listing, tmp_path, golden, missing, files
):
    shutil.rmtree(hub.folder)
    shutil.copytree(GOLDEN / golden, hub.folder)
    (hub.folder / missing).unlink()
    listing("config.json", *files)
    with pytest.raises(CheckpointError) as error:
        find_model("someone/model", HubOptions(revision="v2", cache_folder="/kept here"))
    pickle = next(file for file in files if file.endswith(".bin"))
    assert f"someone/model has its weights on the hub in {pickle} only" in str(error.value)
    assert str(error.value).endswith(
        "minibert convert someone/model model-safetensors --revision v2 --cache-folder '/kept here'"
    )
    assert hub.listed == [{"name": "someone/model", "revision": "v2", "token": None}]


def test_a_bare_name_is_converted_under_its_full_one(hub, listing):
    (hub.folder / "model.safetensors").unlink()
    listing("pytorch_model.bin")
    with pytest.raises(CheckpointError, match=f"minibert convert {TINY} tiny-safetensors$"):
        find_model("tiny")
    with pytest.raises(CheckpointError, match=r"convert cross-encoder/tiny tiny-safetensors$"):
        find_model("tiny", owner="cross-encoder")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["tf_model.h5"], "It has tf_model.h5 (TensorFlow). Choose"),
        (["onnx/model.onnx", "flax_model.msgpack"], "(Flax), onnx/model.onnx (ONNX). Choose"),
        (["q4.gguf", "rust_model.ot"], "It has q4.gguf (GGUF), rust_model.ot (Rust). Choose"),
        (["pytorch_model.fp16.bin"], "It has pytorch_model.fp16.bin (PyTorch). Choose"),
        (["2_Dense/pytorch_model.bin"], "It has 2_Dense/pytorch_model.bin (PyTorch). Choose"),
        (
            ["README.md"],
            "has no model.safetensors on the hub, and minibert reads no other weights. C",
        ),
    ],
)
def test_a_model_in_other_formats_names_them(hub, listing, files, said):
    (hub.folder / "model.safetensors").unlink()
    listing("config.json", *files)
    with pytest.raises(CheckpointError, match=re.escape(said)) as error:
        find_model("someone/model")
    assert "ask its owner for safetensors" in str(error.value)
    assert "Check the name" not in str(error.value)


@pytest.mark.parametrize("file", ["config.json", "tokenizer.json", "1_Pooling/config.json"])
def test_a_needed_file_that_the_hub_lacks_is_named(hub, listing, file):
    (hub.folder / file).unlink()
    listing("README.md", "model.safetensors")
    with pytest.raises(CheckpointError, match=f"someone/model has no {file} on the hub, so"):
        find_model("someone/model")


def test_a_repository_with_sentencepiece_alone_names_the_command(hub, listing):
    (hub.folder / "tokenizer.json").unlink()
    listing("model.safetensors", "sentencepiece.bpe.model")
    with pytest.raises(CheckpointError, match=r"alone \(sentencepiece.bpe.model\)") as error:
        find_model("someone/model")
    assert str(error.value).endswith("someone/model model-tokenizer")


def test_a_file_that_the_hub_has_and_did_not_give_is_unavailable(hub, listing):
    (hub.folder / "model.safetensors").unlink()
    listing("model.safetensors", "pytorch_model.bin")
    with pytest.raises(ModelUnavailableError, match=r"was not fetched.*Check the name"):
        find_model("someone/model")


@pytest.mark.parametrize("find", [find_model, partial(find_pickles, hub=HubOptions())])
def test_a_model_behind_terms_says_where_they_are_accepted(hub, listing, monkeypatch, find):
    from huggingface_hub.errors import GatedRepoError

    def refuse(name, *, local_files_only, **_):
        if local_files_only:
            raise LocalEntryNotFoundError("nothing is cached")
        raise GatedRepoError.__new__(GatedRepoError)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", refuse)
    with pytest.raises(ModelUnavailableError) as error:
        find("someone/model")
    assert "https://huggingface.co/someone/model, and set HF_TOKEN" in str(error.value)


def test_what_the_hub_says_is_passed_on_in_a_line(cache, monkeypatch):
    def snapshot_download(name, **options):
        raise LocalEntryNotFoundError("Got: a timeout\nA second line of advice")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    with pytest.raises(ModelUnavailableError) as caught:
        find_model("tiny")
    assert TINY in str(caught.value)
    assert "(a timeout)" in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("is_closed", [False, True])
def test_a_download_without_a_stderr_has_bars_that_nobody_sees(hub, folder, monkeypatch, is_closed):
    stream = io.StringIO()
    stream.close()
    before = stream if is_closed else None
    monkeypatch.setattr(sys, "stderr", before)

    def download(name, **options):
        found = hub(name, **options)
        with tqdm(total=1) as bar:  # huggingface_hub's own
            bar.update(1)
        return found

    monkeypatch.setattr(huggingface_hub, "snapshot_download", download)
    assert find_model("tiny") == folder
    assert sys.stderr is before
