"""Devices: their kernels, and copies of arrays to them and back. Start at Device.

Knows no model: bert/placement.py copies one to a device. The cores of a CPU are in cores.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minibert.common.advice import missing
from minibert.common.arrays import Array
from minibert.errors import DeviceError
from minibert.kernels import cpu as numpy_kernels
from minibert.kernels.cores import CORES
from minibert.kernels.protocol import DrawKernels, GradientKernels, Kernels, UpdateKernels

__all__ = [
    "Device",
    "device_name",
    "dtype_name",
    "find_device",
    "on_cpu",
    "tensors_to_host",
    "to_host",
    "update_kernels",
]

# Small packs fit a CPU's caches. A GPU is fast with many rows a product and few launches a token;
# its number is not measured yet.
CPU_PACK_TOKENS = 1024
GPU_PACK_TOKENS = 16384

# A named tuple: mypy has no type for all of them.
Holder = TypeVar("Holder", bound=Any)


@dataclass(frozen=True)
class Device:
    """A device: its kernels, and copies of arrays to it and back."""

    name: str  # "cpu", "cuda" or "cuda:1"
    kernels: Kernels  # the arithmetic of this device
    # Loads the gradients of the kernels, which only training needs.
    gradient_kernels: Callable[[], GradientKernels]
    to_device: Callable[[Any], Any]  # from NumPy to the device
    to_host: Callable[[Array], Array]  # from the device to NumPy
    # Begins the copy to NumPy, and returns a function that waits for its end and returns the array.
    to_host_async: Callable[[Array], Callable[[], Array]]
    # Context in which kernels run. On the CPU it waits for a free core. On a GPU it makes that GPU
    # CuPy's current one, as each thread has its own.
    active: Callable[[], AbstractContextManager[Any]]
    pack_tokens: int  # default of the tokens of a pack
    out_of_memory: tuple[type[BaseException], ...] = ()  # errors of a pack that is too large
    dtype: str = "float32"  # of the layers' tensors
    # Loads the kernels that draw a dropout; the CPU has none: NumPy draws there.
    draw_kernels: Callable[[], DrawKernels | None] = lambda: None

    def tensors_to_device(self, holder: Holder, dtype: str = "float32") -> Holder:
        """Copy every array of a named tuple to the device."""
        fields = holder._asdict().items()
        on_device = {
            name: self.to_device(as_dtype(name, value, dtype))
            for name, value in fields
            if isinstance(value, np.ndarray)
        }
        moved: Holder = holder._replace(**on_device)
        return moved


def tensors_to_host(holder: Holder) -> Holder:
    """Copy every array of a named tuple to NumPy that is on a GPU, whichever that is."""
    fields = holder._asdict().items()
    on_host = {name: to_host(value) for name, value in fields if hasattr(value, "dtype")}
    moved: Holder = holder._replace(**on_host)
    return moved


def to_host(array: Array) -> Array:
    """Copy an array to NumPy if it is on a GPU, whichever that is; else return the same one."""
    if isinstance(array, np.ndarray):
        return array
    from cupy import asnumpy

    found: Array = asnumpy(array)
    return found


def on_cpu(arrays: Iterable[Any]) -> bool:
    """Return whether all arrays are NumPy's."""
    return all(isinstance(array, np.ndarray) for array in arrays)


def update_kernels(arrays: Iterable[Any]) -> UpdateKernels:
    """Load the arithmetic of an optimizer for arrays, which are all on one device."""
    if on_cpu(arrays):
        from minibert.kernels import cpu_updates  # late: only training needs it

        return cpu_updates
    from minibert.kernels import cuda_updates

    return cuda_updates


def as_dtype(name: str, tensor: Array, dtype: str) -> Array:
    """Convert a tensor of the host to a dtype; return the same one if it has that dtype."""
    with np.errstate(over="ignore"):
        found: Array = tensor.astype(dtype, copy=False)
    if dtype == "float16" and np.isinf(found).any():
        raise DeviceError(
            f"{name} holds the number {np.abs(tensor).max():g}, and float16 ends at 65504. Load "
            'this model with dtype="float32".'
        )
    return found


def dtype_name(dtype: object) -> str:
    """Check a dtype, NumPy's, torch's or a name: return "float32" (the default) or "float16".

    Raises ValueError for another dtype.
    """
    name = "float32" if dtype is None else getattr(dtype, "__name__", str(dtype))
    name = name.removeprefix("torch.")
    if name not in ("float32", "float16"):
        raise ValueError(f'dtype is {dtype!r}; expected "float32" or "float16".')
    return name


def device_name(device: object) -> str:
    """Check a name or a torch.device: return "cpu" (the default), "cuda" or "cuda:1".

    Raises ValueError for another name. Does not check that there is such a device.
    """
    name = "cpu" if device is None else str(device)
    name = "cpu" if name == "cpu:0" else name  # torch's other name of it
    if not re.fullmatch("cpu|cuda(:[0-9]+)?", name):
        raise ValueError(f'device is {device!r}; expected "cpu", "cuda" or "cuda:" and a number.')
    return name


def find_device(device: object, dtype: object = None) -> Device:
    """Find a device by name: "cpu" (the default) for NumPy, "cuda" for CuPy on a GPU.

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
        numpy_gradients,
        to_device=lambda array: array,
        to_host=lambda array: array,
        to_host_async=lambda array: lambda: array,
        active=CORES.pack,
        pack_tokens=CPU_PACK_TOKENS,
    )


def numpy_gradients() -> GradientKernels:
    """Return the gradients of the CPU's kernels."""
    from minibert.kernels import cpu_gradients

    return cpu_gradients


def cupy_gradients() -> GradientKernels:
    """Return the gradients of a GPU's kernels."""
    from minibert.kernels import cuda_gradients

    return cuda_gradients


def cupy_draws() -> DrawKernels:
    """Return the kernels that draw a dropout on a GPU."""
    from minibert.kernels import cuda_draws

    return cuda_draws


def cuda_device(name: str, dtype: str) -> Device:
    """Find a GPU through CuPy: "cuda" is the current one, "cuda:1" the second."""
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
            return cupy.asarray(array)  # through pinned memory, so without waiting

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
        cupy_gradients,
        to_device,
        cupy.asnumpy,
        to_host_async,
        active,
        GPU_PACK_TOKENS,
        (cupy.cuda.memory.OutOfMemoryError,),
        dtype,
        cupy_draws,
    )
