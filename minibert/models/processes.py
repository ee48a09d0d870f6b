"""Several processes on one machine, each with a copy of one object: a function of it over a list.

A function and its arguments, which make the copy, are pickled once a process. For a model they are
the path of its folder and its settings, so the processes map the same weights. No texts and no
vectors here.
"""

from __future__ import annotations

import math
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Protocol

from minibert.common.arguments import check_counts, type_of
from minibert.errors import MinibertError
from minibert.kernels.cores import available_threads
from minibert.kernels.devices import device_name

__all__ = ["Processes", "Recipe", "shared"]

LARGEST_CHUNK = 1000  # items; Ctrl-C and progress come between chunks


class Movable(Protocol):
    """An object that a process copies: it moves to a device, and uses so many threads."""

    def to(self, device: str) -> Any: ...

    def use_threads(self, threads: int) -> None: ...


class Recipe(NamedTuple):
    """A function that makes a process's copy: make(*arguments)."""

    make: Callable[..., Movable]
    arguments: tuple[Any, ...]
    computes: tuple[Any, ...]  # equal where the copies compute the same


class Processes:
    """Processes that wait for work, one for each device; the end of a `with` block stops them."""

    count: int  # how many processes there are
    recipe: Recipe  # how each makes its copy
    is_stopped: bool  # True after stop()
    pids: list[int]  # their numbers in the system

    def __init__(self, recipe: Recipe, devices: Sequence[str] | None = None) -> None:
        """Start the processes and wait until each has its copy.

        `devices` are "cpu", "cuda:0" and so on, one for each process; a device may come several
        times. None is a process for every core. The cores are shared evenly.

        Raises TypeError or ValueError for `devices` that are no list of devices, and the error of a
        process that cannot make its copy.
        """
        if isinstance(devices, str) or not isinstance(devices, Sequence | None):
            raise TypeError(
                f'The devices are {devices!r}; expected a list, as ["cpu", "cpu"] for two '
                "processes."
            )
        names = (
            ["cpu"] * available_threads() if devices is None else list(map(device_name, devices))
        )
        if not names:
            raise ValueError("The list of devices is empty; name one for each process.")
        self.count = len(names)
        self.recipe = recipe
        self.is_stopped = False
        context = multiprocessing.get_context("spawn")
        places = context.Queue()
        for name in names:
            places.put(name)
        threads = max(1, available_threads() // self.count)
        self._stopping = context.Event()
        self._executor = ProcessPoolExecutor(
            self.count,
            context,
            initializer=hold,
            initargs=(recipe, places, threads, context.Barrier(self.count), self._stopping),
        )
        try:
            started = [self._executor.submit(check) for _ in names]
            self.pids = [future.result() for future in started]
        except BrokenProcessPool as error:
            self.stop()
            raise RuntimeError(
                "The processes ended before they were ready; their own errors stand above. In a "
                'script, put the call that starts them under: if __name__ == "__main__":, and '
                "make the script a file."
            ) from error
        except BaseException:
            self.stop()
            raise

    def map(
        self,
        # Any: the function decides what it takes and gives.
        function: Callable[..., Any],
        items: Sequence[Any],  # the function's
        *,
        arguments: tuple[Any, ...] = (),  # the function's
        chunk_size: int | None = None,
        advance: Callable[[int], object] = lambda done: None,
    ) -> list[Any]:  # the function's
        """Call function(copy, chunk, *arguments, advance) for every chunk of a list.

        The results come in order. The function, of a module, calls advance(n) when n more items are
        done. `chunk_size` items go to a process at a time; None is a tenth of its part, 1000 at
        most.

        Raises the error of a call, and RuntimeError if the pool is stopped or a process has died.
        Ctrl-C stops the pool.
        """
        check_counts(chunk_size=chunk_size)
        if self.is_stopped:
            raise RuntimeError("This pool has been stopped; start another.")
        size = chunk_size or max(1, min(math.ceil(len(items) / self.count / 10), LARGEST_CHUNK))
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        futures: list[Future[Any]] = []
        results = []
        try:
            futures += [self._executor.submit(call, function, chunk, arguments) for chunk in chunks]
            for chunk, future in zip(chunks, futures, strict=True):
                results.append(future.result())
                advance(len(chunk))
        except BrokenProcessPool as error:
            self.stop()
            raise RuntimeError(
                "One of the processes has died; the system may have stopped it for want of memory. "
                "Start a pool with fewer processes."
            ) from error
        except Exception:
            for future in futures:
                future.cancel()
            raise
        except BaseException:  # Ctrl-C: nobody waits for what still runs
            self.stop()
            raise
        return results

    def stop(self) -> None:
        """End the processes. A call that still runs ends after its next forward pass."""
        self.is_stopped = True
        self._stopping.set()
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def shared(
    recipe: Recipe, pool: Processes | None, devices: Sequence[str] | None
) -> Iterator[Processes]:
    """Yield the pool that is given, or one that lives for the block.

    Raises TypeError for a `pool` that is none, ValueError for one with copies of another model.
    """
    if pool is None:
        with Processes(recipe, devices) as processes:
            yield processes
        return
    if not isinstance(pool, Processes):
        raise TypeError(f"pool is {type_of(pool)}; expected what start_multi_process_pool() gives.")
    if pool.recipe.computes != recipe.computes:
        raise ValueError(
            "This pool was started by another model, or before max_seq_length or the pooling of "
            "this one changed. Start another."
        )
    yield pool


class StoppedError(MinibertError):
    """Raised in a process of a pool, to end a call whose result nobody waits for."""


# In a process: its copy, or the error of making it; the barrier and the event of all processes.
HELD: dict[str, Any] = {}


def hold(recipe: Recipe, places: Any, threads: int, barrier: Any, stopping: Any) -> None:
    """Begin a process: make the copy, on a device that no other process has taken."""
    # Ctrl-C goes to all processes of a terminal; the first process alone handles it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=end_with_parent, daemon=True).start()
    HELD.update(barrier=barrier, stopping=stopping)
    try:
        held = recipe.make(*recipe.arguments)
        held.use_threads(threads)
        held.to(places.get())
        HELD["held"] = held
    except Exception as error:  # told where the pool is made; a pool that broke would not say why
        HELD["error"] = error


def end_with_parent() -> None:
    """End this process as soon as its parent has ended, for any reason."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
        os._exit(1)


def check() -> int:
    """Wait until every process has come here, so that each has one check: -> its process id.

    Raises the error of `hold`, which could not raise it.
    """
    HELD["barrier"].wait()
    if "error" in HELD:
        raise HELD["error"]
    return os.getpid()


def call(function: Callable[..., Any], chunk: Sequence[Any], arguments: tuple[Any, ...]) -> Any:
    """Call a function in a process; it stops at a step where the pool is being stopped."""
    return function(HELD["held"], chunk, *arguments, stop_if_asked)


def stop_if_asked(done: int) -> None:
    """Raise StoppedError if the pool is being stopped: called after every step."""
    if HELD["stopping"].is_set():
        raise StoppedError
