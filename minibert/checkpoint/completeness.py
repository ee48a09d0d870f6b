"""A folder from the hub's cache -> its first missing file. Start at first_missing.

Only files that name other files are opened.
"""

from __future__ import annotations

from pathlib import Path

from minibert.checkpoint.modules import STATIC, TRANSFORMER
from minibert.checkpoint.transformer_settings import TRANSFORMER_FILES
from minibert.common.json_files import inside, read_json
from minibert.common.safetensors_files import INDEX, PICKLED_WEIGHTS, weight_map
from minibert.pooling.registry import MODULES

__all__ = ["first_missing", "has_pickle_for"]

# Files of a vocabulary: one of these lists must be complete.
VOCABULARIES = [["tokenizer.json"], ["vocab.txt"], ["vocab.json", "merges.txt"]]

# Only sentence-transformers writes these, and always with a modules.json.
SENTENCE_TRANSFORMERS_FILES = [
    "config_sentence_transformers.json",
    *TRANSFORMER_FILES,
    "1_Pooling",
]


def first_missing(folder: Path) -> str | None:
    """Find the first required file that a folder from the cache lacks; None if it is complete.

    An interrupted download leaves incomplete folders, which must not count as the model.
    """
    if not (folder / "modules.json").exists():
        if any((folder / name).exists() for name in SENTENCE_TRANSFORMERS_FILES):
            return "modules.json"
        return first_missing_of_transformer(folder, "")
    for module in read_json(folder / "modules.json", list):
        name = module.get("path", "") if isinstance(module, dict) else ""
        kind = str(module.get("type", "")).rpartition(".")[2] if isinstance(module, dict) else ""
        if kind == STATIC:
            files = (f"{name}/{file}" for file in ("tokenizer.json", "model.safetensors"))
            missing = next((file for file in files if not inside(folder, file).exists()), None)
        elif kind == TRANSFORMER:
            missing = first_missing_of_transformer(inside(folder, name), name)
        else:
            missing = first_missing_of_module(folder, name, kind)
        if missing:
            return missing
    return None


def first_missing_of_module(folder: Path, name: str, kind: str) -> str | None:
    """Find the first missing file of a module after the Transformer; `name` is its folder."""
    row = MODULES.get(kind)
    if row is None:
        return None  # an unknown module is refused when it is read
    needed = ["config.json"] * (row.config == "required")
    needed += ["model.safetensors"] * row.has_weights
    for file in needed:
        if not (inside(folder, name) / file).exists():
            return f"{name}/{file}"
    return None


def first_missing_of_transformer(folder: Path, name: str) -> str | None:
    """Find the first missing file of the config, vocabulary and weights; `name` is the folder."""
    prefix = f"{name}/" if name else ""
    if not (folder / "config.json").exists():
        return f"{prefix}config.json"
    if not any(all((folder / name).exists() for name in names) for names in VOCABULARIES):
        half = (folder / "vocab.json").exists()
        return f"{prefix}merges.txt" if half else f"{prefix}tokenizer.json"
    if (folder / "model.safetensors").exists():
        return None
    if not (folder / INDEX).exists():
        return f"{prefix}model.safetensors"
    shards = sorted(weight_map(folder / INDEX).values())
    absent = (shard for shard in shards if not inside(folder, shard).exists())
    return next((prefix + shard for shard in absent), None)


def has_pickle_for(folder: Path, missing: str) -> bool:
    """Return whether a pickle lies in the place of missing weights."""
    is_weights = missing.endswith(".safetensors")
    place = (folder / missing).parent
    return is_weights and any(any(place.glob(name)) for name in PICKLED_WEIGHTS)
