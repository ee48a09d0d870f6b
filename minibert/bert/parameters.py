"""Sizes of a model, and the tensors of its layers.

The letters in every shape comment: D hidden_size, F intermediate_size, H heads, V vocabulary,
P positions, E embedding_size, which differs from D in a few families (families.py).
"""

from __future__ import annotations

from typing import Any, NamedTuple, TypeAlias

from minibert.common.arrays import Array

__all__ = ["STATIC", "AnyLayer", "Config", "Layer", "Parameters", "RotaryLayer"]

# model_type of a table of word embeddings, which no config.json names.
STATIC = "static"


class Config(NamedTuple):
    """Sizes and settings of a model, under the keys of its config.json."""

    vocab_size: int = 30522
    hidden_size: int = 768
    num_hidden_layers: int = 12
    num_attention_heads: int = 12
    intermediate_size: int = 3072
    hidden_act: str = "gelu"
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    layer_norm_eps: float = 1e-12
    model_type: str = "bert"
    pad_token_id: int = 0
    embedding_size: int = 0  # of word_embeddings; 0 is hidden_size
    relative_attention_num_buckets: int = 32  # MPNet
    num_hidden_groups: int = 1  # ALBERT
    inner_group_num: int = 1
    # ModernBERT, NomicBERT: the base of the angles in layers with global attention, and in the
    # `local_layers`, where a token attends to half of `local_attention` tokens on each side.
    global_rope_theta: float = 160_000.0
    local_rope_theta: float = 10_000.0
    local_attention: int = 128
    local_layers: frozenset[int] = frozenset()
    norm_first: bool = False


class Layer(NamedTuple):
    """Tensors of one layer. A token is a row, so a weight that maps (in) to (out) is (in, out)."""

    # Queries, keys and values side by side, so that one product gives all three. The attention's
    # 1/sqrt(D/H) is already multiplied into the queries.
    qkv_weight: Array  # (D, 3D)
    qkv_bias: Array  # (3D,)
    attention_output_weight: Array  # (D, D)
    attention_output_bias: Array  # (D,)
    attention_norm_weight: Array  # (D,)
    attention_norm_bias: Array  # (D,)
    intermediate_weight: Array  # (D, F)
    intermediate_bias: Array  # (F,)
    output_weight: Array  # (F, D)
    output_bias: Array  # (D,)
    output_norm_weight: Array  # (D,)
    output_norm_bias: Array  # (D,)


class RotaryLayer(NamedTuple):
    """Tensors of one layer with rotary positions and a gated feed-forward."""

    qkv_weight: Array  # (D, 3D), scaled as in Layer
    qkv_bias: Array  # (3D,)
    attention_output_weight: Array  # (D, D)
    attention_output_bias: Array  # (D,)
    attention_norm_weight: Array | None  # (D,)
    attention_norm_bias: Array | None  # (D,)
    intermediate_weight: Array  # (D, 2F): the activated half, then the half it is multiplied by
    intermediate_bias: Array  # (2F,)
    output_weight: Array  # (F, D)
    output_bias: Array  # (D,)
    output_norm_weight: Array  # (D,)
    output_norm_bias: Array  # (D,)


AnyLayer: TypeAlias = Layer | RotaryLayer


class Parameters(NamedTuple):
    """All tensors of a model."""

    word_embeddings: Array  # (V, E)
    # The sum of a token type's vector and a position's, for every pair of the two.
    types_and_positions: Array  # (types, P, E)
    norm_weight: Array  # (E,)
    norm_bias: Array  # (E,)
    # Each a Layer or a RotaryLayer, as the family's forward pass needs; no type can express that.
    layers: tuple[Any, ...]
    # From word embeddings that are narrower than the layers: ELECTRA, ALBERT.
    projection_weight: Array | None = None  # (E, D)
    projection_bias: Array | None = None  # (D,)
    # Added to the logits, by the positions of query and key: MPNet.
    attention_bias: Array | None = None  # (H, P, P)
    pooler_weight: Array | None = None  # (D, D)
    pooler_bias: Array | None = None  # (D,)
    # Message of the error where a program needs the pooler and there is none.
    no_pooler: str = "This checkpoint has no pooler (pooler.dense.weight, pooler.dense.bias)."
    final_norm_weight: Array | None = None  # (D,), after the last layer: ModernBERT
    final_norm_bias: Array | None = None  # (D,)
