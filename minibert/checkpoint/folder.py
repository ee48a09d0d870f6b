"""A sentence-transformers folder: what it says of itself, beside its weights and its vocabulary.

Only JSON is read here, and no tensors: those of the BERT are read in `bert/load.py`, those of the
other modules in `pooling/pipeline.py`, the vocabulary in `tokens/load.py`. Start at read_folder.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from minibert.checkpoint.modules import read_modules
from minibert.checkpoint.transformer_settings import TransformerSettings
from minibert.common.arguments import is_count
from minibert.common.json_files import is_there, read_json, setting
from minibert.errors import CheckpointError
from minibert.pooling.pooling import Pooling
from minibert.pooling.registry import ModuleSettings

__all__ = ["Folder", "read_folder"]


@dataclass(frozen=True)
class Folder:
    """What a model folder says of itself."""

    path: Path
    transformer: TransformerSettings
    modules: tuple[ModuleSettings, ...]  # those after the Transformer
    similarity_fn_name: str | None = None
    prompts: dict[str, str] = field(default_factory=dict)
    default_prompt_name: str | None = None
    truncate_dim: int | None = None
    activation_fn: str | None = None  # of a cross-encoder
    # False for a plain BERT without modules.json; mean pooling is then an assumption.
    has_modules: bool = True


def read_folder(path: Path, model_type: str = "SentenceTransformer") -> Folder:
    """Read modules.json and the settings it leads to. The path is kept as an absolute one.

    Raises FileNotFoundError if there is no such folder, CheckpointError for a model of another
    type, and for a module or a setting that minibert does not compute.
    """
    if not path.is_dir():
        raise FileNotFoundError(
            f"{str(path)!r} is no folder. Expected a model's folder, with config.json in it, "
            "or the name of a model on the hub, such as 'sentence-transformers/all-MiniLM-L6-v2'."
        )
    path = path.absolute()  # a program may change its directory, and pickles may travel
    if not is_there(path / "modules.json"):
        if not is_there(path / "config.json"):
            raise CheckpointError(
                f"{path} has neither modules.json nor config.json, so it is no model's folder."
            )
        # The reference reads no sentence_bert_config.json either, in this case.
        transformer = TransformerSettings(path, TASKS[model_type])
        mean = (Pooling(),) if model_type == "SentenceTransformer" else ()
        return Folder(path, transformer, mean, has_modules=False)
    settings = read_model_settings(path, model_type)
    transformer, modules = read_modules(path)
    if transformer.task != TASKS[model_type]:
        raise CheckpointError(
            f"{transformer.path}: transformer_task is {transformer.task!r:.80}; "
            f"a {model_type} has {TASKS[model_type]!r}."
        )
    return Folder(path, transformer, modules, **settings)


# model_type in config_sentence_transformers.json -> what its Transformer is for.
TASKS = {"SentenceTransformer": "feature-extraction", "CrossEncoder": "sequence-classification"}


def read_model_settings(folder: Path, model_type: str) -> dict[str, Any]:
    """What config_sentence_transformers.json says: prompts, metric, dimension and activation."""
    path = folder / "config_sentence_transformers.json"
    settings = read_json(path, dict) if is_there(path) else {}
    kind = settings.get("model_type", "SentenceTransformer")
    if kind != model_type:
        raise CheckpointError(
            f"{path}: model_type is {kind!r:.80}; expected {model_type!r}. Each has a class: "
            "SentenceTransformer makes vectors, CrossEncoder scores pairs."
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
