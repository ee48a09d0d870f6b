"""Sums of the gradients of packs, in the order of the packs whatever thread computes them.

Rounding depends on the order of a sum, so this gives the same bits with any number of threads.
Start at Sums.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable

from minibert.bert.backward import Give
from minibert.common.arrays import Array, IntArray

__all__ = ["Sums"]


class Sums:
    """Gradients by name, summed over the packs of a step."""

    def __init__(
        self,
        zeros_of: Callable[[str], Array],
        add_at_: Callable[[Array, IntArray, Array], None],
        names: Callable[[str], str] = lambda name: name,
        uses: Callable[[str], int] = lambda name: 1,
    ) -> None:
        """Sum nothing yet.

        `zeros_of` makes zeros (R, D) for a tensor of which packs give some rows, which `add_at_`
        adds. `names` turns the name of a gradient into that of its sum: a layer that is used again
        has one. `uses` counts the gradients of a pack for a sum.
        """
        self.totals: dict[str, Array] = {}
        self._zeros_of, self._add_at = zeros_of, add_at_
        self._names, self._uses = names, uses
        self._turn = threading.Condition()
        self._next: Counter[str] = Counter()  # number of the pack that may add to a sum
        self._has_failed = False

    def begin(self) -> None:
        """Begin the packs of a batch, numbered from 0."""
        self._next.clear()
        self._has_failed = False

    def fail(self) -> None:
        """Let no pack wait any longer: one of them has failed.

        A pack that need not wait goes on, so the first one to raise, in their order, has the cause.
        """
        with self._turn:
            self._has_failed = True
            self._turn.notify_all()

    def of_pack(self, number: int) -> Give:
        """Return the function to which a pack gives its gradients."""
        waiting: dict[str, Array] = {}  # sums over the uses of a layer within this pack
        given: Counter[str] = Counter()

        def give(name: str, gradient: Array, index: IntArray | None = None) -> None:
            name = self._names(name)
            given[name] += 1
            if given[name] > 1:
                waiting[name] += gradient
            elif self._uses(name) > 1:
                waiting[name] = gradient
            if given[name] == self._uses(name):
                self._add_in_turn(number, name, waiting.pop(name, gradient), index)

        return give

    def _add_in_turn(self, number: int, name: str, gradient: Array, index: IntArray | None) -> None:
        with self._turn:
            self._turn.wait_for(lambda: self._has_failed or self._next[name] == number)
            if self._next[name] != number:
                raise RuntimeError("A pack of this step, before this one, has failed.")
        # Not under the lock: sums of other names go on.
        if index is not None:
            if name not in self.totals:
                self.totals[name] = self._zeros_of(name)
            self._add_at(self.totals[name].reshape(-1, gradient.shape[1]), index, gradient)
        elif name in self.totals:
            self.totals[name] += gradient
        else:
            self.totals[name] = gradient
        with self._turn:
            self._next[name] = number + 1
            self._turn.notify_all()
