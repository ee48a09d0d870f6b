"""A module on rows, as the others see it: its row in the registry, what it computes, its checks.

A row is a text's vector after the pooling, or a token's state before it. No module stands here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal, NamedTuple, Protocol

from minibert.common.arrays import Array
from minibert.common.json_files import setting
from minibert.errors import CheckpointError, MinibertError
from minibert.kernels.protocol import Kernels

__all__ = ["Module", "NotLinearError", "RowModule", "RowSettings", "check_dimension", "input_name"]


class NotLinearError(MinibertError, ValueError):
    """The result of a module is no sum over the parts of its input. The text names what bends."""


class RowSettings(Protocol):
    """The settings of a module on rows, a NamedTuple; with a `path`, where there are weights."""

    @property
    def module_input_name(self) -> str:
        """The rows it changes: "sentence_embedding" or "token_embeddings"."""
        ...


class RowModule(Protocol):
    """A module with its tensors, ready to compute: a NamedTuple, whose arrays a device can take."""

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Rows (R, D) -> rows (R, E); the rows given may be overwritten."""
        ...

    def split(self, parts: Array, portion: Array) -> Array:
        """Carry the parts of one row through, so that they sum to its result: (T, D) -> (T, E).

        `portion` (T, 1), of the sum 1, is what each part gets of a bias, which belongs to none.

        Raises NotLinearError where the result is no such sum.
        """
        ...


class Module(NamedTuple):
    """A row of MODULES: a kind of module, for all who read, load, fetch, save or explain one."""

    settings: type[Any]  # the NamedTuple that users see as model[1], model[2] and so on
    # The module's folder and its config.json, {} where there is none -> the settings.
    read: Callable[[Path, dict[str, Any]], Any]
    # Settings, tensors (None without weights) and the dimension of the rows -> the module that
    # computes, and the dimension of its results. None where nothing is computed on rows.
    load: Callable[[Any, Any, int], tuple[RowModule, int]] | None = None
    config: Literal["required", "optional", "unread"] = "required"
    has_weights: bool = False
    # May stand before the pooling with "sentence_embedding" for its input; nothing is there yet.
    may_be_early: bool = False


def input_name(path: Path, settings: dict[str, Any]) -> str:
    """What a module works on: the texts' vectors, or the tokens' states before they are pooled."""
    name: str = setting(path, settings, "module_input_name", str, "sentence_embedding")
    output = setting(path, settings, "module_output_name", str, name)
    if name not in ("sentence_embedding", "token_embeddings") or output != name:
        raise CheckpointError(
            f"{path}: it turns {name!r:.80} into {output!r:.80}; minibert changes "
            "'sentence_embedding' or 'token_embeddings' in place."
        )
    return name


def check_dimension(path: Path, what: str, expected: int, dimension: int) -> None:
    """Raise CheckpointError if a module expects another dimension than the one before it gives."""
    if expected != dimension:
        raise CheckpointError(
            f"{path}: {what} expects {expected} dimensions; what comes before it gives {dimension}."
        )
