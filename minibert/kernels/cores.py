"""Cores that this process may use, and the number of BLAS threads on them.

Holds no kernels and no devices, and imports nothing of ours, so any module may import it. Start at
Cores.
"""

from __future__ import annotations

import logging
import math
import os
import threading
from collections.abc import Callable, Iterator
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
    "in_threads",
    "one_blas_thread",
    "thread_count",
]

logger = logging.getLogger(__name__)

# OpenBLAS's names of its kernels that use AVX-512.
SMALL_PRODUCTS = {"SKYLAKEX", "COOPERLAKE", "SAPPHIRERAPIDS"}


def available_threads() -> int:
    """Return the number of cores for this process, by its affinity mask and its cgroup's quota."""
    return max(1, min(affinity(), quota()))


def affinity() -> int:
    """Return the number of cores in the affinity mask, which is a BLAS's own number of threads."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@cache
def quota(root: Path = Path("/sys/fs/cgroup")) -> int:
    """Return the cores of a container's limit, rounded up; a very large number without one.

    Reads both versions of Linux's control groups, at the path where a container has them.
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
    """Return the number of threads to use, at most the cores; None is one for each core.

    Raises ValueError if `threads` is not a whole number from 1 up.
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
    """Cores of this process, for all calls under way, of any model.

    While a call is under way, a product has one BLAS thread. The last call to end restores the
    number from before: if each call restored it, two that overlap would leave the process at one
    for ever. BLAS threads wait for one another by spinning, so beside another busy process a
    product of a millisecond may take fifty. Packs and ranks need no BLAS threads.

    All calls have no more threads in sum than there are cores: more threads would only compete for
    caches and use more memory.
    """

    # Of a number of threads that was too large: once a process. after_fork leaves it as it is.
    has_warned = False

    def __init__(self, count: int | None = None) -> None:
        """Share `count` cores; without it, all that this process may use."""
        self._lock = threading.Lock()
        self._free = threading.BoundedSemaphore(count or available_threads())
        self._calls = 0
        self._controller: Any = None  # making one takes 1.4 ms, using it 40 us
        self._before: Any = None
        self.laying_out = threading.Lock()  # held while tiles are made that other threads need too

    def pack(self) -> AbstractContextManager[Any]:
        """Return a context manager that waits for a free core and holds it."""
        return self._free

    @contextmanager
    def further(self, limit: int) -> Iterator[int]:
        """Hold up to `limit` more cores, those that are free now, and yield their number."""
        taken = 0
        try:
            while taken < limit and self._free.acquire(blocking=False):
                taken += 1
            yield taken
        finally:
            if taken:
                self._free.release(taken)

    def enter(self) -> None:
        """Begin a call: the first one sets one BLAS thread."""
        with self._lock:
            if not self._calls:
                from threadpoolctl import ThreadpoolController  # 5 ms, so not at import

                self._controller = self._controller or ThreadpoolController()
                self._free_control()
                self._before = self._controller.limit(limits=1, user_api="blas")
                self._free_control()
            self._calls += 1  # not sooner: Ctrl-C may come in between

    def leave(self) -> None:
        """End a call: the last one restores the number of BLAS threads."""
        with self._lock:
            self._calls -= 1
            if self._calls == 0:
                self._free_control()
                self._before.restore_original_limits()
                self._free_control()

    def _free_control(self) -> None:
        # From 3.8 on, threadpoolctl silently ignores all threads but the first that set a limit,
        # until that one gives up control. It may be a thread of the program with a limit of its
        # own: freed before, our number is set; freed after, the program can set its own again.
        # The lock keeps our calls apart.
        for library in self._controller.lib_controllers:
            if hasattr(library, "clear_controlling_thread"):
                library.clear_controlling_thread(force=True)

    def after_fork(self) -> None:
        """Begin anew in a child of a fork, where the calls of the parent are not under way."""
        before = self._before if self._calls else None
        self.__init__()  # type: ignore[misc]
        if before is not None:
            before.restore_original_limits()


CORES = Cores()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=CORES.after_fork)


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run the block with one BLAS thread for each product, as all calls do."""
    CORES.enter()
    try:
        yield
    finally:
        CORES.leave()


def in_threads(
    work: Callable[..., None],
    items: Iterator[tuple[Any, ...]],
    max_workers: int,
    threads: int | None,
) -> None:
    """Call `work` for each item, in at most `max_workers` threads. The first error ends all."""
    workers = min(thread_count(threads), max_workers)
    lock, ended = threading.Lock(), threading.Event()

    def take() -> None:
        try:
            while not ended.is_set():
                with lock:
                    item = next(items, None)
                if item is None:
                    return
                work(*item)
        finally:
            ended.set()

    with one_blas_thread():
        if workers == 1:
            take()
            return
        from concurrent.futures import ThreadPoolExecutor  # takes 2 ms

        with ThreadPoolExecutor(workers) as pool:
            try:
                for done in [pool.submit(take) for _ in range(workers)]:
                    done.result()
            finally:  # Ctrl-C comes here, while the others still work
                ended.set()


@cache
def has_small_products() -> bool:
    """Return whether NumPy's BLAS has special kernels for small products: OpenBLAS with AVX-512.

    Goes by the name of its kernels, not by timing, so that a machine gives the same bits twice.
    """
    from threadpoolctl import ThreadpoolController

    return any(
        library.get("internal_api") == "openblas"
        and str(library.get("architecture")).upper() in SMALL_PRODUCTS
        for library in ThreadpoolController().info()
    )
