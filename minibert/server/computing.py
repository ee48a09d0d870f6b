"""Rows of token ids -> vectors, token states or logits: what the worker computes.

Each function takes rows of one model that were computed for one job, in any number, and gives a
result for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np

from minibert.bert.packs import Pack
from minibert.common.arrays import Array, IntArray
from minibert.kernels.segments import split_rows
from minibert.models.encoding import head_of
from minibert.models.job import EncodeJob
from minibert.server.served import Served

__all__ = ["Group", "Output", "pack_tokens_of"]

Output: TypeAlias = Literal["vectors", "states", "logits"]
Ids: TypeAlias = Sequence[IntArray]
Types: TypeAlias = "list[IntArray] | None"

FEWEST = 32  # tokens of a pack that a thread gets for itself, where one pack could hold all


@dataclass(frozen=True)
class Group:
    """A model, an output, and the settings of both: rows of one group are computed together."""

    served: Served
    output: Output
    job: EncodeJob

    def compute(self, ids: Ids, types: Types) -> list[Array]:
        """Compute n rows: -> n arrays, (D,), (T, E) or (labels,). Equal rows are computed once.

        Raises CheckpointError for results with NaN.
        """
        keys = [row.tobytes() for row in ids]
        if types is not None:
            keys = [key + row.tobytes() for key, row in zip(keys, types, strict=True)]
        places = {key: place for place, key in reversed(list(enumerate(keys)))}
        first = sorted(places.values())  # of equal rows
        order = {place: number for number, place in enumerate(first)}
        found = self._compute(
            [ids[place] for place in first],
            None if types is None else [types[place] for place in first],
        )
        return [found[order[places[key]]] for key in keys]

    def _compute(self, ids: list[IntArray], types: Types) -> list[Array]:
        """Compute rows that are not equal."""
        scheduler = self.served.model.transformer.scheduler
        function, pooled_tokens = self._function()
        packs = self._packs(ids, types)
        found: list[Any] = [None] * len(ids)
        for pack, (rows,) in scheduler.run(packs, function, pooled_tokens, is_all=True):
            results = split_rows(rows, pack.lengths) if self.output == "states" else rows
            for place, row in zip(pack.order, results, strict=True):
                found[place] = np.array(row)  # a view would keep the whole pack
        return found

    def _packs(self, ids: list[IntArray], types: Types) -> list[Pack]:
        """Group rows into packs: on a CPU one for each thread, if that divides them well."""
        transformer, job = self.served.model.transformer, self.job
        if transformer.device.name == "cpu":
            limit = job.pack_tokens or transformer.device.pack_tokens
            threads = transformer.scheduler.threads
            job = replace(job, pack_tokens=pack_tokens_of(list(map(len, ids)), threads, limit))
        return transformer.packs(ids, types, job)

    def _function(self) -> tuple[Any, Any]:
        """Return the function of the output, and the one that finds the tokens it needs."""
        encoder, scorer = self.served.encoder, self.served.cross_encoder
        if scorer is not None:
            return scorer._head, scorer._pooled_tokens
        assert encoder is not None
        found = head_of(encoder, self.job)
        if self.output == "states":
            return found.states, None
        return found.vectors, found.pipeline.pooled_tokens(self.job.prompt_tokens)


def pack_tokens_of(lengths: Sequence[int], threads: int, limit: int) -> int:
    """Return the maximum of a pack's tokens with which rows make a pack for each thread, or more.

    A pack in a thread of its own is faster than a lone pack in several, whose threads wait for each
    other in every layer. It is `limit` where packs would be too small, or one row too long.
    """
    of_thread = sum(lengths) // threads
    if of_thread < max(*lengths, FEWEST):
        return limit
    # Rows stay whole: half of the longest one's tokens may remain free.
    return min(limit, of_thread + 1 + max(lengths) // 2)
