"""The cores that this process may use, and how many threads of a BLAS run on them.

Holds no kernels and no devices, and imports nothing of ours: any module may ask for a number of
threads. Start at Cores.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from numbers import Integral
from pathlib import Path
from typing import Any

__all__ = [
    "CORES",
    "Cores",
    "available_threads",
    "has_small_products",
    "one_blas_thread",
    "thread_count",
]

logger = logging.getLogger(__name__)

# OpenBLAS's names of its kernels that use AVX-512.
SMALL_PRODUCTS = {"SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS"}


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
    if isinstance(threads, bool) or not isinstance(threads, Integral) or threads < 1:
        raise ValueError(
            f"threads is {threads!r}; expected a whole number from 1 up, or None for all {cores} "
            "cores."
        )
    if threads > cores and not CORES.has_warned:
        CORES.has_warned = True
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

    And all calls together have no more threads than there are cores: more would only take each
    other's cache, and their memory.
    """

    def __init__(self, count: int | None = None) -> None:
        """Share `count` cores; without it, all that this process may use."""
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(count or available_threads())
        self._calls = 0
        self._controller: Any = None  # making one takes 1.4 ms, using it 40 us
        self._before: Any = None
        self.has_warned = False  # of a number of threads that was too large: once a process
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
