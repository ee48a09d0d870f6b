"""sentence_bert_config.json, under any of its names -> the settings of a model's Transformer.

Only this file is read. What does not run here is refused by name. Start at read_transformer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from minibert.common.json_files import check_keys, is_there, optional_count, read_json, setting
from minibert.errors import CheckpointError

__all__ = ["TRANSFORMER_FILES", "TransformerSettings", "read_transformer"]

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


TRANSFORMER_KEYS = {
    *("max_seq_length", "do_lower_case", "transformer_task", "modality_config"),
    *("module_output_name", "processing_kwargs", "unpad_inputs", "query_length"),
    *("document_length", "query_expansion"),
    *(f"{what}_{form}" for what in ("model", "config") for form in ("args", "kwargs")),
    *("tokenizer_args", "processor_kwargs"),
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
        max_seq_length=optional_count(path, settings, "max_seq_length"),
        do_lower_case=bool(settings.get("do_lower_case")),
        query_length=optional_count(path, settings, "query_length"),
        document_length=optional_count(path, settings, "document_length"),
        tokenizer_args=either(path, settings, "tokenizer_args", "processor_kwargs"),
        config_args=either(path, settings, "config_args", "config_kwargs"),
        **read_processing(path, setting(path, settings, "processing_kwargs", dict, {})),
    )


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
        "max_length": optional_count(path, found, "max_length"),
        "truncation": found["truncation"] in (True, "longest_first"),
    }


def either(path: Path, settings: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """An object that has had two names; where there are both, the reference takes the old one's."""
    found: dict[str, Any] = setting(path, settings, old if old in settings else new, dict, {})
    return found
