"""Dropout: zeros at random places of a training step, drawn again whenever they are needed.

Srivastava et al., "Dropout" (2014), in the form that scales at training: a number is 0 with
probability `rate`, and else divided by 1 - rate. Start at Dropout.

The random numbers depend on nothing but (seed, step, text, layer, place). So threads, packs and a
run that was interrupted change none of them, and the way back draws them again: no mask is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import Bucket, Draw, DrawKernels

__all__ = ["PLACES", "Draws", "Dropout", "Rates", "dropout_rates"]

# Places in a layer with random numbers of their own.
PLACES = ("embeddings", "weights", "attention", "output", "module")


class Rates(NamedTuple):
    """Probabilities of a zero: of hidden states, and of attention weights."""

    hidden: float = 0.1
    attention: float = 0.1
    without: str = ""  # one of PLACES, where the family drops no hidden states


def dropout_rates(settings: Mapping[str, Any], keys: Mapping[str, str], defaults: Rates) -> Rates:
    """Read the rates from config.json's `settings`; `keys` are the family's names of them.

    Raises ValueError for a rate that is no number from 0 up to, but not, 1.
    """
    found = []
    for field, default in (
        ("hidden_dropout_prob", defaults.hidden),
        ("attention_probs_dropout_prob", defaults.attention),
    ):
        key = keys.get(field, field)
        rate = settings.get(key, default)
        if isinstance(rate, bool) or not isinstance(rate, int | float) or not 0 <= rate < 1:
            raise ValueError(f"config.json: {key} is {rate!r:.80}; expected a number from 0 to 1.")
        found.append(float(rate))
    hidden, attention = found
    return Rates(hidden, attention, defaults.without)


class Draws(NamedTuple):
    """Names of the random numbers of a training step."""

    seed: int  # from 0, below 2**64
    step: int  # number of the batch since the start

    def keep(self, text: int, layer: int, place: str, count: int, rate: float) -> NDArray[np.bool]:
        """Draw `count` booleans, each False with probability `rate`, to a 65,536th.

        The generator is Philox, whose state is a counter: Salmon et al., "Parallel random numbers:
        as easy as 1, 2, 3" (2011). Its numbers are those of NumPy on every machine.
        """
        counter = [0, PLACES.index(place), layer, text]
        key = np.array([self.seed, self.step], dtype=np.uint64)  # a list may become float64
        bits = np.random.Philox(key=key, counter=counter)
        halves = bits.random_raw(-(-count // 4)).view(np.uint16)[:count]
        kept: NDArray[np.bool] = halves >= round(rate * 65536)
        return kept


class Dropout(NamedTuple):
    """Factors for the arrays of one pack: 0, or 1 / (1 - rate)."""

    draws: Draws
    rates: Rates
    texts: IntArray  # (S,), number of each text of the pack in the batch
    lengths: IntArray  # (S,), its tokens
    dtype: str = "float32"  # of the factors
    kernels: DrawKernels | None = None  # of a GPU, which then has the factors; None: NumPy draws
    streams: IntArray | None = None  # (3, S) on the GPU, the texts as its kernels know them

    def on(self, kernels: DrawKernels | None) -> Dropout:
        """Return the same dropout with the kernels of a device; None is the CPU."""
        streams = kernels.streams(self.texts, self.lengths) if kernels else None
        return self._replace(kernels=kernels, streams=streams)

    def of_vectors(self) -> Dropout:
        """Return the same dropout for one row of each text."""
        return self._replace(lengths=np.ones_like(self.lengths)).on(self.kernels)

    def rows(self, layer: int, place: str, columns: int, rate: float | None = None) -> Array | None:
        """Factors for hidden states of all tokens, (N, columns); None where none are 0."""
        rate = self.rates.hidden if rate is None else rate
        if not rate or place == self.rates.without:
            return None
        if self.kernels is not None and self.streams is not None:
            draw = self._draw(layer, place, rate)
            return self.kernels.draw_rows(self.streams, self.lengths, columns, draw)
        kept = [
            self.draws.keep(text, layer, place, length * columns, rate)
            for text, length in zip(self.texts.tolist(), self.lengths.tolist(), strict=True)
        ]
        return self._factors(np.concatenate(kept).reshape(-1, columns), rate)

    def weights(self, layer: int, heads: int) -> Callable[[Bucket], Array] | None:
        """Return the function for a bucket's weights, -> (S, H, T, T); None where the rate is 0."""
        rate = self.rates.attention
        if not rate:
            return None

        def of_bucket(bucket: Bucket) -> Array:
            if self.kernels is not None and self.streams is not None:
                draw = self._draw(layer, "weights", rate)
                return self.kernels.draw_weights(self.streams, bucket, heads, draw)
            tokens = bucket.longest
            kept = [
                self.draws.keep(text, layer, "weights", heads * tokens * tokens, rate)
                for text in self.texts[bucket.texts].tolist()
            ]
            return self._factors(np.stack(kept).reshape(-1, heads, tokens, tokens), rate)

        return of_bucket

    def _draw(self, layer: int, place: str, rate: float) -> Draw:
        return Draw(self.draws.seed, self.draws.step, layer, PLACES.index(place), rate)

    def _factors(self, kept: NDArray[np.bool], rate: float) -> Array:
        scale = np.asarray(1 / (1 - rate), dtype=self.dtype)
        factors: Array = kept * scale
        return factors
