"""A folder -> Config and Parameters. Loads data, never code; the weights are mapped, not copied.

config.json is read by the family's row and checked; then layout.py takes the tensors. Every tensor
in the files is used or listed as ignored. Start at load_checkpoint.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral
from pathlib import Path
from typing import Any

import numpy as np

from minibert.bert.families import FAMILIES, Family, max_tokens
from minibert.bert.layout import read_parameters
from minibert.bert.parameters import Config, Parameters
from minibert.common.arguments import is_count
from minibert.common.json_files import is_there, read_json, setting
from minibert.common.safetensors_files import Tensors, weight_files
from minibert.errors import CheckpointError, UnsavedError
from minibert.kernels.activations import ACTIVATIONS

__all__ = ["Checkpoint", "key_of", "load_checkpoint", "read_config"]

# Keys that would change the mathematics -> the one value that minibert computes.
FIXED_KEYS: dict[str, Any] = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
}

# The fields of Config that every family has under some key.
COMMON = Config._fields[: Config._fields.index("model_type") + 1]
# Sizes that may be 0: the padding's id, and an embedding_size, where 0 is hidden_size.
MAY_BE_ZERO = ("pad_token_id", "embedding_size")
# More layers than any model has. No file bounds those of ALBERT, which are few and used again.
MAX_LAYERS = 10_000
# More than any size is. No tensor bounds the positions of a rotary family.
LARGEST = 1 << 40


@dataclass(frozen=True)
class Checkpoint:
    """Sizes and tensors of a model, and the files that hold them."""

    config: Config  # what the computation needs of config.json
    settings: dict[str, Any]  # all of config.json
    parameters: Parameters  # as the computation uses the tensors; on a GPU after training there
    tensors: Tensors  # of the files, from which a head reads its own
    files: tuple[Path, ...]  # of the weights; none while a trained model is not saved

    @property
    def name_or_path(self) -> str | None:
        """Name of the model that this one was made from, by config.json; None if not given."""
        name = self.settings.get("_name_or_path")
        return name if isinstance(name, str) else None

    def sha256(self) -> str:
        """Compute the digest of the weights' bytes, file after file in the order of their names.

        Raises UnsavedError for a model that was trained and not saved.
        """
        import hashlib  # 3 ms that only `minibert info` has to wait for

        if not self.files:
            raise UnsavedError(
                "This model was trained and is not saved, so no file has its weights. Call "
                "save_pretrained() first."
            )
        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                while chunk := file.read(1 << 20):
                    digest.update(chunk)
        return digest.hexdigest()


def load_checkpoint(folder: Path, config_args: Mapping[str, Any] | None = None) -> Checkpoint:
    """Read config.json and map the weights of a folder; `config_args` replace keys of config.json.

    The mapped files must not become shorter while the model is in use: the operating system would
    end the process (SIGBUS). Replacing a file by another (rename) is safe.

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
    files, family = weight_files(folder), FAMILIES[config.model_type]
    tensors = Tensors(files, family.prefix, family.names)
    if family.newer_names and "embeddings.LayerNorm.weight" in tensors:
        tensors.use_names(family.newer_names)
    with np.errstate(over="ignore"):  # of a sum of two tensors; results are checked
        parameters = read_parameters(family.layout, tensors, config)
    return Checkpoint(config, settings, parameters, tensors, files)


def read_config(settings: dict[str, Any], path: Path) -> Config:
    """Check the content of config.json; a missing key has transformers' default."""
    name = setting(path, {"model_type": "bert", **settings}, "model_type", str)
    if name not in FAMILIES:
        raise CheckpointError(
            f"{path}: model_type is {name!r:.80}; minibert runs {', '.join(FAMILIES)}."
        )
    family = FAMILIES[name]
    check_fixed_keys(settings, family, path)
    config = sized(settings, family, path)
    setting(path, {"hidden_act": config.hidden_act}, "hidden_act", str)
    check_counts(config, path)
    check_layers(config, path)
    check_largest(config, path)
    check_positions(config, path)
    check_numbers(config, path)
    if config.hidden_act not in ACTIVATIONS:
        raise CheckpointError(
            f"{path}: hidden_act is {config.hidden_act!r:.80}; "
            f"minibert computes {', '.join(ACTIVATIONS)}."
        )
    check_heads(config, path)
    return config._replace(local_layers=family.read_local_layers(path, settings, config))


def check_fixed_keys(settings: dict[str, Any], family: Family, path: Path) -> None:
    """Raise CheckpointError for a key that would change the mathematics."""
    for key, expected in (FIXED_KEYS | family.fixed_keys).items():
        if settings.get(key, expected) not in (expected, None):
            raise CheckpointError(
                f"{path}: {key} is {settings[key]!r:.80}; minibert computes {expected!r}."
            )


def check_counts(config: Config, path: Path) -> None:
    """Raise CheckpointError for a size that is no whole number from 1 up."""
    for field, value in config._asdict().items():
        if type(Config._field_defaults[field]) is not int or is_count(value):
            continue
        if field not in MAY_BE_ZERO or value != 0:
            raise CheckpointError(
                f"{path}: {key_of(field, config)} is {value!r:.80}; "
                "expected a whole number from 1 up."
            )


def check_numbers(config: Config, path: Path) -> None:
    """Raise CheckpointError for an epsilon or a base of angles that is no number above 0."""
    for field in ("layer_norm_eps", "global_rope_theta", "local_rope_theta"):
        number = getattr(config, field)
        if not isinstance(number, int | float) or not 0 < number < math.inf:
            raise CheckpointError(
                f"{path}: {key_of(field, config)} is {number!r:.80}; expected a number above 0."
            )


def check_heads(config: Config, path: Path) -> None:
    """Raise CheckpointError for heads that do not divide hidden_size, or have no pairs."""
    if config.hidden_size % config.num_attention_heads:
        raise CheckpointError(
            f"{path}: num_attention_heads is {config.num_attention_heads}, which does not divide "
            f"hidden_size {config.hidden_size}."
        )
    head_dim = config.hidden_size // config.num_attention_heads
    if FAMILIES[config.model_type].rotates_pairs and head_dim % 2:
        raise CheckpointError(
            f"{path}: num_attention_heads is {config.num_attention_heads}, which gives heads of "
            f"{head_dim} numbers; a {config.model_type} turns them in pairs."
        )


def check_layers(config: Config, path: Path) -> None:
    """Raise CheckpointError for too many layers, before any memory is used for each."""
    layers = config.num_hidden_layers * config.inner_group_num
    if layers > MAX_LAYERS:
        raise CheckpointError(
            f"{path}: num_hidden_layers is {config.num_hidden_layers}, which makes {layers} "
            f"layers; expected at most {MAX_LAYERS}."
        )


def check_largest(config: Config, path: Path) -> None:
    """Raise CheckpointError for a size whose arrays would be too large for NumPy's counts."""
    for field, value in config._asdict().items():
        if isinstance(value, Integral) and int(value) > LARGEST:
            raise CheckpointError(
                f"{path}: {key_of(field, config)} is {value!r:.80}, "
                "which is more than any model has."
            )


def check_positions(config: Config, path: Path) -> None:
    """Raise CheckpointError for a model that has no position for a token."""
    if max_tokens(config) < 1:
        raise CheckpointError(
            f"{path}: pad_token_id is {config.pad_token_id} and max_position_embeddings "
            f"{config.max_position_embeddings}; positions begin after the first, so there is none."
        )


def key_of(field: str, config: Config) -> str:
    """Return the key of a field of Config in the family's config.json."""
    return FAMILIES[config.model_type].keys.get(field, field)


def sized(settings: dict[str, Any], family: Family, path: Path) -> Config:
    """Read the fields of Config under a family's keys; a missing one has the family's default."""
    given = {field: family.keys.get(field, field) for field in (*COMMON, *family.own)}
    written = {field: settings[key] for field, key in given.items() if key in settings}
    return Config(**{**family.defaults, **written, **family.read(path, settings), **family.fixed})
