"""The forward pass of BERT, on packed tokens. No files, no devices. Start at hidden_states.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding" (2019); the layer is that of Vaswani et al., "Attention Is All You Need"
(2017), section 3, with the layer norm after each residual sum.

The letters, here and in every shape comment: N tokens of a pack, S its texts, T tokens of one text,
D hidden_size, H heads, F intermediate_size, V vocabulary, L layers, P positions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from minibert.activations import ACTIVATIONS
from minibert.arrays import Array, IntArray, Kernels
from minibert.packing import Pack

__all__ = [
    "Config",
    "Layer",
    "Parameters",
    "Watch",
    "hidden_states",
    "pooler_output",
]

# Called with the name of an intermediate array and the array. The kernels work in place, so
# whoever wants to keep an array must copy it.
Watch = Callable[[str, Array], None]


class Config(NamedTuple):
    """The sizes and choices of a model, under the keys of its config.json."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12


class Layer(NamedTuple):
    """The tensors of one layer. A token is a row, so a weight maps (in) to (out): (in, out)."""

    # Queries, keys and values side by side, so that one product gives all three. The attention's
    # 1/sqrt(D/H) is already multiplied into the queries.
    qkv_weight: Array  # (D, 3D)
    qkv_bias: Array  # (3D,)
    attention_weight: Array  # (D, D)
    attention_bias: Array  # (D,)
    attention_norm_weight: Array  # (D,)
    attention_norm_bias: Array  # (D,)
    intermediate_weight: Array  # (D, F)
    intermediate_bias: Array  # (F,)
    output_weight: Array  # (F, D)
    output_bias: Array  # (D,)
    output_norm_weight: Array  # (D,)
    output_norm_bias: Array  # (D,)


class Parameters(NamedTuple):
    """All tensors of a model."""

    words: Array  # (V, D)
    # The sum of a token type's vector and a position's, for every pair of the two.
    types_and_positions: Array  # (types, P, D)
    norm_weight: Array  # (D,)
    norm_bias: Array  # (D,)
    layers: tuple[Layer, ...]
    pooler_weight: Array | None = None  # (D, D)
    pooler_bias: Array | None = None  # (D,)


def hidden_states(
    pack: Pack,
    parameters: Parameters,
    config: Config,
    kernels: Kernels,
    watch: Watch | None = None,
) -> Array:
    """Run the whole model: the N tokens of a pack -> (N, D), the states after the last layer.

    `watch` is shown "embeddings" (N, D), and for each layer n "layer.n.attention" (S, H, T, T) once
    for every run of equally long texts, in the pack's order, and "layer.n.output" (N, D).
    """
    hidden = embed(pack, parameters, config, kernels)
    if watch:
        watch("embeddings", hidden)
    for number, layer in enumerate(parameters.layers):
        name = f"layer.{number}"
        hidden = attention(hidden, pack.lengths, layer, config, kernels, name, watch)
        hidden = feed_forward(hidden, layer, config, kernels)
        if watch:
            watch(f"{name}.output", hidden)
    return hidden


def embed(pack: Pack, parameters: Parameters, config: Config, kernels: Kernels) -> Array:
    """Look up word, position and token type and add them: N ids -> (N, D)."""
    hidden: Array = parameters.words[pack.ids]
    hidden += parameters.types_and_positions[pack.token_types, pack.positions]
    kernels.layer_norm_(hidden, parameters.norm_weight, parameters.norm_bias, config.layer_norm_eps)
    return hidden


def attention(
    hidden: Array,
    lengths: IntArray,
    layer: Layer,
    config: Config,
    kernels: Kernels,
    name: str,
    watch: Watch | None,
) -> Array:
    """Mix each token with the tokens of its own text, add what it was, normalise: (N, D)."""
    qkv = kernels.linear(hidden, layer.qkv_weight, layer.qkv_bias)  # (N, 3D)
    context = kernels.empty(*hidden.shape)
    for rows, texts in equal_runs(lengths):
        weights = attend(qkv[rows], context[rows], texts, config.num_attention_heads, kernels)
        if watch:
            watch(f"{name}.attention", weights)
    mixed = kernels.linear(context, layer.attention_weight, layer.attention_bias)
    mixed += hidden
    kernels.layer_norm_(
        mixed, layer.attention_norm_weight, layer.attention_norm_bias, config.layer_norm_eps
    )
    return mixed


def attend(qkv: Array, context: Array, texts: int, heads: int, kernels: Kernels) -> Array:
    """Fill `context` (S*T, D) from qkv (S*T, 3D), S texts of T tokens: -> weights (S, H, T, T).

    softmax(q k^T / sqrt(D/H)) v for each head: Vaswani et al. (2017), equation 1.
    """
    tokens = len(qkv) // texts
    # (S*T, 3D) -> three of (S, H, T, D/H)
    q, k, v = qkv.reshape(texts, tokens, 3, heads, -1).transpose(2, 0, 3, 1, 4)
    weights: Array = q @ k.swapaxes(-1, -2)  # (S, H, T, T), logits until the softmax
    kernels.softmax_(weights)
    # Written through a view on context, (S, H, T, D/H), which joins the heads.
    context.reshape(texts, tokens, heads, -1).transpose(0, 2, 1, 3)[...] = weights @ v
    return weights


def equal_runs(lengths: IntArray) -> Iterator[tuple[slice, int]]:
    """Rows of a pack that hold equally long texts side by side, and how many: (S,) -> runs.

    Packs are sorted by length, so short texts come in long runs, which attention takes as one.
    """
    start, texts = 0, 0
    for index, length in enumerate(lengths.tolist()):
        texts += 1
        if index + 1 == len(lengths) or lengths[index + 1] != length:
            yield slice(start, start + texts * length), texts
            start, texts = start + texts * length, 0


def feed_forward(hidden: Array, layer: Layer, config: Config, kernels: Kernels) -> Array:
    """Widen each token, activate, narrow it, add what it was, normalise: (N, D) -> (N, D)."""
    inner = kernels.linear(hidden, layer.intermediate_weight, layer.intermediate_bias)  # (N, F)
    ACTIVATIONS[config.hidden_act](kernels, inner)
    outer = kernels.linear(inner, layer.output_weight, layer.output_bias)  # (N, D)
    outer += hidden
    kernels.layer_norm_(
        outer, layer.output_norm_weight, layer.output_norm_bias, config.layer_norm_eps
    )
    return outer


def pooler_output(first: Array, parameters: Parameters, kernels: Kernels) -> Array:
    """What BERT's pooler makes of the first token of each text: (S, D) -> (S, D).

    Sentence vectors do not use it; classification heads do.
    """
    if parameters.pooler_weight is None or parameters.pooler_bias is None:
        raise ValueError("This checkpoint has no pooler (pooler.dense.weight, pooler.dense.bias).")
    pooled = kernels.linear(first, parameters.pooler_weight, parameters.pooler_bias)
    kernels.tanh_(pooled)
    return pooled
