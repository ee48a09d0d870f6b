"""A model -> a folder that sentence-transformers and minibert load, with the same vectors.

Weights and words are copied as they are. Of the settings, those that a program can change are
written anew, and a plain BERT gets the modules that minibert took for granted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from minibert.folder import Folder
from minibert.json_files import inside, read_json
from minibert.modules import TRANSFORMER_FILES
from minibert.tensors import weight_files

__all__ = ["save_model"]

# What is copied of a folder, if it is there. No pickles, and nothing that is code.
SMALL_FILES = [
    "README.md",
    "added_tokens.json",
    "config.json",
    "model.safetensors.index.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "vocab.txt",
    *TRANSFORMER_FILES,
]

# What a plain BERT is taken for. All releases of sentence-transformers understand these names.
MEAN_OF_BERT = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def save_model(
    folder: Folder,
    path: str | os.PathLike[str],
    *,
    hidden_size: int,
    include_prompt: bool,
    max_seq_length: int | None,
    settings: dict[str, Any],
) -> None:
    """Write a model's folder anew, or over an earlier one. See SentenceTransformer.save_pretrained.

    `max_seq_length` is None where it is what the folder says; `settings` go into
    config_sentence_transformers.json.
    """
    source, target = folder.path, Path(path)
    entries = modules_of(source)
    folders = folders_of(source, entries)
    check_target(source, target, folders)
    for name in folders:
        for file in files_of(source / name):
            copy(file, target / name / file.name)
    pooling = next(entry["path"] for entry in entries if entry["type"].endswith("Pooling"))
    written = read_json(source / pooling / "config.json", dict) if folder.has_modules else {
        "word_embedding_dimension": hidden_size, "pooling_mode_mean_tokens": True
    }  # fmt: skip
    write_json(target / pooling / "config.json", {**written, "include_prompt": include_prompt})
    write_transformer(target / entries[0]["path"], folder.has_modules, max_seq_length)
    write_json(
        target / "config_sentence_transformers.json",
        {"model_type": "SentenceTransformer", **settings},
    )
    # Last: until it is there, this is not a sentence-transformers folder.
    write_json(target / "modules.json", entries)


def modules_of(source: Path) -> list[dict[str, Any]]:
    """The entries of modules.json; of a plain BERT, those of a Transformer and its mean."""
    path = source / "modules.json"
    entries: list[dict[str, Any]] = read_json(path, list) if path.exists() else MEAN_OF_BERT
    return entries


def folders_of(source: Path, entries: list[dict[str, Any]]) -> list[str]:
    """The names of the folders to copy: the model's own, "", and those of its modules."""
    names = ["", *(entry.get("path", "") for entry in entries)]
    return [name for name in dict.fromkeys(names) if inside(source, name).is_dir()]


def files_of(folder: Path) -> Iterator[Path]:
    """The files of a folder that make up a model, the weights last."""
    for name in SMALL_FILES:
        if (folder / name).is_file():
            yield folder / name
    if any(folder.glob("model*.safetensors*")):
        yield from weight_files(folder)


def check_target(source: Path, target: Path, folders: list[str]) -> None:
    """Raise FileExistsError if another model's files there would stay and mix with this one's."""
    for folder in folders:
        ours = {file.name for file in files_of(source / folder)} | {"README.md", "config.json"}
        if (target / folder).is_dir():
            ours |= {file.name for file in (target / folder).iterdir() if not is_of_a_model(file)}
            for file in sorted((target / folder).iterdir()):
                if file.name not in ours:
                    raise FileExistsError(
                        f"{file} is of another model, and would be read with this one. Choose "
                        "another folder, or empty this one."
                    )


def is_of_a_model(file: Path) -> bool:
    """Whether a file is one that loading a model looks for, and that is not written anew."""
    written = ("modules.json", "config_sentence_transformers.json", TRANSFORMER_FILES[0])
    weights = file.match("model*.safetensors") or file.match("pytorch_model*")
    return file.name not in written and (file.name in SMALL_FILES or weights)


def write_transformer(target: Path, counted: bool, max_seq_length: int | None) -> None:
    """The BERT's settings under their first name, with another maximum length if there is one.

    Without modules.json, the settings of a folder did not count, so they must not begin to.
    """
    settings: dict[str, Any] = {}
    for name in TRANSFORMER_FILES:
        if (target / name).exists():
            settings = settings or read_json(target / name, dict)
            if name != TRANSFORMER_FILES[0]:
                (target / name).unlink()
    settings = settings if counted else {}
    if max_seq_length is not None:
        for key in ("tokenizer_args", "processor_kwargs"):
            settings[key] = {**settings.get(key, {})}
            settings[key].pop("model_max_length", None)
        settings["max_seq_length"] = max_seq_length
    write_json(target / TRANSFORMER_FILES[0], settings)


def copy(source: Path, target: Path) -> None:
    """Copy a file; what was there is replaced when the copy is whole, so a mapped file stays so."""
    if target.exists() and source.samefile(target):
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        shutil.copyfile(source, partial)
        os.replace(partial, target)
    finally:
        partial.unlink(missing_ok=True)


def write_json(path: Path, content: Any) -> None:
    """Write a JSON file, in whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f"{path.name}.{os.getpid()}.partial")
    try:
        partial.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
