"""Pooling modes: hidden states -> a vector for each text. Each is a function and a row of POOLINGS.

A row also has the factors of the states in the vectors: explanations use them, and gradients. No
settings and no modules here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import Kernels
from minibert.kernels.segments import firsts, places_of, texts_of

__all__ = ["POOLINGS", "PooledTokens", "PoolingMode", "linear_factors", "mean"]

# Hidden states (N, D), lengths (S,), the number of tokens left out at the beginning of each text,
# kernels -> vectors (S, D). Every length is at least 1.
Pool: TypeAlias = Callable[[Array, IntArray, int, Kernels], Array]
# Lengths (S,) -> the row of the one token of each text that the mode needs (S,).
PooledTokens: TypeAlias = Callable[[IntArray], IntArray]
# A mode's pooling and what it gets -> factors (N, D), or (N, 1) where all dimensions have the same.
# A text's vector is the sum of states * factors over its tokens. So the gradient by a state is that
# by the vector, times the factor.
Factors: TypeAlias = Callable[[Pool, Array, IntArray, int, Kernels], Array]


class PoolingMode(NamedTuple):
    """A row of POOLINGS: one way to turn a text's token states into one vector."""

    pool: Pool  # computes the vectors
    # None where the vector is no such sum; it is then neither explained nor trained.
    factors: Factors | None = None
    # Set where the mode needs one token of each text. The last layer then computes only that token,
    # and `pool` gets texts of one token.
    pooled_tokens: PooledTokens | None = None
    # Fills the vector of a text without any token left; None keeps the state of its first token.
    empty: float | None = 0.0
    old_key: str | None = None  # its flag in settings up to sentence-transformers 5


def lasts(lengths: IntArray) -> IntArray:
    """Find the row of each text's last token: (S,) -> (S,)."""
    return np.cumsum(lengths) - 1


def cls(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Take the state of each text's first token: (N, D), (S,) -> (S, D)."""
    return kernels.rows_at(hidden, firsts(lengths))


def lasttoken(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Take the state of each text's last token, in a BERT [SEP]: (N, D), (S,) -> (S, D)."""
    return kernels.rows_at(hidden, lasts(lengths))


def largest(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Take the largest value of each dimension over a text's tokens: (N, D), (S,) -> (S, D)."""
    return kernels.segment_max(hidden, lengths)


def mean(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Average the states of each text's tokens: (N, D), (S,) -> (S, D).

    Reimers and Gurevych, "Sentence-BERT" (2019), section 3. [CLS] and [SEP] count as tokens.
    """
    vectors = kernels.segment_sum(hidden, lengths)
    vectors /= kernels.floats(lengths)[:, None]
    return vectors


def mean_sqrt_len(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Divide the sum of each text's states by the root of their number: (N, D), (S,) -> (S, D)."""
    vectors = kernels.segment_sum(hidden, lengths)
    vectors /= kernels.floats(np.sqrt(lengths).astype(vectors.dtype))[:, None]
    return vectors


def weightedmean(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Average each text's states with the weight n for its n-th token: (N, D), (S,) -> (S, D).

    Muennighoff, "SGPT" (2022), section 3. Tokens left out at the beginning count in n.
    """
    places = places_of(lengths) + 1 + skipped  # (N,)
    totals = np.add.reduceat(places, firsts(lengths))  # (S,)
    vectors = kernels.segment_sum(hidden * kernels.floats(places)[:, None], lengths)
    vectors /= kernels.floats(totals)[:, None]
    return vectors


def linear_factors(
    pool: Pool, hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels
) -> Array:
    """Find the weights of a pooling that depend on places alone: (N, D), (S,) -> (N, 1)."""
    # Pooling rows of a unit matrix gives the weights: column t has those of the texts' t-th tokens.
    places, longest = places_of(lengths), int(lengths.max())
    unit = np.equal.outer(places, np.arange(longest)).astype(hidden.dtype)  # (N, longest)
    weights = pool(kernels.floats(unit), lengths, skipped, kernels)  # (S, longest)
    return kernels.rows_at(weights.reshape(-1, 1), texts_of(lengths) * longest + places)


def largest_factors(
    pool: Pool, hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels
) -> Array:
    """Factors 1 where a token has the largest value of a dimension, else 0: (N, D) -> (N, D).

    Of several that are level, the first has it, as in torch.
    """
    texts, longest = texts_of(lengths), int(lengths.max())
    is_largest = hidden == kernels.rows_at(pool(hidden, lengths, skipped, kernels), texts)
    # The earlier a token, the higher it ranks.
    ranks = is_largest * kernels.floats(longest - places_of(lengths))[:, None]
    highest = kernels.rows_at(kernels.segment_max(ranks, lengths), texts)
    return kernels.floats(ranks == highest)


# The name of a mode in 1_Pooling/config.json -> its row. Old settings choose modes by flags, which
# have no order; their modes come in this one.
POOLINGS: dict[str, PoolingMode] = {
    "cls": PoolingMode(
        cls, linear_factors, pooled_tokens=firsts, empty=None, old_key="pooling_mode_cls_token"
    ),
    "max": PoolingMode(largest, largest_factors, empty=-np.inf, old_key="pooling_mode_max_tokens"),
    "mean": PoolingMode(mean, linear_factors, old_key="pooling_mode_mean_tokens"),
    "mean_sqrt_len_tokens": PoolingMode(
        mean_sqrt_len, linear_factors, old_key="pooling_mode_mean_sqrt_len_tokens"
    ),
    "weightedmean": PoolingMode(
        weightedmean, linear_factors, old_key="pooling_mode_weightedmean_tokens"
    ),
    "lasttoken": PoolingMode(
        lasttoken, linear_factors, pooled_tokens=lasts, old_key="pooling_mode_lasttoken"
    ),
}
