"""The backward pass of BERT, on packed tokens: each function goes back through that of forward.py.

The gradient of a loss by the last hidden states comes in, and the gradient by each tensor goes out,
by the chain rule: Rumelhart, Hinton and Williams, "Learning representations by back-propagating
errors" (1986). Same names and letters as in forward.py, in the order in which that file has them;
hidden_states goes through the layers from the last to the first. `gradient` is always that by the
output of the function's namesake, and the result that by its input. Start at hidden_states.
"""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import NamedTuple, Protocol

import numpy as np

from minibert.bert.dropout import Dropout
from minibert.bert.forward import heads_of
from minibert.bert.packs import Pack
from minibert.bert.parameters import Config, Layer, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.protocol import Bucket, GradientKernels, Kernels, NormRows

__all__ = ["KEPT", "Give", "hidden_states"]

# Arrays of a forward pass that its backward pass needs, by the last part of their names in hook.py.
# Of "output" only that of the embeddings; all else is computed again from these.
KEPT = frozenset(
    ("query", "key", "value", "context", "intermediate_input", "output")
    + ("normalised", "attention_normalised", "output_normalised")
    + ("deviation", "attention_deviation", "output_deviation")
)


class Give(Protocol):
    """Called with the gradient by each tensor, by the name of its field in Parameters.

    The name of a layer's field has its layer before it, as in "layer.3.qkv_weight". With `index`,
    the gradient is of these rows of the tensor alone, and a row may come several times.
    """

    def __call__(self, name: str, gradient: Array, index: IntArray | None = None) -> None: ...


class BackwardPass(NamedTuple):
    """Arguments that stay the same in the steps of a backward pass."""

    config: Config
    kernels: Kernels
    gradients: GradientKernels
    kept: MutableMapping[str, Array]  # of the forward pass; large arrays go when they are used
    buckets: list[Bucket]  # of the pack, as in the forward pass
    dropout: Dropout | None
    give: Give
    attention_bias: Array | None = None  # (H, P, P)
    bias_gradient: Array | None = None  # of the same shape, summed over layers and texts
    layer: int | None = None  # number of the layer; None in the embeddings

    @property
    def place(self) -> str:
        """Part of the model, which begins the names of what was kept."""
        return "embeddings" if self.layer is None else f"layer.{self.layer}"

    def take(self, name: str) -> Array:
        """Take an array of this part of the model out of what the forward pass kept."""
        return self.kept.pop(f"{self.place}.{name}")

    def norm_rows(self, name: str) -> NormRows:
        """Return what a layer norm of this part of the model kept."""
        names = (f"{self.place}.{name}{what}" for what in ("normalised", "deviation"))
        return NormRows(*(self.kept[full] for full in names))

    def give_of_layer(self, field: str, gradient: Array) -> None:
        """Give the gradient by a field of the layer, or of the model in the embeddings."""
        self.give(field if self.layer is None else f"{self.place}.{field}", gradient)

    def drop_(self, place: str, gradient: Array) -> None:
        """Go back through a dropout, in place: its factors are drawn again."""
        if self.dropout:
            factors = self.dropout.rows(self.layer or 0, place, gradient.shape[1])
            if factors is not None:
                gradient *= factors


def hidden_states(
    gradient: Array,
    pack: Pack,
    parameters: Parameters,
    config: Config,
    kernels: Kernels,
    gradients: GradientKernels,
    kept: MutableMapping[str, Array],
    dropout: Dropout | None,
    give: Give,
) -> None:
    """Go back through the whole model: the gradient by the states of the last layer is (N, D).

    `kept` has the arrays that a hook of the forward pass got, those named in KEPT, and is empty
    afterwards. `dropout` is that of the forward pass. `gradient` is overwritten.
    """
    bias = parameters.attention_bias
    bias_gradient = None if bias is None else bias * 0
    backward = BackwardPass(
        config, kernels, gradients, kept, kernels.buckets(pack.lengths), dropout, give,
        bias, bias_gradient,
    )  # fmt: skip
    for number in reversed(range(len(parameters.layers))):
        backward, layer = backward._replace(layer=number), parameters.layers[number]
        gradient = feed_forward(gradient, layer, backward)
        before = input_of(number, parameters, backward)
        gradient = attention(gradient, before, layer, backward)
    embed(gradient, pack, parameters, backward._replace(layer=None))
    if bias_gradient is not None:
        give("attention_bias", bias_gradient)


def embed(gradient: Array, pack: Pack, parameters: Parameters, backward: BackwardPass) -> None:
    """Go back to the embeddings of word, position and token type: (N, D)."""
    kept = backward.norm_rows("")
    if parameters.projection_weight is not None:
        rows = norm_output(kept, parameters.norm_weight, parameters.norm_bias)
        backward.drop_("embeddings", rows)
        gradient = linear(gradient, rows, parameters.projection_weight, "projection", backward)
    backward.drop_("embeddings", gradient)
    of_weight, of_bias = backward.gradients.layer_norm_gradient_(
        gradient, kept, parameters.norm_weight
    )
    backward.give("norm_weight", of_weight)
    backward.give("norm_bias", of_bias)
    # A text may hold the padding token; as in torch, its row is not trained.
    real = np.flatnonzero(pack.ids != backward.config.pad_token_id)
    rows = backward.kernels.rows_at(gradient, real)
    backward.give("word_embeddings", rows, pack.ids[real])
    # One row for each pair of a token type and a position.
    positions = parameters.types_and_positions.shape[1]
    backward.give("types_and_positions", gradient, pack.token_types * positions + pack.positions)
    backward.kept.clear()


def attention(gradient: Array, hidden: Array, layer: Layer, backward: BackwardPass) -> Array:
    """Go back through the attention of a layer, whose input was `hidden`: (N, D) -> (N, D)."""
    norm = layer.attention_norm_weight
    context = backward.take("context")
    gradient, before = add_and_normalise(gradient, norm, "attention_", backward)
    weight = layer.attention_output_weight
    gradient = linear(gradient, context, weight, "attention_output", backward)
    gradient = mix(gradient, context, heads_of(layer, backward.config), backward)
    gradient = project(gradient, hidden, layer, backward)
    gradient += before
    return gradient


def mix(gradient: Array, context: Array, heads: int, backward: BackwardPass) -> Array:
    """Go back to queries, keys and values, side by side: (N, D) -> (N, 3D)."""
    q, k, v = (backward.take(name) for name in ("query", "key", "value"))
    dropout = backward.dropout.weights(backward.layer or 0, heads) if backward.dropout else None
    return backward.gradients.attend_gradient(
        q, k, v, context, gradient, backward.buckets, heads,
        backward.attention_bias, backward.bias_gradient, dropout,
    )  # fmt: skip


def add_and_normalise(
    gradient: Array, norm_weight: Array, name: str, backward: BackwardPass
) -> tuple[Array, Array]:
    """Go back through the end of half a layer: -> by the product, and by the rows before it.

    Both are (N, D).
    """
    kept = backward.norm_rows(name)
    of_weight, of_bias = backward.gradients.layer_norm_gradient_(gradient, kept, norm_weight)
    backward.give_of_layer(f"{name}norm_weight", of_weight)
    backward.give_of_layer(f"{name}norm_bias", of_bias)
    before = gradient.copy() if backward.dropout else gradient
    backward.drop_(name.rstrip("_"), gradient)
    return gradient, before


def project(gradient: Array, hidden: Array, layer: Layer, backward: BackwardPass) -> Array:
    """Go back from queries, keys and values to a layer's input: (N, 3D) -> (N, D)."""
    return linear(gradient, hidden, layer.qkv_weight, "qkv", backward)


def feed_forward(gradient: Array, layer: Layer, backward: BackwardPass) -> Array:
    """Go back through the feed-forward of a layer: (N, D) -> (N, D)."""
    gradient, before = add_and_normalise(gradient, layer.output_norm_weight, "output_", backward)
    inner, weight = backward.take("intermediate_input"), layer.output_weight
    by_inner = gradient @ weight.T  # (N, F)
    activation = ACTIVATIONS[backward.config.hidden_act]
    activation.gradient(backward.gradients, inner, by_inner)
    give_linear(gradient, inner, "output", backward)  # the activation's output by now
    kept, norm = backward.norm_rows("attention_"), layer.attention_norm_weight
    rows = norm_output(kept, norm, layer.attention_norm_bias)
    gradient = linear(by_inner, rows, layer.intermediate_weight, "intermediate", backward)
    gradient += before
    return gradient


def linear(gradient: Array, x: Array, weight: Array, name: str, backward: BackwardPass) -> Array:
    """Go back through x @ weight + bias: (N, F) -> (N, D)."""
    give_linear(gradient, x, name, backward)
    by_input: Array = gradient @ weight.T
    return by_input


def give_linear(gradient: Array, x: Array, name: str, backward: BackwardPass) -> None:
    """Give the gradients by weight and bias of x @ weight + bias."""
    of_weight = backward.gradients.weight_gradient(x, gradient)
    backward.give_of_layer(f"{name}_weight", of_weight)
    backward.give_of_layer(f"{name}_bias", backward.gradients.column_sums(gradient))


def norm_output(kept: NormRows, weight: Array, bias: Array) -> Array:
    """Compute a layer norm's output again from its normalised rows: (N, D)."""
    rows = kept.normalised * weight
    rows += bias
    return rows


def input_of(number: int, parameters: Parameters, backward: BackwardPass) -> Array:
    """Return the input of a layer: the output of the layer before it, or of the embeddings."""
    if number == 0:
        return backward.kept["embeddings.output"]
    layer = parameters.layers[number - 1]
    kept = backward._replace(layer=number - 1).norm_rows("output_")
    return norm_output(kept, layer.output_norm_weight, layer.output_norm_bias)
