"""A forward pass and its hook, a function that gets the arrays of every step. Start at Pass.

A hook is called with a name and an array, for each name in models/trace.py. Wrapped in ForGradients
it also gets the arrays that only a backward pass needs, in float32:

- layer.n.intermediate_input (N, F): the input of the activation; with a gate beside it (N, 2F)
- layer.n.attention_normalised and layer.n.output_normalised (N, D): the rows of a layer norm before
  its weight and bias; of the embeddings embeddings.normalised (N, E), and of a norm after the last
  layer layer.n.final_normalised
- the same with deviation in place of normalised (N,): the root of each row's variance + epsilon

Without ForGradients none of these is copied or computed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from minibert.bert.packs import Pack
from minibert.bert.parameters import Config
from minibert.common.arrays import Array
from minibert.kernels.protocol import Bucket, Epilogue, Kernels
from minibert.kernels.segments import equal_buckets

__all__ = ["AllReduce", "ForGradients", "Hook", "Pass", "buckets_of"]

# Called with the name of an intermediate array and the array. The kernels work in place, so
# a hook that keeps an array must copy it.
Hook = Callable[[str, Array], None]
# Called by each rank with its summand of some rows, which becomes the sum over all ranks, in place.
AllReduce = Callable[[Array], None]


class ForGradients(NamedTuple):
    """A hook that also gets the arrays that only a backward pass needs."""

    hook: Hook

    def __call__(self, name: str, array: Array) -> None:
        """Hand an array on to the hook."""
        self.hook(name, array)


class Pass(NamedTuple):
    """Arguments that stay the same in the steps of a forward pass."""

    config: Config
    kernels: Kernels
    hook: Hook | None
    all_reduce: AllReduce | None
    buckets: list[Bucket]
    attention_bias: Array | None  # (H or 1, P, P)
    place: str = "embeddings"  # the part of the model, which begins the names for the hook

    @property
    def is_for_gradients(self) -> bool:
        """Return whether the hook also gets the arrays that only a backward pass needs."""
        return isinstance(self.hook, ForGradients)

    def show(self, name: str, array: Array) -> None:
        """Show an intermediate array to the hook."""
        if self.hook:
            self.hook(f"{self.place}.{name}", array)

    def show_for_gradients(self, name: str, array: Array) -> None:
        """Show an array, which needs no further computing, to a hook for gradients."""
        if self.is_for_gradients:
            self.show(name, array)

    def show_norm(self, norm: str, rows: Array, *added: Array) -> None:
        """Show a hook for gradients a norm's rows before its weight and bias, and their deviations.

        Both are computed from a copy of the norm's input, `rows` and all `added`. `norm` begins
        their names.
        """
        if self.is_for_gradients:
            rows = self.kernels.floats(rows).copy()
            for summand in added:
                rows += self.kernels.floats(summand)
            deviation = self.kernels.standardise(rows, self.config.layer_norm_eps)
            self.show(f"{norm}normalised", rows)
            self.show(f"{norm}deviation", deviation)

    def linear(
        self,
        x: Array,
        weight: Array,
        bias: Array,
        epilogue: Epilogue,
        look: Callable[[Array], None],
    ) -> Array:
        """Multiply and apply `epilogue`; for gradients, show `look` the product between the two."""
        if not self.is_for_gradients:
            return self.kernels.linear(x, weight, bias, epilogue)
        product = self.kernels.linear(x, weight, bias, lambda rows, place, bias: None)
        look(product)
        epilogue(product, slice(None), bias)
        return product


def buckets_of(pack: Pack, kernels: Kernels, hook: Hook | None) -> list[Bucket]:
    """Group the texts of a pack for attention; for a hook by equal lengths, without padding."""
    return list(equal_buckets(pack.lengths)) if hook else kernels.buckets(pack.lengths)
