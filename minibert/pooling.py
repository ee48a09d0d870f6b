"""Hidden states -> one vector a text, and what may follow it. No scores here."""

from __future__ import annotations

from collections.abc import Callable

from minibert.arrays import Array, IntArray, Kernels

__all__ = ["POOLINGS", "Pooling", "mean"]

# (N, D) hidden states, (S,) lengths, kernels -> (S, D) vectors
Pooling = Callable[[Array, IntArray, Kernels], Array]


def mean(hidden: Array, lengths: IntArray, kernels: Kernels) -> Array:
    """Average the states of each text's tokens: (N, D), (S,) -> (S, D).

    Reimers and Gurevych, "Sentence-BERT" (2019), section 3. [CLS] and [SEP] count as tokens.
    """
    vectors = kernels.segment_sum(hidden, lengths)
    vectors /= kernels.floats(lengths)[:, None]
    return vectors


# The name of a pooling, as 1_Pooling/config.json gives it -> the function.
POOLINGS: dict[str, Pooling] = {"mean": mean}
