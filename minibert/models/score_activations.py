"""Activations that turn logits into scores: a name, a class or function of torch, any function.

Torch's are recognised by their names; torch is not imported or called. Start at as_activation.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from minibert.bert.load import Checkpoint
from minibert.checkpoint.folder import Folder
from minibert.common.arguments import type_of
from minibert.common.arrays import Array
from minibert.errors import CheckpointError
from minibert.kernels import cpu as numpy_kernels
from minibert.kernels.activations import (
    ACTIVATIONS,
    TORCH_CLASSES,
    TORCH_SETTINGS,
    name_in_torch,
    torch_activation,
)

__all__ = [
    "ScoreActivation",
    "activation_name",
    "as_activation",
    "named_activation",
    "scores_of",
    "torch_name",
]

# Functions of torch that take the logits alone, and have the same name here.
TORCH_FUNCTIONS = {
    *("elu", "gelu", "hardtanh", "leaky_relu", "mish", "relu", "relu6", "sigmoid", "silu"),
    *("softmax", "softplus", "tanh"),
}

# Logits (n, labels) -> scores of the same shape.
ScoreActivation: TypeAlias = Callable[[Array], Array]


def named_activation(folder: Folder, checkpoint: Checkpoint) -> str | None:
    """Read the activation that a folder names, in any place that a release has used."""
    settings = checkpoint.settings
    of_release_4 = settings.get("sentence_transformers")
    of_release_4 = of_release_4 if isinstance(of_release_4, dict) else {}
    written = (
        folder.activation_fn
        or of_release_4.get("activation_fn")
        or settings.get("sbert_ce_default_activation_function")
    )
    if written is None:
        return None
    name = activation_of(str(written))
    if name is None:
        raise CheckpointError(
            f"{folder.path}: activation_fn is {written!r}, which minibert does not compute. Pass "
            'activation_fn="identity" for logits, or a function of your own.'
        )
    return name


def as_activation(given: str | ScoreActivation) -> ScoreActivation:
    """Return a function on arrays for a name, or for torch's class or function; others as they are.

    It may overwrite its array. Torch's are recognised by their names, and never called.

    Raises ValueError for an unknown name, TypeError for anything else that is no function.
    """
    name = activation_name(given)
    if name is None:
        if not callable(given):
            raise TypeError(f"activation_fn is {given!r:.80}; expected a name or a function.")
        return given

    def activate(logits: Array) -> Array:
        if name == "softmax":
            numpy_kernels.softmax_(logits)
        else:
            ACTIVATIONS[name](numpy_kernels, logits)
        return logits

    return activate


def activation_name(given: object) -> str | None:
    """Return minibert's name of an activation; None for a function that is not torch's.

    Raises ValueError for a name that is not known, and for what torch would compute otherwise.
    """
    written = given if isinstance(given, str) else name_in_torch(given)
    if written is None:
        return None
    kind = written.rpartition(".")[2]
    name = activation_of(written)
    if name is None and isinstance(given, str):
        name = {"identity": "linear"}.get(given.lower(), given.lower())
    if name is None and kind in TORCH_FUNCTIONS and not isinstance(given, type):
        name = kind
    if name not in {*ACTIVATIONS, "softmax"}:
        expected = ", ".join(sorted({"identity", "softmax", *ACTIVATIONS} - {"linear"}))
        raise ValueError(
            f"activation_fn is {' '.join(f'{given!r:.80}'.split())}; expected a function or one "
            f"of {expected}, or torch's class of one. A function is given NumPy arrays."
        )
    if not isinstance(given, str | type):
        check_settings(given, kind)
    return name


def activation_of(name: str) -> str | None:
    """Return minibert's name for the full name of torch's class; None for others."""
    if name in ("torch.nn.Softmax", "torch.nn.modules.activation.Softmax"):
        return "softmax"
    return torch_activation(name)


def torch_name(given: str | ScoreActivation) -> str:
    """Return the full name of torch's class that computes an activation, as folders have it.

    Raises ValueError for a function, and for a name that no class of torch stands for.
    """
    name = None if callable(given) else activation_name(given)
    for kind, ours in {**TORCH_CLASSES, "Softmax": "softmax"}.items():
        if ours == name:
            return f"torch.nn.{kind}"
    raise ValueError(
        f"activation_fn is {given!r:.80}, which no folder can name. Set it to one of "
        f"{', '.join(sorted({'identity', 'softmax', *TORCH_CLASSES.values()} - {'linear'}))}."
    )


def check_settings(given: object, kind: str) -> None:
    """Raise ValueError for an activation of torch's with settings that are not computed here."""
    expected = TORCH_SETTINGS.get(kind, {})
    found = {key: getattr(given, key, value) for key, value in expected.items()}
    computed = " and ".join(f"{key}={value!r}" for key, value in expected.items())
    if kind == "Softmax" and getattr(given, "dim", None) not in (None, 1, -1):
        # Over the pairs, dim=0, a score would depend on the batch that its pair is in.
        found, computed = {"dim": given}, "dim=1, over the labels"
    if found != expected:
        raise ValueError(
            f"activation_fn is {given!r:.80}; minibert computes {kind} with {computed}. Pass a "
            "function on NumPy arrays."
        )


def scores_of(activate: ScoreActivation, logits: Array) -> Array:
    """Apply an activation to the logits: (n, labels) -> the same shape or (n,), float32.

    Raises TypeError for a result without numbers, ValueError for another shape and for NaN.
    """
    count = len(logits)
    try:
        output = activate(logits)
    except (AttributeError, TypeError) as error:
        raise TypeError(
            f"activation_fn failed: {error}. It is given a NumPy array, a row of logits for each "
            "pair."
        ) from error
    found = np.asarray(output)
    if found.dtype.kind not in "fiub":
        raise TypeError(
            f"activation_fn gave {type_of(output)} ({output!r:.40}); expected an array of "
            "numbers, a row for each pair."
        )
    if found.ndim not in (1, 2) or len(found) != count:
        raise ValueError(
            f"activation_fn gave the shape {found.shape} for {count} pairs; expected a row for "
            "each pair."
        )
    if np.isnan(found).any():
        row = int(np.flatnonzero(np.isnan(found).reshape(count, -1).any(axis=1))[0])
        raise ValueError(f"activation_fn gave NaN for pair {row} of {count}.")
    # A copy: a function may give its own array, of any float type.
    return np.array(found, dtype=np.float32)
