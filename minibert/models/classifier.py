"""Head of a cross-encoder: its tensors and settings, read from a checkpoint.

Start at read_classifier.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from minibert.bert.families import FAMILIES
from minibert.bert.layout import read_bias, read_norm
from minibert.bert.load import Checkpoint
from minibert.checkpoint.folder import Folder, read_folder
from minibert.common.arrays import Array
from minibert.common.json_files import setting
from minibert.errors import CheckpointError
from minibert.kernels.activations import ACTIVATIONS

__all__ = ["Classifier", "folder_of", "read_choices", "read_classifier"]


class Classifier(NamedTuple):
    """Head: a dense layer on the first token (in a BERT the pooler), then the labels."""

    dense_weight: Array  # (D, D)
    dense_bias: Array  # (D,)
    weight: Array  # (D, labels)
    bias: Array  # (labels,)
    norm_weight: Array | None = None  # (D,), of a norm between the two: ModernBERT
    norm_bias: Array | None = None


def folder_of(path: Path) -> Folder:
    """Read a cross-encoder's folder; CheckpointError for modules after its BERT."""
    folder = read_folder(path, "CrossEncoder")
    if folder.modules:
        kinds = ", ".join(type(module).__name__ for module in folder.modules)
        raise CheckpointError(
            f"{path}/modules.json: there is {kinds} after the Transformer; minibert runs "
            "cross-encoders whose head is the BERT's own classifier."
        )
    return folder


def read_classifier(checkpoint: Checkpoint) -> Classifier:
    """Read the head's tensors, for the labels that config.json names."""
    settings, tensors, config = checkpoint.settings, checkpoint.tensors, checkpoint.config
    folder, names = checkpoint.files[0].parent, FAMILIES[config.model_type].classifier
    if not all(f"{name}.weight" in tensors for name in (names.dense, names.output)):
        raise CheckpointError(
            f"{folder} has no classifier ({names.output}.weight, on {names.dense}): it is no "
            "cross-encoder."
        )
    # As in the reference: two by default, and one for a BERT that was no classifier.
    path = folder / "config.json"
    labels = setting(path, settings, "id2label", dict, {})
    count = len(labels) or setting(path, settings, "num_labels", int, 0) or 2
    kinds = setting(path, settings, "architectures", list, [])
    if not any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
        count = 1
    dimension = config.hidden_size
    norm = read_norm(tensors, names.norm, dimension) if names.norm else (None, None)
    return Classifier(
        dense_weight=tensors.take(f"{names.dense}.weight", dimension, dimension).T,
        dense_bias=read_bias(tensors, names.dense, dimension),
        weight=tensors.take(f"{names.output}.weight", count, dimension).T,
        bias=tensors.take(f"{names.output}.bias", count),
        norm_weight=norm[0],
        norm_bias=norm[1],
    )


def read_choices(checkpoint: Checkpoint) -> tuple[str, bool]:
    """Read the activation within the head, and whether the head takes the mean of all tokens.

    Only ModernBERT lets config.json choose.
    """
    names = FAMILIES[checkpoint.config.model_type].classifier
    if not names.norm:
        return names.activation, False
    path, settings = checkpoint.files[0].parent / "config.json", checkpoint.settings
    activation = setting(path, settings, "classifier_activation", str, names.activation)
    pooling = setting(path, settings, "classifier_pooling", str, "cls")
    if activation not in ACTIVATIONS or pooling not in ("cls", "mean"):
        raise CheckpointError(
            f"{path}: classifier_activation is {activation!r} and classifier_pooling {pooling!r}; "
            f"expected one of {', '.join(ACTIVATIONS)}, and cls or mean."
        )
    return activation, pooling == "mean"
