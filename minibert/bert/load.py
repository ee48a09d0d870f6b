"""A folder -> Config and Parameters. Loads data, never code; the weights are mapped, not copied.

Every tensor in the files is used or listed as ignored. Start at load_checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from minibert.bert.families import FAMILIES, MOST_LAYERS, Family, most_tokens, relative_buckets
from minibert.bert.parameters import Config, Layer, Parameters, RotaryLayer
from minibert.common.arguments import is_count
from minibert.common.arrays import Array
from minibert.common.json_files import is_there, read_json, setting
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.errors import CheckpointError
from minibert.kernels.activations import ACTIVATIONS

__all__ = ["Checkpoint", "load_checkpoint", "read_bias", "read_config", "read_norm"]

# Keys that would change the mathematics, and the one value that leaves it as computed here.
FIXED_KEYS: dict[str, Any] = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
}


# The parts of attention, and the two halves of a gated feed-forward, the activated one first.
ATTENTION = ("query", "key", "value")
GATED = ("gate", "up")
# The fields of Config that every family has under some key.
COMMON = Config._fields[: Config._fields.index("model_type") + 1]
# Of the sizes: the padding's id, and an embedding_size that is the layers' own.
MAY_BE_ZERO = ("pad_token_id", "embedding_size")
# More than any size is. No tensor bounds the positions of a rotary family.
LARGEST = 1 << 40


@dataclass(frozen=True)
class Checkpoint:
    """A model's sizes and tensors, and the files they came from."""

    config: Config
    settings: dict[str, Any]  # all of config.json
    parameters: Parameters
    tensors: Tensors  # for a head, which takes its own
    files: tuple[Path, ...]

    @property
    def name_or_path(self) -> str | None:
        """What config.json says the model was made from."""
        name = self.settings.get("_name_or_path")
        return name if isinstance(name, str) else None

    def sha256(self) -> str:
        """The digest of the weights' bytes, file after file in the order of their names."""
        import hashlib  # 3 ms that only `minibert info` has to wait for

        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
        return digest.hexdigest()


def load_checkpoint(folder: Path, config_args: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read config.json and map the weights of a folder; `config_args` beat config.json, by key.

    The mapped files must not be cut short while the model is in use: the operating system then ends
    the process (SIGBUS). Replacing a file by another (rename) is safe.

    Raises CheckpointError for a missing, misshapen or non-finite tensor, a damaged file, or a
    configuration that minibert does not compute.
    """
    if is_there(folder / "adapter_config.json"):
        raise CheckpointError(
            f"{folder} has an adapter (adapter_config.json), which changes the weights; minibert "
            "runs none. Merge it into them with peft's merge_and_unload(), and save the model in a "
            "new folder."
        )
    settings = read_json(folder / "config.json", dict) | dict(config_args or {})
    config = read_config(settings, folder / "config.json")
    files = weight_files(folder)
    family = FAMILIES[config.model_type]
    tensors = Tensors(files, family.prefix, family.names)
    if family.newer_names and "embeddings.LayerNorm.weight" in tensors:
        tensors = Tensors(files, family.prefix, family.newer_names)
    reads = read_rotary if family.is_rotary else read_parameters
    with np.errstate(over="ignore"):  # of a sum of two tensors; results are looked at
        parameters = reads(tensors, config)
    return Checkpoint(config, settings, parameters, tensors, files)


def read_config(settings: dict[str, Any], path: Path) -> Config:
    """Check config.json's content; a key that is missing has the reference's default."""
    family = setting(path, {"model_type": "bert", **settings}, "model_type", str)
    if family not in FAMILIES:
        raise CheckpointError(
            f"{path}: model_type is {family!r:.80}; minibert runs {', '.join(FAMILIES)}."
        )
    for key, expected in (FIXED_KEYS | FAMILIES[family].fixed_keys).items():
        if settings.get(key, expected) not in (expected, None):
            raise CheckpointError(
                f"{path}: {key} is {settings[key]!r:.80}; minibert computes {expected!r}."
            )
    config = sized(settings, FAMILIES[family], path)
    setting(path, {"hidden_act": config.hidden_act}, "hidden_act", str)
    for field, value in config._asdict().items():
        if type(Config._field_defaults[field]) is not int or is_count(value):
            continue
        if field not in MAY_BE_ZERO or value != 0:
            key = FAMILIES[family].keys.get(field, field)
            raise CheckpointError(
                f"{path}: {key} is {value!r:.80}; expected a whole number from 1 up."
            )
    check_layers(config, path)
    check_largest(config, path)
    check_positions(config, path)
    for field in ("layer_norm_eps", "global_rope_theta", "local_rope_theta"):
        number = getattr(config, field)
        if not isinstance(number, int | float) or not 0 < number < math.inf:
            key = FAMILIES[family].keys.get(field, field)
            raise CheckpointError(f"{path}: {key} is {number!r:.80}; expected a number above 0.")
    if config.hidden_act not in ACTIVATIONS:
        raise CheckpointError(
            f"{path}: hidden_act is {config.hidden_act!r:.80}; "
            f"minibert computes {', '.join(ACTIVATIONS)}."
        )
    if config.hidden_size % config.num_attention_heads:
        raise CheckpointError(
            f"{path}: num_attention_heads is {config.num_attention_heads}, which does not divide "
            f"hidden_size {config.hidden_size}."
        )
    width = config.hidden_size // config.num_attention_heads
    if FAMILIES[family].is_rotary and width % 2:
        raise CheckpointError(
            f"{path}: num_attention_heads is {config.num_attention_heads}, which gives heads of "
            f"{width} numbers; a {family} turns them in pairs."
        )
    return config


def check_layers(config: Config, path: Path) -> None:
    """Raise CheckpointError for layers that no model has, before anything is made for each."""
    layers = config.num_hidden_layers * config.inner_group_num
    if layers > MOST_LAYERS:
        raise CheckpointError(
            f"{path}: num_hidden_layers is {config.num_hidden_layers}, which makes {layers} "
            f"layers; expected at most {MOST_LAYERS}."
        )


def check_largest(config: Config, path: Path) -> None:
    """Raise CheckpointError for a size that makes an array larger than NumPy can count."""
    for field, value in config._asdict().items():
        if isinstance(value, Integral) and int(value) > LARGEST:
            key = FAMILIES[config.model_type].keys.get(field, field)
            raise CheckpointError(
                f"{path}: {key} is {value!r:.80}, which is more than any model has."
            )


def check_positions(config: Config, path: Path) -> None:
    """Raise CheckpointError for a model that has no position for a token."""
    if most_tokens(config) < 1:
        raise CheckpointError(
            f"{path}: pad_token_id is {config.pad_token_id} and max_position_embeddings "
            f"{config.max_position_embeddings}; positions begin after the first, so there is none."
        )


def sized(settings: dict[str, Any], family: Family, path: Path) -> Config:
    """The fields of Config by a family's keys; what is missing has the family's default."""
    given = {field: family.keys.get(field, field) for field in (*COMMON, *family.own)}
    written = {field: settings[key] for field, key in given.items() if key in settings}
    return Config(**{**family.defaults, **written, **family.read(path, settings), **family.fixed})


def read_parameters(tensors: Tensors, config: Config) -> Parameters:
    """Gather all tensors, and lay out anew the few that are used in another form."""
    hidden, positions = config.hidden_size, config.max_position_embeddings
    family, width = FAMILIES[config.model_type], config.embedding_size or hidden
    position = tensors.take("embeddings.position_embeddings.weight", positions, width)
    if family.has_token_types:
        types = tensors.take(
            "embeddings.token_type_embeddings.weight", config.type_vocab_size, width
        )
        position = types[:, None] + position  # (types, P, E)
    words = tensors.take("embeddings.word_embeddings.weight", config.vocab_size, width)
    layers = family.layer_names(config)
    # A layer that is used again is read once.
    read = {name: read_layer(tensors, config, name) for name in dict.fromkeys(layers)}
    projects = f"{family.projection}.weight" in tensors
    tensors.let_go("embeddings.word_embeddings.weight")  # of which a text needs a few rows
    return Parameters(
        words=words,
        types_and_positions=position.reshape(-1, positions, width),
        norm_weight=tensors.take("embeddings.LayerNorm.weight", width),
        norm_bias=tensors.take("embeddings.LayerNorm.bias", width),
        layers=tuple(read[name] for name in layers),
        projection_weight=(
            tensors.take(f"{family.projection}.weight", hidden, width).T if projects else None
        ),
        projection_bias=tensors.take(f"{family.projection}.bias", hidden) if projects else None,
        relative_bias=read_relative_bias(tensors, config) if family.relative_bias else None,
        **read_pooler(tensors, hidden),
    )


def read_pooler(tensors: Tensors, width: int) -> dict[str, Any]:
    """The pooler's fields, or why there is none: no vector needs it, so it may be broken."""
    if "pooler.dense.weight" not in tensors and "pooler.dense.bias" not in tensors:
        return {}
    try:
        # Stored as (out, in), like every weight; the transposed view copies nothing.
        weight = tensors.take("pooler.dense.weight", width, width).T
        return {"pooler_weight": weight, "pooler_bias": tensors.take("pooler.dense.bias", width)}
    except CheckpointError as error:
        return {"no_pooler": str(error)}


def read_rotary(tensors: Tensors, config: Config) -> Parameters:
    """Gather the tensors of a family whose forward pass is rotary.py's, by ModernBERT's names."""
    width, family = config.hidden_size, FAMILIES[config.model_type]
    # The first, as the shape of a stored tensor bounds the arrays that are made here.
    words = tensors.take("embeddings.tok_embeddings.weight", config.vocab_size, width)
    types = np.zeros((1, width), dtype=np.float32)
    if family.has_token_types:
        name = "embeddings.token_type_embeddings.weight"
        types = tensors.take(name, config.type_vocab_size, width)
    # No position has a vector here, so a type's is that of all its positions.
    shape = len(types), config.max_position_embeddings, width
    norm, norm_bias = read_norm(tensors, "embeddings.norm", width)
    final = read_norm(tensors, "final_norm", width) if "final_norm.weight" in tensors else None
    return Parameters(
        words=words,
        types_and_positions=np.broadcast_to(types[:, None], shape),
        norm_weight=norm,
        norm_bias=norm_bias,
        layers=(),
        rotary_layers=tuple(
            read_rotary_layer(tensors, config, f"layers.{number}")
            for number in range(config.num_hidden_layers)
        ),
        final_norm_weight=None if final is None else final[0],
        final_norm_bias=None if final is None else final[1],
    )


def read_rotary_layer(tensors: Tensors, config: Config, name: str) -> RotaryLayer:
    """The tensors of one layer; biases that a model does without are zeros."""
    width, inner = config.hidden_size, config.intermediate_size
    qkv, qkv_bias = read_rotary_qkv(tensors, f"{name}.attn", width)
    scale = (width // config.num_attention_heads) ** -0.5
    qkv[:, :width] *= scale  # as in read_layer
    qkv_bias[:width] *= scale
    if f"{name}.mlp.Wi.weight" in tensors:
        both, both_bias = read_dense(tensors, f"{name}.mlp.Wi", 2 * inner, width)
    else:  # NomicBERT has the two apart
        both, both_bias = read_side_by_side(tensors, f"{name}.mlp", GATED, inner, width)
    has_first = f"{name}.attn_norm.weight" in tensors
    attention, attention_bias = read_dense(tensors, f"{name}.attn.Wo", width, width)
    before = read_norm(tensors, f"{name}.attn_norm", width) if has_first else (None, None)
    output, output_bias = read_dense(tensors, f"{name}.mlp.Wo", width, inner)
    norm, norm_bias = read_norm(tensors, f"{name}.mlp_norm", width)
    return RotaryLayer(
        qkv_weight=qkv,
        qkv_bias=qkv_bias,
        attention_weight=attention,
        attention_bias=attention_bias,
        attention_norm_weight=before[0],
        attention_norm_bias=before[1],
        intermediate_weight=both,
        intermediate_bias=both_bias,
        output_weight=output,
        output_bias=output_bias,
        output_norm_weight=norm,
        output_norm_bias=norm_bias,
    )


def read_rotary_qkv(tensors: Tensors, name: str, width: int) -> tuple[Array, Array]:
    """A copy of what makes queries, keys and values, from one tensor or three: (D, 3D), (3D,)."""
    if f"{name}.Wqkv.weight" not in tensors:
        return read_side_by_side(tensors, name, ATTENTION, width, width)
    qkv, bias = read_dense(tensors, f"{name}.Wqkv", 3 * width, width)
    qkv, bias = qkv.copy(), bias.copy()
    tensors.let_go(f"{name}.Wqkv.weight")  # copied
    return qkv, bias


def read_side_by_side(
    tensors: Tensors, name: str, parts: tuple[str, ...], out: int, width: int
) -> tuple[Array, Array]:
    """A copy of several weights and biases as one: P of (D, F), (F,) -> (D, PF), (PF,)."""
    read = [read_dense(tensors, f"{name}.{part}", out, width) for part in parts]
    weight = np.concatenate([weight for weight, _ in read], axis=1)
    for part in parts:
        tensors.let_go(f"{name}.{part}.weight")  # copied
    return weight, np.concatenate([bias for _, bias in read])


def read_dense(tensors: Tensors, name: str, out: int, width: int) -> tuple[Array, Array]:
    """A weight, seen as (in, out), and its bias, or zeros: (D, F), (F,)."""
    weight = tensors.take(f"{name}.weight", out, width).T
    return weight, read_bias(tensors, name, out)


def read_norm(tensors: Tensors, name: str, width: int) -> tuple[Array, Array]:
    """A gain and its bias, or zeros: (D,), (D,)."""
    return tensors.take(f"{name}.weight", width), read_bias(tensors, name, width)


def read_bias(tensors: Tensors, name: str, width: int) -> Array:
    """A bias, or zeros where the model has none."""
    if f"{name}.bias" in tensors:
        return tensors.take(f"{name}.bias", width)
    return np.zeros(width, dtype=np.float32)


def read_relative_bias(tensors: Tensors, config: Config) -> Array:
    """What attention adds to the logit of each pair of positions: (H, P, P), and some more."""
    name, heads = FAMILIES[config.model_type].relative_bias, config.num_attention_heads
    table = tensors.take(name, config.relative_attention_num_buckets, heads)  # (buckets, H)
    # Up to a multiple of 8, as a GPU's runs of near lengths are (packing.near_runs).
    buckets = relative_buckets(-(-config.max_position_embeddings // 8) * 8)
    return np.ascontiguousarray(table[buckets].transpose(2, 0, 1))  # (P, P, H) -> (H, P, P)


def read_layer(tensors: Tensors, config: Config, name: str) -> Layer:
    """The tensors of one layer."""
    hidden, inner = config.hidden_size, config.intermediate_size
    attention = f"{name}.attention.self"
    qkv_weight = np.concatenate(
        [tensors.take(f"{attention}.{part}.weight", hidden, hidden) for part in ATTENTION]
    )  # (3D, D)
    for part in ATTENTION:
        tensors.let_go(f"{attention}.{part}.weight")  # copied
    qkv_bias = np.concatenate(
        [tensors.take(f"{attention}.{part}.bias", hidden) for part in ATTENTION]
    )
    # Attention divides q k^T by sqrt(D/H). Done here once, on the queries, it costs nothing later.
    scale = (hidden // config.num_attention_heads) ** -0.5
    qkv_weight[:hidden] *= scale
    qkv_bias[:hidden] *= scale
    return Layer(
        qkv_weight=qkv_weight.T,
        qkv_bias=qkv_bias,
        attention_weight=tensors.take(f"{name}.attention.output.dense.weight", hidden, hidden).T,
        attention_bias=tensors.take(f"{name}.attention.output.dense.bias", hidden),
        attention_norm_weight=tensors.take(f"{name}.attention.output.LayerNorm.weight", hidden),
        attention_norm_bias=tensors.take(f"{name}.attention.output.LayerNorm.bias", hidden),
        intermediate_weight=tensors.take(f"{name}.intermediate.dense.weight", inner, hidden).T,
        intermediate_bias=tensors.take(f"{name}.intermediate.dense.bias", inner),
        output_weight=tensors.take(f"{name}.output.dense.weight", hidden, inner).T,
        output_bias=tensors.take(f"{name}.output.dense.bias", hidden),
        output_norm_weight=tensors.take(f"{name}.output.LayerNorm.weight", hidden),
        output_norm_bias=tensors.take(f"{name}.output.LayerNorm.bias", hidden),
    )
