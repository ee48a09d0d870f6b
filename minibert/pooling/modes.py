"""The pooling modes: hidden states -> one vector a text, a function and a row of POOLINGS each.

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

# Hidden states (N, D), lengths (S,), how many tokens of each text were left out before its first,
# kernels -> vectors (S, D). Every length is at least 1.
Pool: TypeAlias = Callable[[Array, IntArray, int, Kernels], Array]
# Lengths (S,) -> the number of the only token of each text that is read (S,).
PooledTokens: TypeAlias = Callable[[IntArray], IntArray]
# A mode's pooling, the states of one text (T, D), the tokens left out before them, kernels -> what
# each state is multiplied by, for the products to sum to the text's vector (T, D).
Factors: TypeAlias = Callable[[Pool, Array, int, Kernels], Array]


class PoolingMode(NamedTuple):
    """A row of POOLINGS: one way to make one vector of a text's token states."""

    pool: Pool
    factors: Factors | None = None  # None where the vector is no sum over the tokens
    # Set where one token is read. The last layer is then computed for it alone, and that is all the
    # pooling is given; of a text of one token, this is the one.
    pooled_tokens: PooledTokens | None = None
    # The numbers of a text of which no token is left; None for those of its first token.
    empty: float | None = 0.0
    old_key: str | None = None  # the flag for it in settings up to sentence-transformers 5


def lasts(lengths: IntArray) -> IntArray:
    """The number of each text's last token: (S,) -> (S,)."""
    return np.cumsum(lengths) - 1


def cls(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """The state of each text's first token: (N, D), (S,) -> (S, D)."""
    return kernels.rows_at(hidden, firsts(lengths))


def lasttoken(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """The state of each text's last token, which is [SEP] in a BERT: (N, D), (S,) -> (S, D)."""
    return kernels.rows_at(hidden, lasts(lengths))


def largest(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """The largest number of each dimension among a text's tokens: (N, D), (S,) -> (S, D)."""
    return kernels.segment_max(hidden, lengths)


def mean(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Average the states of each text's tokens: (N, D), (S,) -> (S, D).

    Reimers and Gurevych, "Sentence-BERT" (2019), section 3. [CLS] and [SEP] count as tokens.
    """
    vectors = kernels.segment_sum(hidden, lengths)
    vectors /= kernels.floats(lengths)[:, None]
    return vectors


def mean_sqrt_len(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """The sum of each text's states over the root of their number: (N, D), (S,) -> (S, D)."""
    vectors = kernels.segment_sum(hidden, lengths)
    vectors /= kernels.floats(np.sqrt(lengths))[:, None]
    return vectors


def weightedmean(hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels) -> Array:
    """Average each text's states, its n-th token with the weight n: (N, D), (S,) -> (S, D).

    Muennighoff, "SGPT" (2022), section 3. What was left out before the first token still counts.
    """
    places = places_of(lengths) + 1 + skipped  # (N,)
    totals = np.add.reduceat(places, firsts(lengths))  # (S,)
    vectors = kernels.segment_sum(hidden * kernels.floats(places)[:, None], lengths)
    vectors /= kernels.floats(totals)[:, None]
    return vectors


def linear_factors(pool: Pool, states: Array, skipped: int, kernels: Kernels) -> Array:
    """The weights of a pooling that weighs states by their places alone: (T, D) -> (T, D)."""
    # Pooled rows of the unit matrix are the weights: that of token t stands in column t.
    weights = pool(np.eye(len(states)), np.array([len(states)]), skipped, kernels)
    return np.repeat(weights.T, states.shape[1], axis=1)


def largest_factors(pool: Pool, states: Array, skipped: int, kernels: Kernels) -> Array:
    """1 where a token has the largest number of a dimension, else 0: (T, D) -> (T, D)."""
    found: Array = np.eye(len(states))[:, states.argmax(axis=0)]
    return found


# The name of a pooling, as 1_Pooling/config.json gives it -> its row. Old settings that ask for
# several by flags get them in this order.
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
