"""WeightedLayerPooling: a token's state as the weighted mean of its states after several layers.

The scheduler of a model collects the layers' states by a hook. Start at LayerMix.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from minibert.bert.hook import Hook
from minibert.common.arguments import is_count
from minibert.common.arrays import Array
from minibert.common.json_files import check_keys, required_count, setting
from minibert.common.safetensors_files import NamedTensors
from minibert.errors import CheckpointError
from minibert.kernels.protocol import GradientKernels, Kernels
from minibert.pooling.module import Give, check_dimension

__all__ = [
    "LayerMix",
    "LayerSum",
    "WeightedLayerPooling",
    "load_weighted_layers",
    "read_weighted_layers",
]

OLD_DIMENSION = "word_embedding_dimension"


class WeightedLayerPooling(NamedTuple):
    """Settings of a weighted mean of layers."""

    path: Path  # the module's folder
    embedding_dimension: int  # D, of a token's state
    num_hidden_layers: int = 12  # L, of the BERT
    layer_start: int = 4  # number of the first state: 0 is that of the embeddings
    module_input_name: str = "token_embeddings"  # always this one


def read_weighted_layers(folder: Path, settings: dict[str, Any]) -> WeightedLayerPooling:
    """Read the settings of a WeightedLayerPooling."""
    path = folder / "config.json"
    names = {"embedding_dimension", OLD_DIMENSION, "num_hidden_layers", "layer_start"}
    check_keys(path, settings, names)
    dimension = "embedding_dimension" if "embedding_dimension" in settings else OLD_DIMENSION
    layers = setting(path, settings, "num_hidden_layers", int, 12)
    start = setting(path, settings, "layer_start", int, 4)
    if not is_count(layers) or not 0 <= start <= layers:
        raise CheckpointError(
            f"{path}: num_hidden_layers is {layers!r:.80} and layer_start {start!r:.80}; expected "
            "a number of layers, and one from 0 up to it."
        )
    return WeightedLayerPooling(
        folder, required_count(path, settings, dimension), int(layers), int(start)
    )


class LayerMix(NamedTuple):
    """Weights of the states after layer_start, layer_start + 1 and so on up to the last layer.

    As a module it returns its input: the scheduler has mixed the states before.
    """

    weights: Array  # (L + 1 - layer_start,)
    start: int  # layer_start

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Return the rows as they are: (N, D) -> (N, D)."""
        return rows

    def split(self, parts: Array, portion: Array) -> Array:
        """Return the parts as they are: (T, D) -> (T, D)."""
        return parts

    def backward(
        self,
        rows: Array,
        gradient: Array,
        kernels: Kernels,
        gradients: GradientKernels,
        give: Give,
    ) -> Array:
        """Raise ValueError: it is not trained."""
        raise ValueError(
            "A WeightedLayerPooling is not trained. Train the model with sentence-transformers, or "
            "without this module."
        )


class LayerSum:
    """A hook that sums the states of a forward pass, times the weights of a LayerMix."""

    def __init__(self, mix: LayerMix, kernels: Kernels, other: Hook | None) -> None:
        """Begin with nothing; `other` is another hook, which gets all arrays, too."""
        weights = mix.weights.tolist()
        # hidden_states[0] of transformers is the output of the embeddings, [n + 1] of layer n.
        names = [
            "embeddings.output",
            *(f"layer.{n}.output" for n in range(mix.start + len(weights))),
        ]
        self._weights = dict(zip(names[mix.start :], weights, strict=False))
        self._divisor = float(mix.weights.sum())
        self._kernels, self._other = kernels, other
        self._total: Array | None = None  # (N, D)

    def __call__(self, name: str, array: Array) -> None:
        """Add the states of a layer that has a weight."""
        if self._other:
            self._other(name, array)
        weight = self._weights.get(name)
        if weight is not None:
            part = self._kernels.floats(array) * weight
            if self._total is None:
                self._total = part
            else:
                self._total += part

    def mean(self) -> Array:
        """Divide the sum by that of the weights: -> (N, D) float32."""
        assert self._total is not None
        self._total /= self._divisor
        return self._total


def load_weighted_layers(
    module: WeightedLayerPooling, tensors: NamedTensors, dimension: int
) -> tuple[LayerMix, int]:
    """Read the weights of a WeightedLayerPooling: -> the module, the same dimension."""
    check_dimension(module.path, "embedding_dimension", module.embedding_dimension, dimension)
    weights = tensors.take("layer_weights", module.num_hidden_layers + 1 - module.layer_start)
    if weights.sum() == 0:
        raise CheckpointError(f"{module.path}: layer_weights sum to 0, so they have no mean.")
    return LayerMix(weights, module.layer_start), dimension
