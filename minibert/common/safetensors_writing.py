"""Tensors -> a safetensors file, one tensor after the other; their bytes are in memory once.

The library's own writer first joins all tensors in memory. Start at write_safetensors.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minibert.common.safetensors_files import ITEM_BYTES, WRITTEN, StoredTensor

__all__ = ["AnyTensor", "write_safetensors"]

# An array, or a tensor of another file, whose bytes are copied as they are.
AnyTensor: TypeAlias = NDArray[Any] | StoredTensor

# The type of an array -> its name in a file.
NAMES = {np.dtype(code): name for name, code in WRITTEN.items()}
# transformers opens only files that say for which library they are.
METADATA = {"format": "pt"}


def write_safetensors(path: Path, tensors: Mapping[str, AnyTensor]) -> None:
    """Write tensors by name. Arrays are float32 or float64.

    The safetensors library would hide the number of an error, as of a full disk. The order is that
    of the library: larger types first, so that all are aligned, then by name.
    """
    names = sorted(tensors, key=lambda name: (-ITEM_BYTES[type_of(tensors[name])], name))
    header: dict[str, object] = {"__metadata__": METADATA}
    end = 0
    for name in names:
        tensor = tensors[name]
        start, end = end, end + tensor.nbytes
        header[name] = {
            "dtype": type_of(tensor),
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(len(text).to_bytes(8, "little") + text)
        for name in names:
            tensor = tensors[name]
            file.write(bytes_of(tensor))
            if isinstance(tensor, StoredTensor):
                tensor.let_go()


def type_of(tensor: AnyTensor) -> str:
    """Name of a tensor's type in a file, as "F32"."""
    if isinstance(tensor, StoredTensor):
        return tensor.dtype
    return NAMES[tensor.dtype.newbyteorder("<")]


def bytes_of(tensor: AnyTensor) -> memoryview:
    """View the bytes of a tensor as they are in a file, by rows and with the lowest byte first."""
    if isinstance(tensor, StoredTensor):
        return memoryview(tensor.buffer)[tensor.offset : tensor.offset + tensor.nbytes]
    rows = np.ascontiguousarray(tensor, tensor.dtype.newbyteorder("<"))
    return rows.reshape(-1).view(np.uint8).data
