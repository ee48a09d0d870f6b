"""Packs -> hidden states -> the results of a head: in place, in threads, or ahead on a GPU.

All models run their packs here. No texts, no tokens, no order of texts: each pack is yielded with
its results, which are on the host and checked for NaN. Start at Scheduler.run.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Generator, Iterator
from contextlib import closing
from functools import partial
from typing import Protocol, TypeAlias

import numpy as np

from minibert.bert.families import family_of
from minibert.bert.finite import OTHER_ORDER, FirstNotFinite
from minibert.bert.hook import Hook
from minibert.bert.packs import Pack, split
from minibert.bert.parameters import Config, Parameters
from minibert.bert.placement import pack_to_device, parameters_to_device
from minibert.bert.tensor_parallel import TensorParallel
from minibert.common.arrays import Array
from minibert.common.safetensors_files import is_finite
from minibert.errors import DeviceError
from minibert.kernels.cores import one_blas_thread
from minibert.kernels.devices import Device
from minibert.pooling.modes import PooledTokens
from minibert.pooling.weighted_layers import LayerMix, LayerSum

__all__ = ["Head", "Results", "Scheduler"]

logger = logging.getLogger(__name__)

# Arrays that a head computes from a pack.
Results: TypeAlias = tuple[Array, ...]
# Waits for the results of a GPU: one function for each array.
Waiting: TypeAlias = list[Callable[[], Array]]


class Head(Protocol):
    """A pack and its tokens' states (N, D) float32 -> results, all on the device.

    `hook`, if any, gets the array of each step.
    """

    def __call__(self, pack: Pack, hidden: Array, hook: Hook | None) -> Results: ...


class Scheduler:
    """A BERT on a device, ready to compute packs. Threads may share one."""

    def __init__(
        self,
        parameters: Parameters,
        config: Config,
        device: Device,
        *,
        threads: int,
        reproducible: bool = False,
        short_inputs: bool = True,
        model: object = "This model",
    ) -> None:
        """Put the parameters on the device.

        `reproducible` runs every pack on one thread, as if it were alone; the packs must hold one
        text each. `short_inputs` lets the first short pack make a copy of the weights in tiles, see
        tensor_parallel.py. `model` names it in errors: the folder of the weights.

        Raises DeviceError for parameters that do not fit the device.
        """
        self.config = config
        self.device = device
        self.threads = threads
        self.reproducible = reproducible
        self.short_inputs = short_inputs
        self.parameters = parameters_to_device(parameters, device)
        family = family_of(config)
        self._forward = family.forward
        self.tensor_parallel = TensorParallel(self.parameters, config, family, short_inputs)
        self.layer_mix: LayerMix | None = None  # of the pipeline that follows; None mixes nothing
        self._model = model
        self._max_tokens: int | None = None  # of a pack, once the device's memory has run out

    def run(
        self,
        packs: list[Pack],
        head: Head,
        pooled_tokens: PooledTokens | None = None,
        *,
        is_all: bool,
    ) -> Iterator[tuple[Pack, Results]]:
        """Compute packs: yield each with the results of the head, on the host.

        `pooled_tokens` finds the only token of each text whose state the head gets, in a pack where
        each text has the length 1.
        `is_all` says that there are no other packs in this call. Only then a lone pack may have all
        threads, and tiles: they change rounding, which must not depend on the other texts.

        Raises CheckpointError for results with NaN or infinity; it names the first step with them.
        """
        compute = partial(self._compute, head=head, pooled_tokens=pooled_tokens)
        if self.device.name != "cpu":
            computed = self._ahead(packs, compute)
        elif len(packs) > 1 and self.threads > 1:
            computed = self._in_threads(packs, compute)
        else:
            # In place: a function of its own would make the path longer by a frame.
            with one_blas_thread():
                for pack in packs:
                    results = self._compute(pack, head, pooled_tokens, is_all and len(packs) == 1)
                    self._check_finite(pack, results, compute)
                    yield pack, results
            return
        # Closed here: after an error, its traceback may keep the iterator, and so the call, open.
        with closing(computed):
            for pack, results in computed:
                self._check_finite(pack, results, compute)
                yield pack, results

    def with_hook(self, pack: Pack, head: Head, hook: Hook) -> Results:
        """Compute one pack in this thread, with a hook: -> the results of the head.

        All arrays are on the device. The next step may overwrite the array that `hook` got.
        """
        with one_blas_thread():
            results = self._compute(pack, head, None, hook=hook)
            on_host = tuple(map(self.device.to_host, results))
            self._check_finite(pack, on_host, partial(self._compute, head=head, pooled_tokens=None))
            return results

    def follow(self, rows: Array, modules: Callable[[Array, Hook], Array]) -> Array:
        """Apply modules on the device to rows: both `rows` and the result are on the host.

        Raises CheckpointError as `run` does.
        """
        first = FirstNotFinite(self.device.to_host)
        with self.device.active(), np.errstate(over="ignore", invalid="ignore"):
            found = self.device.to_host(modules(self.device.to_device(rows), first))
        if first.step:
            raise first.error(self._model)
        return found

    def _in_threads(
        self, packs: list[Pack], compute: Callable[[Pack], Results]
    ) -> Generator[tuple[Pack, Results]]:
        """Compute packs on a CPU, a thread each.

        This uses the cores better than several threads for one pack (5 to 20 %), and the results do
        not depend on the number of threads.
        """
        from concurrent.futures import ThreadPoolExecutor

        with one_blas_thread(), ThreadPoolExecutor(self.threads) as workers:
            try:
                yield from zip(packs, workers.map(compute, packs), strict=True)
            finally:  # after an error or Ctrl-C, begin no more of them
                workers.shutdown(wait=True, cancel_futures=True)

    def _ahead(
        self, packs: list[Pack], compute: Callable[[Pack], Results]
    ) -> Generator[tuple[Pack, Results]]:
        """Compute packs on a GPU, and start each before the results of the pack before are there.

        Where its memory runs out, this call and all later ones go on with packs of half as many
        tokens. Raises DeviceError where one text alone is too large.
        """
        work = packs[::-1]
        before: tuple[Pack, Waiting] | None = None
        while work:
            pack = work.pop()
            limit = self._max_tokens or len(pack.ids)
            if len(pack.ids) > limit and len(pack.lengths) > 1:
                work += reversed(list(split(pack, limit)))
                continue
            begun = self._begin(pack, compute)
            if before:
                yield before[0], tuple(finish() for finish in before[1])
            before = None if begun is None else (pack, begun)
            if begun is None:
                self._max_tokens = self._fewer_tokens(pack)
                work.append(pack)
        if before:
            yield before[0], tuple(finish() for finish in before[1])

    def _begin(self, pack: Pack, compute: Callable[[Pack], Results]) -> Waiting | None:
        """Start a pack on a GPU, and the copies of its results; None where memory runs out."""
        try:
            return [self.device.to_host_async(array) for array in compute(pack)]
        except self.device.out_of_memory:
            return None  # not tried again here: the error holds on to arrays that are in the way

    def _fewer_tokens(self, pack: Pack) -> int:
        """Return half the tokens of a pack that was too large, and log a warning."""
        tokens, texts = len(pack.ids), len(pack.lengths)
        if texts == 1:
            raise DeviceError(
                f"device {self.device.name!r}: one text of {tokens} tokens is more than the GPU's "
                "memory has room for. Set a smaller max_seq_length, or use 'cpu'."
            )
        logger.warning(
            "The memory of %s has no room for %d tokens at a time; going on with pack_tokens=%d.",
            self.device.name, tokens, tokens // 2,
        )  # fmt: skip
        return tokens // 2

    def _compute(
        self,
        pack: Pack,
        head: Head,
        pooled_tokens: PooledTokens | None,
        is_all: bool = False,
        hook: Hook | None = None,
    ) -> Results:
        """Compute one pack: -> the results of the head, on the device.

        `is_all` says that this call has no other pack, as in `run`.
        """
        kernels = self.device.kernels
        query_rows = None if pooled_tokens is None else pooled_tokens(pack.lengths)
        with self.device.active(), np.errstate(over="ignore", invalid="ignore"):
            here = pack_to_device(pack, self.device)
            if self.layer_mix:
                total = LayerSum(self.layer_mix, kernels, hook)
                self._forward(here, self.parameters, self.config, kernels, hook=total)
                hidden = total.mean()
                if query_rows is not None:
                    hidden = kernels.rows_at(hidden, query_rows)
            elif hook or self.device.name != "cpu":
                hidden = self._forward(
                    here, self.parameters, self.config, kernels, hook=hook, query_rows=query_rows
                )
                if hook:
                    hook("the last norm", hidden)  # a ModernBERT's, which belongs to no layer
            else:
                threads = self.threads if is_all and not self.reproducible else 1
                may_tile = is_all or self.reproducible
                hidden = self.tensor_parallel.compute(here, kernels, query_rows, threads, may_tile)
            if query_rows is not None:
                pack = pack._replace(lengths=np.ones_like(pack.lengths))
            return head(pack, hidden, hook)

    def _check_finite(self, pack: Pack, results: Results, compute: Callable[..., Results]) -> None:
        """Raise CheckpointError for NaN or infinity; a second pass with a hook finds the step.

        Infinity may be right where the pooling leaves out all tokens of a text: the hook of a head
        gets no rows of such texts.
        """
        if all(map(is_finite, results)):
            return
        first = FirstNotFinite(self.device.to_host)
        again = compute(pack, hook=first)
        with self.device.active():
            if all(is_finite(self.device.to_host(array)) for array in again):
                first.step = OTHER_ORDER
        if first.step:
            raise first.error(self._model, self.device.dtype)
