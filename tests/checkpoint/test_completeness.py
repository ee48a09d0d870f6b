"""What a model's copy in the cache needs, to count as the model."""

import re
import shutil

import pytest
from golden_files import GOLDEN
from hub_stand_in import TINY

from minibert import ModelUnavailableError
from minibert.checkpoint.hub import find_model
from minibert.checkpoint.repository import HubOptions

pytestmark = pytest.mark.usefixtures("online")


@pytest.mark.parametrize("golden", ["gelu", "large_epsilon", "old_layout", "plain", "sharded"])
def test_a_cached_model_of_every_layout_is_complete(cache, golden, no_network):
    snapshot = cache("someone/model", GOLDEN / golden)
    assert find_model("someone/model") == snapshot


def test_a_module_that_has_no_settings_needs_no_file(cache, no_network):
    snapshot = cache("someone/model", GOLDEN / "large_epsilon")
    shutil.rmtree(snapshot / "2_Normalize", ignore_errors=True)
    assert find_model("someone/model") == snapshot


@pytest.mark.parametrize(
    ("golden", "file"),
    [
        ("gelu", "config.json"),
        ("gelu", "modules.json"),
        ("gelu", "1_Pooling/config.json"),
        ("gelu", "model.safetensors"),
        ("gelu", "tokenizer.json"),
        ("old_layout", "modules.json"),
        ("plain", "config.json"),
        ("plain", "model.safetensors"),
        ("sharded", "model-00001-of-00003.safetensors"),
        ("sharded", "model-00002-of-00003.safetensors"),
        ("sharded", "model-00003-of-00003.safetensors"),
        ("modules", "2_Pooling/config.json"),
        ("modules", "3_Dense/config.json"),
        ("modules", "3_Dense/model.safetensors"),
        ("modules", "4_LayerNorm/model.safetensors"),
        ("cross_encoder", "model.safetensors"),
    ],
)
def test_a_snapshot_without_this_file_is_not_cached(cache, golden, file, no_network):
    snapshot = cache("someone/model", GOLDEN / golden)
    (snapshot / file).unlink()
    with pytest.raises(ModelUnavailableError, match=f"incomplete: {re.escape(file)} is missing"):
        find_model("someone/model", HubOptions(local_files_only=True))


def test_a_snapshot_with_half_a_vocabulary_is_incomplete(cache, no_network):
    snapshot = cache("someone/model", GOLDEN / "roberta")
    (snapshot / "tokenizer.json").unlink()
    for file in ("vocab.json", "merges.txt"):
        with pytest.raises(ModelUnavailableError, match="incomplete"):
            find_model("someone/model", HubOptions(local_files_only=True))
        (snapshot / file).write_text("{}")
    assert find_model("someone/model", HubOptions(local_files_only=True)) == snapshot


def test_a_cached_model_with_all_its_modules_is_complete(cache, no_network):
    snapshot = cache("someone/model", GOLDEN / "modules")
    assert find_model("someone/model", HubOptions(local_files_only=True)) == snapshot


def test_a_link_to_a_file_that_is_gone_is_no_file(cached_model):
    (cached_model / "model.safetensors").resolve().unlink()
    with pytest.raises(ModelUnavailableError, match=r"model\.safetensors is missing"):
        find_model(TINY, HubOptions(local_files_only=True))
