"""Tensors in safetensors files: mapped, not copied; taken by name, or listed as unused.

No names of a BERT here, and no pickle is opened.
"""

from __future__ import annotations

import math
import mmap
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from minibert.common.advice import convert_command
from minibert.common.arrays import Array, IntArray
from minibert.common.json_files import check_file, inside, is_there, read_json
from minibert.errors import CheckpointError

__all__ = [
    "INDEX",
    "ITEM_BYTES",
    "PICKLED_WEIGHTS",
    "WRITTEN",
    "NamedTensors",
    "StoredTensor",
    "Tensors",
    "map_safetensors",
    "weight_files",
    "weight_map",
]

INDEX = "model.safetensors.index.json"  # index of a folder's shards
# Names of pickled weights, as in folders without safetensors.
PICKLED_WEIGHTS = ("pytorch_model.bin", "pytorch_model-*-of-*.bin")

# Names in checkpoints that were converted from TensorFlow -> names of PyTorch.
OLD_NAMES = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}

# Types of the numbers that are written, in NumPy's words, by their names in a file.
WRITTEN = {"F32": "<f4", "F64": "<f8"}

# Types of whole numbers that are read, in NumPy's words, by their names in a file.
INTEGERS = {"I8": "<i1", "U8": "<u1", "I16": "<i2", "I32": "<i4", "I64": "<i8"}

# Bytes of a number, by its type in a file; four of these types are read.
ITEM_BYTES = {
    **dict.fromkeys(["BOOL", "U8", "I8", "F8_E4M3", "F8_E5M2", "F8_E8M0"], 1),
    **dict.fromkeys(["I16", "U16", "F16", "BF16"], 2),
    **dict.fromkeys(["I32", "U32", "F32"], 4),
    **dict.fromkeys(["I64", "U64", "F64", "C64"], 8),
}


def weight_files(folder: Path) -> tuple[Path, ...]:
    """List the safetensors files of a folder: the one, or the shards that its index names.

    Raises CheckpointError without any; for pickled weights it has the command to convert them.
    """
    if is_there(folder / "model.safetensors"):
        return (folder / "model.safetensors",)
    index = folder / INDEX
    if is_there(index):
        paths = {inside(folder, shard): shard for shard in weight_map(index).values()}
        for path, shard in paths.items():
            if path.suffix != ".safetensors" or not is_there(path):
                raise CheckpointError(f"{index} names {shard!r}, which is not there.")
        return tuple(sorted(paths))
    pickles = sorted(path for pattern in PICKLED_WEIGHTS for path in folder.glob(pattern))
    if pickles:
        check_file(pickles[0])  # a pointer of git-lfs cannot be converted
        raise CheckpointError(
            f"{folder} has its weights in {pickles[0].name} only. That is a pickle, which can run "
            "code, so minibert never opens one. Write the model into a new folder without it, and "
            f"open that: {convert_command(whole_model(folder))}"
        )
    raise CheckpointError(f"{folder} has no model.safetensors.")


def weight_map(index: Path) -> dict[str, str]:
    """Read an index of shards: a tensor's name -> its file's name. Raises CheckpointError."""
    found = read_json(index, dict).get("weight_map")
    if not isinstance(found, dict) or not found:
        raise CheckpointError(f"{index}: weight_map is missing or empty.")
    for file in found.values():
        if not isinstance(file, str):
            raise CheckpointError(f"{index} names {file!r:.80}, which is no name of a file.")
    return found


def whole_model(folder: Path) -> Path:
    """Folder of the model that a module's folder belongs to; often the same folder."""
    for above in folder.parents:
        try:
            modules = read_json(above / "modules.json", list)
        except (CheckpointError, OSError):
            continue  # no modules.json of a model; only the text of an error depends on it
        for module in modules:
            path = module.get("path") if isinstance(module, dict) else None
            if isinstance(path, str) and path and above / path == folder:
                return above
    return folder


@dataclass(frozen=True)
class StoredTensor:
    """Place and type of a tensor in a mapped file."""

    name: str  # as stored
    path: Path  # of the file
    buffer: mmap.mmap  # the whole file
    offset: int  # bytes before the tensor
    dtype: str  # in safetensors' words, as "BF16"
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Number of the tensor's bytes in the file."""
        return math.prod(self.shape) * ITEM_BYTES[self.dtype]

    def read(self) -> Array:
        """Return the tensor as float32: a view on the file if possible, else a copy.

        Raises CheckpointError for a type that is not read.
        """
        if self.dtype == "F32":
            tensor: Array = self.view("<f4")
            # NumPy would copy a matrix that is not aligned at every product.
            return tensor if tensor.flags.aligned else tensor.copy()
        if self.dtype == "F16":
            return self.view("<f2").astype(np.float32)
        if self.dtype == "BF16":  # the upper half of a float32
            return (self.view("<u2").astype(np.uint32) << 16).view(np.float32)
        if self.dtype == "F64":
            return self.view("<f8").astype(np.float32)
        raise CheckpointError(
            f"{self.path}: {self.name} has the type {self.dtype}; expected F32, F16, BF16 or F64."
        )

    def let_go(self) -> None:
        """Let the operating system free the memory of the tensor's bytes.

        They stay mapped: the next access reads them from the file again.
        """
        if not hasattr(self.buffer, "madvise"):  # Windows
            return
        start = -(-self.offset // mmap.PAGESIZE) * mmap.PAGESIZE  # only whole pages of this tensor
        length = (self.offset + self.nbytes) // mmap.PAGESIZE * mmap.PAGESIZE - start
        if length > 0:
            self.buffer.madvise(mmap.MADV_DONTNEED, start, length)

    def view(self, dtype: str) -> NDArray[Any]:
        """View the tensor's bytes as an array of a NumPy type."""
        flat = np.frombuffer(self.buffer, dtype, count=math.prod(self.shape), offset=self.offset)
        return flat.reshape(self.shape)


def map_safetensors(path: Path) -> list[StoredTensor]:
    """Map a file and list its tensors.

    The safetensors library checks the header: sizes, offsets, no gaps, no overlap, nothing left
    over. But it copies tensors when it reads them (BERT-base: 1.3 s and 836 MB), so the arrays are
    views on one map of the file. Raises CheckpointError for a broken file or an unknown type.
    """
    from safetensors import SafetensorError, safe_open

    check_file(path)
    try:
        with safe_open(path, framework="numpy") as checked:
            # In the order of their bytes. These lie end to end, so sizes give the offsets.
            slices = [(name, checked.get_slice(name)) for name in checked.offset_keys()]
            layout = [(name, s.get_dtype(), tuple(s.get_shape())) for name, s in slices]
    except (SafetensorError, OSError) as error:
        raise CheckpointError(
            f"{path} is not a whole safetensors file: {error}. Fetch it again."
        ) from error
    with path.open("rb") as file:
        offset = 8 + int.from_bytes(file.read(8), "little")
        buffer = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    tensors = []
    for name, dtype, shape in layout:
        if dtype not in ITEM_BYTES:
            raise CheckpointError(f"{path}: {name} has the unknown type {dtype}.")
        tensors.append(StoredTensor(name, path, buffer, offset, dtype, shape))
        offset += tensors[-1].nbytes
    return tensors


class NamedTensors(Protocol):
    """Tensors under the model's own names: Tensors, or TensorsInMemory, which training changes."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of the arrays that `take` returns."""
        ...

    def __contains__(self, name: str) -> bool: ...

    def stored_name(self, name: str) -> str:
        """Name of a tensor in its file."""
        ...

    def take(self, name: str, *shape: int) -> Array:
        """Return a tensor of this shape. Raises CheckpointError for a missing or broken one."""
        ...

    def let_go(self, name: str) -> None:
        """Free the memory of a tensor's bytes if they can be read from a file again."""
        ...

    def unused(self) -> tuple[str, ...]:
        """Stored names of the tensors that were not taken."""
        ...


class Tensors:
    """Tensors of a checkpoint under the model's own names; it remembers which were taken."""

    dtype: np.dtype[Any] = np.dtype(np.float32)  # of all arrays, whatever the file has

    def __init__(
        self,
        files: tuple[Path, ...],
        prefix: str = "",
        names: tuple[tuple[str, str], ...] = (),
    ) -> None:
        """Map files. `prefix` is left off stored names; `names` are pairs of parts of names: the
        model's, and the stored one.
        """
        self._names = names
        # In errors: one file by its own path, several by their folder.
        self.where = files[0] if len(files) == 1 else files[0].parent
        self._stored: dict[str, StoredTensor] = {}
        self._taken: set[str] = set()
        self.taken_numbers = 0  # in all tensors that were taken
        for path in files:
            for tensor in map_safetensors(path):
                name = tensor.name.removeprefix(prefix)
                for old, new in OLD_NAMES.items():
                    name = name.replace(old, new)
                if name in self._stored:
                    raise CheckpointError(
                        f"{path}: {tensor.name} and {self._stored[name].name} are the same tensor."
                    )
                self._stored[name] = tensor

    def use_names(self, names: tuple[tuple[str, str], ...]) -> None:
        """Replace the `names` that were given with the files."""
        self._names = names

    def stored_name(self, name: str) -> str:
        """Name of a tensor in its file, with the prefix."""
        return self._stored[self._named(name)].name

    def __contains__(self, name: str) -> bool:
        return self._named(name) in self._stored

    def _named(self, name: str) -> str:
        """Translate a name of the model to the stored one, without the prefix."""
        for own, stored in self._names:
            name = name.replace(own, stored)
        return name

    def take(self, name: str, *shape: int) -> Array:
        """Return a tensor as float32, and remember it as taken.

        Raises CheckpointError for a missing tensor, another shape, NaN or infinity.
        """
        name = self._named(name)
        if name not in self._stored:
            stored = sorted(tensor.name for tensor in self._stored.values())
            raise CheckpointError(
                f"{self.where} has no tensor {name!r}. "
                f"It has {', '.join(stored[:3])}, ... ({len(stored)} in all)."
            )
        stored_tensor = self._stored[name]
        if stored_tensor.shape != shape:
            raise CheckpointError(
                f"{stored_tensor.path}: {stored_tensor.name} has the shape {stored_tensor.shape}; "
                f"config.json implies {shape}."
            )
        tensor = stored_tensor.read()
        if not is_finite(tensor):
            raise CheckpointError(
                f"{stored_tensor.path}: {stored_tensor.name} holds NaN or infinity; "
                "these weights cannot be used."
            )
        self.taken_numbers += 0 if name in self._taken else tensor.size
        self._taken.add(name)
        return tensor

    def shape_of(self, name: str) -> tuple[int, ...]:
        """Return the shape of a tensor; () for a missing one."""
        return self._stored[self._named(name)].shape if name in self else ()

    def dtype_of(self, name: str) -> str:
        """Return the type of a tensor in its file, as "F32"."""
        return self._stored[self._named(name)].dtype

    def take_integers(self, name: str, *shape: int) -> IntArray:
        """Return a tensor of whole numbers as int64, and remember it as taken.

        Raises CheckpointError for another shape, and for another type.
        """
        tensor = self._stored[self._named(name)]
        if tensor.shape != shape or tensor.dtype not in INTEGERS:
            raise CheckpointError(
                f"{tensor.path}: {tensor.name} is {tensor.dtype} of the shape {tensor.shape}; "
                f"expected one of {', '.join(INTEGERS)} of the shape {shape}."
            )
        self._taken.add(self._named(name))
        return tensor.view(INTEGERS[tensor.dtype]).astype(np.int64)

    def let_go(self, name: str) -> None:
        """Free the memory of a tensor's bytes, of which few are needed, or a copy exists."""
        self._stored[self._named(name)].let_go()

    def unused(self) -> tuple[str, ...]:
        """Stored names of the tensors that were not taken."""
        left = (tensor.name for name, tensor in self._stored.items() if name not in self._taken)
        return tuple(sorted(left))


def is_finite(tensor: Array) -> bool:
    """Return whether a tensor holds neither NaN nor infinity."""
    flat = tensor.reshape(-1)
    # One product is ten times faster than isfinite, and finds every NaN. But it also overflows on
    # large numbers; then isfinite decides.
    with np.errstate(over="ignore", invalid="ignore"):
        return bool(np.isfinite(np.dot(flat, flat)) or np.isfinite(flat).all())
