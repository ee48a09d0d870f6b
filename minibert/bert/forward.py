"""The forward pass of BERT, on packed tokens. No files, no devices. Start at hidden_states.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding" (2019); the layer is that of Vaswani et al., "Attention Is All You Need"
(2017), section 3, with the layer norm after each residual sum.

The letters, here and in every shape comment: N tokens of a pack, S its texts, T tokens of one text,
D hidden_size, H heads, F intermediate_size. What a model consists of is in parameters.py,
and what a hook is shown in hook.py.
"""

from __future__ import annotations

from functools import partial
from typing import TypeAlias

from minibert.bert.hook import AllReduce, Hook, Pass, buckets_of
from minibert.bert.packs import Pack
from minibert.bert.parameters import AnyLayer, Config, Layer, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.protocol import Kernels

__all__ = ["hidden_states", "pooler_output"]

Pair: TypeAlias = tuple[Array, Array]  # a weight and a bias


def hidden_states(
    pack: Pack,
    parameters: Parameters,
    config: Config,
    kernels: Kernels,
    hook: Hook | None = None,
    query_rows: IntArray | None = None,
    all_reduce: AllReduce | None = None,
) -> Array:
    """Run the whole model: the N tokens of a pack -> (N, D) float32, the states of the last layer.

    `query_rows` are the numbers of the only tokens whose states are wanted, one of each text: -> (S,
    D); the last layer is then computed for them alone. `hook` is shown every step by the names in
    models/trace.py and hook.py, but "layer.n.attention" (S, H, T, T) once for each run of equally
    long texts, in turn.

    The layers may be a share of a model's, some of its heads and of its feed-forward, where other
    threads have the rest (tensor_parallel.py); `all_reduce` then adds up what all of them make.
    """
    buckets = buckets_of(pack, kernels, hook)
    forward = Pass(config, kernels, hook, all_reduce, buckets, parameters.attention_bias)
    hidden = embed(pack, parameters, forward)
    # A relative bias would have to be cut for them, so then the last layer is computed for all.
    last = len(parameters.layers) - 1 if parameters.attention_bias is None else None
    for number, layer in enumerate(parameters.layers):
        forward = forward._replace(place=f"layer.{number}")
        wanted = query_rows if number == last else None
        hidden = attention(hidden, layer, forward, wanted)
        hidden = feed_forward(hidden, layer, forward)
    if query_rows is not None and last is None:
        hidden = kernels.rows_at(hidden, query_rows)
    return kernels.floats(hidden)


def embed(pack: Pack, parameters: Parameters, forward: Pass) -> Array:
    """Look up word, position and token type and add them: N ids -> (N, D)."""
    hidden: Array = parameters.word_embeddings[pack.ids]
    forward.show("word_embeddings", hidden)
    hidden += parameters.types_and_positions[pack.token_types, pack.positions]
    forward.show_norm("", hidden)
    norm = parameters.norm_weight, parameters.norm_bias
    forward.kernels.layer_norm_(hidden, *norm, forward.config.layer_norm_eps)
    if parameters.projection_weight is not None and parameters.projection_bias is not None:
        projection = parameters.projection_weight, parameters.projection_bias
        hidden = forward.kernels.linear(hidden, *projection)  # (N, E) -> (N, D)
    forward.show("output", hidden)
    return hidden


def attention(hidden: Array, layer: Layer, forward: Pass, query_rows: IntArray | None) -> Array:
    """Mix each token with the tokens of its own text, add what it was, normalise: (N, D).

    Of `query_rows` tokens alone, one of each text: (S, D).
    """
    kernels, heads = forward.kernels, heads_of(layer, forward.config)
    q, k, v = project(hidden, layer, kernels)
    context = mix(q, k, v, heads, forward, query_rows)
    if query_rows is not None:
        hidden = kernels.rows_at(hidden, query_rows)
    out = layer.attention_output_weight, layer.attention_output_bias
    norm = layer.attention_norm_weight, layer.attention_norm_bias
    hidden = add_and_normalise(hidden, context, out, norm, "attention_", forward)
    forward.show("attention_output", hidden)
    return hidden


def mix(
    q: Array, k: Array, v: Array, heads: int, forward: Pass, query_rows: IntArray | None = None
) -> Array:
    """Let each token attend to those of its text: three of (N, D) -> (N, D), or (S, D)."""
    for name, x in (("query", q), ("key", k), ("value", v)):
        forward.show(name, x)
    kernels, bias = forward.kernels, forward.attention_bias
    show = partial(forward.show, "attention") if forward.hook else None
    context = kernels.attend(q, k, v, forward.buckets, heads, bias, query_rows, show)
    forward.show("context", context)
    return context


def add_and_normalise(
    before: Array, x: Array, out: Pair, norm: Pair, name: str, forward: Pass
) -> Array:
    """End half a layer: project x by `out`, add what each token was before, normalise: (N, D)."""
    weight, bias = out

    def epilogue(rows: Array, place: slice, shift: Array) -> None:
        if forward.all_reduce:
            forward.all_reduce(rows)
        forward.kernels.add_and_normalise_(
            rows, shift, before[place], *norm, forward.config.layer_norm_eps
        )

    def look(product: Array) -> None:
        forward.show_norm(name, product, bias, before)

    return forward.linear(x, weight, bias, epilogue, look)


def heads_of(layer: Layer, config: Config) -> int:
    """How many heads a layer, or its share, has: the width of one is the model's."""
    return len(layer.qkv_bias) // 3 * config.num_attention_heads // config.hidden_size


def project(hidden: Array, layer: AnyLayer, kernels: Kernels) -> tuple[Array, Array, Array]:
    """Queries, keys and values: (N, D) -> three of (N, D), or of a share's part of D."""
    part = len(layer.qkv_bias) // 3
    qkv = kernels.linear(hidden, layer.qkv_weight, layer.qkv_bias)  # (N, 3D)
    return qkv[:, :part], qkv[:, part : 2 * part], qkv[:, 2 * part :]


def feed_forward(hidden: Array, layer: Layer, forward: Pass) -> Array:
    """Widen each token, activate, narrow it, add what it was, normalise: (N, D) -> (N, D)."""
    kernels, activation = forward.kernels, ACTIVATIONS[forward.config.hidden_act]
    weight, bias = layer.intermediate_weight, layer.intermediate_bias

    def activate(rows: Array, place: slice, bias: Array) -> None:
        activation(kernels, rows, bias)

    def look(product: Array) -> None:
        forward.show("intermediate_input", kernels.floats(product) + kernels.floats(bias))

    inner = forward.linear(hidden, weight, bias, activate, look)
    forward.show("intermediate", inner)  # (N, F)
    out = layer.output_weight, layer.output_bias
    norm = layer.output_norm_weight, layer.output_norm_bias
    hidden = add_and_normalise(hidden, inner, out, norm, "output_", forward)  # (N, D)
    forward.show("output", hidden)
    return hidden


def pooler_output(first: Array, parameters: Parameters, kernels: Kernels) -> Array:
    """What BERT's pooler makes of the first token of each text: (S, D) -> (S, D).

    Sentence vectors do not use it; classification heads do.
    """
    if parameters.pooler_weight is None or parameters.pooler_bias is None:
        raise ValueError(parameters.no_pooler)
    pooled = kernels.linear(first, parameters.pooler_weight, parameters.pooler_bias)
    kernels.tanh_(pooled)
    return pooled
