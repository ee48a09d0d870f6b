"""The forward pass of BERT, on packed tokens. No files, no devices. Start at hidden_states.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding" (2019). A layer is the encoder layer of Vaswani et al., "Attention Is All
You Need" (2017), section 3: the layer norm comes after each residual sum.

The letters, here and in every shape comment: N tokens of a pack, S its texts, T tokens of one text,
D hidden_size, H heads, F intermediate_size, E the dimension of a word embedding (D in most models),
V vocab_size, L layers. parameters.py lists the tensors of a model, and hook.py the arrays that a
hook gets.
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

    `query_rows` are the rows of one token of each text: the last layer computes these alone, and
    the result is (S, D). `hook` gets the arrays of every step, by the names in models/trace.py and
    hook.py. It gets "layer.n.attention", (S, H, T, T), once for each bucket of equally long texts.

    The layers may be one shard of a model (tensor_parallel.py): some of its heads and some of its
    feed-forward. `all_reduce` then adds up the rows of all ranks, in place.
    """
    buckets = buckets_of(pack, kernels, hook)
    forward = Pass(config, kernels, hook, all_reduce, buckets, parameters.attention_bias)
    hidden = embed(pack, parameters, forward)
    # An attention bias is for all tokens of a text, so a model that has it computes all of them.
    last = len(parameters.layers) - 1 if parameters.attention_bias is None else None
    for number, layer in enumerate(parameters.layers):
        forward = forward._replace(layer=number)
        rows = query_rows if number == last else None
        hidden = attention(hidden, layer, forward, rows)
        hidden = feed_forward(hidden, layer, forward)
    if query_rows is not None and last is None:
        hidden = kernels.rows_at(hidden, query_rows)
    return kernels.floats(hidden)


def embed(pack: Pack, parameters: Parameters, forward: Pass) -> Array:
    """Add the embeddings of word, position and token type, and normalise: N ids -> (N, D)."""
    hidden: Array = parameters.word_embeddings[pack.ids]
    forward.show("word_embeddings", hidden)
    hidden += parameters.types_and_positions[pack.token_types, pack.positions]
    forward.normalise_(hidden, parameters.norm_weight, parameters.norm_bias)
    forward.drop_(hidden, "embeddings")
    if parameters.projection_weight is not None and parameters.projection_bias is not None:
        projection = parameters.projection_weight, parameters.projection_bias
        hidden = forward.kernels.linear(hidden, *projection)  # (N, E) -> (N, D)
    forward.show("output", hidden)
    return hidden


def attention(hidden: Array, layer: Layer, forward: Pass, query_rows: IntArray | None) -> Array:
    """Mix each token with the tokens of its own text, add the input, normalise: (N, D) -> (N, D).

    With `query_rows`, one token of each text: -> (S, D).
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
    """Let each token attend to the tokens of its text: three of (N, D) -> (N, D), or (S, D)."""
    for name, x in (("query", q), ("key", k), ("value", v)):
        forward.show(name, x)
    kernels, bias = forward.kernels, forward.attention_bias
    show = partial(forward.show, "attention") if forward.hook else None
    dropout = forward.dropped_weights(heads)
    context = kernels.attend(q, k, v, forward.buckets, heads, bias, query_rows, show, dropout)
    forward.show("context", context)
    return context


def add_and_normalise(
    before: Array, x: Array, out: Pair, norm: Pair, name: str, forward: Pass
) -> Array:
    """End half a layer: project x by `out`, add the rows `before` it, normalise: (N, D)."""
    weight, bias = out
    kept, epsilon = forward.room_of_norm(x, norm[0], name), forward.config.layer_norm_eps

    def epilogue(rows: Array, place: slice, shift: Array) -> None:
        if forward.all_reduce:
            forward.all_reduce(rows)
        forward.kernels.add_and_normalise_(
            rows, shift, before[place], *norm, epsilon, kept and kept.at(place)
        )

    projected = forward.kernels.linear(x, weight, bias, epilogue)
    forward.show_kept(name, kept)
    return projected


def heads_of(layer: Layer, config: Config) -> int:
    """Return the number of heads of a layer, or of a shard of it."""
    return len(layer.qkv_bias) // 3 * config.num_attention_heads // config.hidden_size


def project(hidden: Array, layer: AnyLayer, kernels: Kernels) -> tuple[Array, Array, Array]:
    """Compute queries, keys and values: (N, D) -> three of (N, D), or of a shard's part of D."""
    part = len(layer.qkv_bias) // 3
    qkv = kernels.linear(hidden, layer.qkv_weight, layer.qkv_bias)  # (N, 3D)
    return qkv[:, :part], qkv[:, part : 2 * part], qkv[:, 2 * part :]


def feed_forward(hidden: Array, layer: Layer, forward: Pass) -> Array:
    """Widen each token, activate, narrow it, add the input, normalise: (N, D) -> (N, D)."""
    kernels, activation = forward.kernels, ACTIVATIONS[forward.config.hidden_act]
    weight, bias = layer.intermediate_weight, layer.intermediate_bias

    kept = forward.room(hidden, bias)

    def activate(rows: Array, place: slice, bias: Array) -> None:
        forward.keep_(kept, place, rows, bias)
        activation(kernels, rows, bias)

    inner = kernels.linear(hidden, weight, bias, activate)
    forward.show_kept("intermediate_input", kept)
    forward.show("intermediate", inner)  # (N, F)
    out = layer.output_weight, layer.output_bias
    norm = layer.output_norm_weight, layer.output_norm_bias
    hidden = add_and_normalise(hidden, inner, out, norm, "output_", forward)  # (N, D)
    forward.show("output", hidden)
    return hidden


def pooler_output(first: Array, parameters: Parameters, kernels: Kernels) -> Array:
    """Apply BERT's pooler, a dense layer and tanh, to the first token of each text: (S, D).

    Sentence vectors do not use it; classification heads do.
    """
    if parameters.pooler_weight is None or parameters.pooler_bias is None:
        raise ValueError(parameters.no_pooler)
    pooled = kernels.linear(first, parameters.pooler_weight, parameters.pooler_bias)
    kernels.tanh_(pooled)
    return pooled
