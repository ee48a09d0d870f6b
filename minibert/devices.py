"""Where arrays live: the kernels of a device, the way there and back, and how many threads work."""

from __future__ import annotations

import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from minibert import kernels as numpy_kernels
from minibert.arrays import Array, Kernels
from minibert.bert import Parameters
from minibert.errors import DeviceError
from minibert.json_files import is_count
from minibert.packing import Pack

__all__ = [
    "CORES",
    "Device",
    "available_threads",
    "device_name",
    "find_device",
    "has_small_products",
    "one_blas_thread",
    "thread_count",
]

# OpenBLAS's names of its kernels that use AVX-512.
SMALL_PRODUCTS = {"SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS"}

# Some named tuple: mypy has no word for any one of them.
Holder = TypeVar("Holder", bound=Any)


@dataclass(frozen=True)
class Device:
    """A place to compute: its kernels, and how arrays get there and back."""

    name: str
    kernels: Kernels
    put: Callable[[Any], Any]  # from NumPy to the device
    take: Callable[[Array], Array]  # from the device to NumPy
    # The block in which kernels run there: when there is a core for it, or on that GPU, as CuPy's
    # current one is a thread's and may be another.
    active: Callable[[], AbstractContextManager[Any]]

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


def device_name(device: object) -> str:
    """A device's name, checked: "cpu", the default, "cuda" or "cuda:1"; a torch.device has one.

    Raises ValueError for another. Whether there is such a device is not asked.
    """
    name = "cpu" if device is None else str(device)
    if not re.fullmatch("cpu|cuda(:[0-9]+)?", name):
        raise ValueError(f'device is {device!r}; expected "cpu", "cuda" or "cuda:" and a number.')
    return name


def find_device(device: object) -> Device:
    """The device of a name: "cpu" (the default) for NumPy, "cuda" for CuPy on a GPU.

    Raises ValueError for another name, DeviceError where the device cannot be used.
    """
    name = device_name(device)
    if name == "cpu":
        return Device("cpu", numpy_kernels, lambda array: array, lambda array: array, CORES.pack)
    return cuda_device(name)


def cuda_device(name: str) -> Device:
    """A GPU through CuPy: "cuda" is the current one, "cuda:1" the second."""
    try:
        import cupy
    except ImportError as error:
        raise DeviceError(
            f"device {name!r} needs CuPy, which cannot be imported here ({error}). "
            "Install it with: pip install 'cupy-cuda12x[ctk]'"
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
    """How many cores this process may use: those of its affinity mask and of its cgroup's quota."""
    return max(1, min(affinity(), quota()))


def affinity() -> int:
    """How many cores the system lets this process run on; a BLAS begins with as many threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def quota(root: Path = Path("/sys/fs/cgroup")) -> int:
    """How many cores a container's limit comes to, rounded up; very many without one.

    Both versions of Linux's control groups are asked, at the place that a container sees as theirs.
    """
    for name in ("cpu.max", "cpu/cpu.cfs_quota_us"):
        try:
            found = (root / name).read_text().split()
            if name != "cpu.max":
                found += (root / "cpu/cpu.cfs_period_us").read_text().split()
        except OSError:
            continue
        if found[0] not in ("max", "-1"):
            return math.ceil(int(found[0]) / int(found[1]))  # microseconds of a period's
    return 1 << 16


def thread_count(threads: int | None) -> int:
    """How many threads to use, None being all. Raises ValueError for more than there are cores."""
    cores = available_threads()
    if threads is not None and not (is_count(threads) and threads <= cores):
        raise ValueError(f"threads is {threads!r}; expected 1 to {cores}, the cores to be had.")
    return threads or cores


class Cores:
    """The cores of this process, shared by all calls that are under way, of any model.

    While there are any, a product has one BLAS thread, and the last one out restores what there
    was: if each call set and restored by itself, two that overlap would leave the process at one
    for ever. Threads of the BLAS wait for one another by spinning, so beside another busy process
    a product of a millisecond may take fifty; packs and shares of packs do without them.

    And no more threads compute than there are cores, whoever calls: more would only take each
    other's cache, and their memory.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(available_threads())
        self._calls = 0
        self._controller: Any = None  # making one takes 1.4 ms, using it 40 us
        self._before: Any = None
        self.laying_out = threading.Lock()  # held by who makes what other threads will want too

    def pack(self) -> AbstractContextManager[Any]:
        """A block that runs when there is a core for it."""
        return self._free

    @contextmanager
    def further(self, most: int) -> Iterator[int]:
        """A block with up to so many more cores, as many as are free now: how many they are."""
        taken = 0
        try:
            while taken < most and self._free.acquire(blocking=False):
                taken += 1
            yield taken
        finally:
            if taken:
                self._free.release(taken)

    def enter(self) -> None:
        """A call begins."""
        with self._lock:
            self._calls += 1
            if self._calls == 1:
                from threadpoolctl import ThreadpoolController  # 5 ms, late for who only imports

                self._controller = self._controller or ThreadpoolController()
                self._before = self._controller.limit(limits=1, user_api="blas")
                self._give_up_control()

    def leave(self) -> None:
        """It has ended."""
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                self._before.restore_original_limits()
                self._give_up_control()

    def _give_up_control(self) -> None:
        # From 3.7 on, threadpoolctl obeys the first thread that sets a limit and no other, without
        # a word, until that thread gives it up. Here the lock keeps threads apart.
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread()

    def after_fork(self) -> None:
        """In a child that a fork has made: the calls of the parent are not under way here."""
        before = self._before if self._calls else None
        self.__init__()  # type: ignore[misc]
        if before is not None:
            before.restore_original_limits()


CORES = Cores()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CORES.after_fork)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run the block with one BLAS thread a product, as all calls do."""
    CORES.enter()
    try:
        yield
    finally:
        CORES.leave()


@cache
def has_small_products() -> bool:
    """Whether NumPy's BLAS has kernels of their own for small products: OpenBLAS, with AVX-512.

    It is asked for the name of its kernels, not timed, so that a machine gives the same bits twice.
    """
    from threadpoolctl import ThreadpoolController

    return any(
        library.get("internal_api") == "openblas"
        and str(library.get("architecture")).upper() in SMALL_PRODUCTS
        for library in ThreadpoolController().info()
    )
