"""Folders of models whose modules a test chooses, and what loading one gives."""

import json

import numpy as np
import pytest

from minibert import CheckpointError, SentenceTransformer

OLD = "sentence_transformers.models."


def vector(folder):
    return SentenceTransformer(folder).encode("the cat sat, the dog barks")


def refused(folder, message):
    with pytest.raises(CheckpointError, match=message):
        SentenceTransformer(folder)


def with_modules(folder, *modules):
    """Write modules.json: (type, folder, settings) after the Transformer; None writes no file."""
    entries = [{"path": "", "type": OLD + "Transformer"}]
    for kind, path, settings in modules:
        entries.append({"path": path, "type": OLD + kind})
        if settings is not None:
            (folder / path).mkdir(exist_ok=True)
            (folder / path / "config.json").write_text(json.dumps(settings))
    (folder / "modules.json").write_text(json.dumps(entries))
    return folder


POOLING = ("Pooling", "1_Pooling", {"pooling_mode": "mean"})
DENSE = {"in_features": 20, "out_features": 3}
WEIGHT = {"linear.weight": np.ones((3, 20), np.float32), "linear.bias": np.ones(3, np.float32)}
