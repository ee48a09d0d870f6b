"""Where arrays live: the kernels of a device, the way there and back, and how many threads work."""

from __future__ import annotations

import logging
import math
import os
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np

from minibert.bert.packs import Pack
from minibert.bert.parameters import Parameters
from minibert.common.advice import missing
from minibert.common.arguments import is_count
from minibert.common.arrays import Array
from minibert.errors import DeviceError
from minibert.kernels import cpu as numpy_kernels
from minibert.kernels.protocol import Kernels

__all__ = [
    "CORES",
    "Device",
    "available_threads",
    "device_name",
    "dtype_name",
    "find_device",
    "has_small_products",
    "one_blas_thread",
    "thread_count",
]

logger = logging.getLogger(__name__)

# OpenBLAS's names of its kernels that use AVX-512.
SMALL_PRODUCTS = {"SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS"}

# A CPU's caches want small packs. A GPU wants many rows a product, and few launches a token; that
# this is the number for it is not measured yet.
CPU_PACK_TOKENS = 1024
GPU_PACK_TOKENS = 16384

# The first number of threads that was too large: a process says it once.
TOLD: list[int] = []

# Some named tuple: mypy has no word for any one of them.
Holder = TypeVar("Holder", bound=Any)


@dataclass(frozen=True)
class Device:
    """A place to compute: its kernels, and how arrays get there and back."""

    name: str
    kernels: Kernels
    put: Callable[[Any], Any]  # from NumPy to the device
    take: Callable[[Array], Array]  # from the device to NumPy
    # The same in two halves: begins the copy, and gives what waits for it and has the array.
    begin_to_take: Callable[[Array], Callable[[], Array]]
    # The block in which kernels run there: when there is a core for it, or on that GPU, as CuPy's
    # current one is a thread's and may be another.
    active: Callable[[], AbstractContextManager[Any]]
    pack_tokens: int  # of a pack, where the caller does not say
    out_of_memory: tuple[type[BaseException], ...] = ()  # what is raised where a pack is too large
    dtype: str = "float32"  # in which a BERT's layers compute

    def put_parameters(self, parameters: Parameters) -> Parameters:
        """The parameters with every tensor on the device, in its dtype.

        The pooler stays in float32, as every head does. Raises DeviceError for a tensor that holds
        a number too large for float16.
        """
        pooler = self.put_tensors(Pooler(parameters.pooler_weight, parameters.pooler_bias))
        once = {id(layer): layer for layer in parameters.layers}  # ALBERT uses one again
        put = {key: self.put_tensors(layer, self.dtype) for key, layer in once.items()}
        layers = tuple(put[id(layer)] for layer in parameters.layers)
        layered = parameters._replace(pooler_weight=None, pooler_bias=None)
        return self.put_tensors(layered, self.dtype)._replace(layers=layers, **pooler._asdict())

    def put_tensors(self, holder: Holder, dtype: str = "float32") -> Holder:
        """A named tuple with every array in it on the device."""
        fields = holder._asdict().items()
        on_device = {
            name: self.put(as_dtype(name, value, dtype))
            for name, value in fields
            if isinstance(value, np.ndarray)
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


class Pooler(NamedTuple):
    """The tensors of a model that its layers do not use."""

    pooler_weight: Array | None  # (D, D)
    pooler_bias: Array | None  # (D,)


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
        put=lambda array: array,
        take=lambda array: array,
        begin_to_take=lambda array: lambda: array,
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

    def put(array: Any) -> Any:
        with active():
            return cupy.asarray(array)  # by way of pinned memory, so nobody waits

    def begin_to_take(array: Any) -> Callable[[], Array]:
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
        put,
        cupy.asnumpy,
        begin_to_take,
        active,
        GPU_PACK_TOKENS,
        (cupy.cuda.memory.OutOfMemoryError,),
        dtype,
    )


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
    """How many threads to use: None is one a core, and more than there are cores are as many.

    Raises ValueError for what is no whole number from 1 up.
    """
    cores = available_threads()
    if threads is None:
        return cores
    if not is_count(threads):
        raise ValueError(
            f"threads is {threads!r}; expected a whole number from 1 up, or None for all {cores} "
            "cores."
        )
    if threads > cores and not TOLD:
        TOLD.append(threads)
        logger.warning(
            "threads is %d, and this process may use %d cores: it uses %d.", threads, cores, cores
        )
    return min(int(threads), cores)


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
            if not self._calls:
                from threadpoolctl import ThreadpoolController  # 5 ms, late for who only imports

                self._controller = self._controller or ThreadpoolController()
                self._before = self._controller.limit(limits=1, user_api="blas")
                self._give_up_control()
            self._calls += 1  # not sooner: Ctrl-C may come in between

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
