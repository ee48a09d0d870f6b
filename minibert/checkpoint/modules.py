"""modules.json -> the modules of a model in their order, each with the settings of its own folder.

Types are looked up in a fixed table, never imported, and what is not computed here is refused by
name. Tensors are `pipeline.py`'s, the BERT's own `checkpoint.py`'s. Start at read_modules.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple, TypeAlias

from minibert.common.arguments import is_count
from minibert.common.json_files import inside, is_there, read_json, setting
from minibert.errors import CheckpointError
from minibert.kernels.activations import TORCH_CLASSES, torch_activation
from minibert.pooling.pooling import POOLINGS

__all__ = [
    "TRANSFORMER_FILES",
    "Dense",
    "Dropout",
    "LayerNorm",
    "Module",
    "Normalize",
    "Pooling",
    "TransformerSettings",
    "module_entry",
    "read_modules",
]

# The keys of 1_Pooling/config.json up to sentence-transformers 5 -> the name of the pooling now.
OLD_POOLING_KEYS = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}

OLD_WIDTH = "word_embedding_dimension"

# The names under which sentence-transformers has written the BERT's settings; the first that says
# anything counts.
TRANSFORMER_FILES = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
]

# What these settings may say of the model's output, by the task that they name.
TASKS = {
    "feature-extraction": ("last_hidden_state", "token_embeddings"),
    "sequence-classification": ("logits", "scores"),
}

# Arguments for torch that change how it computes, not what.
HARMLESS_MODEL_ARGS = {
    "add_pooling_layer",
    "attn_implementation",
    "device_map",
    "dtype",
    "low_cpu_mem_usage",
    "torch_dtype",
    "trust_remote_code",
    "use_safetensors",
}


class TransformerSettings(NamedTuple):
    """What sentence_bert_config.json says of the BERT beside it."""

    path: Path  # the folder of config.json, the weights and the vocabulary
    task: str = "feature-extraction"
    max_seq_length: int | None = None
    do_lower_case: bool = False
    truncation: bool = True
    max_length: int | None = None  # of processing_kwargs; it beats max_seq_length
    query_length: int | None = None  # the same for encode_query
    document_length: int | None = None  # and for encode_document
    tokenizer_args: Mapping[str, Any] = MappingProxyType({})  # beat tokenizer_config.json, by key
    config_args: Mapping[str, Any] = MappingProxyType({})  # beat config.json, by key


class Pooling(NamedTuple):
    """One mode, or several side by side; without `include_prompt` [CLS] and prompt do not count."""

    pooling_mode: tuple[str, ...] = ("mean",)
    embedding_dimension: int | None = None
    include_prompt: bool = True


class Dense(NamedTuple):
    """act(x W + b), with or without a bias and a residual."""

    path: Path
    in_features: int
    out_features: int
    activation_function: str  # a name in ACTIVATIONS
    bias: bool = True
    use_residual: bool = False
    module_input_name: str = "sentence_embedding"


class Normalize(NamedTuple):
    """Each row divided by its Euclidean length."""

    module_input_name: str = "sentence_embedding"


class LayerNorm(NamedTuple):
    """A layer norm over each vector."""

    path: Path
    dimension: int
    module_input_name: str = "sentence_embedding"


class Dropout(NamedTuple):
    """Nothing, but in training."""

    module_input_name: str = "sentence_embedding"


Module: TypeAlias = Pooling | Dense | Normalize | LayerNorm | Dropout


def read_modules(folder: Path) -> tuple[TransformerSettings, tuple[Module, ...]]:
    """The BERT's settings and the modules after it, in the order of modules.json.

    Raises CheckpointError for a module or a setting that minibert does not compute.
    """
    path = folder / "modules.json"
    content = read_json(path, list)
    entries = [module_entry(path, entry) for entry in content]
    check_names(path, content)
    if not entries or entries[0][0] != "Transformer":
        first = entries[0][0] if entries else "no module"
        raise CheckpointError(f"{path}: {first} comes first; minibert expects a Transformer there.")
    transformer = read_transformer(inside(folder, entries[0][1]))
    modules = []
    for kind, name in entries[1:]:
        if kind not in READERS:
            raise CheckpointError(
                f"{path}: there is a {kind:.80} after the Transformer; minibert runs "
                f"{', '.join(READERS)}."
            )
        place = inside(folder, name)
        is_there(place)  # raises for a link to nothing, which some would take for no settings
        modules.append(READERS[kind](place))
    return transformer, tuple(modules)


def check_names(path: Path, entries: list[dict[str, Any]]) -> None:
    """Raise CheckpointError for two modules of one name: of these the reference keeps the last."""
    names = [entry["name"] for entry in entries if "name" in entry]
    for number, name in enumerate(names):
        if not isinstance(name, str) or name in names[:number]:
            raise CheckpointError(
                f"{path}: a module's name is {name!r:.80}; expected a text that no other has."
            )


def module_entry(path: Path, entry: object) -> tuple[str, str]:
    """The kind of a module and the folder of its settings.

    Old releases wrote sentence_transformers.models.Pooling, new ones ....modules.pooling.Pooling;
    the last part tells which it is.
    """
    if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
        raise CheckpointError(f"{path}: {entry!r:.80} is no module; expected a type and a path.")
    prefix, _, kind = entry["type"].rpartition(".")
    if prefix.split(".")[0] != "sentence_transformers":
        raise CheckpointError(
            f"{path}: module type {entry['type']!r:.80} is code outside sentence-transformers; "
            "minibert never imports what a file names."
        )
    return kind, entry.get("path", "")


def read_transformer(folder: Path) -> TransformerSettings:
    """The settings of sentence_bert_config.json under any of its names; all may be missing."""
    path, settings = folder / TRANSFORMER_FILES[0], {}
    for name in TRANSFORMER_FILES:
        if is_there(folder / name) and (settings := read_json(folder / name, dict)):
            path = folder / name
            break
    check_keys(path, settings, TRANSFORMER_KEYS)
    task = setting(path, settings, "transformer_task", str, "feature-extraction")
    check_output(path, settings, task)
    if settings.get("query_expansion") is not None:
        raise CheckpointError(
            f"{path}: query_expansion is for multi-vector models, not for BERT's."
        )
    model_args = either(path, settings, "model_args", "model_kwargs")
    if unknown := sorted(model_args.keys() - HARMLESS_MODEL_ARGS):
        raise CheckpointError(
            f"{path}: minibert does not know the model argument {unknown[0]!r:.80}."
        )
    return TransformerSettings(
        path=folder,
        task=task,
        max_seq_length=count(path, settings, "max_seq_length"),
        do_lower_case=bool(settings.get("do_lower_case")),
        query_length=count(path, settings, "query_length"),
        document_length=count(path, settings, "document_length"),
        tokenizer_args=either(path, settings, "tokenizer_args", "processor_kwargs"),
        config_args=either(path, settings, "config_args", "config_kwargs"),
        **read_processing(path, setting(path, settings, "processing_kwargs", dict, {})),
    )


TRANSFORMER_KEYS = {
    *("max_seq_length", "do_lower_case", "transformer_task", "modality_config"),
    *("module_output_name", "processing_kwargs", "unpad_inputs", "query_length"),
    *("document_length", "query_expansion"),
    *(f"{what}_{form}" for what in ("model", "config") for form in ("args", "kwargs")),
    *("tokenizer_args", "processor_kwargs"),
}


def check_output(path: Path, settings: dict[str, Any], task: str) -> None:
    """Raise CheckpointError for a task, or an output of the model, that is not computed here."""
    if task not in TASKS:
        raise CheckpointError(
            f"{path}: transformer_task is {task!r:.80}; minibert computes {', '.join(TASKS)}."
        )
    output, name = TASKS[task]
    expected = {
        "modality_config": {"text": {"method": "forward", "method_output_name": output}},
        "module_output_name": name,
    }
    for key, value in expected.items():
        if settings.get(key, value) != value:
            raise CheckpointError(
                f"{path}: {key} is {settings[key]!r:.80}; minibert computes {value!r}."
            )


def read_processing(path: Path, kinds: dict[str, Any]) -> dict[str, Any]:
    """The longest text and whether longer ones are cut, of processing_kwargs."""
    found = {"max_length": None, "truncation": True}
    for kind in ("text", "common"):  # the others are of pictures and sounds; common's beat text's
        found |= setting(path, kinds, kind, dict, {})
    # However the reference pads, the vectors are the same; here there is no padding.
    found = {key: value for key, value in found.items() if key not in ("padding", "return_tensors")}
    if unknown := sorted(found.keys() - {"max_length", "truncation"}):
        raise CheckpointError(
            f"{path}: processing_kwargs: minibert does not know the key {unknown[0]!r:.80}."
        )
    if found["truncation"] not in (True, False, "longest_first", "do_not_truncate"):
        raise CheckpointError(
            f"{path}: processing_kwargs: truncation is {found['truncation']!r:.80}; "
            "minibert cuts the longest first."
        )
    return {
        "max_length": count(path, found, "max_length"),
        "truncation": found["truncation"] in (True, "longest_first"),
    }


def check_keys(path: Path, settings: dict[str, Any], known: set[str]) -> None:
    """Raise CheckpointError for a key that is not known, as it may change the result."""
    if unknown := sorted(settings.keys() - known):
        raise CheckpointError(f"{path}: minibert does not know the key {unknown[0]!r:.80}.")


def either(path: Path, settings: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """An object that has had two names; where there are both, the reference takes the old one's."""
    found: dict[str, Any] = setting(path, settings, old if old in settings else new, dict, {})
    return found


def count(path: Path, settings: dict[str, Any], key: str) -> int | None:
    """A whole number from 1 up, or None where the key is missing or null."""
    value = settings.get(key)
    if value is not None and not is_count(value):
        raise CheckpointError(
            f"{path}: {key} is {value!r:.80}; expected a whole number from 1 up, or null."
        )
    return value


def read_pooling(folder: Path) -> Pooling:
    """The names of the poolings and the width they expect, from old keys or new."""
    path = folder / "config.json"
    settings = read_json(path, dict)
    known = {
        *OLD_POOLING_KEYS,
        *("pooling_mode", "include_prompt", "embedding_dimension", OLD_WIDTH),
    }
    check_keys(path, settings, known)
    modes = settings.get("pooling_mode")
    if modes is None:
        # The reference's order, whatever the order of the keys; none at all means the mean.
        modes = [mode for key, mode in OLD_POOLING_KEYS.items() if settings.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    if not isinstance(modes, list) or not modes or not all(isinstance(mode, str) for mode in modes):
        raise CheckpointError(f"{path}: pooling_mode is {modes!r:.80}; expected a name or names.")
    if unknown := [mode for mode in modes if mode not in POOLINGS]:
        raise CheckpointError(
            f"{path}: the pooling is {unknown[0]!r:.80}; minibert computes {', '.join(POOLINGS)}."
        )
    width = "embedding_dimension" if "embedding_dimension" in settings else OLD_WIDTH
    return Pooling(
        pooling_mode=tuple(modes),
        embedding_dimension=count(path, settings, width),
        # Like the reference: what is missing is true, and null is not.
        include_prompt=setting(
            path, {"include_prompt": True, **settings}, "include_prompt", bool, False
        ),
    )


def read_dense(folder: Path) -> Dense:
    """The settings of a Dense; a missing activation is Tanh, like the reference's."""
    path = folder / "config.json"
    settings = read_json(path, dict)
    written = settings.get("activation_function", "torch.nn.modules.activation.Tanh")
    activation = torch_activation(written) if isinstance(written, str) else None
    if activation is None:
        raise CheckpointError(
            f"{path}: activation_function is {written!r:.80}; minibert computes torch.nn's "
            f"{', '.join(TORCH_CLASSES)}."
        )
    return Dense(
        path=folder,
        in_features=required_count(path, settings, "in_features"),
        out_features=required_count(path, settings, "out_features"),
        activation_function=activation,
        bias=setting(path, settings, "bias", bool, True),
        use_residual=setting(path, settings, "use_residual", bool, False),
        module_input_name=input_name(path, settings),
    )


def read_normalize(folder: Path) -> Normalize:
    """The settings of a Normalize; the folder itself may be missing."""
    path = folder / "config.json"
    return Normalize(input_name(path, read_json(path, dict) if is_there(path) else {}))


def read_layer_norm(folder: Path) -> LayerNorm:
    """The settings of a LayerNorm."""
    path = folder / "config.json"
    settings = read_json(path, dict)
    check_keys(path, settings, {"dimension"})
    return LayerNorm(folder, required_count(path, settings, "dimension"))


def read_dropout(folder: Path) -> Dropout:
    """A Dropout has one setting, for training."""
    return Dropout()


def required_count(path: Path, settings: dict[str, Any], key: str) -> int:
    """A whole number from 1 up that must be there."""
    value = count(path, settings, key)
    if value is None:
        raise CheckpointError(f"{path}: {key} is missing; expected a whole number from 1 up.")
    return value


def input_name(path: Path, settings: dict[str, Any]) -> str:
    """What a module works on: the texts' vectors, or the tokens' states before they are pooled."""
    name: str = setting(path, settings, "module_input_name", str, "sentence_embedding")
    output = setting(path, settings, "module_output_name", str, name)
    if name not in ("sentence_embedding", "token_embeddings") or output != name:
        raise CheckpointError(
            f"{path}: it turns {name!r:.80} into {output!r:.80}; minibert changes "
            "'sentence_embedding' or 'token_embeddings' in place."
        )
    return name


# The last part of a type in modules.json -> what reads the module's folder.
READERS: dict[str, Callable[[Path], Module]] = {
    "Pooling": read_pooling,
    "Dense": read_dense,
    "Normalize": read_normalize,
    "LayerNorm": read_layer_norm,
    "Dropout": read_dropout,
}
