"""A model's folder -> the plan for each of its files in a new folder without pickles.

Only names and the first bytes of files are read, never a pickle. Start at planned.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from minibert.checkpoint.model_files import PICKLED_INDEX
from minibert.common.json_files import check_file
from minibert.common.safetensors_files import INDEX, weight_map
from minibert.errors import CheckpointError

__all__ = ["Plan", "is_pickle", "listed", "planned"]

# A pickle with all weights -> the name of its safetensors file.
WHOLE = {
    "pytorch_model.bin": "model.safetensors",
    "adapter_model.bin": "adapter_model.safetensors",
}
# A pickle with all weights -> the files that are read instead, if they are in its folder.
SAFE = {
    "pytorch_model.bin": ("model.safetensors", INDEX),
    "adapter_model.bin": ("adapter_model.safetensors",),
}
SHARD = re.compile(r"pytorch_model-\d+-of-\d+\.bin")
# Suffixes of pickles, for any first bytes.
SUFFIXES = {".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}


class Plan(NamedTuple):
    """Plan for each file of a folder, by its path there."""

    folder: Path  # of the model with pickles
    weights: dict[Path, Path]  # a pickle -> its safetensors file
    indexes: dict[Path, list[Path]]  # an index of shards -> the pickles that it names
    copies: list[Path]  # files that are copied as they are
    left_out: dict[str, str]  # a path -> the reason


def planned(folder: Path, roots: list[Path]) -> Plan:
    """Plan the conversion of every file of a folder; links may lead into one of `roots`.

    Raises CheckpointError if there is nothing to convert, or a file is missing.
    """
    plan = Plan(folder, {}, {}, [], {})
    folders: dict[Path, set[str]] = {}
    for name in listed(plan, roots, Path(), (roots[0],)):
        folders.setdefault(name.parent, set()).add(name.name)
    for place, names in sorted(folders.items()):
        plan_folder(plan, place, names)
    if not plan.weights:
        has_safe = any(name.suffix == ".safetensors" for name in plan.copies)
        raise CheckpointError(
            f"{folder} has nothing to convert, neither pytorch_model.bin nor shards of it"
            + (": its weights are safetensors. Open it as it is." if has_safe else ".")
        )
    for name in plan.weights:
        check_file(folder / name)  # a pointer of git-lfs cannot be converted
    for name in set(plan.weights.values()) & set(plan.copies):
        raise CheckpointError(
            f"{folder / name} would be written over by a converted pickle. Remove one of the two."
        )
    return plan


def listed(plan: Plan, roots: list[Path], place: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """Yield the files in the folder `place` and below it; `above` are the folders around it."""
    for entry in sorted((plan.folder / place).iterdir()):
        name = place / entry.name
        try:
            true = Path(os.path.realpath(entry, strict=True))
        except OSError as error:
            raise CheckpointError(
                f"{entry} is a link that leads nowhere. Fetch the model again."
            ) from error
        if not any(true.is_relative_to(root) for root in roots):
            raise CheckpointError(
                f"{entry} is a link to {true}, out of the model's folder. Put the file itself in "
                "its place if it is part of the model, or remove the link."
            )
        if entry.name == ".git":
            plan.left_out[str(name)] = "the history of the folder"
        elif true.is_dir():
            if true in above:
                raise CheckpointError(f"{entry} is a link to a folder in which it lies.")
            yield from listed(plan, roots, name, (*above, true))
        elif true.is_file():
            yield name
        else:
            plan.left_out[str(name)] = "neither a file nor a folder"


def plan_folder(plan: Plan, place: Path, names: set[str]) -> None:
    """Plan the files of one folder, by those that the reference would read."""
    counts = first_of(names, *SAFE["pytorch_model.bin"], "pytorch_model.bin", PICKLED_INDEX)
    if counts == PICKLED_INDEX:
        plan_shards(plan, place, names)
    elif not counts and any(map(SHARD.fullmatch, names)):
        raise CheckpointError(
            f"{plan.folder / place / PICKLED_INDEX} is missing; it names the shards."
        )
    for name in sorted(names):
        path = place / name
        if path in plan.weights or path in plan.indexes:
            continue
        safe = first_of(names, *SAFE.get(name, ()))
        if name in WHOLE and not safe:
            plan.weights[path] = place / WHOLE[name]
        elif name in WHOLE or name == PICKLED_INDEX or SHARD.fullmatch(name):
            plan.left_out[str(path)] = f"{safe or counts} beside it counts"
        elif is_pickle(plan.folder / path):
            plan.left_out[str(path)] = "a pickle, and no file of weights by its name"
        else:
            plan.copies.append(path)


def first_of(names: set[str], *wanted: str) -> str:
    """First of the `wanted` names that is in `names`, or ""."""
    return next((name for name in wanted if name in names), "")


def plan_shards(plan: Plan, place: Path, names: set[str]) -> None:
    """Plan the shards that an index names."""
    index = place / PICKLED_INDEX
    plan.indexes[index] = []
    for shard in sorted(set(weight_map(plan.folder / index).values())):
        if shard not in names:
            raise CheckpointError(f"{plan.folder / index} names {shard!r}, which is not beside it.")
        stem = Path(shard).stem.replace("pytorch_model", "model", 1)
        plan.weights[place / shard] = place / f"{stem}.safetensors"
        plan.indexes[index].append(place / shard)


def is_pickle(path: Path) -> bool:
    """Return whether a file is a pickle, by its name or its first bytes."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":  # torch's files are zip files with a pickle in them
        return holds_pickle(path)
    return start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def holds_pickle(path: Path) -> bool:
    """Return whether a zip file has a pickle of torch in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False
