"""Hubs and caches of a test's own, and programs in the place of a Python with torch."""

import shlex
import sys
from functools import partial
from types import SimpleNamespace

import huggingface_hub
import pytest
from golden_files import GOLDEN
from hub_stand_in import TINY, Hub
from huggingface_hub import constants
from pickled_folders import COPYING


@pytest.fixture
def online(monkeypatch):
    """As if nobody had switched downloads off; a test that wants them off says so."""
    for name in ("HF_HUB_OFFLINE", "TRANSFORMERS_OFFLINE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "is_offline_mode", lambda: False)


@pytest.fixture
def hub(monkeypatch, folder):
    hub = Hub(folder)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub)
    return hub


@pytest.fixture
def listing(monkeypatch, hub):
    """What the hub says that a repository has: files(...); by default it is not to be reached."""
    found = []

    def model_info(name, **options):
        hub.listed.append({"name": name, **options})
        if not found:
            raise OSError("the hub is not to be reached")
        return SimpleNamespace(siblings=[SimpleNamespace(rfilename=name) for name in found])

    monkeypatch.setattr(huggingface_hub, "model_info", model_info)
    return lambda *names: found.extend(names)


@pytest.fixture
def cached_model(cache):
    """A cached model, at its commit."""
    return cache(TINY, GOLDEN / "gelu")


@pytest.fixture
def cached_pickle(cache):
    """A cached model that another library fetched as a pickle."""
    snapshot = cache(TINY, GOLDEN / "gelu")
    (snapshot / "model.safetensors").rename(snapshot / "pytorch_model.bin")
    return snapshot


@pytest.fixture
def stand_in(tmp_path):
    """What stands in for a Python with torch: a program of some text, under its own name."""

    def make(text):
        program = tmp_path / "a python"
        program.write_text(f"#!{sys.executable}\n{text}")
        program.chmod(0o755)
        return program

    return make


@pytest.fixture
def copying(stand_in):
    return stand_in(COPYING)


@pytest.fixture
def run_convert(run):
    """Run `minibert convert`."""
    return partial(run, "convert")


@pytest.fixture
def bare(tmp_path, monkeypatch):
    """A Python without any library, so without torch."""
    program = tmp_path / "bare"
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(sys.executable)} -S -E "$@"\n')
    program.chmod(0o755)
    return program
