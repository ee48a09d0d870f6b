"""Rows of token ids -> vectors, token states or logits: what the worker computes.

Each function takes rows of one model that were computed for one job, in any number, and gives a
result for each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.segments import split_rows
from minibert.models.encoding import head_of
from minibert.models.job import EncodeJob
from minibert.server.served import Served

__all__ = ["Group", "Output"]

Output: TypeAlias = Literal["vectors", "states", "logits"]
Ids: TypeAlias = Sequence[IntArray]
Types: TypeAlias = "list[IntArray] | None"


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
        transformer = self.served.model.transformer
        function, pooled_tokens = self._function()
        packs = transformer.packs(ids, types, self.job)
        found: list[Any] = [None] * len(ids)
        for pack, (rows,) in transformer.scheduler.run(packs, function, pooled_tokens, is_all=True):
            results = split_rows(rows, pack.lengths) if self.output == "states" else rows
            for place, row in zip(pack.order, results, strict=True):
                found[place] = np.array(row)  # a view would keep the whole pack
        return found

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
