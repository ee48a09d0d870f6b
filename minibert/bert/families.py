"""The families of models that are BERT's mathematics under other names: a row in FAMILIES each.

A row says how a family calls its sizes and its tensors, how it counts positions, and what its
tokenizer and its classifier are. What it computes beyond BERT is an optional field of Parameters.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.bert.parameters import Config
from minibert.common.arguments import is_count
from minibert.common.arrays import IntArray
from minibert.common.json_files import setting
from minibert.errors import CheckpointError

__all__ = [
    "FAMILIES",
    "MOST_LAYERS",
    "ClassifierNames",
    "Family",
    "most_tokens",
    "positions_of",
    "relative_buckets",
]


class ClassifierNames(NamedTuple):
    """The head of a cross-encoder: a dense layer on the first token, an activation, a linear layer.

    `dense` is a name in BERT's terms, which the family's `names` may change.
    """

    dense: str
    activation: str
    output: str
    norm: str = ""  # a layer norm after the activation


def layer_names(config: Config) -> list[str]:
    """Where the tensors of each layer stand, in BERT's terms."""
    return [f"encoder.layer.{number}" for number in range(config.num_hidden_layers)]


def albert_layer_names(config: Config) -> list[str]:
    """ALBERT's layers are few, and used again: by groups, with all inner layers of a group in turn.

    Lan et al., "ALBERT" (2020), section 3.1; the group of a layer is transformers' formula.
    """
    layers_of_a_group = config.num_hidden_layers / config.num_hidden_groups
    return [
        f"encoder.albert_layer_groups.{int(number / layers_of_a_group)}.albert_layers.{part}"
        for number in range(config.num_hidden_layers)
        for part in range(config.inner_group_num)
    ]


# What transformers' models return, in its order: of those that may be decoders, and of others.
DECODER_OUTPUTS = (
    *("last_hidden_state", "pooler_output", "hidden_states"),
    *("past_key_values", "attentions", "cross_attentions"),
)
POOLER_OUTPUTS = ("last_hidden_state", "pooler_output", "hidden_states", "attentions")
PLAIN_OUTPUTS = ("last_hidden_state", "hidden_states", "attentions")

BERT_CLASSIFIER = ClassifierNames("pooler.dense", "tanh", "classifier")
ROBERTA_CLASSIFIER = ClassifierNames("classifier.dense", "tanh", "classifier.out_proj")


@dataclass(frozen=True)
class Family:
    """What sets a family apart from BERT; the defaults are BERT's."""

    prefix: str  # that a head's checkpoint puts before the tensors' names
    tokenizer: str = "BertTokenizer"  # where a folder names none
    names_tokenizer: bool = True  # whether the class that a folder names counts
    # BERT's name of a part of a tensor's name -> the family's, replaced one after the other.
    names: tuple[tuple[str, str], ...] = ()
    # The same in a folder with embeddings.LayerNorm, where transformers has other names than the
    # model's own repository.
    newer_names: tuple[tuple[str, str], ...] = ()
    layer_names: Callable[[Config], list[str]] = layer_names
    # A field of Config -> its key in config.json.
    keys: dict[str, str] = field(default_factory=dict)
    # Fields of Config that only some have: in other config.json the key may mean something else.
    own: tuple[str, ...] = ()
    # Fields of Config that no config.json changes, and those that have another default.
    fixed: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    has_token_types: bool = True
    # Whether positions begin after the padding's id, and skip padding.
    positions_follow_padding: bool = False
    projection: str = ""  # the tensor between a narrower word table and the layers
    relative_bias: str = ""  # the tensor that attention adds by distance
    # What transformers' model of the family returns, in its order.
    outputs: tuple[str, ...] = DECODER_OUTPUTS
    has_pooler: bool = True  # whether transformers' AutoModel makes one
    is_rotary: bool = False  # whether the forward pass is rotary.py's
    # Fields of Config that a config.json, whose path comes first, gives in a way of its own.
    read: Callable[[Path, dict[str, Any]], dict[str, Any]] = lambda path, settings: {}
    # Keys that would change the mathematics, and the one value that leaves it as computed here.
    fixed_keys: dict[str, Any] = field(default_factory=dict)
    classifier: ClassifierNames = BERT_CLASSIFIER


# More layers than any model has. No file bounds those of ALBERT, which are few and used again.
MOST_LAYERS = 10_000
KINDS = {"full_attention": "global_rope_theta", "sliding_attention": "local_rope_theta"}


def modernbert_fields(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The bases of the angles and the local layers, in the keys of both releases."""
    check_head_dim(path, settings)
    by_kind = setting(path, settings, "rope_parameters", dict, {})
    if by_kind.keys() - KINDS:
        raise CheckpointError(
            f"{path}: rope_parameters has {', '.join(by_kind)}; expected {', '.join(KINDS)}."
        )
    bases = {
        name: rotary_base(path, settings, setting(path, by_kind, kind, dict, {}), name)
        for kind, name in KINDS.items()
    }
    found: dict[str, Any] = {name: base for name, base in bases.items() if base is not None}
    layers = settings.get("num_hidden_layers", 22)
    every = settings.get("global_attn_every_n_layers", 3)
    if is_count(layers) and layers > MOST_LAYERS:
        raise CheckpointError(
            f"{path}: num_hidden_layers is {layers!r:.80}; expected at most {MOST_LAYERS}."
        )
    kinds = setting(path, settings, "layer_types", list)
    if kinds is None and is_count(every) and is_count(layers):
        kinds = ["sliding_attention" if number % every else "full_attention"
                 for number in range(layers)]  # fmt: skip
    if kinds is None or len(kinds) != layers or not set(map(str, kinds)) <= KINDS.keys():
        raise CheckpointError(
            f"{path}: layer_types is {kinds!r:.80}, num_hidden_layers {layers!r} and "
            f"global_attn_every_n_layers {every!r}; expected for each layer {' or '.join(KINDS)}."
        )
    if settings.get("sliding_window") is not None:  # on each side, and so half of the other key
        found["local_attention"] = 2 * setting(path, settings, "sliding_window", int)
    local = (number for number, kind in enumerate(kinds) if kind == "sliding_attention")
    return found | {"local_layers": frozenset(local)}


def nomic_fields(path: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The sizes under the keys of the published models, which are GPT-2's.

    A key of transformers' own beats one of these, as it does in transformers.
    """
    check_head_dim(path, settings)
    published = {
        "hidden_size": "n_embd",
        "num_hidden_layers": "n_layer",
        "num_attention_heads": "n_head",
        "intermediate_size": "n_inner",
        "max_position_embeddings": "n_positions",
        "layer_norm_eps": "layer_norm_epsilon",
        "global_rope_theta": "rotary_emb_base",
    }
    found = {
        name: settings[key]
        for name, key in published.items()
        if settings.get(key) and settings.get(name) is None
    }
    gates = {"swiglu": "silu", "geglu": "gelu"}
    if settings.get("activation_function") in gates and settings.get("hidden_act") is None:
        found["hidden_act"] = gates[settings["activation_function"]]
    base = rotary_base(path, settings, setting(path, settings, "rope_parameters", dict, {}))
    return found | ({} if base is None else {"global_rope_theta": base})


def check_head_dim(path: Path, settings: dict[str, Any]) -> None:
    """Raise CheckpointError for heads that are wider or narrower than their part of a state."""
    width, heads = settings.get("hidden_size", 768), settings.get("num_attention_heads", 12)
    head = settings.get("head_dim")
    if head is None or not (is_count(width) and is_count(heads)):  # they are checked later
        return
    if not is_count(head) or head * heads != width:
        raise CheckpointError(
            f"{path}: head_dim is {head!r} and num_attention_heads {heads}; their product must be "
            f"hidden_size, which is {width}."
        )


def rotary_base(
    path: Path, settings: dict[str, Any], rope: dict[str, Any], older: str = "rope_theta"
) -> Any:
    """The base of the angles, or None; `older` is the key that it had beside the others."""
    rope = rope | setting(path, settings, "rope_scaling", dict, {})
    kind = rope.get("rope_type", rope.get("type", "default"))
    if kind != "default":
        raise CheckpointError(
            f"{path}: rope_type is {kind!r}, which stretches the positions; "
            "minibert computes 'default'."
        )
    return rope.get("rope_theta", settings.get(older))


ROBERTA = Family(
    prefix="roberta.",
    tokenizer="RobertaTokenizer",
    own=("pad_token_id",),
    defaults={"vocab_size": 50265, "pad_token_id": 1},
    positions_follow_padding=True,
    classifier=ROBERTA_CLASSIFIER,
)
XLM_ROBERTA = replace(
    ROBERTA, tokenizer="XLMRobertaTokenizer", defaults={"vocab_size": 30522, "pad_token_id": 1}
)

# model_type in config.json -> its family.
FAMILIES: dict[str, Family] = {
    "bert": Family(prefix="bert."),
    "roberta": ROBERTA,
    "xlm-roberta": XLM_ROBERTA,
    "camembert": replace(XLM_ROBERTA, tokenizer="CamembertTokenizer"),
    # Sanh et al., "DistilBERT" (2019): BERT without token types, and half of its layers.
    "distilbert": Family(
        prefix="distilbert.",
        names=(
            ("encoder.layer.", "transformer.layer."),
            ("attention.self.query", "attention.q_lin"),
            ("attention.self.key", "attention.k_lin"),
            ("attention.self.value", "attention.v_lin"),
            ("attention.output.dense", "attention.out_lin"),
            ("attention.output.LayerNorm", "sa_layer_norm"),
            ("intermediate.dense", "ffn.lin1"),
            ("output.dense", "ffn.lin2"),
            ("output.LayerNorm", "output_layer_norm"),
        ),
        keys={
            "hidden_size": "dim",
            "num_hidden_layers": "n_layers",
            "num_attention_heads": "n_heads",
            "intermediate_size": "hidden_dim",
            "hidden_act": "activation",
        },
        fixed={"layer_norm_eps": 1e-12, "type_vocab_size": 1},
        defaults={"num_hidden_layers": 6},
        has_token_types=False,
        outputs=PLAIN_OUTPUTS,
        has_pooler=False,
        classifier=ClassifierNames("pre_classifier", "relu", "classifier"),
    ),
    # Clark et al., "ELECTRA" (2020): its discriminator, whose word table may be narrower.
    "electra": Family(
        prefix="electra.",
        own=("embedding_size",),
        defaults={
            "embedding_size": 128,
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_attention_heads": 4,
        },
        projection="embeddings_project",
        outputs=(
            *("last_hidden_state", "past_key_values"),
            *("hidden_states", "attentions", "cross_attentions"),
        ),
        has_pooler=False,
        classifier=ClassifierNames("classifier.dense", "gelu", "classifier.out_proj"),
    ),
    # Song et al., "MPNet" (2020): no token types, and a bias by distance in every attention.
    "mpnet": Family(
        prefix="mpnet.",
        tokenizer="MPNetTokenizer",
        names=(
            ("attention.self.query", "attention.attn.q"),
            ("attention.self.key", "attention.attn.k"),
            ("attention.self.value", "attention.attn.v"),
            ("attention.output.dense", "attention.attn.o"),
            ("attention.output.LayerNorm", "attention.LayerNorm"),
        ),
        own=("relative_attention_num_buckets",),
        fixed={"type_vocab_size": 1, "pad_token_id": 1},
        defaults={"vocab_size": 30527},
        has_token_types=False,
        positions_follow_padding=True,
        relative_bias="encoder.relative_attention_bias.weight",
        outputs=POOLER_OUTPUTS,
        classifier=ROBERTA_CLASSIFIER,
    ),
    "albert": Family(
        prefix="albert.",
        tokenizer="AlbertTokenizer",
        names=(
            ("attention.self.", "attention."),
            ("attention.output.", "attention."),
            ("intermediate.dense", "ffn"),
            ("output.dense", "ffn_output"),
            ("output.LayerNorm", "full_layer_layer_norm"),
            ("pooler.dense", "pooler"),
        ),
        layer_names=albert_layer_names,
        own=("embedding_size", "num_hidden_groups", "inner_group_num"),
        defaults={
            "vocab_size": 30000,
            "embedding_size": 128,
            "hidden_size": 4096,
            "num_attention_heads": 64,
            "intermediate_size": 16384,
            "hidden_act": "gelu_new",
        },
        projection="encoder.embedding_hidden_mapping_in",
        outputs=POOLER_OUTPUTS,
    ),
    "modernbert": Family(
        prefix="model.",
        tokenizer="PreTrainedTokenizer",
        names_tokenizer=False,
        keys={"layer_norm_eps": "norm_eps", "hidden_act": "hidden_activation"},
        own=("local_attention",),
        fixed={"type_vocab_size": 1, "norm_first": True},
        defaults={
            "vocab_size": 50368,
            "intermediate_size": 1152,
            "num_hidden_layers": 22,
            "max_position_embeddings": 8192,
            "layer_norm_eps": 1e-5,
        },
        has_token_types=False,
        outputs=PLAIN_OUTPUTS,
        has_pooler=False,
        is_rotary=True,
        read=modernbert_fields,
        classifier=ClassifierNames("head.dense", "gelu", "classifier", norm="head.norm"),
    ),
    "nomic_bert": Family(
        prefix="nomic_bert.",
        names=(
            ("embeddings.tok_embeddings", "embeddings.word_embeddings"),
            ("embeddings.norm", "emb_ln"),
            ("layers.", "encoder.layers."),
            ("attn.Wo", "attn.out_proj"),
            ("attn_norm", "norm1"),
            ("mlp_norm", "norm2"),
            ("mlp.gate", "mlp.fc12"),
            ("mlp.up", "mlp.fc11"),
            ("mlp.Wo", "mlp.fc2"),
        ),
        newer_names=(
            ("embeddings.tok_embeddings", "embeddings.word_embeddings"),
            ("embeddings.norm", "embeddings.LayerNorm"),
            ("attn.query", "self_attn.q_proj"),
            ("attn.key", "self_attn.k_proj"),
            ("attn.value", "self_attn.v_proj"),
            ("attn.Wo", "self_attn.o_proj"),
            ("attn_norm", "post_attention_layernorm"),
            ("mlp_norm", "post_mlp_layernorm"),
            ("mlp.gate", "mlp.gate_proj"),
            ("mlp.up", "mlp.up_proj"),
            ("mlp.Wo", "mlp.down_proj"),
        ),
        defaults={
            "vocab_size": 30528,
            "hidden_act": "silu",
            "max_position_embeddings": 2048,
            "global_rope_theta": 1000.0,
        },
        outputs=POOLER_OUTPUTS,
        has_pooler=False,
        is_rotary=True,
        read=nomic_fields,
        fixed_keys={
            "prenorm": False,
            "use_rms_norm": False,
            "causal": False,
            "parallel_block": False,
            "rotary_emb_interleaved": False,
            "rotary_emb_fraction": 1.0,
            "rotary_scaling_factor": None,
            "rotary_emb_scale_base": None,
        },
    ),
}


def positions_of(ids: IntArray, config: Config) -> IntArray:
    """The position of each token of a row, by its family: (T,) -> (T,).

    BERT counts from 0. RoBERTa counts what is not padding, from the padding's id + 1 on; padding
    stands at that id, also where a text has it written out.
    """
    if not FAMILIES[config.model_type].positions_follow_padding:
        return np.arange(len(ids))
    real = ids != config.pad_token_id
    positions: IntArray = np.cumsum(real) * real + config.pad_token_id
    return positions


def most_tokens(config: Config) -> int:
    """The most tokens of a text for which there are positions."""
    behind = FAMILIES[config.model_type].positions_follow_padding
    return config.max_position_embeddings - (config.pad_token_id + 1) * behind


# The least distance of each of MPNet's buckets: 16 for keys before the query, 16 for those behind.
BUCKET_STARTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91)


def relative_buckets(positions: int) -> IntArray:
    """Which bucket the distance from each query to each key is in: -> (P, P).

    Raffel et al., "T5" (2020), section 2.1, with 32 buckets, which grow logarithmically up to a
    distance of 128, whatever config.json says.
    """
    behind = np.arange(positions) - np.arange(positions)[:, None]  # key - query
    buckets: IntArray = np.searchsorted(BUCKET_STARTS, np.abs(behind), side="right") - 1
    return buckets + len(BUCKET_STARTS) * (behind > 0)
