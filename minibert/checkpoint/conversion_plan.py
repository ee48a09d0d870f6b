"""A model's folder -> what becomes of each of its files in a folder without pickles.

Looks at names and at the first bytes of files, never into a pickle. Start at planned.
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

__all__ = ["Plan", "planned"]

# The one file of weights, and the index of several, beside what it becomes.
WHOLE = {
    "pytorch_model.bin": "model.safetensors",
    "adapter_model.bin": "adapter_model.safetensors",
}
# What is read in place of these where it lies beside them.
SAFE = {
    "pytorch_model.bin": ("model.safetensors", INDEX),
    "adapter_model.bin": ("adapter_model.safetensors",),
}
SHARD = re.compile(r"pytorch_model-\d+-of-\d+\.bin")
# Files that are pickles whatever they begin with.
SUFFIXES = {".ckpt", ".joblib", ".pickle", ".pkl", ".pt", ".pth"}


class Plan(NamedTuple):
    """What becomes of each file of a folder, by its path there."""

    folder: Path
    weights: dict[Path, Path]  # a pickle -> its safetensors file
    indexes: dict[Path, list[Path]]  # an index of shards -> the pickles that it names
    copies: list[Path]
    left_out: dict[str, str]  # a path -> the reason


def planned(folder: Path, roots: list[Path]) -> Plan:
    """Look at every file of a folder; behind links, too, where they lead into one of `roots`.

    Raises CheckpointError if there is nothing to convert, or a part of it is missing.
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
        check_file(folder / name)  # of a pointer of git-lfs there is nothing to convert
    for name in set(plan.weights.values()) & set(plan.copies):
        raise CheckpointError(f"{folder / name} would be written over. Which of the two counts?")
    return plan


def listed(plan: Plan, roots: list[Path], place: Path, above: tuple[Path, ...]) -> Iterator[Path]:
    """The files in a folder and those in it, which are `above` one another."""
    for entry in sorted((plan.folder / place).iterdir()):
        name = place / entry.name
        try:
            true = Path(os.path.realpath(entry, strict=True))
        except OSError as error:
            raise CheckpointError(f"{entry} is a link that leads nowhere.") from error
        if not any(true.is_relative_to(root) for root in roots):
            raise CheckpointError(
                f"{entry} is a link to {true}, out of the model's folder. Put the file itself in "
                "its place if it is part of the model, or take the link away."
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
    """Sort the files of one folder, by what the reference would read of them."""
    counts = first_of(names, *SAFE["pytorch_model.bin"], "pytorch_model.bin", PICKLED_INDEX)
    if counts == PICKLED_INDEX:
        plan_shards(plan, place, names)
    elif not counts and any(map(SHARD.fullmatch, names)):
        raise CheckpointError(
            f"{plan.folder / place / PICKLED_INDEX} is missing, which names the shards."
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
    """The first of some names that is there, or an empty one."""
    return next((name for name in wanted if name in names), "")


def plan_shards(plan: Plan, place: Path, names: set[str]) -> None:
    """The shards that an index names, and what each becomes."""
    index = place / PICKLED_INDEX
    plan.indexes[index] = []
    for shard in sorted(set(weight_map(plan.folder / index).values())):
        if shard not in names:
            raise CheckpointError(f"{plan.folder / index} names {shard!r}, which is not beside it.")
        stem = Path(shard).stem.replace("pytorch_model", "model", 1)
        plan.weights[place / shard] = place / f"{stem}.safetensors"
        plan.indexes[index].append(place / shard)


def is_pickle(path: Path) -> bool:
    """Whether a file is a pickle, by its name, or by how it begins."""
    if path.suffix.lower() in SUFFIXES:
        return True
    with path.open("rb") as file:
        start = file.read(4)
    if start == b"PK\x03\x04":  # torch's files are zip files with a pickle in them
        return holds_pickle(path)
    return start[:1] == b"\x80" and start[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05")


def holds_pickle(path: Path) -> bool:
    """Whether a zip file has torch's pickle in it."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.endswith(".pkl") for name in archive.namelist())
    except zipfile.BadZipFile:
        return False
