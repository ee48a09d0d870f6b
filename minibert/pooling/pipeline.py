"""The modules after a BERT, ready to compute: hidden states -> vectors. Start at load_pipeline."""

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

    kind: str
    module: RowModule


class Pipeline(NamedTuple):
    """The modules that make one vector of each text's token states."""

    before: tuple[Step, ...]  # on the tokens' states
    pooling: Pooling
    after: tuple[Step, ...]  # on the vectors
    token_dimension: int  # of a token's state, as it is pooled
    dimension: int  # of a vector

    def tokens(self, hidden: Array, kernels: Kernels, hook: Hook | None = None) -> Array:
        """The tokens' states as they are pooled: (N, D) -> (N, E). `hook` is shown each module."""
        return in_turn(self.before, hidden, kernels, hook)

    def skipped(self, prompt_length: int) -> int:
        """How many tokens of each text the pooling leaves out: [CLS] and a prompt, or none."""
        return 0 if self.pooling.include_prompt else prompt_length

    def pooled_tokens(self, prompt_length: int) -> PooledTokens | None:
        """Which token of each text is read, where it is one."""
        modes = self.pooling.pooling_mode
        skips = self.skipped(prompt_length) > 0
        return POOLINGS[modes[0]].pooled_tokens if len(modes) == 1 and not skips else None

    def pooled(
        self, hidden: Array, lengths: IntArray, prompt_length: int, kernels: Kernels
    ) -> Array:
        """Pool what `tokens` made: (N, E), (S,) -> (S, E * modes).

        `prompt_length` is how many tokens [CLS] and a prompt take; the folder may leave them out.
        """
        skipped = self.skipped(prompt_length)
        return pool(self.pooling.pooling_mode, hidden, lengths, skipped, kernels)

    def finished(self, vectors: Array, kernels: Kernels, hook: Hook | None = None) -> Array:
        """Apply the modules after the pooling to its vectors: -> (S, dimension)."""
        return in_turn(self.after, vectors, kernels, hook)

    def parts(self, states: Array, prompt_length: int) -> Array:
        """Split the vector of one text into what each token gives of it: (T, E) -> (T, dimension).

        `states` are float64, and those that are pooled; on the CPU.

        Raises NotLinearError for a module after the pooling that is not linear, ValueError for a
        pooling that is no sum over the tokens, or that has none left.
        """
        modes = self.pooling.pooling_mode
        factor = factors(modes, states, self.skipped(prompt_length), cpu)
        parts: Array = np.tile(states, len(modes)) * factor  # (T, E * modes)
        # Of a bias, each token gets this portion: (T, 1), which sum to 1.
        portion = factor.sum(axis=1, keepdims=True) / factor.sum()
        for step in self.after:
            parts = step.module.split(parts, portion)
        return parts

    def to_device(self, to_device: Callable[[Any], Any]) -> Pipeline:
        """The same with all tensors elsewhere: `to_device` takes a named tuple of them."""

        def moved(steps: tuple[Step, ...]) -> tuple[Step, ...]:
            return tuple(Step(kind, to_device(module)) for kind, module in steps)

        return self._replace(before=moved(self.before), after=moved(self.after))


def in_turn(steps: tuple[Step, ...], rows: Array, kernels: Kernels, hook: Hook | None) -> Array:
    """Apply modules to rows, one after the other; `hook` is shown each result by its name."""
    for kind, module in steps:
        rows = module(rows, kernels)
        if hook:
            hook(kind, rows)
    return rows


def load_pipeline(path: Path, modules: Sequence[ModuleSettings], hidden_size: int) -> Pipeline:
    """Read the tensors of a model's modules, by their settings; `path` is the model's folder.

    Raises CheckpointError for modules in an order that makes no vectors, for a dimension that does
    not fit the module before, and for tensors that are missing or too many.
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
            continue  # of vectors that are not there yet, the reference normalises none
        elif MODULES[kind].load is not None:
            module, dimension = load_module(MODULES[kind], settings, dimension)
            (after if pooling else before).append(Step(kind, module))
    assert pooling is not None  # check_order has seen it
    return Pipeline(tuple(before), pooling, tuple(after), token_dimension, dimension)


def check_order(path: Path, modules: Sequence[ModuleSettings]) -> None:
    """Raise CheckpointError if the modules do not make one vector a text, one after the other."""
    path /= "modules.json"
    kinds = ["Transformer", *map(kind_of, modules)]
    pooled = False
    for settings, kind in zip(modules, kinds[1:], strict=True):
        if isinstance(settings, Pooling):
            fits, pooled = not pooled, True
        elif settings.module_input_name == "token_embeddings":
            fits = not pooled
        else:
            # What would change a vector that is not there yet: the reference leaves Normalize out.
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
    """Load a module for rows of a dimension: -> the module, and the dimension of its results."""
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
