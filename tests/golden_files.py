"""Where the golden models and the real MiniLM lie, and what the reference made of the first."""

import shutil
from pathlib import Path

import numpy as np

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
