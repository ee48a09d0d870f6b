"""A folder -> Config and Parameters. Loads data, never code; the weights are mapped, not copied.

Every tensor in the files is used or listed as ignored. Start at load_checkpoint.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from minibert.arrays import Array
from minibert.bert import ACTIVATIONS, Config, Layer, Parameters
from minibert.errors import CheckpointError
from minibert.folder import inside, is_count, read_json, setting

__all__ = ["FAMILIES", "Checkpoint", "load_checkpoint", "weight_files"]

# model_type in config.json -> the prefix that a head's checkpoint puts before the tensors' names.
FAMILIES = {"bert": "bert."}

# Keys that would change the mathematics, and the one value that leaves it as computed here.
FIXED_KEYS: dict[str, Any] = {
    "position_embedding_type": "absolute",
    "is_decoder": False,
    "is_encoder_decoder": False,
    "add_cross_attention": False,
    "pruned_heads": {},
    "quantization_config": None,
}

# The names that checkpoints converted from TensorFlow use.
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

# Bytes a number takes, for every type that a file may hold beside the three that are read.
ITEM_BYTES = {
    **dict.fromkeys(["BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"], 1),
    **dict.fromkeys(["I16", "U16", "F16", "BF16"], 2),
    **dict.fromkeys(["I32", "U32", "F32"], 4),
    **dict.fromkeys(["I64", "U64", "F64", "C64"], 8),
}

CONVERSION = (
    'python -c "from transformers import AutoModel; '
    "AutoModel.from_pretrained('FOLDER').save_pretrained('FOLDER')\""
)


@dataclass(frozen=True)
class Checkpoint:
    """A model's sizes and tensors, the files they came from and what in them was not used."""

    config: Config
    parameters: Parameters
    files: tuple[Path, ...]
    ignored: tuple[str, ...]  # names of tensors
    parameter_count: int  # numbers in the tensors that are used
    name_or_path: str | None  # what config.json says the model was made from

    def sha256(self) -> str:
        """The digest of the weights' bytes, file after file in the order of their names."""
        import hashlib  # 3 ms that only `minibert info` has to wait for

        digest = hashlib.sha256()
        for path in self.files:
            with path.open("rb") as file:
                while piece := file.read(1 << 20):
                    digest.update(piece)
        return digest.hexdigest()


def load_checkpoint(folder: Path) -> Checkpoint:
    """Read config.json and map the weights of a folder.

    The mapped files must not be cut short while the model is in use: the operating system then ends
    the process (SIGBUS). Replacing a file by another (rename) is safe.

    Raises CheckpointError for a missing, misshapen or non-finite tensor, a damaged file, or a
    configuration that minibert does not compute.
    """
    settings = read_json(folder / "config.json", dict)
    config = read_config(settings, folder / "config.json")
    files = weight_files(folder)
    tensors = Tensors(files, FAMILIES[settings.get("model_type", "bert")])
    parameters = read_parameters(tensors, config)
    name = settings.get("_name_or_path")
    return Checkpoint(
        config=config,
        parameters=parameters,
        files=files,
        ignored=tensors.unused(),
        parameter_count=tensors.taken_numbers,
        name_or_path=name if isinstance(name, str) else None,
    )


def read_config(settings: dict[str, Any], path: Path) -> Config:
    """Check config.json's content; a key that is missing has the reference's default."""
    family = setting(path, settings, "model_type", str, "bert")
    setting(path, settings, "hidden_act", str)
    if family not in FAMILIES:
        raise CheckpointError(
            f"{path}: model_type is {family!r}; minibert runs {', '.join(sorted(FAMILIES))}."
        )
    for key, expected in FIXED_KEYS.items():
        if settings.get(key, expected) not in (expected, None):
            raise CheckpointError(
                f"{path}: {key} is {settings[key]!r}; minibert computes {expected!r}."
            )
    config = Config(**{key: value for key, value in settings.items() if key in Config._fields})
    for key, value in config._asdict().items():
        if isinstance(Config._field_defaults[key], int) and not is_count(value):
            raise CheckpointError(f"{path}: {key} is {value!r}; expected a whole number from 1 up.")
    epsilon = config.layer_norm_eps
    if not isinstance(epsilon, int | float) or not 0 < epsilon < math.inf:
        raise CheckpointError(f"{path}: layer_norm_eps is {epsilon!r}; expected a number above 0.")
    if config.hidden_act not in ACTIVATIONS:
        raise CheckpointError(
            f"{path}: hidden_act is {config.hidden_act!r}; "
            f"minibert computes {', '.join(ACTIVATIONS)}."
        )
    if config.hidden_size % config.num_attention_heads:
        raise CheckpointError(
            f"{path}: num_attention_heads is {config.num_attention_heads}, which does not divide "
            f"hidden_size {config.hidden_size}."
        )
    return config


def weight_files(folder: Path) -> tuple[Path, ...]:
    """The safetensors files of a folder: the one, or the shards that its index names."""
    if (folder / "model.safetensors").exists():
        return (folder / "model.safetensors",)
    index = folder / "model.safetensors.index.json"
    if index.exists():
        shards = read_json(index, dict).get("weight_map")
        if not isinstance(shards, dict) or not shards:
            raise CheckpointError(f"{index}: weight_map is missing or empty.")
        paths = sorted({inside(folder, shard) for shard in shards.values()})
        for path in paths:
            if path.suffix != ".safetensors" or not path.exists():
                raise CheckpointError(f"{index} names {path.name!r}, which is not there.")
        return tuple(paths)
    pickles = sorted(folder.glob("pytorch_model*.bin"))
    if pickles:
        raise CheckpointError(
            f"{folder} has its weights in {pickles[0].name} only. That is a pickle, which can run "
            "code, so minibert never opens one. Where transformers is installed, convert it: "
            + CONVERSION.replace("FOLDER", str(folder))
        )
    raise CheckpointError(f"{folder} has no model.safetensors.")


@dataclass(frozen=True)
class StoredTensor:
    """Where in a mapped file a tensor lies, and as what."""

    name: str
    path: Path
    buffer: mmap.mmap
    offset: int
    dtype: str
    shape: tuple[int, ...]

    def read(self) -> Array:
        """The tensor as float32: a view on the file where it can be one, else a copy."""
        if self.dtype == "F32":
            tensor: Array = self.view("<f4")
            # On a matrix that is not aligned, NumPy would copy it at every product.
            return tensor if tensor.flags.aligned else tensor.copy()
        if self.dtype == "F16":
            return self.view("<f2").astype(np.float32)
        if self.dtype == "BF16":  # the upper half of a float32
            return (self.view("<u2").astype(np.uint32) << 16).view(np.float32)
        raise CheckpointError(
            f"{self.path}: {self.name} has the type {self.dtype}; expected F32, F16 or BF16."
        )

    def view(self, dtype: str) -> NDArray[Any]:
        """The bytes of the tensor, read as a type of NumPy."""
        flat = np.frombuffer(self.buffer, dtype, count=math.prod(self.shape), offset=self.offset)
        return flat.reshape(self.shape)


def map_safetensors(path: Path) -> list[StoredTensor]:
    """Map a file and list its tensors.

    The safetensors library vets the header: sizes, offsets, no gaps, no overlap, nothing left over.
    Its own reading copies, though (BERT-base: 1.3 s and 836 MB), so the arrays are views on one map
    of the file.
    """
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(path, framework="numpy") as vetted:
            # In the order of their bytes, which lie end to end: so sizes give the offsets.
            slices = [(name, vetted.get_slice(name)) for name in vetted.offset_keys()]
            layout = [(name, s.get_dtype(), tuple(s.get_shape())) for name, s in slices]
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file: {error}. Fetch it again."
        ) from error
    with path.open("rb") as file:
        offset = 8 + int.from_bytes(file.read(8), "little")
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tensors = []
    for name, dtype, shape in layout:
        if dtype not in ITEM_BYTES:
            raise CheckpointError(f"{path}: {name} has the type {dtype}, which is not known here.")
        tensors.append(StoredTensor(name, path, buffer, offset, dtype, shape))
        offset += math.prod(shape) * ITEM_BYTES[dtype]
    return tensors


class Tensors:
    """All tensors of a checkpoint under the model's own names; remembers which were taken."""

    def __init__(self, files: tuple[Path, ...], prefix: str) -> None:
        self._stored: dict[str, StoredTensor] = {}
        self._taken: set[str] = set()
        self.taken_numbers = 0
        for path in files:
            for tensor in map_safetensors(path):
                name = tensor.name.removeprefix(prefix)
                for old, new in OLD_NAMES.items():
                    name = name.replace(old, new)
                if name in self._stored:
                    raise CheckpointError(
                        f"{path}: {tensor.name} and {self._stored[name].name} are the same tensor."
                    )
                self._stored[name] = tensor

    def __contains__(self, name: str) -> bool:
        return name in self._stored

    def take(self, name: str, *shape: int) -> Array:
        """A tensor as float32, checked for its shape and for numbers that are none."""
        if name not in self._stored:
            stored = sorted(tensor.name for tensor in self._stored.values())
            raise CheckpointError(
                f"The weights have no tensor {name!r}. "
                f"They have {', '.join(stored[:3])}, ... ({len(stored)} in all)."
            )
        stored_tensor = self._stored[name]
        if stored_tensor.shape != shape:
            raise CheckpointError(
                f"{stored_tensor.path}: {stored_tensor.name} has the shape {stored_tensor.shape}; "
                f"config.json implies {shape}."
            )
        tensor = stored_tensor.read()
        if not is_finite(tensor):
            raise CheckpointError(
                f"{stored_tensor.path}: {stored_tensor.name} holds NaN or infinity; "
                "these weights cannot be used."
            )
        self._taken.add(name)
        self.taken_numbers += tensor.size
        return tensor

    def unused(self) -> tuple[str, ...]:
        """The names, as stored, of the tensors that nobody took."""
        left = (tensor.name for name, tensor in self._stored.items() if name not in self._taken)
        return tuple(sorted(left))


def is_finite(tensor: Array) -> bool:
    """Whether a tensor holds neither NaN nor infinity."""
    flat = tensor.reshape(-1)
    # One product is ten times faster than isfinite and sees every NaN. It also overflows on what is
    # merely large, so then ask again.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)) or np.isfinite(flat).all())


def read_parameters(tensors: Tensors, config: Config) -> Parameters:
    """Gather all tensors, and lay out anew the few that are used in another form."""
    hidden, positions = config.hidden_size, config.max_position_embeddings
    position = tensors.take("embeddings.position_embeddings.weight", positions, hidden)
    types = tensors.take("embeddings.token_type_embeddings.weight", config.type_vocab_size, hidden)
    has_pooler = "pooler.dense.weight" in tensors
    return Parameters(
        words=tensors.take("embeddings.word_embeddings.weight", config.vocab_size, hidden),
        types_and_positions=types[:, None] + position,  # (types, P, D)
        norm_weight=tensors.take("embeddings.LayerNorm.weight", hidden),
        norm_bias=tensors.take("embeddings.LayerNorm.bias", hidden),
        layers=tuple(
            read_layer(tensors, config, f"encoder.layer.{number}")
            for number in range(config.num_hidden_layers)
        ),
        # Stored as (out, in), like every weight; the transposed view copies nothing.
        pooler_weight=tensors.take("pooler.dense.weight", hidden, hidden).T if has_pooler else None,
        pooler_bias=tensors.take("pooler.dense.bias", hidden) if has_pooler else None,
    )


def read_layer(tensors: Tensors, config: Config, name: str) -> Layer:
    """The tensors of one layer."""
    hidden, inner = config.hidden_size, config.intermediate_size
    attention = f"{name}.attention.self"
    parts = ("query", "key", "value")
    qkv_weight = np.concatenate(
        [tensors.take(f"{attention}.{part}.weight", hidden, hidden) for part in parts]
    )  # (3D, D)
    qkv_bias = np.concatenate([tensors.take(f"{attention}.{part}.bias", hidden) for part in parts])
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
