"""A forward pass and its hook, a function that gets the arrays of every step. Start at Pass.

A hook is called with a name and an array, for each name in models/trace.py. Wrapped in ForGradients
it also gets the arrays that only a backward pass needs, in float32 or wider:

- layer.n.intermediate_input (N, F): the input of the activation; with a gate beside it (N, 2F)
- layer.n.attention_normalised and layer.n.output_normalised (N, D): the rows of a layer norm before
  its weight and bias; of the embeddings embeddings.normalised (N, E), and of a norm after the last
  layer layer.n.final_normalised
- the same with deviation in place of normalised (N,): the root of each row's variance + epsilon

Its weights of attention are those of the device's buckets, on a GPU with padding.

Without ForGradients none of these is copied. No later step changes them, nor queries, keys, values
and context: a hook may keep these arrays as they are.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from minibert.bert.dropout import Dropout
from minibert.bert.packs import Pack
from minibert.bert.parameters import Config
from minibert.common.arrays import Array
from minibert.kernels.protocol import Bucket, Factors, Kernels, NormRows
from minibert.kernels.segments import equal_buckets

__all__ = ["AllReduce", "ForGradients", "Hook", "Pass", "buckets_of"]

# Called with the name of an intermediate array and the array. The kernels work in place, so
# a hook that keeps an array must copy it.
Hook = Callable[[str, Array], None]
# Called by each rank with its summand of some rows, which becomes the sum over all ranks, in place.
AllReduce = Callable[[Array], None]


@dataclass(frozen=True)
class ForGradients:
    """A hook that also gets the arrays that only a backward pass needs, and perhaps a dropout."""

    hook: Hook  # gets the arrays
    dropout: Dropout | None = None  # of the pack; None drops nothing

    def __call__(self, name: str, array: Array) -> None:
        """Hand an array on to the hook."""
        self.hook(name, array)


class Pass(NamedTuple):
    """Arguments that stay the same in the steps of a forward pass."""

    config: Config
    kernels: Kernels  # of the device that has the arrays
    hook: Hook | None
    all_reduce: AllReduce | None  # None in one thread
    buckets: list[Bucket]  # of the pack
    attention_bias: Array | None  # (H or 1, P, P)
    layer: int | None = None  # number of the layer; None in the embeddings

    @property
    def place(self) -> str:
        """Part of the model, which begins the names for the hook."""
        return "embeddings" if self.layer is None else f"layer.{self.layer}"

    @property
    def for_gradients(self) -> ForGradients | None:
        """Hook that also gets the arrays that only a backward pass needs, if it is one."""
        return self.hook if isinstance(self.hook, ForGradients) else None

    def show(self, name: str, array: Array) -> None:
        """Give the hook an intermediate array, under its full name."""
        if self.hook:
            self.hook(f"{self.place}.{name}", array)

    def room(self, rows: Array, weight: Array) -> Array | None:
        """Make room for (N, F) that a hook for gradients gets, as many as `rows`; None without one.

        `weight` is (F,). The room is in float32, or in float64 where the weight is.
        """
        if not self.for_gradients:
            return None
        like = self.kernels.floats(weight[:0])
        return self.kernels.empty(len(rows), len(weight), like)

    def keep_(self, room: Array | None, place: slice, rows: Array, bias: Array) -> None:
        """Copy the sum of some rows and a bias to their place in a room, if there is one."""
        if room is not None:
            room[place] = rows
            room[place] += self.kernels.floats(bias)

    def room_of_norm(self, rows: Array, weight: Array, name: str | None = None) -> NormRows | None:
        """Make room for what a layer norm keeps for gradients; None without such a hook.

        With the `name` of a norm that ends half a layer, dropout's factors come with it.
        """
        normalised = self.room(rows, weight)
        if normalised is None:
            return None
        factors = self.dropped(name.rstrip("_"), len(weight)) if name else None
        return NormRows(normalised, self.kernels.empty(len(rows), 1, normalised)[:, 0], factors)

    def show_kept(self, name: str, kept: Array | NormRows | None) -> None:
        """Give a hook for gradients what was kept in a room; a norm's rows by two names."""
        if isinstance(kept, NormRows):
            self.show(f"{name}normalised", kept.normalised)
            self.show(f"{name}deviation", kept.deviation)
        elif kept is not None:
            self.show(name, kept)

    def normalise_(self, rows: Array, weight: Array, bias: Array, name: str = "") -> None:
        """Compute a layer norm in place, (N, D), and show what its gradient needs."""
        kept, epsilon = self.room_of_norm(rows, weight), self.config.layer_norm_eps
        self.kernels.add_and_normalise_(rows, None, None, weight, bias, epsilon, kept)
        self.show_kept(name, kept)

    def drop_(self, rows: Array, place: str) -> None:
        """Apply dropout to hidden states in place, (N, D); nothing without dropout."""
        if (factors := self.dropped(place, rows.shape[1])) is not None:
            rows *= factors

    def dropped(self, place: str, columns: int) -> Array | None:
        """Return dropout's factors for hidden states, (N, columns); None without dropout."""
        dropout = self.for_gradients and self.for_gradients.dropout
        return dropout.rows(self.layer or 0, place, columns) if dropout else None

    def dropped_weights(self, heads: int) -> Factors | None:
        """Return the function for dropout's factors of attention weights; None without dropout."""
        dropout = self.for_gradients and self.for_gradients.dropout
        return dropout.weights(self.layer or 0, heads) if dropout else None


def buckets_of(pack: Pack, kernels: Kernels, hook: Hook | None) -> list[Bucket]:
    """Group the texts of a pack for attention; for a hook by equal lengths, without padding.

    A hook for gradients does not look at attention's weights, so the device chooses.
    """
    if hook is None or isinstance(hook, ForGradients):
        return kernels.buckets(pack.lengths)
    return list(equal_buckets(pack.lengths))
