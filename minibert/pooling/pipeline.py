"""Modules after a BERT, ready to compute: hidden states -> vectors. Start at load_pipeline."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.bert.hook import Hook
from minibert.common.arrays import Array, IntArray
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.errors import CheckpointError
from minibert.kernels import cpu
from minibert.kernels.protocol import Kernels
from minibert.pooling.modes import POOLINGS, PooledTokens
from minibert.pooling.module import Module, RowModule, check_dimension
from minibert.pooling.pooling import Pooling, factors, pool
from minibert.pooling.registry import MODULES, ModuleSettings, kind_of

__all__ = ["Pipeline", "Step", "load_pipeline"]


class Step(NamedTuple):
    """A module on rows, and its name in MODULES."""

    kind: str  # as "Dense"
    module: RowModule  # with its tensors


class Pipeline(NamedTuple):
    """Modules that turn each text's token states into one vector."""

    before: tuple[Step, ...]  # change the tokens' states
    pooling: Pooling  # its settings
    after: tuple[Step, ...]  # change the vectors
    token_dimension: int  # E, of a token's state when it is pooled
    dimension: int  # of a vector

    def tokens(self, hidden: Array, kernels: Kernels, hook: Hook | None = None) -> Array:
        """Apply the modules before the pooling: (N, D) -> (N, E). `hook` gets each result."""
        return in_turn(self.before, hidden, kernels, hook)

    def skipped(self, prompt_length: int) -> int:
        """Count the tokens of each text that are not pooled: [CLS] and a prompt, or none."""
        return 0 if self.pooling.include_prompt else prompt_length

    def pooled_tokens(self, prompt_length: int) -> PooledTokens | None:
        """Return the function that finds each text's pooled token; None if several are pooled."""
        modes = self.pooling.pooling_mode
        skips = self.skipped(prompt_length) > 0
        return POOLINGS[modes[0]].pooled_tokens if len(modes) == 1 and not skips else None

    def pooled(
        self, hidden: Array, lengths: IntArray, prompt_length: int, kernels: Kernels
    ) -> Array:
        """Pool the states from `tokens`: (N, E), (S,) -> (S, E * modes).

        `prompt_length` is the number of tokens of [CLS] and a prompt; `pooling.include_prompt`
        says whether they count.
        """
        skipped = self.skipped(prompt_length)
        return pool(self.pooling.pooling_mode, hidden, lengths, skipped, kernels)

    def finished(self, vectors: Array, kernels: Kernels, hook: Hook | None = None) -> Array:
        """Apply the modules after the pooling to its vectors: -> (S, dimension)."""
        return in_turn(self.after, vectors, kernels, hook)

    def parts(self, states: Array, prompt_length: int) -> Array:
        """Split the vector of one text into the part of each token: (T, E) -> (T, dimension).

        `states` are those from `tokens`, in float64, on the CPU.

        Raises NotLinearError for a module after the pooling that is not linear; ValueError for a
        pooling that is no sum over the tokens, or leaves out all of them.
        """
        modes = self.pooling.pooling_mode
        factor = factors(modes, states, self.skipped(prompt_length), cpu)
        parts: Array = np.tile(states, len(modes)) * factor  # (T, E * modes)
        # The portion of a bias that each token gets: (T, 1); portions sum to 1.
        portion = factor.sum(axis=1, keepdims=True) / factor.sum()
        for step in self.after:
            parts = step.module.split(parts, portion)
        return parts

    def to_device(self, to_device: Callable[[Any], Any]) -> Pipeline:
        """Copy the pipeline to a device: `to_device` moves one named tuple of tensors."""

        def moved(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(Step(kind, to_device(module)) for kind, module in steps)

        return self._replace(before=moved(self.before), after=moved(self.after))


def in_turn(steps: tuple[Step, ...], rows: Array, kernels: Kernels, hook: Hook | None) -> Array:
    """Apply modules to rows, one after the other; `hook` gets each result with its name."""
    for kind, module in steps:
        rows = module(rows, kernels)
        if hook:
            hook(kind, rows)
    return rows


def load_pipeline(path: Path, modules: Sequence[ModuleSettings], hidden_size: int) -> Pipeline:
    """Read the tensors of a model's modules, by their settings; `path` is the model's folder.

    Raises CheckpointError for modules in a wrong order, for a dimension that does not fit the
    module before, and for a tensor that is missing or not used.
    """
    check_order(path, modules)
    before: list[Step] = []
    after: list[Step] = []
    pooling, dimension, token_dimension = None, hidden_size, hidden_size
    for settings in modules:
        kind = kind_of(settings)
        if isinstance(settings, Pooling):
            check_dimension(
                path, "the pooling", settings.embedding_dimension or dimension, dimension
            )
            pooling, token_dimension = settings, dimension
            dimension *= len(settings.pooling_mode)
        elif pooling is None and settings.module_input_name != "token_embeddings":
            continue  # there are no vectors yet, and the reference skips it, too
        elif MODULES[kind].load is not None:
            module, dimension = load_module(MODULES[kind], settings, dimension)
            (after if pooling else before).append(Step(kind, module))
    assert pooling is not None  # check_order has found it
    return Pipeline(tuple(before), pooling, tuple(after), token_dimension, dimension)


def check_order(path: Path, modules: Sequence[ModuleSettings]) -> None:
    """Raise CheckpointError unless the modules, in this order, give a vector for each text."""
    path /= "modules.json"
    kinds = ["Transformer", *map(kind_of, modules)]
    pooled = False
    for settings, kind in zip(modules, kinds[1:], strict=True):
        if isinstance(settings, Pooling):
            fits, pooled = not pooled, True
        elif settings.module_input_name == "token_embeddings":
            fits = not pooled
        else:
            # There is no vector before the pooling; the reference skips a Normalize there.
            fits = pooled or MODULES[kind].may_be_early
        if not fits:
            raise CheckpointError(
                f"{path}: the modules are {', '.join(kinds)}; minibert runs one Pooling, before it "
                "modules that change token_embeddings, and after it those of sentence_embedding."
            )
    if not pooled:
        raise CheckpointError(
            f"{path}: the modules are {', '.join(kinds)}; without a Pooling they make no vector of "
            "a text."
        )


def load_module(row: Module, settings: Any, dimension: int) -> tuple[RowModule, int]:
    """Load a module for rows of a dimension: -> the module, the dimension of its results."""
    assert row.load is not None
    if not row.has_weights:
        return row.load(settings, None, dimension)
    tensors = Tensors(weight_files(settings.path))
    module, dimension = row.load(settings, tensors, dimension)
    if unused := tensors.unused():
        raise CheckpointError(
            f"{settings.path}: config.json does not mention the tensor {unused[0]!r}."
        )
    return module, dimension
