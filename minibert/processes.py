"""Several processes on one machine, each with a copy of one object: a method of it over a list.

The object is pickled once a process. A model is pickled as the path of its folder, so the processes
map the same weights. Knows nothing of texts or vectors.
"""

from __future__ import annotations

import math
import multiprocessing
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import contextmanager
from typing import Any, Protocol

from minibert.devices import available_threads

__all__ = ["Processes", "shared"]


class Movable(Protocol):
    """What a process gets a copy of: it moves to a device, and uses so many threads."""

    def to(self, device: str) -> Any: ...

    def use_threads(self, threads: int) -> None: ...

    def __reduce__(self) -> Any: ...


class Processes:
    """Processes that wait for work, one for each device. Also a context manager: it stops them."""

    def __init__(self, held: Movable, devices: Sequence[str] | None = None) -> None:
        """Start the processes and wait until each has its copy of `held`.

        `devices` are "cpu", "cuda:0" and so on, each named as often as it is to have processes;
        None is a process for every core. The cores are shared evenly.

        Raises ValueError for no device, and what a process raises when it cannot load its copy.
        """
        devices = ["cpu"] * available_threads() if devices is None else list(devices)
        if not devices:
            raise ValueError("The list of devices is empty; name one for each process.")
        self.count = len(devices)
        context = multiprocessing.get_context("spawn")
        places = context.Queue()
        for device in devices:
            places.put(device)
        threads = max(1, available_threads() // len(devices))
        self._executor = ProcessPoolExecutor(
            len(devices), context, initializer=hold, initargs=(held.__reduce__(), places, threads)
        )
        self._run([self._executor.submit(check) for _ in devices])

    def map(
        self,
        method: str,
        items: Sequence[Any],
        arguments: tuple[Any, ...] = (),
        chunk_size: int | None = None,
        advance: Callable[[int], object] = int,
    ) -> list[Any]:
        """Call held.method(chunk, *arguments) for every chunk of a list: -> results in order.

        `chunk_size` items go to a process at a time; None is a tenth of its share, 5000 at most.

        Raises what a call raises, and RuntimeError if a process has died.
        """
        size = chunk_size or max(1, min(math.ceil(len(items) / self.count / 10), 5000))
        chunks = [items[start : start + size] for start in range(0, len(items), size)]
        futures = [self._executor.submit(call, method, chunk, arguments) for chunk in chunks]
        return self._run(futures, lambda done: advance(len(chunks[done])))

    def _run(self, futures: list[Any], advance: Callable[[int], object] = int) -> list[Any]:
        """Wait for all; after an error or Ctrl-C begin no more of them."""
        results = []
        try:
            for number, future in enumerate(futures):
                results.append(future.result())
                advance(number)
        except BrokenProcessPool as error:
            raise RuntimeError(
                "One of the processes has died; the system may have stopped it for want of memory. "
                "Stop the pool, and start one with fewer processes."
            ) from error
        finally:
            for future in futures:
                future.cancel()
        return results

    def stop(self) -> None:
        """End the processes; what they still do is not waited for longer than it takes."""
        self._executor.shutdown(wait=True, cancel_futures=True)

    def __len__(self) -> int:
        return self.count

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


@contextmanager
def shared(
    held: Movable, pool: Processes | None, devices: Sequence[str] | None
) -> Iterator[Processes]:
    """A pool that there is, or one for the block."""
    if pool is not None:
        yield pool
        return
    with Processes(held, devices) as processes:
        yield processes


# What a process holds, or the error that kept it from that.
HELD: dict[str, Any] = {}


def hold(recipe: Any, places: Any, threads: int) -> None:
    """The beginning of a process: make the copy, of what __reduce__ gave."""
    # Ctrl-C goes to all processes of a terminal; the first one decides what becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        make, arguments, state = recipe
        held = make(*arguments)
        held.__setstate__(state)
        held.use_threads(threads)
        held.to(places.get())
        HELD["held"] = held
    except Exception as error:  # told where the pool is made; a pool that broke would not say why
        HELD["error"] = error


def check() -> None:
    """Raise what `hold` could not."""
    if "error" in HELD:
        raise HELD["error"]


def call(method: str, chunk: Sequence[Any], arguments: tuple[Any, ...]) -> Any:
    """One call of a method, in a process."""
    check()
    return getattr(HELD["held"], method)(chunk, *arguments)
