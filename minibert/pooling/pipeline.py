"""The modules after a BERT, ready to compute: hidden states -> vectors. Start at load_pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.bert.hook import Watch
from minibert.checkpoint.folder import Folder
from minibert.checkpoint.modules import Dense, Dropout, LayerNorm, Normalize, Pooling
from minibert.common.arrays import Array, IntArray
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.errors import CheckpointError
from minibert.kernels.protocol import Kernels
from minibert.pooling.pooling import READS, Projection, Reads, RowModule, RowNorm, normalize, pool

__all__ = ["Pipeline", "load_pipeline"]


# The class of what computes a module -> the name of the module. Normalize is a function.
NAMES: dict[type, str] = {Projection: "Dense", RowNorm: "LayerNorm"}


class Pipeline(NamedTuple):
    """What makes one vector of each text's token states."""

    before: tuple[RowModule, ...]  # on the tokens' states
    pooling: Pooling
    after: tuple[RowModule, ...]  # on the vectors
    token_width: int  # of a token's state, as it is pooled
    width: int  # of a vector

    def tokens(self, hidden: Array, kernels: Kernels, watch: Watch | None = None) -> Array:
        """The tokens' states as they are pooled: (N, D) -> (N, E). `watch` is shown each module."""
        return in_turn(self.before, hidden, kernels, watch)

    def skipped(self, prompt_length: int) -> int:
        """How many tokens of each text the pooling leaves out: [CLS] and a prompt, or none."""
        return 0 if self.pooling.include_prompt else prompt_length

    def reads(self, prompt_length: int) -> Reads | None:
        """Which token of each text is read, where it is one."""
        modes = self.pooling.pooling_mode
        skips = self.skipped(prompt_length) > 0
        return READS.get(modes[0]) if len(modes) == 1 and not skips else None

    def pooled(
        self, hidden: Array, lengths: IntArray, prompt_length: int, kernels: Kernels
    ) -> Array:
        """Pool what `tokens` made: (N, E), (S,) -> (S, E * modes).

        `prompt_length` is how many tokens [CLS] and a prompt take; the folder may leave them out.
        """
        skipped = self.skipped(prompt_length)
        return pool(self.pooling.pooling_mode, hidden, lengths, skipped, kernels)

    def finished(self, vectors: Array, kernels: Kernels, watch: Watch | None = None) -> Array:
        """Apply the modules after the pooling to its vectors: -> (S, width)."""
        return in_turn(self.after, vectors, kernels, watch)

    def put(self, put: Callable[[Any], Any]) -> Pipeline:
        """The same with all tensors elsewhere: `put` takes a named tuple of them."""

        def moved(modules: tuple[RowModule, ...]) -> tuple[RowModule, ...]:
            return tuple(put(module) if isinstance(module, tuple) else module for module in modules)

        return self._replace(before=moved(self.before), after=moved(self.after))


def in_turn(
    modules: tuple[RowModule, ...], rows: Array, kernels: Kernels, watch: Watch | None
) -> Array:
    """Apply modules to rows, one after the other; `watch` is shown each result by its name."""
    for module in modules:
        rows = module(rows, kernels)
        if watch:
            watch(NAMES.get(type(module), "Normalize"), rows)
    return rows


def load_pipeline(folder: Folder, hidden_size: int) -> Pipeline:
    """Read the modules' tensors.

    Raises CheckpointError for modules in an order that makes no vectors, for a width that does not
    fit what comes before, and for tensors that are missing or too many.
    """
    check_order(folder)
    before: list[RowModule] = []
    after: list[RowModule] = []
    pooling, width, token_width = None, hidden_size, hidden_size
    for module in folder.modules:
        if isinstance(module, Pooling):
            check_width(folder.path, "the pooling", module.embedding_dimension or width, width)
            pooling, token_width = module, width
            width *= len(module.pooling_mode)
        elif isinstance(module, Normalize) and pooling is None:
            # Of vectors that are not there yet, the reference normalises none.
            before += [normalize] * (module.module_input_name == "token_embeddings")
        elif not isinstance(module, Dropout):
            computing, width = load_module(module, width)
            (after if pooling else before).append(computing)
    assert pooling is not None  # check_order has seen it
    return Pipeline(tuple(before), pooling, tuple(after), token_width, width)


def check_order(folder: Folder) -> None:
    """Raise CheckpointError if the modules do not make one vector a text, one after the other."""
    path = folder.path / "modules.json"
    kinds = ["Transformer", *(type(module).__name__ for module in folder.modules)]
    pooled = False
    for module in folder.modules:
        if isinstance(module, Pooling):
            fits, pooled = not pooled, True
        elif module.module_input_name == "token_embeddings":
            fits = not pooled
        else:
            # What would change a vector that is not there yet: the reference leaves Normalize out.
            fits = pooled or type(module).__name__ == "Normalize"
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


def load_module(module: Dense | LayerNorm | Normalize, width: int) -> tuple[RowModule, int]:
    """What computes a module on rows of a width, and the width of what it makes of them."""
    if isinstance(module, Normalize):
        return normalize, width
    tensors = Tensors(weight_files(module.path))
    computing: RowModule
    if isinstance(module, Dense):
        check_width(module.path, "in_features", module.in_features, width)
        computing, width = read_projection(module, tensors), module.out_features
    else:
        check_width(module.path, "dimension", module.dimension, width)
        computing = RowNorm(tensors.take("norm.weight", width), tensors.take("norm.bias", width))
    if unused := tensors.unused():
        raise CheckpointError(
            f"{module.path}: config.json does not mention the tensor {unused[0]!r}."
        )
    return computing, width


def read_projection(module: Dense, tensors: Tensors) -> Projection:
    """The tensors of a Dense."""
    shape = module.out_features, module.in_features
    projects = module.use_residual and module.out_features != module.in_features
    return Projection(
        # Stored as (out, in); the transposed view copies nothing.
        weight=tensors.take("linear.weight", *shape).T,
        bias=(
            tensors.take("linear.bias", module.out_features)
            if module.bias
            else np.zeros(module.out_features, dtype=np.float32)
        ),
        activation=module.activation_function,
        has_residual=module.use_residual,
        residual=tensors.take("residual.weight", *shape).T if projects else None,
    )


def check_width(path: Path, what: str, expected: int, width: int) -> None:
    """Raise CheckpointError if a module expects another width than the one before it gives."""
    if expected != width:
        raise CheckpointError(
            f"{path}: {what} expects {expected} dimensions; what comes before it gives {width}."
        )
