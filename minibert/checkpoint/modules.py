"""modules.json -> the modules of a model in their order, each with the settings of its own folder.

Types are looked up in the table of `pooling/registry.py`, never imported. A module without a row
is refused by name. No tensors here. Start at read_modules.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from minibert.checkpoint.transformer_settings import (
    STATIC_TASK,
    TransformerSettings,
    read_transformer,
)
from minibert.common.json_files import inside, is_there, read_json
from minibert.errors import CheckpointError
from minibert.pooling.registry import MODULES, ModuleSettings

__all__ = ["FIRST", "STATIC", "TRANSFORMER", "module_entry", "read_modules"]

# Kinds of a model's first module.
TRANSFORMER = "Transformer"
STATIC = "StaticEmbedding"
FIRST = (TRANSFORMER, STATIC)


def read_modules(folder: Path) -> tuple[TransformerSettings, tuple[ModuleSettings, ...]]:
    """Read the BERT's settings and the modules after it, in the order of modules.json.

    Raises CheckpointError for a module or a setting that minibert does not compute.
    """
    path = folder / "modules.json"
    content = read_json(path, list)
    entries = [module_entry(path, entry) for entry in content]
    check_names(path, content)
    if not entries or entries[0][0] not in FIRST:
        first = entries[0][0] if entries else "no module"
        raise CheckpointError(
            f"{path}: {first} comes first; minibert expects a {' or a '.join(FIRST)} there."
        )
    kind, name = entries[0]
    if kind == STATIC:
        transformer = TransformerSettings(inside(folder, name), STATIC_TASK)
    else:
        transformer = read_transformer(inside(folder, name))
    modules = []
    for kind, name in entries[1:]:
        if kind not in MODULES:
            raise CheckpointError(
                f"{path}: there is a {kind:.80} after the Transformer; minibert runs "
                f"{', '.join(MODULES)}."
            )
        modules.append(read_module(kind, inside(folder, name)))
    return transformer, tuple(modules)


def read_module(kind: str, folder: Path) -> ModuleSettings:
    """Read the settings of a module, by its kind and its folder."""
    row = MODULES[kind]
    is_there(folder)  # raises for a link that leads nowhere, which is not the same as no settings
    path = folder / "config.json"
    is_read = row.config == "required" or is_there(path)
    settings: ModuleSettings = row.read(folder, read_json(path, dict) if is_read else {})
    return settings


def check_names(path: Path, entries: list[dict[str, Any]]) -> None:
    """Raise CheckpointError for two modules of one name; the reference would keep the last."""
    names = [entry["name"] for entry in entries if "name" in entry]
    for number, name in enumerate(names):
        if not isinstance(name, str) or name in names[:number]:
            raise CheckpointError(
                f"{path}: a module's name is {name!r:.80}; expected a text that no other has."
            )


def module_entry(path: Path, entry: object) -> tuple[str, str]:
    """Read an entry of modules.json: -> the module's kind, the folder of its settings.

    Old releases wrote sentence_transformers.models.Pooling, new ones ....modules.pooling.Pooling;
    the last part is the kind. Raises CheckpointError for any other type.
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
