"""Families of models, a row each in FAMILIES. Their mathematics is in forward.py or rotary.py.

A row has all that differs from BERT: the forward pass and its devices, the names of sizes and
tensors, the count of positions, the tokenizer and the classifier. To add a family, add a row: no
other file asks for a model's family. Start at Family.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from minibert.bert import forward, rotary, static
from minibert.bert.dropout import Rates
from minibert.bert.family_settings import (
    modernbert_fields,
    modernbert_local_layers,
    nomic_fields,
)
from minibert.bert.hook import AllReduce, Hook
from minibert.bert.layout import (
    ALBERT,
    BERT,
    MODERNBERT,
    NO_TOKEN_TYPES,
    NOMIC_BERT,
    PROJECTED,
    WITH_DISTANCES,
    Layout,
)
from minibert.bert.packs import Pack
from minibert.bert.parameters import STATIC, Config, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.errors import DeviceError
from minibert.kernels.protocol import Kernels

__all__ = [
    "FAMILIES",
    "ClassifierNames",
    "Family",
    "Forward",
    "check_device",
    "family_of",
    "max_tokens",
    "positions_of",
]


class Forward(Protocol):
    """A forward pass such as forward.hidden_states: the N tokens of a pack -> (N, D)."""

    def __call__(
        self,
        pack: Pack,
        parameters: Parameters,
        config: Config,
        kernels: Kernels,
        hook: Hook | None = None,
        query_rows: IntArray | None = None,
        all_reduce: AllReduce | None = None,
    ) -> Array: ...


class ClassifierNames(NamedTuple):
    """Head of a cross-encoder: a dense layer on the first token, an activation, a linear layer."""

    dense: str  # name of the dense layer, in BERT's terms; the family's `names` may change it
    activation: str  # name in ACTIVATIONS
    output: str  # name of the linear layer
    norm: str = ""  # a layer norm after the activation


# Outputs of transformers' models, in its order: of those that may be decoders, and of others.
DECODER_OUTPUTS = (
    *("last_hidden_state", "pooler_output", "hidden_states"),
    *("past_key_values", "attentions", "cross_attentions"),
)
POOLER_OUTPUTS = ("last_hidden_state", "pooler_output", "hidden_states", "attentions")
PLAIN_OUTPUTS = ("last_hidden_state", "hidden_states", "attentions")

BERT_RATES = Rates(hidden=0.1, attention=0.1)

BERT_CLASSIFIER = ClassifierNames("pooler.dense", "tanh", "classifier")
ROBERTA_CLASSIFIER = ClassifierNames("classifier.dense", "tanh", "classifier.out_proj")


@dataclass(frozen=True, kw_only=True)
class Family:
    """All that may differ from BERT in a family of models. The defaults are BERT's."""

    # The forward pass, the devices that it is written for, and its conditions on the layers.
    forward: Forward = forward.hidden_states
    devices: tuple[str, ...] = ("cpu", "cuda")
    splits_layers: bool = True  # threads may each compute some heads of a layer
    rotates_pairs: bool = False  # rotary positions: a head has an even size
    # The tensors of a checkpoint, and the fields that they become.
    layout: Layout = BERT
    prefix: str  # of the tensors' names, in the checkpoint of a model with a head
    # The layout's name of a part of a tensor's name -> the family's, replaced one after the other.
    names: tuple[tuple[str, str], ...] = ()
    # The same in a folder with embeddings.LayerNorm, where transformers has other names than the
    # model's own repository.
    newer_names: tuple[tuple[str, str], ...] = ()
    # config.json: a field of Config -> its key there.
    keys: dict[str, str] = field(default_factory=dict)
    # Fields of Config that only some families read: elsewhere their keys may mean something else.
    own: tuple[str, ...] = ()
    # Fields of Config that no config.json changes, and fields with another default.
    fixed: dict[str, Any] = field(default_factory=dict)
    defaults: dict[str, Any] = field(default_factory=dict)
    # Readers of fields whose keys are the family's own; the path is for messages. The second one
    # runs after all other fields have been checked.
    read: Callable[[Path, dict[str, Any]], dict[str, Any]] = lambda path, settings: {}
    read_local_layers: Callable[[Path, dict[str, Any], Config], frozenset[int]] = (
        lambda path, settings, config: frozenset()
    )
    # Keys that would change the mathematics -> the one value that minibert computes.
    fixed_keys: dict[str, Any] = field(default_factory=dict)
    # Rates of dropout in training where config.json has none, and the place without it.
    dropout: Rates = BERT_RATES
    # The tokenizer.
    tokenizer: str = "BertTokenizer"  # the class where a folder names none
    names_tokenizer: bool = True  # False ignores the class that a folder names
    # True where positions begin after the padding's id, and skip padding.
    positions_follow_padding: bool = False
    # Outputs of transformers' model of the family, in its order.
    outputs: tuple[str, ...] = DECODER_OUTPUTS
    has_pooler: bool = True  # in transformers' AutoModel
    classifier: ClassifierNames = BERT_CLASSIFIER

    @property
    def has_token_types(self) -> bool:
        """Return whether token types have vectors."""
        return self.layout.has_token_types


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
        layout=NO_TOKEN_TYPES,
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
            "hidden_dropout_prob": "dropout",
            "attention_probs_dropout_prob": "attention_dropout",
        },
        dropout=Rates(without="attention"),
        fixed={"layer_norm_eps": 1e-12, "type_vocab_size": 1},
        defaults={"num_hidden_layers": 6},
        outputs=PLAIN_OUTPUTS,
        has_pooler=False,
        classifier=ClassifierNames("pre_classifier", "relu", "classifier"),
    ),
    # Clark et al., "ELECTRA" (2020): the discriminator. Its word embeddings may be narrower.
    "electra": Family(
        layout=PROJECTED,
        prefix="electra.",
        own=("embedding_size",),
        defaults={
            "embedding_size": 128,
            "hidden_size": 256,
            "intermediate_size": 1024,
            "num_attention_heads": 4,
        },
        outputs=(
            *("last_hidden_state", "past_key_values"),
            *("hidden_states", "attentions", "cross_attentions"),
        ),
        has_pooler=False,
        classifier=ClassifierNames("classifier.dense", "gelu", "classifier.out_proj"),
    ),
    # Song et al., "MPNet" (2020): no token types, and a bias by distance in every attention.
    "mpnet": Family(
        layout=WITH_DISTANCES,
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
        positions_follow_padding=True,
        outputs=POOLER_OUTPUTS,
        classifier=ROBERTA_CLASSIFIER,
    ),
    "albert": Family(
        layout=ALBERT,
        dropout=Rates(0.0, 0.0, without="output"),
        prefix="albert.",
        tokenizer="AlbertTokenizer",
        names=(
            ("attention.self.", "attention."),
            ("attention.output.", "attention."),
            ("intermediate.dense", "ffn"),
            ("output.dense", "ffn_output"),
            ("output.LayerNorm", "full_layer_layer_norm"),
            ("pooler.dense", "pooler"),
            ("embeddings_project", "encoder.embedding_hidden_mapping_in"),
        ),
        own=("embedding_size", "num_hidden_groups", "inner_group_num"),
        defaults={
            "vocab_size": 30000,
            "embedding_size": 128,
            "hidden_size": 4096,
            "num_attention_heads": 64,
            "intermediate_size": 16384,
            "hidden_act": "gelu_new",
        },
        outputs=POOLER_OUTPUTS,
    ),
    # Warner et al., "Smarter, Better, Faster, Longer" (2024).
    "modernbert": Family(
        forward=rotary.hidden_states,
        devices=("cpu",),
        splits_layers=False,
        rotates_pairs=True,
        layout=MODERNBERT,
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
        outputs=PLAIN_OUTPUTS,
        has_pooler=False,
        read=modernbert_fields,
        read_local_layers=modernbert_local_layers,
        classifier=ClassifierNames("head.dense", "gelu", "classifier", norm="head.norm"),
    ),
    # Nussbaum et al., "Nomic Embed" (2024).
    "nomic_bert": Family(
        forward=rotary.hidden_states,
        devices=("cpu",),
        splits_layers=False,
        rotates_pairs=True,
        layout=NOMIC_BERT,
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


# A table of word embeddings; it has no config.json, and so no row in FAMILIES.
TABLE = Family(forward=static.hidden_states, splits_layers=False, layout=NO_TOKEN_TYPES, prefix="")


def family_of(config: Config) -> Family:
    """Return the family of a model that was loaded."""
    return TABLE if config.model_type == STATIC else FAMILIES[config.model_type]


def positions_of(ids: IntArray, config: Config) -> IntArray:
    """Count the positions of a row's tokens as the family does: (T,) -> (T,).

    BERT counts from 0. RoBERTa counts the tokens that are not padding, from the padding's id + 1.
    A padding token has the position of that id, also where the text itself contains it.
    """
    if not family_of(config).positions_follow_padding:
        return np.arange(len(ids))
    real = ids != config.pad_token_id
    positions: IntArray = np.cumsum(real) * real + config.pad_token_id
    return positions


def max_tokens(config: Config) -> int:
    """Return the largest number of tokens of a text for which there are positions."""
    behind = FAMILIES[config.model_type].positions_follow_padding
    return config.max_position_embeddings - (config.pad_token_id + 1) * behind


def check_device(config: Config, name: str) -> None:
    """Raise DeviceError for a family whose forward pass is not written for a device."""
    devices = family_of(config).devices
    if name.partition(":")[0] not in devices:
        places = " and ".join("the CPU" if device == "cpu" else device for device in devices)
        raise DeviceError(f"{config.model_type} runs on {places} alone, not on {name!r}.")
