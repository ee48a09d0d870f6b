"""A model -> a new folder with some of its layers, as the student of a distillation has them.

Every other tensor and file stays as it is. The model's own folder is only read. Start at
keep_layers.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Integral
from pathlib import Path
from typing import Any

from minibert.bert.families import FAMILIES
from minibert.bert.layout import numbered_layers
from minibert.bert.load import Checkpoint, key_of, load_checkpoint
from minibert.checkpoint.conversion_plan import Plan, is_pickle, listed
from minibert.checkpoint.convert import Converted
from minibert.checkpoint.hub import find_model, hub_name
from minibert.checkpoint.model_files import FORMATS, OTHER_FORMATS, matches
from minibert.checkpoint.modules import read_modules
from minibert.checkpoint.new_folder import appearing, check_outside, new_path, roots_of
from minibert.checkpoint.repository import HubOptions
from minibert.checkpoint.transformer_settings import TransformerSettings
from minibert.common.json_files import is_there, read_json, setting
from minibert.common.safetensors_files import INDEX, PICKLED_WEIGHTS, map_safetensors, weight_files
from minibert.common.safetensors_writing import AnyTensor, write_safetensors
from minibert.errors import CheckpointError

__all__ = ["keep_layers"]


def keep_layers(
    model_name_or_path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    layers: Sequence[int],
    *,
    revision: str | None = None,
    cache_folder: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Converted:
    """Write a model into a new folder, with only those layers of its encoder.

    `layers` are numbers from 0 up, in ascending order; in the new folder they are numbered anew. A
    model with every second layer of a teacher is a common student (Sanh et al., "DistilBERT", 2019,
    section 3). Its vectors are no longer the teacher's until it is trained.

    config.json gets the number of layers. Other tensors keep their names, numbers and types, and
    other files are copied as they are. Weights in other formats, which still have all layers, and
    pickles are left out, and named in a warning. The new folder `out` is written whole, or not at
    all. The other arguments are those of SentenceTransformer.

    Raises ValueError for layers that the model does not have, or in another order. Raises
    CheckpointError for a family whose tensors are not numbered by layer (ALBERT), or whose layers
    differ by their places (ModernBERT, NomicBERT). Raises OutputError if `out` exists or cannot be
    created, and the errors of SentenceTransformer for the model.
    """
    target = new_path(out)
    hub = HubOptions(revision, cache_folder, token, local_files_only)
    folder = find_model(model_name_or_path, hub).absolute()
    roots = roots_of(folder)
    check_outside(target, folder, roots)
    settings = TransformerSettings(folder)
    if is_there(folder / "modules.json"):
        settings, _ = read_modules(folder)
    checkpoint = load_checkpoint(settings.path, settings.config_args)
    check_family(checkpoint, settings)
    check_numbers(layers, checkpoint.config.num_hidden_layers)
    plan = planned(folder, roots, settings.path, checkpoint.files)
    with appearing(target) as partial:
        for name in plan.copies:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, partial / name)
        bert = settings.path.relative_to(folder)
        (partial / bert).mkdir(parents=True, exist_ok=True)
        tensors = write_weights(checkpoint, layers, settings.path, partial / bert)
        origin = hub_name(model_name_or_path, folder)
        write_config(settings.path, partial / bert, checkpoint, len(layers), origin)
    for file, reason in plan.left_out.items():
        logging.getLogger(__name__).warning("%s was left out: %s.", file, reason)
    shards = sorted({str(bert / shard) for shard in tensors.values()})
    return Converted(
        target, len(tensors), tuple(shards), tuple(map(str, plan.copies)), plan.left_out
    )


def check_family(checkpoint: Checkpoint, settings: TransformerSettings) -> None:
    """Raise CheckpointError for a model from which layers cannot be taken."""
    name = checkpoint.config.model_type
    if FAMILIES[name].layout.layer_names is not numbered_layers:
        able = ", ".join(
            name
            for name, family in FAMILIES.items()
            if family.layout.layer_names is numbered_layers
        )
        raise CheckpointError(
            f"{settings.path}: model_type is {name!r}. Its layers share tensors, or differ by "
            f"their places, so none is taken out. Expected one of {able}."
        )
    if (key := key_of("num_hidden_layers", checkpoint.config)) in settings.config_args:
        raise CheckpointError(
            f"{settings.path}: the settings of the Transformer give {key}, too, which beats that "
            "of config.json. Remove it from config_args there."
        )


def check_numbers(layers: Sequence[int], count: int) -> None:
    """Raise ValueError for numbers that are not of `count` layers, in ascending order."""
    expected = f"expected numbers from 0 to {count - 1} in ascending order, at least one"
    if not layers:
        raise ValueError(f"layers is empty; {expected}.")
    for place, layer in enumerate(layers):
        if isinstance(layer, bool) or not isinstance(layer, Integral) or not 0 <= layer < count:
            raise ValueError(f"layers has {layer!r}; the model has {count} layers, so {expected}.")
        if place and layer <= layers[place - 1]:
            raise ValueError(f"layers has {layer} behind {layers[place - 1]}; {expected}.")


def planned(folder: Path, roots: list[Path], bert: Path, weights: tuple[Path, ...]) -> Plan:
    """Plan the files that are copied, and those that are left out; `weights` are written anew.

    Raises CheckpointError for a module with its weights in a pickle alone.
    """
    plan = Plan(folder, {}, {}, [], {})
    is_sharded = weights != (bert / "model.safetensors",)
    for name in listed(plan, roots, Path(), (roots[0],)):
        path = folder / name
        if path in (*weights, bert / "config.json") or (path == bert / INDEX and is_sharded):
            continue  # they are written anew
        if matches(path.name, PICKLED_WEIGHTS):
            weight_files(path.parent)  # raises without safetensors beside it
        if is_pickle(path):
            plan.left_out[str(name)] = "a pickle"
        elif matches(path.name, FORMATS) or any(
            fnmatchcase(name.as_posix(), pattern) for pattern in OTHER_FORMATS
        ):
            plan.left_out[str(name)] = "another format of the weights, with all layers"
        elif path.parent == bert and path.name.endswith((".safetensors", INDEX)):
            plan.left_out[str(name)] = "no weights of the model are read there"
        else:
            plan.copies.append(name)
    return plan


def write_weights(
    checkpoint: Checkpoint, layers: Sequence[int], source: Path, target: Path
) -> dict[str, Path]:
    """Write each file of the weights with the tensors that stay: name -> path in `target`.

    A file of which no tensor stays is not written. Several files get their index.
    """
    # As "bert.encoder.layer", in the words of the family.
    query = checkpoint.tensors.stored_name("encoder.layer.0.attention.self.query.weight")
    before = query.partition(".0.")[0]
    numbers = {str(old): new for new, old in enumerate(layers)}
    written: dict[str, Path] = {}
    total = 0
    for file in checkpoint.files:
        kept: dict[str, AnyTensor] = {}
        for tensor in map_safetensors(file):
            if (name := renumbered(tensor.name, before, numbers)) is not None:
                kept[name] = tensor
        if kept:
            path = file.relative_to(source)
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            write_safetensors(target / path, kept)
            written |= dict.fromkeys(kept, path)
            total += sum(tensor.nbytes for tensor in kept.values())
    if checkpoint.files != (source / "model.safetensors",):
        index = read_json(source / INDEX, dict)
        metadata = setting(source / INDEX, index, "metadata", dict, {})
        metadata.pop("total_parameters", None)  # that of all layers; no reader needs it
        index["metadata"] = {**metadata, "total_size": total}
        index["weight_map"] = {name: path.as_posix() for name, path in sorted(written.items())}
        write_json(target / INDEX, index)
    return written


def renumbered(name: str, before: str, numbers: Mapping[str, int]) -> str | None:
    """Return the name that a stored tensor gets, or None if its layer is not kept.

    `before` stands before the number of a layer; `numbers` has the new one of each that is kept.
    """
    if not name.startswith(f"{before}."):
        return name
    number, _, rest = name.removeprefix(f"{before}.").partition(".")
    return f"{before}.{numbers[number]}.{rest}" if number in numbers else None


def write_config(
    source: Path, target: Path, checkpoint: Checkpoint, count: int, origin: str | None
) -> None:
    """Write config.json with another number of layers, and with the model's name on the hub.

    The card of a trained student has that name as its base_model.
    """
    settings = read_json(source / "config.json", dict)
    if origin is not None:
        settings["_name_or_path"] = origin
    settings[key_of("num_hidden_layers", checkpoint.config)] = count
    write_json(target / "config.json", settings)


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a JSON file."""
    path.write_text(json.dumps(content, ensure_ascii=False, indent=2) + "\n", "utf-8")
