"""The forward pass of ModernBERT and NomicBERT: BERT with rotary positions and gated units.

Warner et al., "Smarter, Better, Faster, Longer" (2024); Nussbaum et al., "Nomic Embed" (2024). The
embeddings, and the queries, keys and values, are computed by forward.py, as BERT's are; the letters
are explained there. Start at hidden_states.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from minibert.bert.forward import embed, mix, project
from minibert.bert.hook import AllReduce, Hook, Pass, buckets_of
from minibert.bert.packs import Pack
from minibert.bert.parameters import Config, Parameters, RotaryLayer
from minibert.common.arrays import Array, IntArray
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.protocol import Kernels

__all__ = ["hidden_states"]


class Turns(NamedTuple):
    """By how much each token's queries and keys are turned: the cosine and sine of each angle."""

    cosines: Array  # (N, 1, D/H/2)
    sines: Array  # (N, 1, D/H/2)


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

    Of `query_rows` tokens alone: (S, D). `hook` is shown what forward.py shows. The layers are
    never a share, so `all_reduce` is not there; the pack and the parameters are on the host.
    """
    assert all_reduce is None
    forward = Pass(config, kernels, hook, None, buckets_of(pack, kernels, hook), None)
    hidden = embed(pack, parameters, forward)
    width = config.hidden_size // config.num_attention_heads
    every = turns_of(pack.positions, width, config.global_rope_theta)
    near = (
        turns_of(pack.positions, width, config.local_rope_theta) if config.local_layers else every
    )
    # Where no text is longer than what its tokens see, a local layer sees all of it.
    longest, reach = int(pack.lengths.max()), config.local_attention // 2
    outside = beyond(longest, reach) if config.local_layers and longest > reach + 1 else None
    for number, layer in enumerate(parameters.layers):
        local = number in config.local_layers
        forward = forward._replace(
            place=f"layer.{number}", attention_bias=outside if local else None
        )
        hidden = attention(hidden, layer, near if local else every, forward)
        hidden = feed_forward(hidden, layer, forward)
    if parameters.final_norm_weight is not None and parameters.final_norm_bias is not None:
        norm = parameters.final_norm_weight, parameters.final_norm_bias
        forward.show_norm("final_", hidden)
        kernels.layer_norm_(hidden, *norm, config.layer_norm_eps)
    return hidden if query_rows is None else kernels.rows_at(hidden, query_rows)


def turns_of(positions: IntArray, width: int, theta: float) -> Turns:
    """The angle of pair i of a head's numbers is position / theta^(2i / width): (N,) -> (N, 1, .).

    Su et al., "RoFormer" (2021), section 3.2.2.
    """
    frequencies = 1.0 / theta ** (np.arange(0, width, 2, dtype=np.float32) / np.float32(width))
    angles = positions.astype(np.float32)[:, None, None] * frequencies.astype(np.float32)
    return Turns(np.cos(angles), np.sin(angles))


def turn_(x: Array, turns: Turns, heads: int) -> None:
    """Turn each head's numbers in pairs, the i-th of one half with that of the other: (N, D)."""
    first, second = (half[:, :, 0] for half in np.split(x.reshape(len(x), heads, 2, -1), 2, axis=2))
    turned = first * turns.cosines - second * turns.sines
    second *= turns.cosines
    second += first * turns.sines
    first[...] = turned


def beyond(tokens: int, reach: int) -> Array:
    """What is added to the logit of a pair of tokens: minus infinity beyond a reach: (1, T, T)."""
    # Nothing else of this size is made: of 8,192 tokens it is a quarter of a gigabyte.
    outside = np.full((1, tokens, tokens), -np.inf, dtype=np.float32)
    for place in range(tokens):
        outside[0, place, max(place - reach, 0) : place + reach + 1] = 0
    return outside


def attention(hidden: Array, layer: RotaryLayer, turns: Turns, forward: Pass) -> Array:
    """Mix each token with those of its own text, in a local layer with those near it: (N, D)."""
    kernels, heads = forward.kernels, forward.config.num_attention_heads

    def mixed(rows: Array) -> Array:
        q, k, v = project(rows, layer, kernels)
        turn_(q, turns, heads)
        turn_(k, turns, heads)
        context = mix(q, k, v, heads, forward)
        return kernels.linear(context, layer.attention_output_weight, layer.attention_output_bias)

    norm = layer.attention_norm_weight, layer.attention_norm_bias
    hidden = beside(hidden, mixed, *norm, "attention_", forward)
    forward.show("attention_output", hidden)
    return hidden


def feed_forward(hidden: Array, layer: RotaryLayer, forward: Pass) -> Array:
    """Widen each token twice, multiply the activated half by the other, narrow it: (N, D).

    Shazeer, "GLU Variants Improve Transformer" (2020), section 2.
    """
    kernels, activation = forward.kernels, ACTIVATIONS[forward.config.hidden_act]

    def gated(rows: Array) -> Array:
        both = kernels.linear(rows, layer.intermediate_weight, layer.intermediate_bias)  # (N, 2F)
        forward.show_for_gradients("intermediate_input", both)
        inner, gate = np.split(both, 2, axis=1)
        activation(kernels, inner)
        inner *= gate
        forward.show("intermediate", inner)
        return kernels.linear(inner, layer.output_weight, layer.output_bias)  # (N, D)

    norm = layer.output_norm_weight, layer.output_norm_bias
    hidden = beside(hidden, gated, *norm, "output_", forward)
    forward.show("output", hidden)
    return hidden


def beside(
    hidden: Array,
    step: Callable[[Array], Array],
    weight: Array | None,
    bias: Array | None,
    name: str,
    forward: Pass,
) -> Array:
    """Add what a step makes of each token to what it was: (N, D) -> (N, D).

    The layer norm comes before the step and leaves the residual as it is (ModernBERT, whose first
    one is missing), or after the sum (NomicBERT).
    """
    kernels, epsilon = forward.kernels, forward.config.layer_norm_eps
    rows = hidden
    if forward.config.norm_first and weight is not None and bias is not None:
        forward.show_norm(name, hidden)
        rows = hidden.copy()
        kernels.layer_norm_(rows, weight, bias, epsilon)
    made = step(rows)
    made += hidden
    if not forward.config.norm_first and weight is not None and bias is not None:
        forward.show_norm(name, made)
        kernels.layer_norm_(made, weight, bias, epsilon)
    return made
