"""Where arrays live: the kernels of a device, the way there and back, and how many threads work."""

from __future__ import annotations

import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np

from minibert import kernels as numpy_kernels
from minibert.arrays import Array, Kernels
from minibert.bert import Parameters
from minibert.errors import DeviceError
from minibert.packing import Pack

__all__ = ["Device", "available_threads", "find_device", "one_blas_thread", "thread_count"]


# Some named tuple: mypy has no word for any one of them.
Holder = TypeVar("Holder", bound=Any)


@dataclass(frozen=True)
class Device:
    """A place to compute: its kernels, and how arrays get there and back."""

    name: str
    kernels: Kernels
    put: Callable[[Any], Any]  # from NumPy to the device
    take: Callable[[Array], Array]  # from the device to NumPy
    # The block in which kernels run there: CuPy's current GPU is a thread's, and may be another.
    active: Callable[[], AbstractContextManager[Any]] = nullcontext

    def put_parameters(self, parameters: Parameters) -> Parameters:
        """The parameters with every tensor on the device."""
        layers = tuple(self.put_tensors(layer) for layer in parameters.layers)
        return self.put_tensors(parameters)._replace(layers=layers)

    def put_tensors(self, holder: Holder) -> Holder:
        """A named tuple with every array in it on the device."""
        fields = holder._asdict().items()
        on_device = {
            name: self.put(value) for name, value in fields if isinstance(value, np.ndarray)
        }
        moved: Holder = holder._replace(**on_device)
        return moved

    def put_pack(self, pack: Pack) -> Pack:
        """The pack with its tokens on the device; lengths and order stay, they are for loops."""
        return pack._replace(
            ids=self.put(pack.ids),
            positions=self.put(pack.positions),
            token_types=self.put(pack.token_types),
        )


def find_device(name: str | None) -> Device:
    """The device of a name: "cpu" (the default) for NumPy, "cuda" for CuPy on a GPU.

    Raises ValueError for another name, DeviceError where the device cannot be used.
    """
    if name in (None, "cpu"):
        return Device("cpu", numpy_kernels, put=lambda array: array, take=lambda array: array)
    if re.fullmatch("cuda(:[0-9]+)?", name or ""):
        return cuda_device(name or "cuda")
    raise ValueError(f'device is {name!r}; expected "cpu", "cuda" or "cuda:" and a number.')


def cuda_device(name: str) -> Device:
    """A GPU through CuPy: "cuda" is the current one, "cuda:1" the second."""
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"device {name!r} needs CuPy, which cannot be imported here ({error}). "
            "Install it with: pip install 'minibert-numpy[cupy]'"
        ) from error
    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        raise DeviceError(f"device {name!r}: CuPy finds no GPU ({error}). Use 'cpu'.") from error
    number = int(name.partition(":")[2] or cupy.cuda.Device().id)
    if number >= count:
        raise DeviceError(f"device {name!r}: there are {count} GPUs, counted from cuda:0.")
    from minibert import kernels_cupy

    def active() -> Any:
        return cupy.cuda.Device(number)

    def put(array: Any) -> Any:
        with active():
            return cupy.asarray(array)

    return Device(name, kernels_cupy, put, cupy.asnumpy, active)


def available_threads() -> int:
    """How many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def thread_count(threads: int | None) -> int:
    """How many threads to use, None being all. Raises ValueError for more than there are cores."""
    cores = available_threads()
    if threads is not None and not 1 <= threads <= cores:
        raise ValueError(f"threads is {threads}; expected 1 to {cores}, the cores to be had.")
    return threads or cores


class BlasThreads:
    """BLAS threads are one number for the whole process, so whoever changes it must share it.

    The first call in sets one thread, the last one out restores what there was. If each call set
    and restored by itself, two that overlap would leave the process on one thread for ever.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls = 0
        self._controller: Any = None  # making one takes 200 us, using it 9
        self._limit: Any = None

    def enter(self) -> None:
        from threadpoolctl import ThreadpoolController

        with self._lock:
            if self._calls == 0:
                self._controller = self._controller or ThreadpoolController()
                self._limit = self._controller.limit(limits=1, user_api="blas")
                self._limit.__enter__()
            self._calls += 1

    def leave(self) -> None:
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                self._limit.__exit__(None, None, None)


BLAS_THREADS = BlasThreads()


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run the block with one BLAS thread a product: for threads that each compute a pack."""
    BLAS_THREADS.enter()
    try:
        yield
    finally:
        BLAS_THREADS.leave()
