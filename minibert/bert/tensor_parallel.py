"""What makes a lone pack quick: several threads share it, and short ones find weights in tiles.

A share is some heads and some of the feed-forward of every layer. Each thread runs the forward pass
of forward.py with its share for parameters, and twice a layer they meet to add what they have made:
the tensor parallelism of Shoeybi et al., "Megatron-LM" (2019), section 3. Start at Shares.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np

from minibert.bert.families import Family
from minibert.bert.hook import Together
from minibert.bert.packs import Pack
from minibert.bert.parameters import Config, Layer, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.kernels.cores import CORES, has_small_products
from minibert.kernels.protocol import Kernels

__all__ = ["Shares"]

# Where OpenBLAS has kernels for products of up to 10^6 multiplications, it is three times as fast
# with them: with a tile of so many rows, and numbers, and up to so many tokens.
TILE_ROWS, TILE_FLOATS, SHORT_TOKENS = 384, 24576, 40
# A share of fewer multiplications a layer saves less time than meeting takes.
WORTH_MEETING = 25_000_000


class Shares:
    """The parameters of a model on the CPU, whole and in shares. Threads may use one at once."""

    def __init__(
        self, parameters: Parameters, config: Config, family: Family, short_inputs: bool = True
    ) -> None:
        """Copy nothing as yet. The tiles, a second copy of the layers' weights, are made for the
        first short input; short_inputs=False forbids them.
        """
        self.forward = family.forward
        self.splits_layers = family.splits_layers
        self.parameters = parameters
        self.config = config
        self.short_inputs = short_inputs
        self._tiles: list[Layer] = []
        self._made: dict[tuple[int, bool], list[Parameters]] = {(1, False): [parameters]}

    def compute(
        self,
        pack: Pack,
        kernels: Kernels,
        query_rows: IntArray | None,
        threads: int,
        may_tile: bool,
    ) -> Array:
        """Run the family's forward pass, in up to so many threads where cores are free: -> (N, D).

        `may_tile` allows tiles for a short pack. The calling thread has its core already.
        """
        tokens = len(pack.ids)
        tiles = may_tile and self.short_inputs and tokens <= SHORT_TOKENS
        tiles = tiles and self._can_share(2) and has_small_products()
        with CORES.further(self._worth(tokens, threads, tiles) - 1) as further:
            # So many threads may not fall into equal shares, and fewer do.
            shares = self._in(self._worth(tokens, 1 + further, tiles), tiles)
            # A partial is no frame between here and the forward pass; a closure would be one.
            forward = partial(
                self.forward, pack, config=self.config, kernels=kernels, query_rows=query_rows
            )
            return forward(shares[0]) if len(shares) == 1 else run_together(forward, shares)

    def _worth(self, tokens: int, threads: int, tiles: bool) -> int:
        """How many threads a pack is worth, of those there are. Tiles are for two at most."""
        width, inner = self.config.hidden_size, self.config.intermediate_size
        work = tokens * width * (4 * width + 2 * inner)
        most = min(threads, 2 if tiles else threads, work // WORTH_MEETING)
        return max((n for n in range(2, most + 1) if self._can_share(n)), default=1)

    def _can_share(self, count: int) -> bool:
        """Whether heads and feed-forward fall into so many equal shares."""
        if not self.splits_layers:
            return False
        return self.config.num_attention_heads % count == self.config.intermediate_size % count == 0

    def _in(self, count: int, tiles: bool) -> list[Parameters]:
        """The parameters in so many shares, made when they are first wanted."""
        with CORES.laying_out:  # or several threads would each make the tiles
            if (count, tiles) not in self._made:
                layers = self._tiled() if tiles else self._cut(count, cut)
                bias = self.parameters.relative_bias
                biases = [None] * count if bias is None else np.split(bias, count)
                self._made[count, tiles] = [
                    self.parameters._replace(
                        layers=tuple(share_of(layer, number, count) for layer in layers),
                        relative_bias=biases[number],
                    )
                    for number in range(count)
                ]
            return self._made[count, tiles]

    def _tiled(self) -> list[Layer]:
        # Not a cached_property: Python 3.11's has a lock, which a fork would leave held for ever.
        self._tiles = self._tiles or self._cut(2, tiled)
        return self._tiles

    def _cut(self, count: int, cutting: Callable[[Array, int, int], Array]) -> list[Layer]:
        """The layers with weights in pieces that fall into so many shares."""
        layers = self.parameters.layers
        # A layer that is used again (ALBERT) is cut once.
        once = {id(layer): layer for layer in layers}
        made = {key: cut_layer(layer, count, cutting) for key, layer in once.items()}
        return [made[id(layer)] for layer in layers]


def cut(weight: Array, parts: int, tiles: int) -> Array:
    """See a weight in pieces: (D, F) -> (parts, tiles, D/parts, F/tiles), nothing copied.

    The weight is (out, in) in memory, as files have it.
    """
    rows, columns = weight.shape
    return weight.T.reshape(tiles, columns // tiles, parts, rows // parts).transpose(2, 0, 3, 1)


def tiled(weight: Array, parts: int, tiles: int) -> Array:
    """Copy a weight into small pieces, each in one place: as `cut`, into as many or more."""
    rows, columns = weight.shape
    parts = first_divisor(rows, parts, TILE_ROWS)
    tiles = first_divisor(columns, tiles, TILE_FLOATS * parts // rows)
    seen = cut(weight, parts, tiles)
    copy = np.empty(seen.shape, dtype=seen.dtype)
    for part in range(parts):
        for tile in range(tiles):  # one in the cache at a time: NumPy's own order is twice as slow
            copy[part, tile] = seen[part, tile]
    return copy


def first_divisor(length: int, multiple: int, most: int) -> int:
    """The least number of pieces, some multiple of one, that leaves none longer than `most`."""
    counts = range(multiple, length + 1, multiple)
    return next((n for n in counts if length % n == 0 and length // n <= most), multiple)


def cut_layer(layer: Layer, count: int, cutting: Callable[[Array, int, int], Array]) -> Layer:
    """A layer with its weights in pieces that fall into so many shares.

    What widens is cut by its columns, and what narrows after it by the rows that take them.
    """
    qkv = cutting(layer.qkv_weight, 1, 3 * count)
    return layer._replace(
        qkv_weight=qkv.reshape(len(qkv), 3, -1, *qkv.shape[2:]),
        attention_output_weight=cutting(layer.attention_output_weight, count, 1),
        intermediate_weight=cutting(layer.intermediate_weight, 1, count),
        output_weight=cutting(layer.output_weight, count, 1),
    )


def share_of(layer: Layer, number: int, count: int) -> Layer:
    """One of so many shares of a layer whose weights are in pieces.

    The biases of what all shares add up to are each one's: they are added to the sum.
    """

    def share(array: Array, axis: int = 0) -> Array:
        return np.split(array, count, axis)[number]

    return layer._replace(
        qkv_weight=share(layer.qkv_weight, 2),
        qkv_bias=share(layer.qkv_bias.reshape(3, -1), 1).reshape(-1),
        attention_output_weight=share(layer.attention_output_weight),
        intermediate_weight=share(layer.intermediate_weight, 1),
        intermediate_bias=share(layer.intermediate_bias),
        output_weight=share(layer.output_weight),
    )


def run_together(forward: Callable[..., Array], shares: Sequence[Parameters]) -> Array:
    """Run a forward pass of all shares, the first in this thread: what each of them makes, (N, D).

    `forward` is called with a share, and with `together` by its name.
    """
    count = len(shares)
    meeting, settings = Meeting(count), np.geterr()

    def attend(number: int) -> Array:
        try:
            with np.errstate(**settings):  # a thread begins with NumPy's own, not the caller's
                return forward(shares[number], together=meeting.together(number))
        except BaseException:  # Ctrl-C too: nobody may wait for this one for ever
            meeting.barrier.abort()
            raise

    with ThreadPoolExecutor(count - 1) as others:
        try:
            attending = [others.submit(attend, number) for number in range(1, count)]
            return forward(shares[0], together=meeting.together(0))
        except threading.BrokenBarrierError:
            for other in attending:  # it was one of them, and this says why
                if not isinstance(error := other.exception(), threading.BrokenBarrierError):
                    raise error from None  # type: ignore[misc]
            raise
        except BaseException:  # perhaps before all had begun
            meeting.barrier.abort()
            raise


class Meeting:
    """Where threads add up their shares of the same rows."""

    def __init__(self, count: int) -> None:
        self.barrier = threading.Barrier(count)
        # Two tables, used in turn: a quick thread may put down the next share while others still
        # read, but not the one after that.
        self._tables: list[list[Array | None]] = [[None] * count, [None] * count]

    def together(self, number: int) -> Together:
        """What one of the threads calls with its share of some rows."""
        turn = 0

        def add(rows: Array) -> None:
            nonlocal turn
            table, turn = self._tables[turn], 1 - turn
            table[number] = rows.copy()
            self.barrier.wait()
            # All add in one order, so that all have the same bits.
            rows[...] = table[0]
            for share in table[1:]:
                rows += share  # type: ignore[arg-type]

        return add
