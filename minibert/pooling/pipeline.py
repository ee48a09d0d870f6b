"""Modules after a BERT, ready to compute: hidden states -> vectors, and in training the way back.

Start at load_pipeline.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.bert.dropout import Dropout
from minibert.bert.hook import Hook
from minibert.common.arrays import Array, IntArray
from minibert.common.safetensors_files import NamedTensors, Tensors, weight_files
from minibert.errors import CheckpointError
from minibert.kernels import cpu
from minibert.kernels.devices import tensors_to_host
from minibert.kernels.protocol import GradientKernels, Kernels
from minibert.pooling.dropout import Drop
from minibert.pooling.modes import POOLINGS, PooledTokens
from minibert.pooling.module import Give, RowModule, check_dimension
from minibert.pooling.pooling import Pooling, factors, pool, pool_gradient
from minibert.pooling.registry import MODULES, ModuleSettings, kind_of
from minibert.pooling.weighted_layers import LayerMix, WeightedLayerPooling

__all__ = ["Pipeline", "Step", "load_pipeline"]


class Step(NamedTuple):
    """A module on rows, its name in MODULES, and its folder."""

    kind: str  # as "Dense"
    module: RowModule  # with its tensors
    folder: str = ""  # path in the model's folder, as "2_Dense"; of modules with tensors


class Kept(NamedTuple):
    """Arrays of a forward pass that the way back needs."""

    before: list[tuple[Step, Array]]  # each module before the pooling, and a copy of its input
    states: Array  # that were pooled, (N, E)
    lengths: IntArray  # (S,), tokens of each text
    prompt_length: int  # tokens of [CLS] and a prompt
    after: list[tuple[Step, Array]]  # each module after the pooling, and a copy of its input


class Pipeline(NamedTuple):
    """Modules that turn each text's token states into one vector."""

    before: tuple[Step, ...]  # change the tokens' states
    pooling: Pooling  # its settings
    after: tuple[Step, ...]  # change the vectors
    token_dimension: int  # E, of a token's state when it is pooled
    dimension: int  # of a vector

    @property
    def layer_mix(self) -> LayerMix | None:
        """Weights of the layers whose states are mixed; None where the last one's are taken."""
        mixes = (step.module for step in self.before if isinstance(step.module, LayerMix))
        return next(mixes, None)

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

    def forward(
        self,
        hidden: Array,
        lengths: IntArray,
        kernels: Kernels,
        dropout: Dropout | None = None,
        prompt_length: int = 0,
    ) -> tuple[Array, Kept]:
        """Compute vectors for training: (N, D), (S,) -> (S, dimension), and what `backward` needs.

        Modules of kind "Dropout" act if `dropout` is given. `hidden` may be overwritten or kept.

        Raises ValueError for a Dropout of 1, which leaves nothing to train.
        """
        before: list[tuple[Step, Array]] = []
        after: list[tuple[Step, Array]] = []
        states = in_turn(self.before, hidden, kernels, kept=before)
        vectors = self.pooled(states, lengths, prompt_length, kernels)
        vectors = in_turn(dropping(self.after, dropout), vectors, kernels, kept=after)
        return vectors, Kept(before, states, lengths, prompt_length, after)

    def backward(
        self,
        kept: Kept,
        gradient: Array,
        kernels: Kernels,
        gradients: GradientKernels,
        give: Give,
    ) -> Array:
        """Go back through `forward`: gradient by vectors, (S, dimension), -> by `hidden`, (N, D).

        `give` gets the gradient by each tensor, by its key: the module's folder, a slash, the
        tensor's name in the file. `gradient` and the arrays of `kept` may be overwritten.
        """
        gradient = back_through(kept.after, gradient, kernels, gradients, give)
        skipped = self.skipped(kept.prompt_length)
        gradient = pool_gradient(
            self.pooling.pooling_mode, gradient, kept.states, kept.lengths, skipped, kernels
        )
        return back_through(kept.before, gradient, kernels, gradients, give)

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
            return tuple(step._replace(module=to_device(step.module)) for step in steps)

        return self._replace(before=moved(self.before), after=moved(self.after))

    def to_host(self) -> Pipeline:
        """Copy the tensors to the host that are on a GPU; the others stay as they are."""
        return self.to_device(tensors_to_host)


def in_turn(
    steps: Iterable[Step],
    rows: Array,
    kernels: Kernels,
    hook: Hook | None = None,
    kept: list[tuple[Step, Array]] | None = None,
) -> Array:
    """Apply modules to rows, one after the other; `hook` gets each result with its name.

    Each module is added to `kept`, if that is given, with a copy of its input.
    """
    for step in steps:
        if kept is not None:
            kept.append((step, rows.copy()))
        rows = step.module(rows, kernels)
        if hook:
            hook(step.kind, rows)
    return rows


def back_through(
    kept: list[tuple[Step, Array]],
    gradient: Array,
    kernels: Kernels,
    gradients: GradientKernels,
    give: Give,
) -> Array:
    """Go back through modules, the last one first: gradient by the result -> by the input."""
    for step, rows in reversed(kept):

        def give_of_step(name: str, by_tensor: Array, folder: str = step.folder) -> None:
            give(f"{folder}/{name}", by_tensor)

        gradient = step.module.backward(rows, gradient, kernels, gradients, give_of_step)
    return gradient


def dropping(steps: tuple[Step, ...], dropout: Dropout | None) -> Iterator[Step]:
    """Walk the modules after the pooling; those of kind "Dropout" draw factors from `dropout`."""
    for number, step in enumerate(steps):
        if dropout is None or not isinstance(step.module, Drop):
            yield step
            continue
        rate = step.module.rate
        if rate == 1:
            raise ValueError("The rate of a Dropout is 1: it leaves nothing to train.")
        draw = partial(dropout.of_vectors().rows, number, "module", rate=rate)
        yield step._replace(module=step.module._replace(draw=draw))


def mapped(folder: Path) -> Tensors:
    """Map the tensors in the files of a module's folder."""
    return Tensors(weight_files(folder))


def load_pipeline(
    path: Path,
    modules: Sequence[ModuleSettings],
    hidden_size: int,
    tensors_of: Callable[[Path], NamedTensors] = mapped,
) -> Pipeline:
    """Read the tensors of a model's modules, by their settings; `path` is the model's folder.

    `tensors_of` opens the tensors of a module's folder.

    Raises CheckpointError for modules in a wrong order, for a dimension that does not fit the
    module before, and for a tensor that is missing or not used.
    """
    check_order(path, modules)
    before: list[Step] = []
    after: list[Step] = []
    pooling, dimension, token_dimension = None, hidden_size, hidden_size
    for settings in modules:
        if isinstance(settings, Pooling):
            check_dimension(
                path, "the pooling", settings.embedding_dimension or dimension, dimension
            )
            pooling, token_dimension = settings, dimension
            dimension *= len(settings.pooling_mode)
        elif pooling is None and settings.module_input_name != "token_embeddings":
            continue  # there are no vectors yet, and the reference skips it, too
        elif MODULES[kind_of(settings)].load is not None:
            step, dimension = load_step(path, settings, dimension, tensors_of)
            (after if pooling else before).append(step)
    assert pooling is not None  # check_order has found it
    return Pipeline(tuple(before), pooling, tuple(after), token_dimension, dimension)


def check_order(path: Path, modules: Sequence[ModuleSettings]) -> None:
    """Raise CheckpointError unless the modules, in this order, give a vector for each text."""
    path /= "modules.json"
    kinds = ["Transformer", *map(kind_of, modules)]
    pooled = False
    if any(isinstance(settings, WeightedLayerPooling) for settings in modules[1:]):
        raise CheckpointError(
            f"{path}: the modules are {', '.join(kinds)}; minibert runs a WeightedLayerPooling "
            "directly after the Transformer alone."
        )
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


def load_step(
    path: Path, settings: Any, dimension: int, tensors_of: Callable[[Path], NamedTensors]
) -> tuple[Step, int]:
    """Load a module for rows of a dimension: -> its step, the dimension of its results."""
    kind = kind_of(settings)
    row = MODULES[kind]
    assert row.load is not None
    if not row.has_weights:
        module, dimension = row.load(settings, None, dimension)
        return Step(kind, module), dimension
    tensors = tensors_of(settings.path)
    module, dimension = row.load(settings, tensors, dimension)
    if unused := tensors.unused():
        raise CheckpointError(
            f"{settings.path}: config.json does not mention the tensor {unused[0]!r}."
        )
    return Step(kind, module, settings.path.relative_to(path).as_posix()), dimension
