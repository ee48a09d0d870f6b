"""A model -> a folder that sentence-transformers and minibert load, with the same vectors.

The vocabulary and weights that were not trained are copied as they are. Settings that a program can
change are written anew. A plain BERT gets the modules that minibert assumed.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from minibert.checkpoint.folder import Folder
from minibert.checkpoint.model_files import VOCABULARY, WEIGHTS
from minibert.checkpoint.modules import FIRST, STATIC, TRANSFORMER, module_entry
from minibert.checkpoint.transformer_settings import (
    STATIC_TASK,
    TRANSFORMER_FILES,
    settings_of_task,
)
from minibert.common.arrays import Array
from minibert.common.files import partial_of, place, sync
from minibert.common.json_files import inside, read_json, setting
from minibert.common.safetensors_files import INDEX, map_safetensors, weight_files
from minibert.common.safetensors_writing import AnyTensor, write_safetensors
from minibert.pooling.pooling import Pooling
from minibert.pooling.registry import MODULES, kind_of

__all__ = ["Loaded", "digest_of_files", "loaded_files", "save_model"]

# The path of a copied file in a model's folder -> its size and its time, at loading.
Loaded: TypeAlias = dict[str, tuple[int, int]]
# A file -> the function that writes it to a given path.
Writers: TypeAlias = dict[Path, Callable[[Path], object]]

# Files of an earlier model that a library would read together with the new ones.
READ = ["config.json", *VOCABULARY, INDEX, *WEIGHTS, "pytorch_model*.bin", "adapter_config.json"]

# All releases of sentence-transformers understand names that begin so.
TYPES = "sentence_transformers.models."


def loaded_files(folder: Folder) -> Loaded:
    """Files of a model that save_model copies, with their sizes and times."""
    found = {}
    for kind, name in modules_of(entries_of(folder), folder.path):
        for file in files_of(folder.path / name, kind):
            found[str(file.relative_to(folder.path))] = stamp(file)
    return found


def digest_of_files(folder: Path, names: Iterable[str]) -> str:
    """Compute one digest of the names and the contents of files."""
    import hashlib  # late: 3 ms that the opening of a model need not wait for

    total = hashlib.sha256()
    for name in names:
        with (folder / name).open("rb") as file:
            content = hashlib.file_digest(file, "sha256").hexdigest()
        total.update(f"{name} {content}\n".encode())
    return total.hexdigest()


def save_model(
    folder: Folder,
    loaded: Loaded,
    path: str | os.PathLike[str],
    *,
    hidden_size: int,
    include_prompt: bool,
    max_seq_length: int | None,
    settings: dict[str, Any],
    trained: Mapping[str, Array],
    card: str | None,
    has_card: bool = True,
) -> None:
    """Write a model's folder, new or over an earlier one. See SentenceTransformer.save_pretrained.

    `max_seq_length` is None if it is unchanged since loading. `settings` go into
    config_sentence_transformers.json. `include_prompt` is that of the pooling, if there is one.
    `trained` has tensors in place of those of the files, by key: see
    SentenceTransformer.use_tensors. `card` is the text of README.md; None copies it; without
    `has_card` none is written.

    Raises OSError if the model's files have changed since, or
    if files of another model would stay.
    """
    if not os.fspath(path):
        raise ValueError("The path is empty; expected a folder to write the model to.")
    source, target = folder.path, Path(os.path.expanduser(path))
    check_source(source, loaded)
    entries = entries_of(folder)
    modules = modules_of(entries, source)
    first, bert = modules[0][0], target / modules[0][1]
    poolings = [name / "config.json" for kind, name in modules if is_pooling(kind)]
    settings_of_bert = transformer_settings(folder, max_seq_length) if first == TRANSFORMER else {}
    check_target(target, loaded, modules)
    files = copies(source, target, loaded, has_card)
    written = {} if folder.has_modules else written_modules(folder, modules, hidden_size)
    files |= {target / name: json_writer(content) for name, content in written.items()}
    if trained:
        settings_of_bert = in_float32(settings_of_bert)
        # Always written, so that a program that ends halfway leaves no model: see write_all.
        config = in_float32(read_json(folder.transformer.path / "config.json", dict))
        files[bert / "config.json"] = json_writer(config)
        files |= trained_weights(source, target, modules, trained)
    if first == TRANSFORMER:
        files[bert / TRANSFORMER_FILES[0]] = json_writer(settings_of_bert)
    for pooling in poolings[:1]:
        content = written[pooling] if written else read_json(source / pooling, dict)
        files[target / pooling] = json_writer({**content, "include_prompt": include_prompt})
    files[target / "config_sentence_transformers.json"] = json_writer(settings)
    files[target / "modules.json"] = json_writer(entries)
    if card is not None and has_card:
        files[target / "README.md"] = text_writer(card)
    needed = "config.json" if first == TRANSFORMER else "tokenizer.json"
    write_all(files, [target / "modules.json", bert / needed])
    for other in TRANSFORMER_FILES[1:]:
        (bert / other).unlink(missing_ok=True)


def copies(source: Path, target: Path, loaded: Loaded, has_card: bool) -> Writers:
    """Files that are copied as they are, except those that are in their places already."""
    cards = ["README.md"] if has_card and (source / "README.md").is_file() else []
    names = [*loaded, *cards]
    return {
        target / name: copier(source / name)
        for name in names
        if not ((target / name).exists() and (target / name).samefile(source / name))
    }


def trained_weights(
    source: Path, target: Path, modules: list[tuple[str, Path]], trained: Mapping[str, Array]
) -> Writers:
    """Files of weights with trained tensors in the place of stored ones, and their indexes.

    Tensors that were not trained keep their bytes and their types.
    """
    files: Writers = {}
    left = set(trained)
    for kind, name in modules:
        if not has_weights(kind):
            continue
        before, total = "" if kind in FIRST else f"{name.as_posix()}/", 0
        for file in weight_files(source / name):
            stored = {tensor.name: tensor for tensor in map_safetensors(file)}
            tensors: dict[str, AnyTensor] = {
                name: trained.get(before + name, tensor) for name, tensor in stored.items()
            }
            left -= {before + name for name in tensors}
            total += sum(tensor.nbytes for tensor in tensors.values())
            files[target / file.relative_to(source)] = partial(write_safetensors, tensors=tensors)
        if (index := source / name / INDEX).is_file():
            content = read_json(index, dict)
            metadata = setting(index, content, "metadata", dict, {})
            content["metadata"] = {**metadata, "total_size": total}
            files[target / name / INDEX] = json_writer(content)
    assert not left, left
    return files


def in_float32(settings: dict[str, Any]) -> dict[str, Any]:
    """Name float32 where settings, or settings in them, name the type of the weights."""
    found: dict[str, Any] = {}
    for key, value in settings.items():
        if key in ("dtype", "torch_dtype") and value is not None:
            found[key] = "float32"
        else:
            found[key] = in_float32(value) if isinstance(value, dict) else value
    return found


def entries_of(folder: Folder) -> list[dict[str, Any]]:
    """Entries of modules.json, completed with all keys that sentence-transformers needs."""
    path = folder.path / "modules.json"
    entries = read_json(path, list) if folder.has_modules else new_entries(folder)
    for entry in entries:
        module_entry(path, entry)  # refuses any other content
    return [
        {"idx": number, "name": str(number), "path": "", **entry}
        for number, entry in enumerate(entries)
    ]


def new_entries(folder: Folder) -> list[dict[str, Any]]:
    """Entries of modules.json for a folder without one, or whose modules a program has changed.

    A module with weights stays in its folder.
    """
    transformer = folder.transformer.path.relative_to(folder.path).as_posix()
    first = STATIC if folder.transformer.task == STATIC_TASK else TRANSFORMER
    entries = [{"path": "" if transformer == "." else transformer, "type": TYPES + first}]
    settings: Any  # those with weights have a path
    for number, settings in enumerate(folder.modules, start=1):
        kind = kind_of(settings)
        own = settings.path.relative_to(folder.path).as_posix() if has_weights(kind) else None
        entries.append({"path": own or f"{number}_{kind}", "type": TYPES + kind})
    return entries


def written_modules(
    folder: Folder, modules: list[tuple[str, Path]], hidden_size: int
) -> dict[Path, dict[str, Any]]:
    """Settings of the modules after the Transformer that have no folder yet: config.json -> them.

    A pooling without a dimension gets that of the BERT.
    """
    written = {}
    for (kind, name), module in zip(modules[1:], folder.modules, strict=True):
        write = MODULES[kind].write
        if write is None:
            continue  # its folder has them
        content = write(module)
        if is_pooling(kind):
            content = {
                key: hidden_size if value is None else value for key, value in content.items()
            }
        written[name / "config.json"] = content
    return written


def modules_of(entries: list[dict[str, Any]], source: Path) -> list[tuple[str, Path]]:
    """Kind of each module, and its folder's path in the model's folder."""
    return [
        (entry["type"].rpartition(".")[2], inside(source, entry["path"]).relative_to(source))
        for entry in entries
    ]


def files_of(folder: Path, kind: str) -> Iterator[Path]:
    """Yield the files of a module that are copied, the weights last."""
    names = ["config.json", *VOCABULARY, INDEX] if kind in FIRST else ["config.json"]
    for name in [] if is_pooling(kind) else names:
        if (folder / name).is_file():
            yield folder / name
    if has_weights(kind):
        yield from weight_files(folder)


def has_weights(kind: str) -> bool:
    """Return whether a module has files of weights."""
    return kind in FIRST or MODULES[kind].has_weights


def is_pooling(kind: str) -> bool:
    """Return whether a module is a Pooling: programs can change it, so it is written anew."""
    return kind not in FIRST and MODULES[kind].settings is Pooling


def check_source(source: Path, loaded: Loaded) -> None:
    """Raise OSError if files have changed since the model was loaded."""
    for name, before in loaded.items():
        file = source / name
        if not file.is_file():
            raise FileNotFoundError(f"{file} is gone, so the model cannot be copied.")
        if stamp(file) != before:
            raise OSError(
                f"{file} has changed since the model was loaded, so the copy may be another model. "
                "Load it again."
            )


def stamp(file: Path) -> tuple[int, int]:
    """Size and time of a file; they differ if it has changed."""
    status = file.stat()
    return status.st_size, status.st_mtime_ns


def check_target(target: Path, loaded: Loaded, modules: list[tuple[str, Path]]) -> None:
    """Raise FileExistsError if another model's files would stay and be read with these."""
    for kind, name in modules:
        for pattern in [] if is_pooling(kind) else READ:
            for file in sorted((target / name).glob(pattern)):
                if str(file.relative_to(target)) not in loaded:
                    raise FileExistsError(
                        f"{file} is of another model, and would be read with this one. Choose "
                        "another folder, or empty this one."
                    )


def transformer_settings(folder: Folder, max_seq_length: int | None) -> dict[str, Any]:
    """Settings of the BERT, with another maximum length if one is given.

    Without modules.json, a folder's settings did not count at loading, so they are not copied.
    """
    settings: dict[str, Any] = {}
    if folder.has_modules:
        for file in (folder.transformer.path / name for name in TRANSFORMER_FILES):
            if file.exists():
                settings = settings or read_json(file, dict)
    else:  # a program may have given these two
        given = folder.transformer._asdict()
        settings = {key: given[key] for key in ("max_seq_length", "do_lower_case") if given[key]}
        settings |= settings_of_task(folder.transformer.task)
    if max_seq_length is not None:
        settings["max_seq_length"] = max_seq_length
        for key in {"tokenizer_args", "processor_kwargs"} & settings.keys():
            # This key would beat max_seq_length.
            settings[key] = {k: v for k, v in settings[key].items() if k != "model_max_length"}
    return settings


def copier(source: Path) -> Callable[[Path], object]:
    """Make a function that copies a file with its time, by which changes are noticed."""

    def copy(target: Path) -> None:
        shutil.copyfile(source, target)
        status = source.stat()
        os.utime(target, ns=(status.st_atime_ns, status.st_mtime_ns))

    return copy


def json_writer(content: Any) -> Callable[[Path], object]:
    """Make a function that writes a JSON file."""
    return text_writer(json.dumps(content, ensure_ascii=False, indent=2) + "\n")


def text_writer(text: str) -> Callable[[Path], object]:
    """Make a function that writes a text."""
    return lambda path: path.write_text(text, "utf-8")


def write_all(files: Writers, last: list[Path]) -> None:
    """Write all files, then move them to their places; those of `last` come last.

    If writing fails, all files stay as they were. A new file replaces the name of an old one, so a
    mapped file stays whole. A program that ends between two moves leaves a folder without the last
    file. Such a folder cannot be loaded; a mix of two models could.
    """
    staged: dict[Path, Path] = {}
    try:
        for path, write in files.items():
            path.parent.mkdir(parents=True, exist_ok=True)
            staged[path] = partial_of(path)
            write(staged[path])
            with staged[path].open("r+b") as file:
                sync(file)
        if all(path in staged for path in last):  # not when a model is saved into its own folder
            for path in last:
                path.unlink(missing_ok=True)
        for path in [*(path for path in files if path not in last), *last]:
            if path in staged:
                place(staged.pop(path), path)
    finally:
        for partial in staged.values():
            partial.unlink(missing_ok=True)
