"""Where the golden models and the real MiniLM lie, and what the reference made of the first."""

import json
import shutil
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

GOLDEN = Path(__file__).parent / "golden"
MINILM = Path(__file__).parent.parent / ".models" / "all-MiniLM-L6-v2"


# What git leaves in place of a file that git-lfs keeps elsewhere, until it is fetched.
LFS_POINTER = (
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 12345\n"
)


def copy_of(name, tmp_path):
    target = tmp_path / name
    shutil.copytree(GOLDEN / name, target)
    return target


def expected_of(name):
    """What the reference computed from a golden model."""
    with np.load(GOLDEN / name / "expected.npz") as arrays:
        return dict(arrays)


def outputs_of(name):
    """What it computed of a golden model with more than a BERT and its mean."""
    with np.load(GOLDEN / name / "outputs.npz") as arrays:
        return dict(arrays)


def even_copy(name, tmp_path):
    """A copy whose heads and feed-forward fall into two shares: 4 and 36 instead of 5 and 37."""
    folder = copy_of(name, tmp_path)
    fewer = {5: 4, 37: 36}
    path = folder / "config.json"
    settings = json.loads(path.read_text(encoding="utf-8"))
    settings = {
        key: fewer.get(value, value) if type(value) is int else value
        for key, value in settings.items()
    }
    path.write_text(json.dumps(settings), encoding="utf-8")
    tensors = load_file(folder / "model.safetensors")
    for key, tensor in tensors.items():
        kept = tuple(slice(fewer.get(length, length)) for length in tensor.shape)
        tensors[key] = tensor[kept].copy()
    (folder / "model.safetensors").unlink()
    save_file(tensors, folder / "model.safetensors")
    return folder


def spoil(folder, name, number=3e38, file="model.safetensors"):
    """Fill a tensor of a folder with a number that is none too large to be stored."""
    path = folder / file
    tensors = load_file(path)
    (found,) = [stored for stored in tensors if stored.endswith(name)]
    signs = np.where(np.arange(tensors[found].size) % 3, 1, -1).reshape(tensors[found].shape)
    tensors[found] = (number * signs).astype(np.float32)
    save_file(tensors, path)
    return folder
