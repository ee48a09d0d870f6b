"""Folder of a training run: its checkpoints, its log, and at the end the model.

    OUT/                        at the end a model's folder: the best model, or the last
    OUT/training.json           settings of the run; "finished" tells whether the model is there
    OUT/training.jsonl          log, without times
    OUT/checkpoints/step-N/     model after N steps, training.json and optimizer.safetensors
    OUT/checkpoints/stopped-N/  the same, written at an interruption, until there is a later step-N
    OUT/checkpoints/best-N/     best model so far, until the end

A folder is written beside its place, synced and renamed. So a run may be killed at any moment: the
same call goes on from the last checkpoint and ends with the same bytes. Start at RunFolder.
"""

from __future__ import annotations

import errno
import json
import logging
import math
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, Protocol

from minibert.common.arrays import Array
from minibert.common.files import (
    LOCK,
    append,
    locked,
    new_folder,
    not_writable,
    partial_of,
    place,
    replacing,
    sync,
    sync_folder,
    sync_tree,
)
from minibert.common.json_files import inside, read_json
from minibert.common.safetensors_files import WRITTEN, map_safetensors
from minibert.common.safetensors_writing import write_safetensors
from minibert.errors import OutputError, TrainingError
from minibert.kernels.devices import update_kernels

__all__ = [
    "CHECKPOINTS",
    "LOG",
    "OPTIMIZER",
    "SETTINGS",
    "Keeper",
    "RunFolder",
    "State",
    "run_folder",
]

logger = logging.getLogger(__name__)

SETTINGS = "training.json"
LOG = "training.jsonl"
OPTIMIZER = "optimizer.safetensors"
CHECKPOINTS = "checkpoints"
EVALUATION = "eval"  # for files that an evaluator writes, as in the reference
FORMAT = 1
# Files without which no library loads a model; so they come last.
LAST = ("config.json", "modules.json")

# Writes a whole model folder.
Save = Callable[[Path], object]


class State(NamedTuple):
    """A run between two steps, with all that goes on from there beside the tensors."""

    step: int = 0  # steps done
    epoch: int = 0  # epoch of the next step, from 0
    evaluated: int = 0  # step after which the model was last evaluated; 0: never
    best_step: int = 0  # step of the best evaluation; 0: none yet
    best_score: float | None = None  # its score
    first_score: float | None = None  # before the first step, if it was evaluated then
    log_bytes: int = 0  # size of the log


class Keeper(Protocol):
    """Folder of a run: its log, its checkpoints and its best model. A RunFolder is one."""

    def evaluation_folder(self) -> Path | None:
        """Make and return the folder for an evaluator's files; None if there is none."""
        ...

    def add_to_log(self, record: Mapping[str, object]) -> int:
        """Add a line to the log, and return the log's size."""
        ...

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is written after a step; after step 0, none is."""
        ...

    def save_checkpoint(
        self, kind: str, state: State, save: Save, optimizer: Mapping[str, Array]
    ) -> None:
        """Write a checkpoint: "step", or "stopped" if the run is interrupted."""
        ...

    def save_best(self, step: int, save: Save) -> None:
        """Write the best model so far."""
        ...


@contextmanager
def run_folder(
    path: Path,
    settings: Mapping[str, Any],
    facts: Mapping[str, Any],
    *,
    every: int | None,
    limit: int | None,
    restart: bool,
) -> Iterator[RunFolder]:
    """Lock the folder of a run for the block; it is made if it is not there.

    `settings` decide the run's result; `facts` are for people who read training.json. A checkpoint
    is kept of each `every`-th step (None: of none), the latest `limit` of them (None: all).
    `restart` removes an earlier run. Raises TrainingError if the folder's run has other settings,
    OutputError if it has other files, or if it cannot be written to.
    """
    check_folder(path)
    checkpoints = path / CHECKPOINTS
    if checkpoints.is_symlink():
        raise OutputError(f"{str(checkpoints)!r} is a link; move the folder of the run as a whole.")
    try:
        checkpoints.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        if error.errno == errno.ENOSPC:
            raise
        raise not_writable(path, error) from error
    with locked(checkpoints):
        content = plain({"format": FORMAT, **settings})
        folder = RunFolder(path, content, plain(facts), every, limit)
        folder.begin(restart)
        try:
            yield folder
        finally:
            folder.close()


def check_folder(path: Path) -> None:
    """Raise OutputError for a file, or for a folder with files that no training run wrote."""
    if path.exists() and not path.is_dir():
        raise OutputError(f"cannot write to {str(path)!r}: it is a file. Expected a folder.")
    if (path / SETTINGS).exists() or not path.exists():
        return
    others = [one.name for one in path.iterdir() if not is_beginning(one)]
    if others:
        raise OutputError(
            f"{str(path)!r} is no training run and not empty; it holds {min(others)!r}. Choose "
            "another folder, or empty this one."
        )


def is_beginning(path: Path) -> bool:
    """Return whether a file may be in the folder before the settings are written."""
    if path.name == CHECKPOINTS:
        return path.is_dir() and all(one.name == LOCK for one in path.iterdir())
    return path.name.startswith(SETTINGS) and is_partial(path)


def is_partial(path: Path) -> bool:
    """Return whether a file or folder has a name of partial_of."""
    return re.search(r"\.[0-9]+\.partial$", path.name) is not None


class RunFolder:
    """Folder of one run, which is locked. See run_folder."""

    def __init__(
        self,
        path: Path,
        settings: dict[str, Any],
        facts: dict[str, Any],
        every: int | None,
        limit: int | None,
    ) -> None:
        """Set the paths; nothing is read or written yet."""
        self.path = path
        self.settings = settings  # as read back from JSON
        self.facts = facts  # of the run, for people
        self.every = every  # steps between two checkpoints
        self.limit = limit  # number of checkpoints that are kept
        self.result: dict[str, Any] | None = None  # of a finished run: its training.json
        self.log: BinaryIO | None = None  # open while the run goes on

    def begin(self, restart: bool) -> None:
        """Compare the settings with those of the folder, or write them; remove leftovers."""
        path = self.path / SETTINGS
        found = read_json(path, dict) if path.exists() else None
        if found and (restart or found.get("removing")):
            # If this is stopped halfway, the next call goes on with it.
            self.write_settings(removing=True, files=found.get("files", []))
            self.remove_run(found.get("files", []))
            found = None
        if found is None:
            self.write_settings(finished=False)
            sync_folder(self.path.absolute().parent)
        else:
            check_same(found, self.settings, self.path)
            self.facts = found.get("facts", self.facts)  # as they were when the run began
            self.result = found if found.get("finished") else None
        self.clear()

    def write_settings(self, **more: object) -> None:
        """Replace training.json."""
        with replacing(self.path / SETTINGS) as file:
            file.write(json_bytes({**more, "facts": self.facts, "settings": self.settings}))

    def remove_run(self, files: Sequence[str]) -> None:
        """Remove all that a run has written but training.json; `files` are those of its model."""
        for path in self.checkpoints("step", "stopped", "best"):
            shutil.rmtree(path)
        shutil.rmtree(self.path / EVALUATION, ignore_errors=True)
        (self.path / LOG).unlink(missing_ok=True)
        for name in files:
            file = inside(self.path, name)
            file.unlink(missing_ok=True)
            if file.parent != self.path and file.parent.is_dir() and not any(file.parent.iterdir()):
                file.parent.rmdir()

    def clear(self) -> None:
        """Remove what a stopped run has left: half-written files, models that no state names."""
        for path in [*self.path.iterdir(), *(self.path / CHECKPOINTS).iterdir()]:
            if is_partial(path):
                shutil.rmtree(path) if path.is_dir() else path.unlink()
        self.prune()

    # Checkpoints.

    def checkpoints(self, *kinds: str) -> list[Path]:
        """Folders of checkpoints ("step", "stopped") or best models ("best"), by rising steps."""
        names = re.compile(rf"({'|'.join(kinds)})-[0-9]+")
        found = (self.path / CHECKPOINTS).iterdir()
        # At one step, a regular checkpoint comes last: it has the evaluation of that step.
        return sorted(
            (path for path in found if names.fullmatch(path.name)),
            key=lambda path: (step_of(path), path.name.startswith("step")),
        )

    def is_due(self, step: int) -> bool:
        """Return whether a checkpoint is kept of a step."""
        return self.every is not None and step > 0 and step % self.every == 0

    def save_checkpoint(
        self, kind: str, state: State, save: Save, optimizer: Mapping[str, Array]
    ) -> None:
        """Write a checkpoint if it is not there, and remove those above the limit.

        `kind` is "step", or "stopped" for an interruption; `optimizer` has the tensors of its
        state. Raises OSError for a full disk, for example; then the earlier checkpoints are whole.
        """
        assert self.log is not None
        target = self.checkpoint(kind, state.step)
        if target.exists():
            return
        sync(self.log)
        with new_folder(target) as folder:
            save(folder)
            write_safetensors(folder / OPTIMIZER, optimizer)
            with open(folder / SETTINGS, "wb") as file:
                file.write(json_bytes({**state._asdict(), "settings": self.settings}))
        self.prune()

    def save_best(self, step: int, save: Save) -> None:
        """Write the best model so far. That of the last checkpoint stays until the next one."""
        with new_folder(self.checkpoint("best", step)) as folder:
            save(folder)
        self.prune(step)

    def checkpoint(self, kind: str, step: int) -> Path:
        """Path of a checkpoint or of a best model."""
        return self.path / CHECKPOINTS / f"{kind}-{step}"

    def prune(self, best_step: int = 0) -> None:
        """Remove checkpoints above the limit, and best models but the latest and `best_step`.

        A checkpoint of an interruption stays only while the run is to go on from it. So an
        interrupted run leaves the same checkpoints as an unbroken one.
        """
        state = None if self.result else self.latest_state()
        paths = self.checkpoints("step", "stopped")
        kept = self.checkpoints("step")[-self.limit if self.limit else 0 :]
        kept += paths[-1:] if state else []
        kept += [
            self.checkpoint("best", step)
            for step in (best_step, state.best_step if state else 0)
            if step
        ]
        for path in [*paths, *self.checkpoints("best")]:
            if path not in kept:
                shutil.rmtree(path)

    def latest_state(self) -> State | None:
        """Read the state of the last checkpoint; None without one.

        Raises TrainingError if the checkpoint is of another run.
        """
        if not (paths := self.checkpoints("step", "stopped")):
            return None
        content = read_json(paths[-1] / SETTINGS, dict)
        check_same(content, self.settings, paths[-1])
        try:
            return State(**{name: content[name] for name in State._fields})
        except KeyError as error:
            raise TrainingError(
                f"{paths[-1] / SETTINGS} has no {error}. Remove that checkpoint, or begin anew "
                "with restart=True (--restart)."
            ) from None

    def load(self, values: Mapping[str, Array]) -> tuple[State, dict[str, Array]]:
        """Copy the tensors of the last checkpoint into `values`.

        Returns the state and the tensors of the optimizer, on the mapped file. Without a checkpoint
        all stays as it is, and the optimizer has none.
        """
        state = self.latest_state()
        if state is None:
            return State(), {}
        folder = self.checkpoints("step", "stopped")[-1]
        load_values(folder, values)
        tensors = map_safetensors(folder / OPTIMIZER)
        return state, {one.name: one.view(WRITTEN[one.dtype]) for one in tensors}

    # Log.

    def open_log(self, size: int) -> None:
        """Open the log, and remove the lines behind its first `size` bytes."""
        self.log = open(self.path / LOG, "ab", buffering=0)  # noqa: SIM115
        if self.log.tell() < size:
            logger.warning("%s has lost lines of earlier steps.", self.path / LOG)
        else:
            self.log.truncate(size)
        sync_folder(self.path)

    def evaluation_folder(self) -> Path:
        """Make the folder for an evaluator's files."""
        path = self.path / EVALUATION
        path.mkdir(exist_ok=True)
        return path

    def add_to_log(self, record: Mapping[str, object]) -> int:
        """Write a line to the log. Returns the size of the log."""
        assert self.log is not None
        append(self.log, json.dumps(record).encode() + b"\n")
        return self.log.tell()

    def loss_of(self, step: int) -> float | None:
        """Return the mean loss of a step, as the log has it; None if it is not there."""
        path = self.path / LOG
        records = map(json.loads, path.read_bytes().splitlines() if path.exists() else [])
        losses = [one["loss"] for one in records if one.get("step") == step and "loss" in one]
        return math.fsum(losses) / len(losses) if losses else None

    def close(self) -> None:
        """Close the log."""
        if self.log is not None:
            self.log.close()

    # End.

    def finish(self, state: State, save: Save, best_step: int) -> None:
        """Give the model its place: the saved best one of `best_step`, or for 0 the last."""
        assert self.log is not None
        sync(self.log)
        partial = partial_of(self.path / "model")
        try:
            if best_step:
                shutil.copytree(self.checkpoint("best", best_step), partial)
            else:
                partial.mkdir()
                save(partial)
            sync_tree(partial)
            found = (path for path in partial.rglob("*") if path.is_file())
            files = [path.relative_to(partial).as_posix() for path in found]
            files.sort(key=lambda name: (name.endswith(LAST), name))
            self.write_settings(finished=False, files=files)
            for name in files:
                (self.path / name).parent.mkdir(parents=True, exist_ok=True)
                place(partial / name, self.path / name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        self.result = {**state._asdict(), "files": files}
        self.write_settings(finished=True, **self.result)
        self.clear()

    def load_result(self, values: Mapping[str, Array]) -> None:
        """Copy the tensors of the finished run's model into `values`."""
        assert self.result is not None
        load_values(self.path, values, self.result["files"])


def step_of(path: Path) -> int:
    """Return the step in the name of a checkpoint."""
    return int(path.name.rpartition("-")[2])


def load_values(folder: Path, values: Mapping[str, Array], names: Sequence[str] = ()) -> None:
    """Copy the tensors of a model's folder into arrays, in place, wherever they are.

    `names` are the model's files; by default all of the folder. Raises TrainingError if a tensor is
    missing or has another shape; then nothing is copied.
    """
    files = [folder / name for name in names] or sorted(folder.rglob("*"))
    stored = {}
    for file in files:
        if file.suffix != ".safetensors" or file.name == OPTIMIZER:
            continue
        for tensor in map_safetensors(file):
            stored[(file.parent.relative_to(folder) / tensor.name).as_posix()] = tensor
            stored.setdefault(tensor.name, tensor)  # of a BERT in a folder of its own
    for key, array in values.items():
        if key not in stored or stored[key].shape != array.shape:
            found = f"the shape {stored[key].shape}" if key in stored else "no such tensor"
            raise TrainingError(
                f"{folder}: expected the tensor {key!r} of the shape {array.shape}, found {found}. "
                "The folder was changed; begin anew with restart=True (--restart)."
            )
    for key, array in values.items():  # all of them, or none
        update_kernels([array]).copy_(array, stored[key].read())
        stored[key].let_go()


# Settings.


def plain(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings as JSON gives them back, with lists for tuples."""
    content: dict[str, Any] = json.loads(json.dumps(settings))
    return content


def json_bytes(content: Mapping[str, object]) -> bytes:
    """Write JSON: the same content gives the same bytes."""
    return (json.dumps(content, ensure_ascii=False, indent=2) + "\n").encode()


def check_same(found: dict[str, Any], settings: dict[str, Any], path: Path) -> None:
    """Raise TrainingError if the settings found in a training.json are others."""
    # A run that names no device is one of a CPU.
    before, now = (
        {".device": "cpu"} | flat({"": of_run}) for of_run in (found.get("settings"), settings)
    )
    different = [name for name in {**now, **before} if before.get(name) != now.get(name)]
    if not different:
        return
    told = "; ".join(difference(name, now.get(name), before.get(name)) for name in different)
    raise TrainingError(
        f"{path} holds another training run: {told}. To go on with it, give what it began with; "
        "else begin anew with restart=True (--restart), or choose another folder."
    )


def difference(name: str, value: object, before: object) -> str:
    """Tell in words how a setting differs from that of the run; of digests, only that they do."""
    name = name.removeprefix(".").removeprefix("arguments.")
    if not all(re.fullmatch("[0-9a-f]{64}", str(one)) for one in (value, before)):
        return f"{name} is {value!r:.200}, and was {before!r:.200} when the run began"
    if name == "model":  # a notebook's has the tensors of the run that was stopped
        return "the model differs: it may have been trained since it was opened; open it again"
    return f"the {name} differs"


def flat(settings: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return nested settings under joined names, as "arguments.lr"."""
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        else:
            found[prefix + name] = value
    return found
