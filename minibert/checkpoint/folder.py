"""A sentence-transformers folder -> its settings, without its weights and its vocabulary.

Only JSON is read here. Tensors of the BERT are read in `bert/load.py`, those of the other modules
in `pooling/pipeline.py`, the vocabulary in `tokens/load.py`. Start at read_folder.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minibert.checkpoint.modules import read_modules
from minibert.checkpoint.transformer_settings import STATIC_TASK, TransformerSettings
from minibert.common.arguments import is_count
from minibert.common.json_files import is_there, read_json, setting
from minibert.errors import CheckpointError
from minibert.pooling.pooling import Pooling
from minibert.pooling.registry import ModuleSettings

__all__ = ["Folder", "model_type_of", "read_folder"]

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Folder:
    """Settings of a model's folder."""

    path: Path  # absolute
    transformer: TransformerSettings  # of the first module
    modules: tuple[ModuleSettings, ...]  # those after the Transformer
    similarity_fn_name: str | None = None  # the metric, if the folder names one
    prompts: dict[str, str] = field(default_factory=dict)  # by name
    default_prompt_name: str | None = None  # name of the prompt for all texts
    truncate_dim: int | None = None  # the first dimensions of a vector that are returned
    activation_fn: str | None = None  # of a cross-encoder
    has_modules: bool = True  # False for a plain BERT without modules.json: mean pooling is assumed


def read_folder(path: Path, model_type: str = "SentenceTransformer") -> Folder:
    """Read modules.json and all settings of the modules that it names.

    Of the other class's folder, as of one without modules.json, the BERT alone is taken: with the
    mean of its tokens in a SentenceTransformer, with its own classifier in a CrossEncoder. A
    warning says so.

    Raises FileNotFoundError for a missing folder. Raises CheckpointError for a model of a third
    type, and for a module or a setting that minibert does not compute.
    """
    if not path.is_dir():
        raise FileNotFoundError(
            f"{str(path)!r} is no folder. Expected a model's folder, with config.json in it, "
            "or the name of a model on the hub, such as 'sentence-transformers/all-MiniLM-L6-v2'."
        )
    path = path.absolute()  # so the program may change its directory
    if not is_there(path / "modules.json"):
        if not is_there(path / "config.json"):
            raise CheckpointError(
                f"{path} has neither modules.json nor config.json, so it is no model's folder."
            )
        if model_type == "SentenceTransformer":
            logger.warning("%s has no modules.json; taking the mean of its tokens.", path)
        return plain_folder(path, model_type)
    kind = named_type(path)
    if kind != model_type and kind in TASKS:
        if not is_there(path / "config.json"):
            raise CheckpointError(
                f"{path} has a {kind} without a config.json beside its modules.json. Only a BERT "
                f"that stands there can be opened as a {model_type}; take the class {kind}."
            )
        logger.warning(
            "%s has a %s, and is opened as a %s: its weights count, its other settings do not.",
            path, kind, model_type,
        )  # fmt: skip
        return plain_folder(path, model_type)
    settings = read_model_settings(path, model_type)
    transformer, modules = read_modules(path)
    is_table = transformer.task == STATIC_TASK and model_type == "SentenceTransformer"
    if transformer.task != TASKS[model_type] and not is_table:
        raise CheckpointError(
            f"{transformer.path}: transformer_task is {transformer.task!r:.80}; "
            f"a {model_type} has {TASKS[model_type]!r}."
        )
    return Folder(path, transformer, modules, **settings)


def plain_folder(path: Path, model_type: str) -> Folder:
    """Return the settings that stand for the modules of a folder of transformers.

    The reference reads no sentence_bert_config.json then, either.
    """
    mean = (Pooling(),) if model_type == "SentenceTransformer" else ()
    return Folder(path, TransformerSettings(path, TASKS[model_type]), mean, has_modules=False)


# model_type in config_sentence_transformers.json -> the task of its Transformer.
TASKS = {"SentenceTransformer": "feature-extraction", "CrossEncoder": "sequence-classification"}


def model_type_of(path: Path) -> str:
    """Tell by a folder's files the class of its model: SentenceTransformer, CrossEncoder or other.

    Cross-encoders of older releases have only transformers' files, whose architecture tells it.
    Raises CheckpointError for a file that is no JSON.
    """
    if (named := named_type(path, None)) is not None:
        return named
    config = path / "config.json"
    if not is_there(path / "modules.json") and is_there(config):
        kinds = setting(config, read_json(config, dict), "architectures", list, [])
        if any(str(kind).endswith("ForSequenceClassification") for kind in kinds):
            return "CrossEncoder"
    return "SentenceTransformer"


def named_type(path: Path, default: str | None = "SentenceTransformer") -> str | None:
    """Read the class that config_sentence_transformers.json names, if there is one."""
    file = path / "config_sentence_transformers.json"
    content = read_json(file, dict) if is_there(file) else {}
    found: str | None = setting(file, content, "model_type", str, default)
    return found


def read_model_settings(folder: Path, model_type: str) -> dict[str, Any]:
    """Read config_sentence_transformers.json: prompts, metric, dimension and activation."""
    path = folder / "config_sentence_transformers.json"
    settings = read_json(path, dict) if is_there(path) else {}
    kind = settings.get("model_type", "SentenceTransformer")
    if kind != model_type:
        raise CheckpointError(
            f"{path}: model_type is {kind!r:.80}; expected {model_type!r}. minibert has "
            "two classes: SentenceTransformer makes vectors, CrossEncoder scores pairs."
        )
    prompts = {} if settings.get("prompts") is None else settings["prompts"]
    if not isinstance(prompts, dict) or not all(
        prompt is None or isinstance(prompt, str) for prompt in prompts.values()
    ):
        raise CheckpointError(
            f"{path}: prompts is {prompts!r:.80}; expected names and their texts."
        )
    dimension = settings.get("truncate_dim")
    if dimension is not None and not is_count(dimension):
        raise CheckpointError(
            f"{path}: truncate_dim is {dimension!r:.80}; expected a whole number."
        )
    return {
        "prompts": {name: prompt or "" for name, prompt in prompts.items()},
        "default_prompt_name": setting(path, settings, "default_prompt_name", str),
        "similarity_fn_name": setting(path, settings, "similarity_fn_name", str),
        "truncate_dim": dimension,
        "activation_fn": setting(path, settings, "activation_fn", str),
    }
