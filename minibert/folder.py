"""A sentence-transformers folder: which modules it has, in which order, with which settings.

Only JSON is read here. Module types are looked up in a fixed table, never imported, and a name in a
file never leads out of the folder. Weights are `checkpoint.py`'s, words `vocabulary.py`'s.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from minibert.errors import CheckpointError

__all__ = [
    "TRANSFORMER_FILES",
    "Folder",
    "inside",
    "is_count",
    "read_folder",
    "read_json",
    "setting",
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

# The names under which sentence-transformers has written these settings; the first that says
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

# What sentence_bert_config.json may say without changing the mathematics; None allows any value.
TRANSFORMER_SETTINGS: dict[str, Any] = {
    "max_seq_length": None,
    "do_lower_case": None,
    "transformer_task": "feature-extraction",
    "modality_config": {
        "text": {"method": "forward", "method_output_name": "last_hidden_state"},
    },
    "module_output_name": "token_embeddings",
}


@dataclass(frozen=True)
class Folder:
    """What a model folder says of itself, beside its weights and its vocabulary."""

    path: Path
    transformer: Path  # the folder that holds config.json, the weights and the vocabulary
    pooling: tuple[str, ...] = ("mean",)
    pooling_dimension: int | None = None
    normalize: bool = False
    max_seq_length: int | None = None
    do_lower_case: bool = False
    similarity_fn_name: str | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    truncate_dim: int | None = None
    # False for a plain BERT without modules.json; mean pooling is then an assumption.
    has_modules: bool = True


def read_folder(path: Path) -> Folder:
    """Read modules.json and the settings it leads to.

    Raises FileNotFoundError if there is no such folder, CheckpointError for a module or a setting
    that minibert does not compute.
    """
    if not path.is_dir():
        raise FileNotFoundError(
            f"{str(path)!r} is no folder. Expected a model's folder, with config.json in it, "
            "or the name of a model on the hub, such as 'sentence-transformers/all-MiniLM-L6-v2'."
        )
    settings = read_model_settings(path)
    if not (path / "modules.json").exists():
        if not (path / "config.json").exists():
            raise CheckpointError(
                f"{path} has neither modules.json nor config.json, so it is no model's folder."
            )
        # The reference reads no sentence_bert_config.json either, in this case.
        return Folder(path, transformer=path, has_modules=False, **settings)
    kinds = {kind: inside(path, sub) for kind, sub in read_modules(path / "modules.json")}
    return Folder(
        path,
        transformer=kinds["Transformer"],
        normalize="Normalize" in kinds,
        **read_transformer_settings(kinds["Transformer"]),
        **read_pooling(kinds["Pooling"] / "config.json"),
        **settings,
    )


def read_modules(path: Path) -> list[tuple[str, str]]:
    """The modules in their order, each as (kind, folder): Transformer, Pooling, maybe Normalize."""
    entries = read_json(path, list)
    modules = []
    for entry in entries:
        if not isinstance(entry, dict) or not isinstance(entry.get("type"), str):
            raise CheckpointError(f"{path}: {entry!r} is no module; expected a type and a path.")
        prefix, _, kind = entry["type"].rpartition(".")
        if prefix.split(".")[0] != "sentence_transformers":
            raise CheckpointError(
                f"{path}: module type {entry['type']!r} is code outside sentence-transformers; "
                "minibert never imports what a file names."
            )
        modules.append((kind, entry.get("path", "")))
    kinds = [kind for kind, _ in modules]
    if kinds not in (["Transformer", "Pooling"], ["Transformer", "Pooling", "Normalize"]):
        raise CheckpointError(
            f"{path}: the modules are {', '.join(kinds) or 'none'}; "
            "minibert runs Transformer, Pooling and, after them, Normalize."
        )
    return modules


def read_transformer_settings(folder: Path) -> dict[str, Any]:
    """max_seq_length and do_lower_case of sentence_bert_config.json, which may be missing."""
    path, settings = folder / TRANSFORMER_FILES[0], {}
    for name in TRANSFORMER_FILES:
        if (folder / name).exists() and (settings := read_json(folder / name, dict)):
            path = folder / name
            break
    for key, value in settings.items():
        if key not in TRANSFORMER_SETTINGS:
            raise CheckpointError(f"{path}: minibert does not know the key {key!r}.")
        expected = TRANSFORMER_SETTINGS[key]
        if expected is not None and value != expected:
            raise CheckpointError(f"{path}: {key} is {value!r}; minibert computes {expected!r}.")
    limit = settings.get("max_seq_length")
    if limit is not None and not is_count(limit):
        raise CheckpointError(
            f"{path}: max_seq_length is {limit!r}; expected a whole number from 1 up, or null."
        )
    return {"max_seq_length": limit, "do_lower_case": bool(settings.get("do_lower_case"))}


def read_pooling(path: Path) -> dict[str, Any]:
    """The names of the poolings and the width they expect, from old keys or new."""
    settings = read_json(path, dict)
    known = {
        *OLD_POOLING_KEYS,
        *("pooling_mode", "include_prompt", "embedding_dimension", "word_embedding_dimension"),
    }
    if unknown := sorted(settings.keys() - known):
        raise CheckpointError(f"{path}: minibert does not know the key {unknown[0]!r}.")
    if settings.get("include_prompt", True) is not True:
        raise CheckpointError(f"{path}: include_prompt is false; minibert pools the prompt too.")
    modes = settings.get("pooling_mode")
    if modes is None:
        # The reference's order, whatever the order of the keys; none at all means the mean.
        modes = [mode for key, mode in OLD_POOLING_KEYS.items() if settings.get(key)] or ["mean"]
    modes = [modes] if isinstance(modes, str) else modes
    if not isinstance(modes, list) or not all(isinstance(mode, str) for mode in modes):
        raise CheckpointError(f"{path}: pooling_mode is {modes!r}; expected a name or names.")
    dimension = settings.get("embedding_dimension", settings.get("word_embedding_dimension"))
    return {
        "pooling": tuple(modes),
        "pooling_dimension": dimension,
    }


def read_model_settings(folder: Path) -> dict[str, Any]:
    """Prompts, the metric and the width of config_sentence_transformers.json, if it is there."""
    path = folder / "config_sentence_transformers.json"
    settings = read_json(path, dict) if path.exists() else {}
    kind = settings.get("model_type", "SentenceTransformer")
    if kind != "SentenceTransformer":
        raise CheckpointError(f"{path}: model_type is {kind!r}; expected 'SentenceTransformer'.")
    prompts = settings.get("prompts") or {}
    if not isinstance(prompts, dict) or not all(isinstance(p, str) for p in prompts.values()):
        raise CheckpointError(f"{path}: prompts is {prompts!r}; expected names and their texts.")
    width = settings.get("truncate_dim")
    if width is not None and not is_count(width):
        raise CheckpointError(f"{path}: truncate_dim is {width!r}; expected a whole number.")
    return {
        "prompts": prompts,
        "default_prompt_name": setting(path, settings, "default_prompt_name", str),
        "similarity_fn_name": setting(path, settings, "similarity_fn_name", str),
        "truncate_dim": width,
    }


def is_count(value: object) -> bool:
    """Whether a JSON value is a whole number from 1 up (true is an int in Python)."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= 1


def inside(folder: Path, name: object) -> Path:
    """The path of a file or folder that a file names: checked as a name, before any file is met.

    Links are left alone: a hub cache is made of them.
    """
    text = name if isinstance(name, str) else repr(name)
    parts = PurePosixPath(text).parts
    odd = not isinstance(name, str) or "\\" in text or "\0" in text or ":" in text
    if odd or text.startswith("/") or ".." in parts:
        raise CheckpointError(f"{folder}: a file names {text!r}, which leaves the model's folder.")
    return folder.joinpath(*parts)


def setting(path: Path, content: dict[str, Any], key: str, kind: type, default: Any = None) -> Any:
    """A value of a JSON object, checked for its kind; the default where it is missing or null."""
    value = content.get(key)
    if value is None:
        return default
    if not isinstance(value, kind):
        raise CheckpointError(f"{path}: {key} is {value!r:.80}; expected a {kind.__name__}.")
    return value


def read_json(path: Path, kind: type) -> Any:
    """The content of a JSON file, which must be an object (kind dict) or a list (kind list)."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(f"{path} is missing.") from None
    except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise CheckpointError(f"{path} is not valid JSON: {error}.") from error
    if not isinstance(content, kind):
        expected = "an object" if kind is dict else "a list"
        raise CheckpointError(f"{path} holds a {type(content).__name__}; expected {expected}.")
    return content
