"""Pooling modes: hidden states -> a vector for each text. Each is a function and a row of POOLINGS.

No settings and no modules here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.protocol import Kernels
from minibert.kernels.segments import firsts, places_of

__all__ = ["POOLINGS", "PooledTokens", "PoolingMode", "linear_factors", "mean"]

# Hidden states (N, D), lengths (S,), the number of tokens left out at the beginning of each text,
# kernels -> vectors (S, D). Every length is at least 1.
Pool: TypeAlias = Callable[[Array, IntArray, int, Kernels], Array]
# Lengths (S,) -> the row of the one token of each text that the mode needs (S,).
PooledTokens: TypeAlias = Callable[[IntArray], IntArray]
# A mode's pooling, the states of one text (T, D), the number of tokens left out before them,
# kernels -> factors (T, D). The text's vector is the sum of states * factors over the tokens.
Factors: TypeAlias = Callable[[Pool, Array, int, Kernels], Array]


class PoolingMode(NamedTuple):
    """A row of POOLINGS: one way to turn a text's token states into one vector."""

    pool: Pool  # computes the vectors
    factors: Factors | None = None  # None where the vector is no sum over the tokens
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
    vectors /= np.sqrt(kernels.floats(lengths))[:, None]
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


def linear_factors(pool: Pool, states: Array, skipped: int, kernels: Kernels) -> Array:
    """Find the weights of a pooling that depend on positions alone: (T, D) -> (T, D)."""
    # Pooling the rows of the unit matrix gives the weights: column t has the one of token t.
    weights = pool(np.eye(len(states)), np.array([len(states)]), skipped, kernels)
    return np.repeat(weights.T, states.shape[1], axis=1)


def largest_factors(pool: Pool, states: Array, skipped: int, kernels: Kernels) -> Array:
    """Factors 1 where a token has the largest value of a dimension, else 0: (T, D) -> (T, D)."""
    found: Array = np.eye(len(states))[:, states.argmax(axis=0)]
    return found


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
