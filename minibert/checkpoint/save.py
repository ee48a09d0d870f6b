"""A model -> a folder that sentence-transformers and minibert load, with the same vectors.

Weights and words are copied as they are. Of the settings, those that a program can change are
written anew, and a plain BERT gets the modules that minibert took for granted.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeAlias

from minibert.checkpoint.folder import Folder
from minibert.checkpoint.model_files import VOCABULARY, WEIGHTS
from minibert.checkpoint.modules import TRANSFORMER, module_entry
from minibert.checkpoint.transformer_settings import TRANSFORMER_FILES
from minibert.common.files import partial_of, place, sync
from minibert.common.json_files import inside, read_json
from minibert.common.safetensors_files import INDEX, weight_files
from minibert.pooling.pooling import Pooling
from minibert.pooling.registry import MODULES

__all__ = ["Loaded", "loaded_files", "save_model"]

# Where a copied file lies in a model's folder -> its size and when it was written, at loading.
Loaded: TypeAlias = dict[str, tuple[int, int]]
# A file -> what writes it, to the path that it is given.
Writers: TypeAlias = dict[Path, Callable[[Path], object]]

# What another model may have left behind, and a library would read together with this one.
READ = ["config.json", *VOCABULARY, INDEX, *WEIGHTS, "pytorch_model*.bin", "adapter_config.json"]

# What a plain BERT is taken for. All releases of sentence-transformers understand these names.
MEAN_OF_BERT = [
    {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
    {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
]


def loaded_files(folder: Folder) -> Loaded:
    """The files that make up a model beside the settings that save_model writes."""
    found = {}
    for kind, name in modules_of(entries_of(folder), folder.path):
        for file in files_of(folder.path / name, kind):
            found[str(file.relative_to(folder.path))] = stamp(file)
    return found


def save_model(
    folder: Folder,
    loaded: Loaded,
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
    if not os.fspath(path):
        raise ValueError("The path is empty; expected a folder to write the model to.")
    source, target = folder.path, Path(os.path.expanduser(path))
    check_source(source, loaded)
    entries = entries_of(folder)
    modules = modules_of(entries, source)
    bert = target / next(name for kind, name in modules if kind == TRANSFORMER)
    pooling = next(name for kind, name in modules if is_pooling(kind)) / "config.json"
    settings_of_bert = transformer_settings(folder, max_seq_length)
    settings_of_pooling: dict[str, Any] = {
        "word_embedding_dimension": hidden_size,
        "pooling_mode_mean_tokens": True,
    }
    if folder.has_modules:
        settings_of_pooling = read_json(source / pooling, dict)
    check_target(target, loaded, modules)
    files = copies(source, target, loaded)
    files[bert / TRANSFORMER_FILES[0]] = json_writer(settings_of_bert)
    files[target / pooling] = json_writer({**settings_of_pooling, "include_prompt": include_prompt})
    files[target / "config_sentence_transformers.json"] = json_writer(
        {"model_type": "SentenceTransformer", **settings}
    )
    files[target / "modules.json"] = json_writer(entries)
    write_all(files, [target / "modules.json", bert / "config.json"])
    for other in TRANSFORMER_FILES[1:]:
        (bert / other).unlink(missing_ok=True)


def copies(source: Path, target: Path, loaded: Loaded) -> Writers:
    """The files that are copied as they are, but for those that lie in their places already."""
    names = [*loaded, *(["README.md"] if (source / "README.md").is_file() else [])]
    return {
        target / name: copier(source / name)
        for name in names
        if not ((target / name).exists() and (target / name).samefile(source / name))
    }


def entries_of(folder: Folder) -> list[dict[str, Any]]:
    """The entries of modules.json, with all that sentence-transformers asks of one."""
    path = folder.path / "modules.json"
    entries = read_json(path, list) if folder.has_modules else MEAN_OF_BERT
    for entry in entries:
        module_entry(path, entry)  # refuses what is none
    return [
        {"idx": number, "name": str(number), "path": "", **entry}
        for number, entry in enumerate(entries)
    ]


def modules_of(entries: list[dict[str, Any]], source: Path) -> list[tuple[str, Path]]:
    """The kind of each module, and its folder's place in the model's."""
    return [
        (entry["type"].rpartition(".")[2], inside(source, entry["path"]).relative_to(source))
        for entry in entries
    ]


def files_of(folder: Path, kind: str) -> Iterator[Path]:
    """The files of a module that are copied, the weights last."""
    names = ["config.json", *VOCABULARY, INDEX] if kind == TRANSFORMER else ["config.json"]
    for name in [] if is_pooling(kind) else names:
        if (folder / name).is_file():
            yield folder / name
    if kind == TRANSFORMER or MODULES[kind].has_weights:
        yield from weight_files(folder)


def is_pooling(kind: str) -> bool:
    """Whether a module's settings can be changed by a program, and so are written anew."""
    return kind != TRANSFORMER and MODULES[kind].settings is Pooling


def check_source(source: Path, loaded: Loaded) -> None:
    """Raise OSError if the files are not those that the model was loaded from."""
    for name, before in loaded.items():
        file = source / name
        if not file.is_file():
            raise FileNotFoundError(f"{file} is gone, so the model cannot be copied.")
        if stamp(file) != before:
            raise OSError(
                f"{file} has been written since the model was loaded, so what would be saved may "
                "be another model. Load it again."
            )


def stamp(file: Path) -> tuple[int, int]:
    """What tells whether a file has changed."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def check_target(target: Path, loaded: Loaded, modules: list[tuple[str, Path]]) -> None:
    """Raise FileExistsError if another model's files there would stay and be read with these."""
    for kind, name in modules:
        for pattern in [] if is_pooling(kind) else READ:
            for file in sorted((target / name).glob(pattern)):
                if str(file.relative_to(target)) not in loaded:
                    raise FileExistsError(
                        f"{file} is of another model, and would be read with this one. Choose "
                        "another folder, or empty this one."
                    )


def transformer_settings(folder: Folder, max_seq_length: int | None) -> dict[str, Any]:
    """The BERT's settings, with another maximum length if there is one.

    Without modules.json, the settings of a folder did not count, so they must not begin to.
    """
    settings: dict[str, Any] = {}
    files = [folder.transformer.path / name for name in TRANSFORMER_FILES]
    for file in files if folder.has_modules else []:
        if file.exists():
            settings = settings or read_json(file, dict)
    if max_seq_length is not None:
        settings["max_seq_length"] = max_seq_length
        for key in {"tokenizer_args", "processor_kwargs"} & settings.keys():
            # It would beat max_seq_length.
            settings[key] = {k: v for k, v in settings[key].items() if k != "model_max_length"}
    return settings


def copier(source: Path) -> Callable[[Path], object]:
    """What makes a copy of a file, with its time: that tells it from another."""

    def copy(target: Path) -> None:
        shutil.copyfile(source, target)
        status = source.stat()
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    return copy


def json_writer(content: Any) -> Callable[[Path], object]:
    """What writes a JSON file."""
    text = json.dumps(content, ensure_ascii=False, indent=2) + "\n"
    return lambda path: path.write_text(text, "utf-8")


def write_all(files: Writers, last: list[Path]) -> None:
    """Write files, and put them in their places when all are whole; those of `last` come last.

    Where that fails, all stay as they were. Each takes the place of an earlier one by its name, so
    a file that is mapped stays whole. Whatever ends the program between two of them leaves a folder
    without the last file, which cannot be loaded, rather than half of one model, half of another.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, write in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = partial_of(path)
            write(staged[path])
            with staged[path].open("r+b") as file:
                sync(file)
        if all(path in staged for path in last):  # else the model's own files stay where they are
            for path in last:
                path.unlink(missing_ok=True)
        for path in [*(path for path in files if path not in last), *last]:
            if path in staged:
                place(staged.pop(path), path)
    finally:
        for partial in staged.values():
            partial.unlink(missing_ok=True)
