"""Where arrays live: the kernels of a device, and the way there and back. Start at Device.

Knows no model: bert/placement.py puts one on a device. The cores of a CPU are in cores.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minibert.common.advice import missing
from minibert.common.arrays import Array
from minibert.errors import DeviceError
from minibert.kernels import cpu as numpy_kernels
from minibert.kernels.cores import CORES
from minibert.kernels.protocol import Kernels

__all__ = ["Device", "device_name", "dtype_name", "find_device"]

# A CPU's caches want small packs. A GPU wants many rows a product, and few launches a token; that
# this is the number for it is not measured yet.
CPU_PACK_TOKENS = 1024
GPU_PACK_TOKENS = 16384

# Some named tuple: mypy has no word for any one of them.
Holder = TypeVar("Holder", bound=Any)


@dataclass(frozen=True)
class Device:
    """A place to compute: its kernels, and how arrays get there and back."""

    name: str  # "cpu", "cuda" or "cuda:1"
    kernels: Kernels  # the arithmetic of this device
    to_device: Callable[[Any], Any]  # from NumPy to the device
    to_host: Callable[[Array], Array]  # from the device to NumPy
    # The same in two halves: begins the copy, and gives what waits for it and has the array.
    to_host_async: Callable[[Array], Callable[[], Array]]
    # The block in which kernels run there: when there is a core for it, or on that GPU, as CuPy's
    # current one is a thread's and may be another.
    active: Callable[[], AbstractContextManager[Any]]
    pack_tokens: int  # of a pack, where the caller does not say
    out_of_memory: tuple[type[BaseException], ...] = ()  # what is raised where a pack is too large
    dtype: str = "float32"  # in which a BERT's layers compute

    def tensors_to_device(self, holder: Holder, dtype: str = "float32") -> Holder:
        """A named tuple with every array in it on the device."""
        fields = holder._asdict().items()
        on_device = {
            name: self.to_device(as_dtype(name, value, dtype))
            for name, value in fields
            if isinstance(value, np.ndarray)
        }
        moved: Holder = holder._replace(**on_device)
        return moved


def as_dtype(name: str, tensor: Array, dtype: str) -> Array:
    """A tensor of the host in another type; the same one where it has that type already."""
    with np.errstate(over="ignore"):
        found: Array = tensor.astype(dtype, copy=False)
    if dtype == "float16" and np.isinf(found).any():
        raise DeviceError(
            f"{name} holds the number {np.abs(tensor).max():g}, and float16 ends at 65504. Load "
            'this model with dtype="float32".'
        )
    return found


def dtype_name(dtype: object) -> str:
    """A type's name, checked: "float32", the default, or "float16"; NumPy's or torch's will do.

    Raises ValueError for another.
    """
    name = "float32" if dtype is None else getattr(dtype, "__name__", str(dtype))
    name = name.removeprefix("torch.")
    if name not in ("float32", "float16"):
        raise ValueError(f'dtype is {dtype!r}; expected "float32" or "float16".')
    return name


def device_name(device: object) -> str:
    """A device's name, checked: "cpu", the default, "cuda" or "cuda:1"; a torch.device has one.

    Raises ValueError for another. Whether there is such a device is not asked.
    """
    name = "cpu" if device is None else str(device)
    name = "cpu" if name == "cpu:0" else name  # torch's other name of it
    if not re.fullmatch("cpu|cuda(:[0-9]+)?", name):
        raise ValueError(f'device is {device!r}; expected "cpu", "cuda" or "cuda:" and a number.')
    return name


def find_device(device: object, dtype: object = None) -> Device:
    """The device of a name: "cpu" (the default) for NumPy, "cuda" for CuPy on a GPU.

    Raises ValueError for another name, and for float16 on a CPU; DeviceError where the device
    cannot be used.
    """
    name, kind = device_name(device), dtype_name(dtype)
    if name != "cpu":
        return cuda_device(name, kind)
    if kind != "float32":
        raise ValueError(
            f'dtype is {kind!r} on the device "cpu", where NumPy has no float16 products: it would '
            'be slower than float32, and less exact. Use device="cuda", or dtype="float32".'
        )
    return Device(
        "cpu",
        numpy_kernels,
        to_device=lambda array: array,
        to_host=lambda array: array,
        to_host_async=lambda array: lambda: array,
        active=CORES.pack,
        pack_tokens=CPU_PACK_TOKENS,
    )


def cuda_device(name: str, dtype: str) -> Device:
    """A GPU through CuPy: "cuda" is the current one, "cuda:1" the second."""
    try:
        import cupy
        import cupyx
    except ImportError as error:
        raise DeviceError(missing("CuPy", f"device {name!r}", "cupy", error)) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(f"device {name!r}: CuPy finds no GPU ({error}). Use 'cpu'.") from error
    number = int(name.partition(":")[2] or cupy.cuda.Device().id)
    if number >= count:
        raise DeviceError(f"device {name!r}: there are {count} GPUs, counted from cuda:0.")
    from minibert.kernels import cuda as kernels_cupy

    def active() -> Any:
        return cupy.cuda.Device(number)

    def to_device(array: Any) -> Any:
        with active():
            return cupy.asarray(array)  # by way of pinned memory, so nobody waits

    def to_host_async(array: Any) -> Callable[[], Array]:
        with active():
            host = cupyx.empty_pinned(array.shape, array.dtype)
            array.get(out=host, blocking=False)
            copied = cupy.cuda.Event()
            copied.record()

        def finish() -> Array:
            copied.synchronize()
            found: Array = host
            return found

        return finish

    return Device(
        name,
        kernels_cupy,
        to_device,
        cupy.asnumpy,
        to_host_async,
        active,
        GPU_PACK_TOKENS,
        (cupy.cuda.memory.OutOfMemoryError,),
        dtype,
    )
