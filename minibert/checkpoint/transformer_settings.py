"""sentence_bert_config.json, under any of its names -> the settings of a model's Transformer.

Only this file is read. A setting that minibert cannot follow is refused by name. Start at
read_transformer.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from minibert.common.json_files import check_keys, is_there, optional_count, read_json, setting
from minibert.errors import CheckpointError

__all__ = [
    "HARMLESS_MODEL_ARGS",
    "STATIC_TASK",
    "TRANSFORMER_FILES",
    "TransformerSettings",
    "read_transformer",
    "settings_of_task",
]

# Names under which sentence-transformers has written the BERT's settings. The first file that is
# not empty counts.
TRANSFORMER_FILES = [
    "sentence_bert_config.json",
    "sentence_roberta_config.json",
    "sentence_distilbert_config.json",
    "sentence_camembert_config.json",
    "sentence_albert_config.json",
    "sentence_xlm-roberta_config.json",
    "sentence_xlnet_config.json",
]

# Without another one: the hidden states of the tokens are the output.
TASK = "feature-extraction"

# Task of a StaticEmbedding, which stands in the place of a Transformer; no file names it.
STATIC_TASK = "static-embedding"

# Task -> the model's output, in the two settings that name it.
TASKS = {
    TASK: ("last_hidden_state", "token_embeddings"),
    "sequence-classification": ("logits", "scores"),
}

# Arguments for torch that do not change the results.
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

# All keys that the file may have.
TRANSFORMER_KEYS = {
    *("max_seq_length", "do_lower_case", "transformer_task", "modality_config"),
    *("module_output_name", "processing_kwargs", "unpad_inputs", "query_length"),
    *("document_length", "query_expansion"),
    *(f"{part}_{form}" for part in ("model", "config") for form in ("args", "kwargs")),
    *("tokenizer_args", "processor_kwargs"),
}


class TransformerSettings(NamedTuple):
    """Settings of sentence_bert_config.json, for the BERT in its folder."""

    path: Path  # the folder of config.json, the weights and the vocabulary
    task: str = TASK  # or "sequence-classification", of a cross-encoder, or STATIC_TASK
    max_seq_length: int | None = None  # in tokens; None for the tokenizer's own limit
    do_lower_case: bool = False  # True lower-cases texts before all else
    truncation: bool = True  # False: texts are never truncated
    max_length: int | None = None  # of processing_kwargs; it beats all other limits
    query_length: int | None = None  # limit for encode_query; it beats max_seq_length
    document_length: int | None = None  # limit for encode_document; it beats max_seq_length
    tokenizer_args: Mapping[str, Any] = MappingProxyType({})  # beat tokenizer_config.json, by key
    config_args: Mapping[str, Any] = MappingProxyType({})  # beat config.json, by key


def read_transformer(folder: Path) -> TransformerSettings:
    """Read sentence_bert_config.json under any of its names; it may be missing.

    Raises CheckpointError for a setting that minibert cannot follow.
    """
    path, settings = folder / TRANSFORMER_FILES[0], {}
    for name in TRANSFORMER_FILES:
        if is_there(folder / name) and (settings := read_json(folder / name, dict)):
            path = folder / name
            break
    check_keys(path, settings, TRANSFORMER_KEYS)
    task = setting(path, settings, "transformer_task", str, TASK)
    check_output(path, settings, task)
    if settings.get("query_expansion") is not None:
        raise CheckpointError(
            f"{path}: query_expansion is for multi-vector models, which minibert does not run."
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
    """Raise CheckpointError for a task, or an output of the model, that is not computed."""
    if task not in TASKS:
        raise CheckpointError(
            f"{path}: transformer_task is {task!r:.80}; minibert computes {', '.join(TASKS)}."
        )
    expected = output_settings(task)
    for key, value in expected.items():
        if settings.get(key, value) != value:
            raise CheckpointError(
                f"{path}: {key} is {settings[key]!r:.80}; minibert computes {value!r}."
            )


def output_settings(task: str) -> dict[str, Any]:
    """Return the settings of the output that a task takes, as sentence-transformers writes them."""
    output, name = TASKS[task]
    return {
        "modality_config": {"text": {"method": "forward", "method_output_name": output}},
        "module_output_name": name,
    }


def settings_of_task(task: str) -> dict[str, Any]:
    """Return the settings that name a task; none for that of plain folders, to have hidden states.

    They are what read_transformer reads.
    """
    return {} if task == TASK else {"transformer_task": task, **output_settings(task)}


def read_processing(path: Path, kinds: dict[str, Any]) -> dict[str, Any]:
    """Read the maximum length, and whether to truncate, from processing_kwargs."""
    found = {"max_length": None, "truncation": True}
    for kind in ("text", "common"):  # others are for pictures and sounds; common beats text
        found |= setting(path, kinds, kind, dict, {})
    # Padding does not change the reference's vectors, and is not used here.
    found = {key: value for key, value in found.items() if key not in ("padding", "return_tensors")}
    if unknown := sorted(found.keys() - {"max_length", "truncation"}):
        raise CheckpointError(
            f"{path}: processing_kwargs: minibert does not know the key {unknown[0]!r:.80}."
        )
    if found["truncation"] not in (True, False, "longest_first", "do_not_truncate"):
        raise CheckpointError(
            f"{path}: processing_kwargs: truncation is {found['truncation']!r:.80}; "
            "minibert truncates the longest first (true), or not at all (false)."
        )
    return {
        "max_length": optional_count(path, found, "max_length"),
        "truncation": found["truncation"] in (True, "longest_first"),
    }


def either(path: Path, settings: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """Value of a key with two names, an object; the reference prefers the old name."""
    found: dict[str, Any] = setting(path, settings, old if old in settings else new, dict, {})
    return found
