"""Hidden states -> one vector a text, and the small modules that may follow. No scores here.

A pooling is a function and a row of POOLINGS. A module works on rows: on a text's vector after the
pooling, or on a token's state before it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, Protocol, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.protocol import Kernels
from minibert.kernels.segments import firsts, places_of

__all__ = [
    "LINEAR",
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

ROW_NORM_EPSILON = 1e-5  # torch's, of a LayerNorm after the BERT


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
# Poolings that weigh the states of a text whatever these are, by their places alone.
LINEAR = {"cls", "mean", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"}


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


def factors(modes: Sequence[str], states: Array, skipped: int, kernels: Kernels) -> Array:
    """What `pool` multiplies the states of one text by, to sum them: (T, D) -> (T, D * modes).

    They are float64, and 0 for the `skipped` tokens.

    Raises ValueError for a pooling that is no such sum, and for a text of which none is left.
    """
    left = states[skipped:]
    if not len(left):
        raise ValueError(
            f"The pooling leaves out the prompt, which takes all {len(states)} tokens that the "
            "model reads. Use a shorter prompt, or a larger max_seq_length."
        )
    columns = []
    for mode in modes:
        if mode in LINEAR:
            # Pooled rows of the unit matrix are the weights: that of token t stands in column t.
            weights = POOLINGS[mode](np.eye(len(left)), np.array([len(left)]), skipped, kernels)
            columns.append(np.repeat(weights.T, states.shape[1], axis=1))
        elif mode == "max":  # each dimension is that of the token where it is largest
            columns.append(np.eye(len(left))[:, left.argmax(axis=0)])
        else:
            raise ValueError(f"A vector pooled by {mode!r} is no sum over the tokens of its text.")
    found: Array = np.pad(np.hstack(columns), ((skipped, 0), (0, 0)))
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
