"""Paths in a model's folder: local, or in the cache of a hub that a test stands in for."""

import huggingface_hub
import pytest
from huggingface_hub.errors import LocalEntryNotFoundError

from minibert.util import is_sentence_transformer_model, load_dir_path, load_file_path


@pytest.fixture
def fetched(folder, online, monkeypatch):
    """The calls of the hub's library; it gives the local folder, or nothing if offline."""
    calls = []

    def snapshot_download(name, **options):
        calls.append({"name": name, **options})
        if options["local_files_only"]:
            raise LocalEntryNotFoundError("nothing is cached")
        return str(folder)

    monkeypatch.setattr(huggingface_hub, "snapshot_download", snapshot_download)
    return calls


def test_files_of_a_local_folder_are_found(folder):
    assert load_file_path(str(folder), "config.json") == str(folder / "config.json")
    assert load_file_path(folder, "config.json", "1_Pooling") == str(
        folder / "1_Pooling" / "config.json"
    )
    assert load_file_path(folder, "nothing.json") is None
    assert load_dir_path(folder, "1_Pooling") == str(folder / "1_Pooling")
    assert load_dir_path(folder, "") == str(folder)
    assert load_dir_path(folder, "2_Dense") is None


def test_a_folder_with_modules_is_a_sentence_transformer(folder):
    assert is_sentence_transformer_model(folder)
    (folder / "modules.json").unlink()
    assert not is_sentence_transformer_model(folder)


def test_a_file_of_the_hub_is_fetched_alone(folder, fetched):
    path = load_file_path("owner/name", "config.json", "1_Pooling", "token", "cache", "main")
    assert path == str(folder / "1_Pooling" / "config.json")
    assert load_dir_path("owner/name", "1_Pooling") == str(folder / "1_Pooling")
    assert is_sentence_transformer_model("owner/name")
    first, second, _ = fetched
    assert first["name"] == "owner/name"
    assert first["allow_patterns"] == ["1_Pooling/config.json"]
    assert (first["token"], first["cache_dir"], first["revision"]) == ("token", "cache", "main")
    assert second["allow_patterns"] == ["1_Pooling/*"]


def test_a_file_that_is_not_cached_is_none_without_downloads(fetched):
    assert load_file_path("owner/name", "config.json", local_files_only=True) is None
    assert not is_sentence_transformer_model("owner/name", local_files_only=True)
    assert all(call["local_files_only"] for call in fetched)


def test_a_name_that_none_can_have_is_none():
    assert load_file_path("a/b/c", "config.json") is None


@pytest.mark.parametrize("path", ["../config.json", "/etc/passwd", "C:\\x", "a/../../b", "a\0"])
def test_a_path_that_leaves_the_folder_is_refused(folder, path):
    with pytest.raises(ValueError, match="leaves the model's folder"):
        load_file_path(folder, path)
    with pytest.raises(ValueError, match="leaves the model's folder"):
        load_dir_path(folder, path)
