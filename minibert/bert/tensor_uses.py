"""The ways in which tensors of a file become a field of the parameters, and how they are had back.

A class a way: `field` makes the field, `values` and `gradients` are beside it. No names of layers
and no files: layout.py says which tensors go which way. Start at Use.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, TypeAlias

import numpy as np

from minibert.bert.parameters import Config
from minibert.common.arrays import Array, IntArray

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

# The shapes of a row's tensors, and those of its tensors that the parameters do not determine.
Shapes: TypeAlias = list[tuple[int, ...]]
Given: TypeAlias = list[Array | None]

# Tensors that the parameters do not determine: stored_values has to be given them.
TOKEN_TYPES = "embeddings.token_type_embeddings.weight"
DISTANCES = "encoder.relative_attention_bias.weight"


class Use(Protocol):
    """How the tensors of a row become a field, and how they are had back from one."""

    def field(self, stored: list[Array], config: Config) -> Array:
        """Make the field of the tensors, which come in the order of the row."""

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        """Take the field apart into tensors of these shapes.

        `given` has, in the same order, what the field does not determine.
        """

    def gradients(self, gradient: Array, shapes: Shapes, config: Config) -> list[Array]:
        """Turn the gradient of a loss by the field into those by the tensors."""


class AsStored:
    """The one tensor as it lies in the file."""

    def field(self, stored: list[Array], config: Config) -> Array:
        return stored[0]

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        return [field]

    def gradients(self, gradient: Array, shapes: Shapes, config: Config) -> list[Array]:
        return [gradient]


class Transposed:
    """A weight, stored as (out, in) like every one, seen as (in, out). Nothing is copied."""

    def field(self, stored: list[Array], config: Config) -> Array:
        return stored[0].T

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        return [field.T]

    def gradients(self, gradient: Array, shapes: Shapes, config: Config) -> list[Array]:
        return [gradient.T]


@dataclass(frozen=True)
class SideBySide:
    """Weights (out, in) or biases (out,) end to end, in one transposed copy.

    Attention divides q k^T by sqrt(D/H). Multiplied into the queries' part here once, it costs
    nothing later. The way back divides again: exact where sqrt(D/H) is a power of two, else to a
    unit in the last place.
    """

    scales_queries: bool = False  # the first D columns

    def field(self, stored: list[Array], config: Config) -> Array:
        fused = stored[0].T.copy() if len(stored) == 1 else np.concatenate(stored).T
        if self.scales_queries:
            fused[..., : config.hidden_size] *= query_scale(config)
        return fused

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        parts = field.T.copy()
        if self.scales_queries:
            parts[: config.hidden_size] /= query_scale(config)
        return split(parts, shapes)

    def gradients(self, gradient: Array, shapes: Shapes, config: Config) -> list[Array]:
        parts = gradient.T.copy()
        if self.scales_queries:
            parts[: config.hidden_size] *= query_scale(config)
        return split(parts, shapes)


class Summed:
    """Positions (P, E), and token types if there are any, summed for every pair of the two.

    The sum does not say what each of the two was, so the values of the types have to be given; the
    positions are what is left, to rounding. Its gradient goes to both.
    """

    def field(self, stored: list[Array], config: Config) -> Array:
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
                "The sum of positions and token types does not say what each was; give "
                f"{TOKEN_TYPES!r}."
            )
        return [field[0] - types[0], types]

    def gradients(self, gradient: Array, shapes: Shapes, config: Config) -> list[Array]:
        return [gradient.sum(axis=0), gradient.sum(axis=1)][: len(shapes)]


class OverPositions:
    """Token types where no position has a vector: a type's is that of all its positions.

    Without token types, zeros stand for the only one.
    """

    def field(self, stored: list[Array], config: Config) -> Array:
        dimension = config.hidden_size
        types = stored[0] if stored else np.zeros((1, dimension), dtype=np.float32)
        shape = len(types), config.max_position_embeddings, dimension
        return np.broadcast_to(types[:, None], shape)

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        return [field[:, 0]][: len(shapes)]

    def gradients(self, gradient: Array, shapes: Shapes, config: Config) -> list[Array]:
        return [gradient.sum(axis=1)][: len(shapes)]


class ByDistance:
    """A number for each bucket of distances and each head, spread over all pairs of positions.

    Some buckets no pair is in, so the way back needs the table that was stored.
    """

    def field(self, stored: list[Array], config: Config) -> Array:
        return np.ascontiguousarray(stored[0][self._buckets(config)].transpose(2, 0, 1))

    def values(self, field: Array, shapes: Shapes, config: Config, given: Given) -> list[Array]:
        if given[0] is None:
            raise ValueError(f"Some distances are those of no two positions; give {DISTANCES!r}.")
        table = given[0].copy()
        table[self._buckets(config)] = field.transpose(1, 2, 0)
        return [table]

    def gradients(self, gradient: Array, shapes: Shapes, config: Config) -> list[Array]:
        table = np.zeros(shapes[0], dtype=gradient.dtype)
        np.add.at(table, self._buckets(config), gradient.transpose(1, 2, 0))
        return [table]

    def _buckets(self, config: Config) -> IntArray:
        """The bucket of each pair of positions: (P, P), and some more."""
        # Up to a multiple of 8, as a GPU's runs of near lengths are.
        return relative_buckets(-(-config.max_position_embeddings // 8) * 8)


AS_STORED, TRANSPOSED, SUMMED = AsStored(), Transposed(), Summed()
OVER_POSITIONS, BY_DISTANCE = OverPositions(), ByDistance()
SIDE_BY_SIDE, SCALED = SideBySide(), SideBySide(scales_queries=True)


def query_scale(config: Config) -> float:
    """The 1/sqrt(D/H) of attention: Vaswani et al. (2017), equation 1."""
    scale: float = (config.hidden_size // config.num_attention_heads) ** -0.5
    return scale


def split(array: Array, shapes: list[tuple[int, ...]]) -> list[Array]:
    """Rows end to end -> the tensors of these shapes, as views."""
    ends = np.cumsum([shape[0] for shape in shapes])
    return np.split(array, ends[:-1])


# The least distance of each of MPNet's buckets: 16 for keys before the query, 16 for those behind.
BUCKET_STARTS = (0, 1, 2, 3, 4, 5, 6, 7, 8, 12, 16, 23, 32, 46, 64, 91)


def relative_buckets(positions: int) -> IntArray:
    """Which bucket the distance from each query to each key is in: -> (P, P).

    Raffel et al., "T5" (2020), section 2.1, with 32 buckets, which grow logarithmically up to a
    distance of 128, whatever config.json says.
    """
    behind = np.arange(positions) - np.arange(positions)[:, None]  # key - query
    buckets: IntArray = np.searchsorted(BUCKET_STARTS, np.abs(behind), side="right") - 1
    return buckets + len(BUCKET_STARTS) * (behind > 0)
