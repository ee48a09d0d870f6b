"""A model with pickled weights -> a new folder with the same tensors in safetensors.

minibert opens no pickle. Another process opens it with torch, which loads only data: see
unpickling.py. The model's own folder is only read. Start at convert.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any, NamedTuple

from minibert.checkpoint.conversion_plan import Plan, planned
from minibert.checkpoint.hub import find_pickles
from minibert.checkpoint.new_folder import appearing, check_outside, new_path, roots_of
from minibert.checkpoint.repository import HubOptions
from minibert.common.advice import as_argument, pasted
from minibert.common.json_files import read_json
from minibert.common.safetensors_files import INDEX, weight_map
from minibert.errors import CheckpointError, MissingLibraryError

__all__ = ["Converted", "convert"]

PROGRAM = Path(__file__).with_name("unpickling.py")
LIBRARIES = ("torch", "numpy", "safetensors")


class Converted(NamedTuple):
    """Result of a conversion: the new folder and its files, by their paths in it."""

    folder: Path  # the new folder
    tensors: int  # number of tensors in all files
    weights: tuple[str, ...]  # safetensors files
    copied: tuple[str, ...]  # files that are copied as they are
    left_out: dict[str, str]  # a file that was left out, or an entry of one -> the reason


def convert(
    model_name_or_path: str | os.PathLike[str],
    out: str | os.PathLike[str],
    *,
    python: str | os.PathLike[str] | None = None,
    revision: str | None = None,
    cache_folder: str | None = None,
    token: str | bool | None = None,
    local_files_only: bool = False,
) -> Converted:
    """Write a model that has its weights in pickles into a new folder, with safetensors instead.

    All tensors keep their names, numbers and types. Other files are copied as they are. Pickles
    that are no weights are left out, and named in a warning. The model's own folder is only read.
    The new folder `out` is written whole, or not at all.

    torch (2.10 or later) reads the pickles with weights_only=True in another process. `python` is
    a Python (3.11 or later) with torch, numpy and safetensors, by default the running one. The
    other arguments are those of SentenceTransformer.

    Raises CheckpointError for a folder without pickled weights, and for a pickle with more than
    data in it. Raises MissingLibraryError without torch, OutputError if `out` exists or cannot be
    created, and the errors of SentenceTransformer for the model.
    """
    target = new_path(out)
    hub = HubOptions(revision, cache_folder, token, local_files_only)
    folder = find_pickles(model_name_or_path, hub)
    roots = roots_of(folder)
    check_outside(target, folder, roots)
    plan = planned(folder, roots)
    with appearing(target) as partial:
        try:
            written = unpickle(plan, partial, os.fspath(python or sys.executable))
        except MissingLibraryError as error:
            arguments = [as_argument(model_name_or_path), as_argument(out), *hub.as_arguments()]
            raise MissingLibraryError(
                f"torch, 2.10 or later, must open the pickles, and is missing: {error}. These "
                "commands install it in an environment, and convert: "
                + with_torch(python, arguments)
            ) from error
        for index, pickles in plan.indexes.items():
            write_index(plan, index, {name: written[name] for name in pickles}, partial)
        for name in plan.copies:
            (partial / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(folder / name, partial / name)
    return result(target, plan, written)


def unpickle(plan: Plan, partial: Path, python: str) -> dict[Path, dict[str, Any]]:
    """Let another process write the safetensors: -> a description of each pickle's tensors.

    Raises CheckpointError for a refused pickle, MissingLibraryError if that Python has no torch.
    """
    pairs = []
    for pickle, safe in plan.weights.items():
        (partial / safe).parent.mkdir(parents=True, exist_ok=True)
        pairs.append([os.path.abspath(plan.folder / pickle), str(partial / safe)])
    # -P: no file in the program's or the current folder is imported instead of a library.
    done = subprocess.run(
        [python, "-P", str(PROGRAM)],
        input=json.dumps(pairs),
        capture_output=True,
        encoding="utf-8",
        errors="replace",
    )
    report = reported(python, done)
    for pickle in plan.weights.values():
        # The library gives only its own user the right to read.
        (partial / pickle).chmod(partial.stat().st_mode & 0o666)
    return dict(zip(plan.weights, report, strict=True))


def reported(python: str, done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    """Read the report of the process: descriptions in the order of the pickles.

    Raises the errors that it reports.
    """
    if done.returncode < 0:
        raise OSError(
            f"The process that reads the pickles was ended by signal {-done.returncode}, often for "
            "want of memory. Nothing was written."
        )
    try:
        report = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, json.JSONDecodeError):
        said = (done.stderr.strip().splitlines() or ["nothing was said"])[-1]
        raise MissingLibraryError(f"{python} did not run the program ({said})") from None
    if "missing" in report:
        raise MissingLibraryError(f"{python}: {report['missing']}")
    if "refused" in report:
        raise CheckpointError(f"{report['refused']}. Nothing of it was run or written.")
    if "unwritten" in report:
        raise OSError(f"{report['unwritten']}. Nothing was written.")
    written: list[dict[str, Any]] = report["written"]
    return written


def with_torch(python: str | os.PathLike[str] | None, arguments: list[str]) -> str:
    """Command line that installs torch in an environment, and converts with its Python."""
    first = []
    if python is None:
        place = ("torch-env", "Scripts" if os.name == "nt" else "bin", "python")
        python = os.path.join(*place)
        first = [pasted(sys.executable, "-m", "venv", "torch-env")]
    install = pasted(python, "-m", "pip", "install", "--upgrade", *LIBRARIES)
    conversion = pasted("minibert", "convert", *arguments, "--python", python)
    return " && ".join([*first, install, conversion])


def write_index(
    plan: Plan, index: Path, written: dict[Path, dict[str, Any]], partial: Path
) -> None:
    """Write the index of a folder's new shards, from the names and bytes in them."""
    old = plan.folder / index
    shard_of: dict[str, str] = {}
    for pickle, description in written.items():
        for name in description["names"]:
            if name in shard_of:
                raise CheckpointError(f"{old.parent}: two shards hold the tensor {name!r}.")
            shard_of[name] = plan.weights[pickle].name
    for name in weight_map(old):
        if name not in shard_of:
            raise CheckpointError(f"{old} names the tensor {name!r}, which no shard holds.")
    size = sum(description["bytes"] for description in written.values())
    metadata = read_json(old, dict).get("metadata")
    kept = metadata if isinstance(metadata, dict) else {}
    content = {"metadata": {**kept, "total_size": size}, "weight_map": shard_of}
    text = json.dumps(content, ensure_ascii=False, indent=2, sort_keys=True) + "\n"
    (partial / index.with_name(INDEX)).write_text(text, "utf-8")


def result(target: Path, plan: Plan, written: dict[Path, dict[str, Any]]) -> Converted:
    """Warn of every entry that was left out, and return the result."""
    left_out = dict(plan.left_out)
    for pickle, description in written.items():
        for entry, kind in description["left_out"].items():
            left_out[f"{pickle}: {entry}"] = f"no tensor, but of the type {kind}"
    for name, reason in left_out.items():
        logging.getLogger(__name__).warning("%s was left out: %s.", name, reason)
    return Converted(
        target,
        sum(len(description["names"]) for description in written.values()),
        tuple(map(str, plan.weights.values())),
        tuple(map(str, plan.copies)),
        left_out,
    )
