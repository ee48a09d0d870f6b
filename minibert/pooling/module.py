"""A module on rows: the form of its row in the registry, its Protocol, and the checks all share.

A row is a text's vector after the pooling, or a token's state before it. No module stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias

from minibert.common.arrays import Array
from minibert.common.json_files import setting
from minibert.errors import CheckpointError, MinibertError
from minibert.kernels.protocol import GradientKernels, Kernels

__all__ = [
    "Give",
    "Module",
    "NotLinearError",
    "RowModule",
    "RowSettings",
    "check_dimension",
    "input_name",
]

# Called with the name of a tensor and the gradient by it, in the shape of the tensor in its file.
Give: TypeAlias = Callable[[str, Array], None]


class NotLinearError(MinibertError, ValueError):
    """A module is not linear, so its result is no sum over the parts of its input.

    The message names what is not linear.
    """


class RowSettings(Protocol):
    """Settings of a module on rows: a NamedTuple, with a `path` if the module has weights."""

    @property
    def module_input_name(self) -> str:
        """Name of the rows that it changes: "sentence_embedding" or "token_embeddings"."""
        ...


class RowModule(Protocol):
    """A module with its tensors, ready to compute: a NamedTuple, so it can move to a device."""

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Compute rows (R, E) from `rows` (R, D), which may be overwritten."""
        ...

    def split(self, parts: Array, portion: Array) -> Array:
        """Split the result for one row: parts of the row (T, D) -> parts of the result (T, E).

        `parts` sum to the row. A bias belongs to no part, so each gets its `portion` (T, 1) of it;
        portions sum to 1.

        Raises NotLinearError if the module is not linear.
        """
        ...

    def backward(
        self,
        rows: Array,
        gradient: Array,
        kernels: Kernels,
        gradients: GradientKernels,
        give: Give,
    ) -> Array:
        """Go back through the module: its input `rows` (R, D), -> (R, D).

        `gradient` (R, E) is that of a loss by the result, and what is returned that by `rows`. Both
        arrays may be overwritten. `give` gets the gradient by each tensor of the module.
        """
        ...


class Module(NamedTuple):
    """A row of MODULES: how a kind of module is read, loaded, fetched, saved and explained."""

    settings: type[Any]  # the NamedTuple that users see as model[1], model[2] and so on
    # The module's folder, its config.json ({} if there is none) -> the settings.
    read: Callable[[Path, dict[str, Any]], Any]
    # Settings, tensors (None without weights), the dimension of the rows -> the module that
    # computes, the dimension of its results. None where nothing is computed on rows.
    load: Callable[[Any, Any, int], tuple[RowModule, int]] | None = None
    config: Literal["required", "optional"] = "required"  # config.json
    has_weights: bool = False  # whether its folder has a file of tensors
    # Whether it may stand before the pooling though its input is "sentence_embedding". The
    # reference then skips it, for there is no vector yet.
    may_be_early: bool = False
    # The settings of a module that a program made -> its config.json; None if it is in a folder.
    write: Callable[[Any], dict[str, Any]] | None = None


def input_name(path: Path, settings: dict[str, Any]) -> str:
    """Read which rows a module changes: "sentence_embedding" or "token_embeddings".

    Raises CheckpointError for another name, and for an output of another name.
    """
    name: str = setting(path, settings, "module_input_name", str, "sentence_embedding")
    output = setting(path, settings, "module_output_name", str, name)
    if name not in ("sentence_embedding", "token_embeddings") or output != name:
        raise CheckpointError(
            f"{path}: it turns {name!r:.80} into {output!r:.80}; minibert changes "
            "'sentence_embedding' or 'token_embeddings' in place."
        )
    return name


def check_dimension(path: Path, what: str, expected: int, dimension: int) -> None:
    """Raise CheckpointError unless the `expected` dimension is that of the module before."""
    if expected != dimension:
        raise CheckpointError(
            f"{path}: {what} expects {expected} dimensions; what comes before it gives {dimension}."
        )
