"""Tensor parallelism: a lone pack in several threads. For short packs, weights lie in tiles.

A shard is some heads and some of the feed-forward of every layer. Each thread, a rank, runs the
forward pass of forward.py with its shard for parameters. Twice a layer an all-reduce adds up the
rows of all ranks: Shoeybi et al., "Megatron-LM" (2019), section 3. Start at TensorParallel.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from minibert.bert.families import Family
from minibert.bert.hook import AllReduce
from minibert.bert.packs import Pack
from minibert.bert.parameters import Config, Layer, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.kernels.cores import CORES, Cores, has_small_products
from minibert.kernels.protocol import Kernels

__all__ = ["TensorParallel"]

# OpenBLAS has kernels for products of up to 10^6 multiplications, which are three times as fast. To
# use them, a tile has at most this many rows and numbers, and a pack this many tokens.
TILE_ROWS, TILE_FLOATS, SHORT_TOKENS = 384, 24576, 40
# A rank with fewer multiplications a layer saves less time than an all-reduce takes.
MIN_RANK_WORK = 25_000_000


class TensorParallel:
    """Parameters of a model on the CPU, whole and in shards. Several threads may use it at once."""

    def __init__(
        self,
        parameters: Parameters,
        config: Config,
        family: Family,
        short_inputs: bool = True,
        min_rank_work: int = MIN_RANK_WORK,
        cores: Cores = CORES,
    ) -> None:
        """Keep the parameters; copy nothing yet.

        The first short input makes the tiles, a second copy of the layers' weights, unless
        `short_inputs` is False. A thread is used for at least `min_rank_work` multiplications a
        layer, on a free core of `cores`.
        """
        self.forward = family.forward  # the forward pass of the model's family
        self.splits_layers = family.splits_layers  # False: one thread for each pack
        self.parameters = parameters
        self.config = config
        self.short_inputs = short_inputs  # True allows tiles
        self.min_rank_work = min_rank_work  # multiplications a layer for each rank, at least
        self.cores = cores  # for the threads of the ranks
        self._tiles: list[Layer] = []
        self._shards: dict[tuple[int, bool], list[Parameters]] = {(1, False): [parameters]}

    def compute(
        self,
        pack: Pack,
        kernels: Kernels,
        query_rows: IntArray | None,
        threads: int,
        may_tile: bool,
    ) -> Array:
        """Run the family's forward pass in at most `threads` threads with free cores: -> (N, D).

        `may_tile` allows tiles for a short pack. The calling thread has its core already.
        """
        tokens = len(pack.ids)
        tiles = may_tile and self.short_inputs and tokens <= SHORT_TOKENS
        tiles = tiles and self._can_split(2) and has_small_products()
        with self.cores.further(self._ranks_for(tokens, threads, tiles) - 1) as further:
            # If the layers do not split into so many equal shards, fewer ranks compute.
            shards = self._shards_for(self._ranks_for(tokens, 1 + further, tiles), tiles)
            # A partial is no frame between here and the forward pass; a closure would be one.
            forward = partial(
                self.forward, pack, config=self.config, kernels=kernels, query_rows=query_rows
            )
            return forward(shards[0]) if len(shards) == 1 else run_ranks(forward, shards)

    def _ranks_for(self, tokens: int, threads: int, tiles: bool) -> int:
        """Return the number of ranks for a pack, at most `threads`; with tiles at most two."""
        hidden, inner = self.config.hidden_size, self.config.intermediate_size
        work = tokens * hidden * (4 * hidden + 2 * inner)
        limit = min(threads, 2 if tiles else threads, work // self.min_rank_work)
        return max((n for n in range(2, limit + 1) if self._can_split(n)), default=1)

    def _can_split(self, ranks: int) -> bool:
        """Return whether heads and feed-forward split into `ranks` equal shards."""
        if not self.splits_layers:
            return False
        return self.config.num_attention_heads % ranks == self.config.intermediate_size % ranks == 0

    def _shards_for(self, ranks: int, tiles: bool) -> list[Parameters]:
        """Return a shard of the parameters for each rank, made at the first call."""
        with self.cores.laying_out:  # or several threads would each make the tiles
            if (ranks, tiles) not in self._shards:
                layers = self._tiled() if tiles else self._layers_in(ranks, blocks_of)
                bias = self.parameters.attention_bias
                biases = [None] * ranks if bias is None else np.split(bias, ranks)
                self._shards[ranks, tiles] = [
                    self.parameters._replace(
                        layers=tuple(shard_of(layer, rank, ranks) for layer in layers),
                        attention_bias=biases[rank],
                    )
                    for rank in range(ranks)
                ]
            return self._shards[ranks, tiles]

    def _tiled(self) -> list[Layer]:
        # Not a cached_property: Python 3.11's has a lock, which a fork would leave held for ever.
        self._tiles = self._tiles or self._layers_in(2, tiled)
        return self._tiles

    def _layers_in(self, ranks: int, split: Callable[[Array, int, int], Array]) -> list[Layer]:
        """Return the layers with weights in blocks for `ranks`, which `split` makes."""
        layers = self.parameters.layers
        # A layer that is used again (ALBERT) is split once.
        once = {id(layer): layer for layer in layers}
        in_blocks = {key: layer_in_blocks(layer, ranks, split) for key, layer in once.items()}
        return [in_blocks[id(layer)] for layer in layers]


def blocks_of(weight: Array, parts: int, tiles: int) -> Array:
    """View a weight in blocks: (D, F) -> (parts, tiles, D/parts, F/tiles), without a copy.

    The weight is (out, in) in memory, as files have it.
    """
    rows, columns = weight.shape
    return weight.T.reshape(tiles, columns // tiles, parts, rows // parts).transpose(2, 0, 3, 1)


def tiled(weight: Array, parts: int, tiles: int) -> Array:
    """Copy a weight into blocks as in `blocks_of`, as many or more, each contiguous in memory."""
    rows, columns = weight.shape
    parts = first_divisor(rows, parts, TILE_ROWS)
    tiles = first_divisor(columns, tiles, TILE_FLOATS * parts // rows)
    seen = blocks_of(weight, parts, tiles)
    copy = np.empty(seen.shape, dtype=seen.dtype)
    for part in range(parts):
        for tile in range(tiles):  # one in the cache at a time: NumPy's own order is twice as slow
            copy[part, tile] = seen[part, tile]
    return copy


def first_divisor(length: int, multiple: int, limit: int) -> int:
    """Return the least multiple of `multiple` that splits `length` into parts of at most `limit`.

    Return `multiple` itself if there is none.
    """
    numbers = range(multiple, length + 1, multiple)
    return next((n for n in numbers if length % n == 0 and length // n <= limit), multiple)


def layer_in_blocks(layer: Layer, ranks: int, split: Callable[[Array, int, int], Array]) -> Layer:
    """Return a layer with its weights in blocks for `ranks`.

    A weight that widens is split by its columns. The next weight, which narrows, is split by the
    rows that belong to these columns.
    """
    qkv = split(layer.qkv_weight, 1, 3 * ranks)
    return layer._replace(
        qkv_weight=qkv.reshape(len(qkv), 3, -1, *qkv.shape[2:]),
        attention_output_weight=split(layer.attention_output_weight, ranks, 1),
        intermediate_weight=split(layer.intermediate_weight, 1, ranks),
        output_weight=split(layer.output_weight, ranks, 1),
    )


def shard_of(layer: Layer, rank: int, ranks: int) -> Layer:
    """Return the shard of one rank, of a layer whose weights are in blocks.

    Biases that follow an all-reduce are whole in every shard: they are added to the sum.
    """

    def shard(array: Array, axis: int = 0) -> Array:
        return np.split(array, ranks, axis)[rank]

    return layer._replace(
        qkv_weight=shard(layer.qkv_weight, 2),
        qkv_bias=shard(layer.qkv_bias.reshape(3, -1), 1).reshape(-1),
        attention_output_weight=shard(layer.attention_output_weight),
        intermediate_weight=shard(layer.intermediate_weight, 1),
        intermediate_bias=shard(layer.intermediate_bias),
        output_weight=shard(layer.output_weight),
    )


def run_ranks(forward: Callable[..., Array], shards: Sequence[Parameters]) -> Array:
    """Run a forward pass of all shards, rank 0 in this thread: -> (N, D), the same in every rank.

    `forward` is called with a shard, and with `all_reduce` as a keyword. An error in one rank stops
    the others, and is raised here.
    """
    ranks = len(shards)
    group, settings = RankGroup(ranks), np.geterr()

    def run(rank: int) -> Array:
        try:
            with np.errstate(**settings):  # a thread begins with NumPy's own, not the caller's
                return forward(shards[rank], all_reduce=group.all_reduce(rank))
        except BaseException:  # Ctrl-C too: else the others would wait for this one for ever
            group.barrier.abort()
            raise

    with ThreadPoolExecutor(ranks - 1) as others:
        try:
            running = [others.submit(run, rank) for rank in range(1, ranks)]
            return forward(shards[0], all_reduce=group.all_reduce(0))
        except threading.BrokenBarrierError:
            for other in running:  # raise the error of the rank that broke it
                if not isinstance(error := other.exception(), threading.BrokenBarrierError):
                    raise error from None  # type: ignore[misc]
            raise
        except BaseException:  # perhaps before all had begun
            group.barrier.abort()
            raise


class RankGroup:
    """Threads that add up their rows: all-reduce."""

    def __init__(self, ranks: int) -> None:
        self.barrier = threading.Barrier(ranks)  # aborted by a rank that fails
        # Two tables, used in turn: a quick thread may write its next rows while others still read
        # the last ones, but not the rows after those.
        self._tables: list[list[Array | None]] = [[None] * ranks, [None] * ranks]

    def all_reduce(self, rank: int) -> AllReduce:
        """Return the function that one rank calls with its summand of some rows."""
        step = 0

        def add(rows: Array) -> None:
            nonlocal step
            table, step = self._tables[step], 1 - step
            table[rank] = rows.copy()
            self.barrier.wait()
            # All add in one order, so that all have the same bits.
            rows[...] = table[0]
            for summand in table[1:]:
                rows += summand  # type: ignore[arg-type]

        return add
