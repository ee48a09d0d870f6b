"""The forward pass of BERT, on packed tokens. No files, no devices. Start at hidden_states.

Devlin, Chang, Lee and Toutanova, "BERT: Pre-training of Deep Bidirectional Transformers for
Language Understanding" (2019); the layer is that of Vaswani et al., "Attention Is All You Need"
(2017), section 3, with the layer norm after each residual sum.

The letters, here and in every shape comment: N tokens of a pack, S its texts, T tokens of one text,
D hidden_size, H heads, F intermediate_size. What a model consists of is in parameters.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minibert.bert.packs import Pack
from minibert.bert.parameters import AnyLayer, Config, Layer, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.protocol import Kernels, Run, Then
from minibert.kernels.segments import equal_runs

__all__ = ["Together", "Watch", "hidden_states", "pooler_output"]

# Called with the name of an intermediate array and the array. The kernels work in place, so
# whoever wants to keep an array must copy it.
Watch = Callable[[str, Array], None]
# Makes of one thread's share of some rows the sum of all threads' shares, in place.
Together = Callable[[Array], None]


class Pass(NamedTuple):
    """What is the same in every step of a forward pass."""

    config: Config
    kernels: Kernels
    watch: Watch | None
    together: Together | None
    relative_bias: Array | None  # (H, P, P)
    place: str = "embeddings"  # which part of the model this is, for whoever watches

    def show(self, name: str, array: Array) -> None:
        """Show an intermediate array to whoever watches."""
        if self.watch:
            self.watch(f"{self.place}.{name}", array)


def hidden_states(
    pack: Pack,
    parameters: Parameters,
    config: Config,
    kernels: Kernels,
    watch: Watch | None = None,
    chosen: IntArray | None = None,
    together: Together | None = None,
) -> Array:
    """Run the whole model: the N tokens of a pack -> (N, D) float32, the states of the last layer.

    `chosen` are the numbers of the only tokens whose states are wanted, one of each text: -> (S,
    D); the last layer is then computed for them alone. `watch` is shown every step by the names in
    trace.py, but "layer.n.attention" (S, H, T, T) once for each run of equally long texts, in turn.

    The layers may be a share of a model's, some of its heads and of its feed-forward, where other
    threads have the rest (shares.py); `together` then adds up what all of them make.
    """
    forward = Pass(config, kernels, watch, together, parameters.relative_bias)
    hidden = embed(pack, parameters, forward)
    # An observer is shown what has no padding in it.
    runs = list(equal_runs(pack.lengths)) if watch else kernels.runs(pack.lengths)
    # A relative bias would have to be cut for them, so then the last layer is computed for all.
    last = len(parameters.layers) - 1 if parameters.relative_bias is None else None
    for number, layer in enumerate(parameters.layers):
        forward = forward._replace(place=f"layer.{number}")
        wanted = chosen if number == last else None
        hidden = attention(hidden, runs, layer, forward, wanted)
        hidden = feed_forward(hidden, layer, forward)
    if chosen is not None and last is None:
        hidden = kernels.rows_at(hidden, chosen)
    return kernels.floats(hidden)


def embed(pack: Pack, parameters: Parameters, forward: Pass) -> Array:
    """Look up word, position and token type and add them: N ids -> (N, D)."""
    hidden: Array = parameters.words[pack.ids]
    forward.show("words", hidden)
    hidden += parameters.types_and_positions[pack.token_types, pack.positions]
    norm = parameters.norm_weight, parameters.norm_bias
    forward.kernels.layer_norm_(hidden, *norm, forward.config.layer_norm_eps)
    if parameters.projection_weight is not None and parameters.projection_bias is not None:
        projection = parameters.projection_weight, parameters.projection_bias
        hidden = forward.kernels.linear(hidden, *projection)  # (N, E) -> (N, D)
    forward.show("output", hidden)
    return hidden


def attention(
    hidden: Array, runs: list[Run], layer: Layer, forward: Pass, chosen: IntArray | None
) -> Array:
    """Mix each token with the tokens of its own text, add what it was, normalise: (N, D).

    Of `chosen` tokens alone, one of each text: (S, D).
    """
    kernels, heads = forward.kernels, heads_of(layer, forward.config)
    q, k, v = project(hidden, layer, kernels)
    for name, x in (("query", q), ("key", k), ("value", v)):
        forward.show(name, x)
    if chosen is not None:
        hidden, q = kernels.rows_at(hidden, chosen), kernels.rows_at(q, chosen)
    bound = kernels.logit_bound(q, k, heads)
    context = kernels.empty_like(q)
    for run in runs:
        asked = run if chosen is None else Run(run.texts, run.texts, longest=1)  # a row a text
        own, rows = asked.rows, run.rows
        weights, sums = attend(
            q[own], k[rows], v[rows], context[own], asked, run, heads, forward, bound
        )
        if forward.watch:
            weights /= sums
            forward.show("attention", weights)
    forward.show("context", context)
    norm = layer.attention_norm_weight, layer.attention_norm_bias
    then = add_and_normalise(hidden, *norm, forward)
    hidden = kernels.linear(context, layer.attention_weight, layer.attention_bias, then)
    forward.show("attention_output", hidden)
    return hidden


def add_and_normalise(before: Array, weight: Array, bias: Array, forward: Pass) -> Then:
    """What ends both halves of a layer: add what a token was before, then the layer norm."""

    def then(rows: Array, place: slice, shift: Array) -> None:
        if forward.together:
            forward.together(rows)
        forward.kernels.add_and_normalise_(
            rows, shift, before[place], weight, bias, forward.config.layer_norm_eps
        )

    return then


def heads_of(layer: Layer, config: Config) -> int:
    """How many heads a layer, or its share, has: the width of one is the model's."""
    return len(layer.qkv_bias) // 3 * config.num_attention_heads // config.hidden_size


def project(hidden: Array, layer: AnyLayer, kernels: Kernels) -> tuple[Array, Array, Array]:
    """Queries, keys and values: (N, D) -> three of (N, D), or of a share's part of D."""
    width = len(layer.qkv_bias) // 3
    qkv = kernels.linear(hidden, layer.qkv_weight, layer.qkv_bias)  # (N, 3D)
    return qkv[:, :width], qkv[:, width : 2 * width], qkv[:, 2 * width :]


def attend(
    q: Array, k: Array, v: Array, context: Array, asked: Run, run: Run, heads: int,
    forward: Pass, bound: float,
) -> tuple[Array, Array | float]:  # fmt: skip
    """Fill `context` (S*Q, D) from q (S*Q, D), k and v (S*T, D): S texts of T tokens, Q ask.

    softmax(q k^T / sqrt(D/H)) v for each head: Vaswani et al. (2017), equation 1. Returns the
    weights (S, H, Q, T) before they are divided by their sums (S, H, Q, 1), which come with them.
    """
    kernels, bias = forward.kernels, forward.relative_bias
    q, k, v = (
        kernels.split_heads(x, texts, heads) for x, texts in ((q, asked), (k, run), (v, run))
    )
    weights = kernels.logits_of(q, k)  # (S, H, Q, T), logits as yet
    if bias is not None:
        weights += bias[:, : run.longest, : run.longest]
        bound = float("inf")  # none is known of the sum
    sums = kernels.exponentials_(weights, bound, run.lengths)
    mixed = kernels.mix(weights, v)  # (S, H, Q, D/H)
    kernels.join_heads_(context, mixed, sums, asked)  # divided here, being fewer than the weights
    return weights, sums


def feed_forward(hidden: Array, layer: Layer, forward: Pass) -> Array:
    """Widen each token, activate, narrow it, add what it was, normalise: (N, D) -> (N, D)."""
    kernels, activation = forward.kernels, ACTIVATIONS[forward.config.hidden_act]

    def activate(rows: Array, place: slice, bias: Array) -> None:
        activation(kernels, rows, bias)

    inner = kernels.linear(hidden, layer.intermediate_weight, layer.intermediate_bias, activate)
    forward.show("intermediate", inner)  # (N, F)
    then = add_and_normalise(hidden, layer.output_norm_weight, layer.output_norm_bias, forward)
    hidden = kernels.linear(inner, layer.output_weight, layer.output_bias, then)  # (N, D)
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
