"""The forward pass of ModernBERT and NomicBERT: BERT with rotary positions and gated units.

Warner et al., "Smarter, Better, Faster, Longer" (2024); Nussbaum et al., "Nomic Embed" (2024). The
embeddings, queries, keys and values are computed by forward.py, which also explains the letters.
Start at hidden_states.
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


class RotaryAngles(NamedTuple):
    """Cosine and sine of the angles by which a token's queries and keys are rotated."""

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

    With `query_rows`, only the states of these tokens: (S, D). `hook` gets the same arrays as in
    forward.py. The layers are never split into shards, so `all_reduce` is None. The pack and the
    parameters are on the host.
    """
    assert all_reduce is None
    forward = Pass(config, kernels, hook, None, buckets_of(pack, kernels, hook), None)
    hidden = embed(pack, parameters, forward)
    head_dim = config.hidden_size // config.num_attention_heads
    angles = rotary_angles(pack.positions, head_dim, config.global_rope_theta)
    local_angles = angles
    if config.local_layers:
        local_angles = rotary_angles(pack.positions, head_dim, config.local_rope_theta)
    # A window that holds the longest text needs no mask.
    longest, reach = int(pack.lengths.max()), config.local_attention // 2
    has_mask = bool(config.local_layers) and longest > reach + 1
    mask = sliding_window_mask(longest, reach) if has_mask else None
    for number, layer in enumerate(parameters.layers):
        is_local = number in config.local_layers
        forward = forward._replace(layer=number, attention_bias=mask if is_local else None)
        hidden = attention(hidden, layer, local_angles if is_local else angles, forward)
        hidden = feed_forward(hidden, layer, forward)
    if parameters.final_norm_weight is not None and parameters.final_norm_bias is not None:
        norm = parameters.final_norm_weight, parameters.final_norm_bias
        forward.normalise_(hidden, *norm, "final_")
    return hidden if query_rows is None else kernels.rows_at(hidden, query_rows)


def rotary_angles(positions: IntArray, head_dim: int, theta: float) -> RotaryAngles:
    """Compute position / theta^(2i / head_dim) for pair i of a head: (N,) -> (N, 1, D/H/2) twice.

    Su et al., "RoFormer" (2021), section 3.2.2.
    """
    exponents = np.arange(0, head_dim, 2, dtype=np.float32) / np.float32(head_dim)
    frequencies = 1.0 / theta**exponents
    angles = positions.astype(np.float32)[:, None, None] * frequencies.astype(np.float32)
    return RotaryAngles(np.cos(angles), np.sin(angles))


def apply_rotary_(x: Array, angles: RotaryAngles, heads: int) -> None:
    """Rotate each head in place: (N, D).

    Number i of its first half and number i of its second half are a pair.
    """
    first, second = (half[:, :, 0] for half in np.split(x.reshape(len(x), heads, 2, -1), 2, axis=2))
    rotated = first * angles.cosines - second * angles.sines
    second *= angles.cosines
    second += first * angles.sines
    first[...] = rotated


def sliding_window_mask(tokens: int, reach: int) -> Array:
    """Make a mask: 0 for pairs of tokens at most `reach` apart, else -infinity: -> (1, T, T)."""
    # Without temporary arrays of this size: for 8,192 tokens it is a quarter of a gigabyte.
    mask = np.full((1, tokens, tokens), -np.inf, dtype=np.float32)
    for place in range(tokens):
        mask[0, place, max(place - reach, 0) : place + reach + 1] = 0
    return mask


def attention(hidden: Array, layer: RotaryLayer, angles: RotaryAngles, forward: Pass) -> Array:
    """Mix each token with tokens of its text; a local layer only with near ones: (N, D)."""
    kernels, heads = forward.kernels, forward.config.num_attention_heads

    def mixed(rows: Array) -> Array:
        q, k, v = project(rows, layer, kernels)
        apply_rotary_(q, angles, heads)
        apply_rotary_(k, angles, heads)
        context = mix(q, k, v, heads, forward)
        return kernels.linear(context, layer.attention_output_weight, layer.attention_output_bias)

    norm = layer.attention_norm_weight, layer.attention_norm_bias
    hidden = residual(hidden, mixed, *norm, "attention_", forward)
    forward.show("attention_output", hidden)
    return hidden


def feed_forward(hidden: Array, layer: RotaryLayer, forward: Pass) -> Array:
    """Widen each token twice, multiply the activated half by the other, narrow it: (N, D).

    Shazeer, "GLU Variants Improve Transformer" (2020), section 2.
    """
    kernels, activation = forward.kernels, ACTIVATIONS[forward.config.hidden_act]

    def gated(rows: Array) -> Array:
        both = kernels.linear(rows, layer.intermediate_weight, layer.intermediate_bias)  # (N, 2F)
        if forward.for_gradients:
            forward.show("intermediate_input", both)
        inner, gate = np.split(both, 2, axis=1)
        activation(kernels, inner)
        inner *= gate
        forward.show("intermediate", inner)
        return kernels.linear(inner, layer.output_weight, layer.output_bias)  # (N, D)

    norm = layer.output_norm_weight, layer.output_norm_bias
    hidden = residual(hidden, gated, *norm, "output_", forward)
    forward.show("output", hidden)
    return hidden


def residual(
    hidden: Array,
    step: Callable[[Array], Array],
    weight: Array | None,
    bias: Array | None,
    name: str,
    forward: Pass,
) -> Array:
    """Add the output of a step to its input: (N, D) -> (N, D).

    The layer norm comes before the step, beside the residual (ModernBERT, without the first norm),
    or after the sum (NomicBERT).
    """
    rows = hidden
    if forward.config.norm_first and weight is not None and bias is not None:
        rows = hidden.copy()
        forward.normalise_(rows, weight, bias, name)
    output = step(rows)
    output += hidden
    if not forward.config.norm_first and weight is not None and bias is not None:
        forward.normalise_(output, weight, bias, name)
    return output
