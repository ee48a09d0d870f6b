"""Ways from tensors of a file to a field of the parameters, and back: a class each.

`field` goes forth, `values` and `gradients` go back. No names of layers and no files: layout.py
says which tensors are used in which way. Start at Use.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from typing import Protocol, TypeAlias

import numpy as np

from minibert.bert.parameters import Config
from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import Kernels

__all__ = [
    "AS_STORED",
    "BY_DISTANCE",
    "DISTANCES",
    "OVER_POSITIONS",
    "SCALED",
    "SIDE_BY_SIDE",
    "SUMMED",
    "TOKEN_TYPES",
    "TRANSPOSED",
    "Use",
    "relative_buckets",
]

# The shapes of a row's tensors; values of those that the parameters do not determine, else None.
Shapes: TypeAlias = list[tuple[int, ...]]
Given: TypeAlias = list[Array | None]

# Tensors that the parameters do not determine: they are arguments of stored_values.
TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
DISTANCES = "encoder.relative_attention_bias.weight"


class Use(Protocol):
    """A way from the tensors of a row to a field, and back.

    `kernels` are those of the device that has the arrays.
    """

    def field(self, stored: list[Array], config: Config, kernels: Kernels) -> Array:
        """Make the field from the tensors, in the order of the row."""

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        """Compute the tensors, of these shapes, from the field.

        `given` has, in the same order, the tensors that the field does not determine.
        """

    def gradients(
        self, gradient: Array, shapes: Shapes, config: Config, kernels: Kernels
    ) -> list[Array]:
        """Turn the gradient of a loss by the field into its gradients by the tensors."""


class AsStored:
    """One tensor, as it lies in the file."""

    def field(self, stored: list[Array], config: Config, kernels: Kernels) -> Array:
        return stored[0]

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        return [field]

    def gradients(
        self, gradient: Array, shapes: Shapes, config: Config, kernels: Kernels
    ) -> list[Array]:
        return [gradient]


class Transposed:
    """One weight, stored as (out, in) like all weights: a view (in, out), no copy."""

    def field(self, stored: list[Array], config: Config, kernels: Kernels) -> Array:
        return stored[0].T

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        return [field.T]

    def gradients(
        self, gradient: Array, shapes: Shapes, config: Config, kernels: Kernels
    ) -> list[Array]:
        return [gradient.T]


@dataclass(frozen=True)
class SideBySide:
    """Weights (out, in) or biases (out,) end to end, in one transposed copy.

    Attention divides q k^T by sqrt(D/H). Multiplied into the queries' part here once, it costs
    nothing later. The way back divides again: exact where sqrt(D/H) is a power of two, else to a
    unit in the last place.
    """

    scales_queries: bool = False  # the first D columns

    def field(self, stored: list[Array], config: Config, kernels: Kernels) -> Array:
        fused = stored[0].T.copy() if len(stored) == 1 else kernels.concatenate(stored).T
        if self.scales_queries:
            fused[..., : config.hidden_size] *= query_scale(config)
        return fused

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        parts = field.T.copy()
        if self.scales_queries:
            parts[: config.hidden_size] /= query_scale(config)
        return split(parts, shapes)

    def gradients(
        self, gradient: Array, shapes: Shapes, config: Config, kernels: Kernels
    ) -> list[Array]:
        parts = gradient.T.copy()
        if self.scales_queries:
            parts[: config.hidden_size] *= query_scale(config)
        return split(parts, shapes)


class Summed:
    """Positions (P, E), and token types if there are any, summed for every pair of the two.

    The sum does not determine the two, so the values of the types have to be given; the positions
    are the difference, to rounding. The gradient goes to both.
    """

    def field(self, stored: list[Array], config: Config, kernels: Kernels) -> Array:
        positions = stored[0]
        if len(stored) == 1:
            return positions[None]
        return stored[1][:, None] + positions  # (types, P, E)

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        if len(shapes) == 1:
            return [field[0]]
        types = given[1]
        if types is None:
            raise ValueError(
                "The sum of positions and token types does not determine the two; give "
                f"{TOKEN_TYPES!r}."
            )
        return [field[0] - types[0], types]

    def gradients(
        self, gradient: Array, shapes: Shapes, config: Config, kernels: Kernels
    ) -> list[Array]:
        return [gradient.sum(axis=0), gradient.sum(axis=1)][: len(shapes)]


class OverPositions:
    """Token types without position vectors: a type has one vector at all positions.

    Without token types, zeros are the vector of the only type.
    """

    def field(self, stored: list[Array], config: Config, kernels: Kernels) -> Array:
        dimension = config.hidden_size
        types = stored[0] if stored else np.zeros((1, dimension), dtype=np.float32)
        shape = len(types), config.max_position_embeddings, dimension
        return np.broadcast_to(types[:, None], shape)

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        return [field[:, 0]][: len(shapes)]

    def gradients(
        self, gradient: Array, shapes: Shapes, config: Config, kernels: Kernels
    ) -> list[Array]:
        return [gradient.sum(axis=1)][: len(shapes)]


class ByDistance:
    """A number for each bucket of distances and each head, copied to all pairs of positions.

    Some buckets hold no pair, so the way back needs the table that was stored.
    """

    def field(self, stored: list[Array], config: Config, kernels: Kernels) -> Array:
        buckets = self._buckets(config)
        of_pairs = kernels.rows_at(stored[0], buckets.ravel())
        return of_pairs.reshape(*buckets.shape, -1).transpose(2, 0, 1).copy()

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        if given[0] is None:
            raise ValueError(f"Some distances are those of no two positions; give {DISTANCES!r}.")
        table = given[0].copy()
        table[self._buckets(config)] = field.transpose(1, 2, 0)
        return [table]

    def gradients(
        self, gradient: Array, shapes: Shapes, config: Config, kernels: Kernels
    ) -> list[Array]:
        return [kernels.bucket_sums(gradient, self._buckets(config), shapes[0][0])]

    def _buckets(self, config: Config) -> IntArray:
        """Return the bucket of each pair of positions: (P, P), P rounded up to a multiple of 8."""
        # As the longest text of a bucket on a GPU: see near_buckets.
        return relative_buckets(-(-config.max_position_embeddings // 8) * 8)


AS_STORED, TRANSPOSED, SUMMED = AsStored(), Transposed(), Summed()
OVER_POSITIONS, BY_DISTANCE = OverPositions(), ByDistance()
SIDE_BY_SIDE, SCALED = SideBySide(), SideBySide(scales_queries=True)


def query_scale(config: Config) -> float:
    """Compute the 1/sqrt(D/H) of attention: Vaswani et al. (2017), equation 1."""
    scale: float = (config.hidden_size // config.num_attention_heads) ** -0.5
    return scale


def split(array: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    """Split rows into views of these shapes."""
    counts = [shape[0] for shape in shapes]
    return [array[end - count : end] for count, end in zip(counts, accumulate(counts), strict=True)]


# The least distance of each of MPNet's buckets: 16 for keys before the query, 16 for those behind.
BUCKET_STARTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91)


def relative_buckets(positions: int) -> IntArray:
    """Return the bucket of the distance from each query to each key: -> (P, P).

    Raffel et al., "T5" (2020), section 2.1, with 32 buckets, which grow logarithmically up to a
    distance of 128, whatever config.json says.
    """
    behind = np.arange(positions) - np.arange(positions)[:, None]  # key - query
    buckets: IntArray = np.searchsorted(BUCKET_STARTS, np.abs(behind), side="right") - 1
    return buckets + len(BUCKET_STARTS) * (behind > 0)
