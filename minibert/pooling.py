"""Hidden states -> one vector a text, and the small modules that may follow. No scores here.

A pooling is a function and a row of POOLINGS. A module works on rows: on a text's vector after the
pooling, or on a token's state before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from minibert.activations import ACTIVATIONS
from minibert.arrays import Array, IntArray, Kernels
from minibert.packing import firsts, places_of

__all__ = [
    "FACTORS",
    "POOLINGS",
    "READS",
    "ROW_NORM_EPSILON",
    "Pooling",
    "Projection",
    "Reads",
    "RowModule",
    "RowNorm",
    "factors",
    "normalize",
    "pool",
]

# Hidden states (N, D), lengths (S,), how many tokens of each text were left out before its first,
# kernels -> vectors (S, D). Every length is at least 1.
Pooling: TypeAlias = Callable[[Array, IntArray, int, Kernels], Array]


# Lengths (S,) -> the number of the only token of each text that is read (S,).
Reads: TypeAlias = Callable[[IntArray], IntArray]


ROW_NORM_EPSILON = 1e-5  # of a LayerNorm after the BERT: torch's


class RowModule(Protocol):
    """Rows (R, D), kernels -> rows (R, E); the rows given may be overwritten."""

    def __call__(self, rows: Array, kernels: Kernels) -> Array: ...


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


# The name of a pooling, as 1_Pooling/config.json gives it -> the function. Old settings that ask
# for several by flags get them in this order.
POOLINGS: dict[str, Pooling] = {
    "cls": cls,
    "max": largest,
    "mean": mean,
    "mean_sqrt_len_tokens": mean_sqrt_len,
    "weightedmean": weightedmean,
    "lasttoken": lasttoken,
}
# Poolings that read one token of each text -> its number. The last layer is computed for it alone.
READS: dict[str, Reads] = {"cls": firsts, "lasttoken": lasts}
# A pooling as a sum over the tokens of one text: the factor of each state. States (T, D), how many
# tokens were left out before them -> (T, D), or (T, 1) where all dimensions have one factor.
FACTORS: dict[str, Callable[[Array, int], Array]] = {
    "cls": lambda states, skipped: np.eye(len(states))[:, :1],
    "max": lambda states, skipped: np.eye(len(states))[:, states.argmax(axis=0)],
    "mean": lambda states, skipped: np.full((len(states), 1), 1 / len(states)),
    "mean_sqrt_len_tokens": lambda states, skipped: np.full((len(states), 1), len(states) ** -0.5),
    "weightedmean": lambda states, skipped: rising_factors(len(states), skipped),
    "lasttoken": lambda states, skipped: np.eye(len(states))[:, -1:],
}


def rising_factors(tokens: int, skipped: int) -> Array:
    """The factors of `weightedmean`: proportional to each token's number, with the sum 1: (T, 1)"""
    places = np.arange(1.0, tokens + 1) + skipped
    return (places / places.sum())[:, None]


def pool(
    modes: Sequence[str], hidden: Array, lengths: IntArray, skipped: int, kernels: Kernels
) -> Array:
    """Pool by one mode, or by several side by side: (N, D), (S,) -> (S, D * modes).

    The first `skipped` tokens of every text are left out: [CLS] and a prompt. Where that leaves no
    token the reference gives zeros, minus infinity for the largest, and for cls the first token.
    """
    left = np.maximum(lengths - skipped, 0)
    # A text with nothing left keeps its first token, so that no pooling meets an empty text.
    empty = np.flatnonzero(left == 0).tolist()
    if skipped:
        places = places_of(lengths)
        keep = (places >= skipped) | ((places == 0) & np.repeat(left == 0, lengths))
        hidden, lengths = kernels.rows_at(hidden, np.flatnonzero(keep)), np.maximum(left, 1)
    width = hidden.shape[1]
    vectors = kernels.empty(len(lengths), width * len(modes))
    for number, mode in enumerate(modes):
        columns = slice(number * width, (number + 1) * width)
        vectors[:, columns] = POOLINGS[mode](hidden, lengths, skipped, kernels)
        for text in empty if mode != "cls" else ():
            vectors[text, columns] = -np.inf if mode == "max" else 0.0
    return vectors


def factors(modes: Sequence[str], states: Array, skipped: int) -> Array:
    """`pool` as a sum over one text's tokens: (T, D) -> (T, D * modes), what each is multiplied by.

    Raises ValueError for a pooling that is no such sum, and for a text of which none is left.
    """
    unknown = [mode for mode in modes if mode not in FACTORS]
    if unknown:
        raise ValueError(f"A vector pooled by {unknown[0]} is no sum over its tokens.")
    if skipped >= len(states):
        raise ValueError("The prompt leaves no token of the text, so there is nothing to explain.")
    found = np.zeros((len(states), states.shape[1] * len(modes)))
    for number, mode in enumerate(modes):
        columns = slice(number * states.shape[1], (number + 1) * states.shape[1])
        found[skipped:, columns] = FACTORS[mode](states[skipped:], skipped)
    return found


class Projection(NamedTuple):
    """act(x W + b), and with a residual x, or x R where the widths differ, added after it."""

    weight: Array  # (D, E)
    bias: Array  # (E,)
    activation: str  # a name in ACTIVATIONS
    has_residual: bool = False
    residual: Array | None = None  # (D, E)

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Project rows: (R, D) -> (R, E)."""
        projected = kernels.linear(rows, self.weight, self.bias)
        ACTIVATIONS[self.activation](kernels, projected)
        if self.has_residual:
            projected += rows if self.residual is None else rows @ self.residual
        return projected


class RowNorm(NamedTuple):
    """Mean 0 and variance 1 over each row, then a gain and a bias; the epsilon is torch's."""

    weight: Array  # (D,)
    bias: Array  # (D,)

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Normalise rows: (R, D) -> (R, D)."""
        kernels.layer_norm_(rows, self.weight, self.bias, ROW_NORM_EPSILON)
        return rows


def normalize(rows: Array, kernels: Kernels) -> Array:
    """Divide each row by its Euclidean length: (R, D) -> (R, D)."""
    kernels.normalize_(rows)
    return rows
