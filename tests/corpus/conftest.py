"""What tests of a corpus on disk share: a model, folders and a disk."""

import os
import shutil
import subprocess

import pytest
from golden_files import copy_of
from safetensors.numpy import load_file, save_file

from minibert import SentenceTransformer
from minibert.models import encoding


@pytest.fixture
def changed_model(tmp_path):
    """The same model but for one number of its weights."""
    path = copy_of("gelu", tmp_path) / "model.safetensors"
    tensors = load_file(path)
    tensors[min(tensors)] += 1
    save_file(tensors, path)
    return SentenceTransformer(path.parent)


@pytest.fixture
def encoded(monkeypatch):
    """All texts that are encoded, in their order."""
    seen, vectors = [], encoding.vectors

    def seeing(model, texts, *rest):
        seen.extend(texts)
        return vectors(model, texts, *rest)

    monkeypatch.setattr(encoding, "vectors", seeing)
    return seen


@pytest.fixture
def disk(tmp_path):
    """A disk of its own: disk(options) mounts it, or again with others."""
    path = tmp_path / "disk"
    path.mkdir()

    def mount(options):
        if shutil.which("mount") is None:
            pytest.skip("there is no mount")
        command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            pytest.skip(f"this test may not mount a disk: {done.stderr}")
        return path

    yield mount
    while os.path.ismount(path):
        subprocess.run(["umount", "-l", path], check=True)
