"""A model's name -> its folder: what counts as cached, what is asked of the hub, what is not."""

import re
import shutil
from pathlib import Path

import huggingface_hub
import pytest
from golden_files import GOLDEN
from hub_stand_in import TINY, python
from huggingface_hub import constants
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from huggingface_hub.utils import filter_repo_objects

from minibert import CheckpointError, ModelUnavailableError, SentenceTransformer
from minibert.checkpoint.hub import find_model, find_pickles, hub_name
from minibert.checkpoint.repository import HubOptions

SHARD = "pytorch_model-00001-of-00002.bin"

pytestmark = pytest.mark.usefixtures("online")

OTHER_COMMIT = "89abcdef0123456789abcdef0123456789abcdef"

# What a repository on the hub may hold, besides what is read.
SMALL = [
    "1_Pooling/config.json",
    "config.json",
    "config_sentence_transformers.json",
    "model.safetensors.index.json",
    "modules.json",
    "sentence_bert_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    "0_Transformer/config.json",
    "0_Transformer/vocab.txt",
]
WEIGHTS = [
    "model.safetensors",
    "model-00001-of-00002.safetensors",
    "0_Transformer/model.safetensors",
]
UNREAD = [
    "README.md",
    "flax_model.msgpack",
    "onnx/config.json",
    "onnx/model.onnx",
    "onnx/model.safetensors",
    "openvino/openvino_model.bin",
    "pytorch_model.bin",
    "pytorch_model-00001-of-00002.bin",
    "0_Transformer/pytorch_model.bin",
    "rust_model.ot",
    "tf_model.h5",
    "train_script.py",
    "training_args.bin",
]


FIND = """
import sys
from minibert.checkpoint.hub import find_model
try:
    print(find_model(sys.argv[1]))
except OSError as error:
    print(f"{type(error).__name__}: {error}")
"""


def fetched(call):
    """Which of the files above a download takes, by the hub library's own filter."""
    return set(
        filter_repo_objects(
            SMALL + WEIGHTS + UNREAD,
            allow_patterns=call["allow_patterns"],
            ignore_patterns=call["ignore_patterns"],
        )
    )


def test_a_local_folder_needs_no_network_library():
    code = """
import sys
from minibert import SentenceTransformer
print(len(SentenceTransformer(sys.argv[1]).encode(["a", "b"])), "huggingface_hub" in sys.modules)
"""
    done = python(code, GOLDEN / "gelu")
    assert (done.stdout, done.stderr) == ("2 False\n", "")


@pytest.mark.parametrize("kind", [str, Path])
def test_a_folder_is_found_as_it_is(folder, kind, no_network):
    assert find_model(kind(folder)) == folder


def test_a_folder_in_the_home_is_found(folder, monkeypatch):
    monkeypatch.setenv("HOME", str(folder.parent))
    assert find_model(f"~/{folder.name}") == folder


def test_a_folder_here_comes_before_a_cached_model_of_that_name(cached_model, folder, monkeypatch):
    folder.rename(folder.parent / "tiny")
    monkeypatch.chdir(folder.parent)
    assert find_model("tiny") == Path("tiny")


@pytest.mark.parametrize("name", [TINY, "tiny"])
def test_a_cached_model_is_found_by_its_name_without_the_network(cached_model, name, no_network):
    assert find_model(name) == cached_model


def test_a_cached_model_encodes_without_the_network(cached_model, no_network):
    vectors = SentenceTransformer("tiny").encode(["a", "b"])
    assert vectors.shape == (2, 20)


def test_the_original_berts_have_no_owner(cache, no_network):
    snapshot = cache("bert-base-uncased", GOLDEN / "plain")
    assert find_model("bert-base-uncased") == snapshot


def test_a_cached_model_is_found_by_branch_and_by_commit(cache, cached_model, no_network):
    other = cached_model.parent / OTHER_COMMIT
    shutil.copytree(cached_model, other, symlinks=True)
    (cached_model.parent.parent / "refs" / "next").write_text(OTHER_COMMIT)
    assert find_model(TINY) == cached_model
    assert find_model(TINY, HubOptions(revision="main")) == cached_model
    assert find_model(TINY, HubOptions(revision="next")) == other
    assert find_model(TINY, HubOptions(revision=OTHER_COMMIT)) == other
    assert find_model(TINY, HubOptions(revision=cached_model.name)) == cached_model


def test_a_revision_that_is_not_cached_is_not_another_one(cached_model):
    with pytest.raises(ModelUnavailableError, match=TINY):
        find_model(TINY, HubOptions(revision="next", local_files_only=True))


def test_the_argument_for_the_cache_beats_the_environment(
    cached_model, cache, tmp_path, monkeypatch
):
    monkeypatch.setenv("SENTENCE_TRANSFORMERS_HOME", str(tmp_path / "empty"))
    assert (
        find_model(TINY, HubOptions(cache_folder=str(cache.root), local_files_only=True))
        == cached_model
    )
    with pytest.raises(ModelUnavailableError, match=re.escape(str(tmp_path / "empty"))):
        find_model(TINY, HubOptions(local_files_only=True))


@pytest.mark.slow
def test_hf_home_says_where_the_cache_is(cached_model, cache, monkeypatch):
    for name in ("SENTENCE_TRANSFORMERS_HOME", "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE"):
        monkeypatch.delenv(name, raising=False)
    assert cache.root.name == "hub"  # as in $HF_HOME/hub
    done = python(FIND, "tiny", HF_HOME=str(cache.root.parent), HF_HUB_OFFLINE="1")
    assert (done.stdout, done.stderr) == (f"{cached_model}\n", "")


@pytest.mark.slow
def test_offline_and_not_cached_says_what_to_do(cache):
    done = python(FIND, "someone/missing", HF_HUB_OFFLINE="1")
    assert "There is no folder 'someone/missing'. The hub's someone/missing: it is" in done.stdout
    assert str(cache.root) in done.stdout
    assert "HF_HUB_OFFLINE" in done.stdout
    assert "Download it once while online, or give the path of its folder." in done.stdout
    assert done.stderr == ""


def test_offline_mode_makes_no_network_call(cache, monkeypatch, no_network):
    monkeypatch.setattr(constants, "is_offline_mode", lambda: True)
    with pytest.raises(ModelUnavailableError, match="someone/missing"):
        find_model("someone/missing")


def test_local_files_only_makes_no_network_call(cache, no_network):
    with pytest.raises(ModelUnavailableError, match=r"someone/missing.*local_files_only"):
        find_model("someone/missing", HubOptions(local_files_only=True))


def test_an_incomplete_snapshot_is_fetched_again(cached_model, monkeypatch, folder):
    (cached_model / "tokenizer.json").unlink()
    downloads = []
    cached = huggingface_hub.snapshot_download

    def snapshot_download(name, **options):
        if options["local_files_only"]:
            return cached(name, **options)
        downloads.append(name)
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert find_model("tiny") == folder
    assert set(downloads) == {TINY}


@pytest.mark.slow
def test_not_cached_and_no_hub_to_be_reached_names_the_model(cache):
    # Nothing listens at this port; a proxy must not answer instead.
    done = python(FIND, "someone/missing", HF_ENDPOINT="http://127.0.0.1:9", NO_PROXY="*")
    assert "There is no folder 'someone/missing'. The hub's someone/missing: it is" in done.stdout
    assert "or give the path of its folder." in done.stdout
    assert done.stdout.count("\n") == 1
    assert done.stderr == ""


def test_the_cache_is_looked_at_before_the_hub_is_asked(hub):
    assert find_model("tiny") == hub.folder
    assert [call["name"] for call in hub.looks] == [TINY]
    assert {call["name"] for call in hub.downloads} == {TINY}


def test_the_weights_are_fetched_last(hub):
    find_model("tiny")
    first, *_, last = hub.downloads
    assert fetched(first) == set(SMALL)
    assert fetched(last) == {*SMALL, *WEIGHTS}


def test_no_download_takes_a_pickle_or_another_format(hub):
    find_model("tiny")
    assert hub.downloads
    for call in hub.downloads:
        assert fetched(call).isdisjoint(UNREAD)


def test_revision_token_and_cache_are_passed_on(hub):
    find_model(
        "someone/model", HubOptions(revision="v2", token="hf_secret", cache_folder="/kept/here")
    )
    assert len(hub.downloads) >= 2
    for call in hub.looks + hub.downloads:
        assert call["name"] == "someone/model"
        assert call["revision"] == "v2"
        assert call["token"] == "hf_secret"
        assert call["cache_dir"] == "/kept/here"


def test_the_environment_s_cache_is_where_a_download_goes(cache, hub):
    find_model("tiny")
    assert {call["cache_dir"] for call in hub.downloads} == {str(cache.root)}


@pytest.mark.parametrize(
    "path", ["./nope", "../nope", "/nope/model", "~/nope", "models/of/mine", "models\\mine"]
)
def test_a_path_that_is_missing_is_not_asked_of_the_hub(path, hub, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(FileNotFoundError, match=re.escape(repr(path))):
        find_model(path)
    assert hub.looks == hub.downloads == []


@pytest.mark.parametrize("name", ["two words", "owner/", "a..b", "owner/-x"])
def test_a_name_that_no_model_can_have_is_refused(name, cache, no_network):
    with pytest.raises(FileNotFoundError, match=re.escape(repr(name))):
        find_model(name)


def test_a_file_is_no_folder(folder):
    with pytest.raises(NotADirectoryError, match=r"model\.safetensors"):
        find_model(folder / "model.safetensors")


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("someone/model", "someone/model"),
        ("tiny", TINY),
        ("bert-base-uncased", "bert-base-uncased"),
    ],
)
def test_the_name_given_is_the_name_on_the_hub(given, name, folder):
    assert hub_name(given, folder) == name


@pytest.mark.parametrize("name", [TINY, "bert-base-uncased", "someone/some-model"])
def test_a_folder_in_a_hub_cache_tells_its_name(cache, name):
    snapshot = cache(name, GOLDEN / "gelu")
    assert hub_name(snapshot, snapshot) == name


def test_a_link_into_a_hub_cache_tells_the_name_as_well(cached_model, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(cached_model)
    assert hub_name(str(link), link) == TINY


def test_another_folder_has_no_name_on_the_hub(folder):
    assert hub_name(folder, folder) is None


def test_an_incomplete_snapshot_is_not_returned_without_the_hub(cached_model, hub):
    (cached_model / "model.safetensors").unlink()
    hub.folder = cached_model
    with pytest.raises(ModelUnavailableError, match=r"model\.safetensors was not fetched"):
        find_model("tiny")


@pytest.mark.parametrize("error", ["http", "json"])
def test_an_answer_that_is_none_makes_the_model_unavailable(cached_model, monkeypatch, error):
    http_error = next(b for b in HfHubHTTPError.__mro__ if b.__name__ == "HTTPError")
    found = {"http": http_error("server went away"), "json": ValueError("Expecting value")}[error]
    download = huggingface_hub.snapshot_download

    def fail(*arguments, local_files_only, **named):
        if local_files_only:
            return download(*arguments, local_files_only=True, **named)
        raise found

    (cached_model / "model.safetensors").unlink()
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    told = rf"^There is no folder 'tiny'\. The hub's sentence-transformers/tiny: .*{found}"
    with pytest.raises(ModelUnavailableError, match=told) as raised:
        find_model("tiny")
    assert raised.value.__suppress_context__  # the message has its reason


@pytest.mark.parametrize("path", ["", "~nosuchuser/x"])
def test_odd_paths_are_no_folders(path):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        find_model(path)


# a pickle in the cache


def test_a_cached_pickle_is_found_offline_for_its_advice(cached_pickle, no_network):
    assert find_model("tiny", HubOptions(local_files_only=True)) == cached_pickle


def test_safetensors_are_fetched_where_a_pickle_is_cached(cached_pickle, monkeypatch, folder):
    cached = huggingface_hub.snapshot_download

    def snapshot_download(name, **options):
        return cached(name, **options) if options["local_files_only"] else str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert find_model("tiny") == folder


@pytest.mark.parametrize("reached", [True, False])
def test_a_cached_pickle_is_found_where_the_hub_has_no_more(cached_pickle, monkeypatch, reached):
    cached = huggingface_hub.snapshot_download

    def snapshot_download(name, **options):
        if not options["local_files_only"] and not reached:
            raise LocalEntryNotFoundError("a timeout")
        return cached(name, **{**options, "local_files_only": True})

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    assert find_model("tiny") == cached_pickle


# what a conversion fetches


def test_a_conversion_fetches_pickles_where_safetensors_lack(hub, listing):
    files = [
        *("config.json", "tokenizer.json", "README.md", "LICENSE", "sentencepiece.bpe.model"),
        *("pytorch_model.bin", "tf_model.h5", "training_args.bin", "onnx/model.onnx", "code.py"),
        *("2_Dense/config.json", "2_Dense/model.safetensors", "2_Dense/pytorch_model.bin"),
        *("3_Dense/config.json", "3_Dense/pytorch_model.bin", "onnx/config.json"),
    ]
    listing(*files)
    assert find_pickles("tiny", HubOptions("v2", token="hf_secret")) == hub.folder
    (download,) = hub.downloads
    assert (download["name"], download["revision"], download["token"]) == (TINY, "v2", "hf_secret")
    taken = set(
        filter_repo_objects(
            files,
            allow_patterns=download["allow_patterns"],
            ignore_patterns=download["ignore_patterns"],
        )
    )
    assert taken == {
        *("config.json", "tokenizer.json", "README.md", "LICENSE", "sentencepiece.bpe.model"),
        *("pytorch_model.bin", "2_Dense/config.json", "2_Dense/model.safetensors"),
        *("3_Dense/config.json", "3_Dense/pytorch_model.bin"),
    }


@pytest.mark.parametrize(
    ("files", "said"),
    [
        (["model.safetensors", "pytorch_model.bin"], "there is nothing to convert"),
        (["model.safetensors.index.json", "model-1.safetensors", SHARD], "nothing to convert"),
        (["pytorch_model_old.bin"], r"no model\.safetensors.*It has pytorch_model_old\.bin"),
        (["tf_model.h5"], r"no model\.safetensors on the hub.*It has tf_model.h5"),
    ],
)
def test_a_repository_without_a_lone_pickle_is_not_fetched(hub, listing, files, said):
    listing(*files)
    with pytest.raises(CheckpointError, match=said):
        find_pickles("someone/model", HubOptions())
    assert hub.downloads == []


def test_a_conversion_offline_looks_into_the_cache_alone(cached_pickle, no_network):
    assert find_pickles("tiny", HubOptions(local_files_only=True)) == cached_pickle
    with pytest.raises(ModelUnavailableError, match="downloads are off"):
        find_pickles("someone/missing", HubOptions(local_files_only=True))
    with pytest.raises(FileNotFoundError, match="'two words' is no folder and no model's name"):
        find_pickles("two words", HubOptions(local_files_only=True))


def test_a_conversion_without_the_hub_says_why(hub, listing, monkeypatch):
    assert find_pickles("tiny", HubOptions()) == hub.folder
    assert "*/pytorch_model-*-of-*.bin" in hub.downloads[0]["allow_patterns"]

    def fail(name, **_):
        raise LocalEntryNotFoundError("a timeout")

    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(ModelUnavailableError, match=r"\(a timeout\).*Check the name"):
        find_pickles("tiny", HubOptions())
