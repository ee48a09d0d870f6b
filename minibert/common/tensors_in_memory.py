"""Tensors of a checkpoint as arrays in memory, which a program may change in place."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from minibert.common.arrays import Array
from minibert.common.safetensors_files import Tensors

__all__ = ["TensorsInMemory"]


class TensorsInMemory:
    """Tensors of files, each copied into an array of its own when it is first taken.

    Later calls of `take` return the same array, with the changes that were made in it.
    """

    dtype: np.dtype[Any]  # of all arrays
    values: dict[str, Array]  # key -> array, of the tensors that were taken

    def __init__(
        self,
        tensors: Tensors,
        dtype: DTypeLike = np.float32,
        changed: Mapping[str, Array] = MappingProxyType({}),
        *,
        before: str = "",
        to_device: Callable[[Array], Array] = lambda array: array,
    ) -> None:
        """Hold no tensor yet: `take` copies them from `tensors`, as numbers of `dtype`.

        A tensor's key is its name in the file, with the text `before` it. Arrays of `changed`, by
        key, are copied in place of the file's tensors. `to_device` brings each array to where it
        is to be.
        """
        self.dtype = np.dtype(dtype)
        self.values = {}
        self._tensors, self._changed, self._before = tensors, changed, before
        self._to_device = to_device

    def __contains__(self, name: str) -> bool:
        return name in self._tensors

    def stored_name(self, name: str) -> str:
        """Name of a tensor in its file, with the prefix."""
        return self._tensors.stored_name(name)

    def take(self, name: str, *shape: int) -> Array:
        """Return the array of a tensor; only the first call reads the file, and checks the tensor.

        Raises CheckpointError for a missing tensor, another shape, NaN or infinity.
        """
        if name not in self or self._key(name) not in self.values:
            read = self._tensors.take(name, *shape)  # refuses a missing one
            key = self._key(name)
            copied = np.array(self._changed.get(key, read), self.dtype)
            self.values[key] = self._to_device(copied)
            self._tensors.let_go(name)
        return self.values[self._key(name)]

    def _key(self, name: str) -> str:
        """Return the key of a tensor's array in `values`."""
        return self._before + self.stored_name(name)

    def let_go(self, name: str) -> None:
        """Do nothing: no file has the arrays' numbers."""

    def unused(self) -> tuple[str, ...]:
        """Stored names of the tensors that were not taken."""
        return self._tensors.unused()
