"""Draw the attention weights of one layer. Start at attention_svg."""

from __future__ import annotations

import numpy as np

from minibert.common.arrays import Array
from minibert.models.trace import Trace
from minibert.pictures.grid import Axis, Label, grid_svg

__all__ = ["attention_svg", "first_tokens"]


def attention_svg(trace: Trace, layer: int, head: int | None = None, max_tokens: int = 64) -> str:
    """Draw the attention weights of a layer as a complete SVG: a row for each token that looks.

    `head` is the number of a head, from 0 as in the trace; None draws the mean of all heads. Of a
    longer text the first `max_tokens` have rows and columns; one more column has the sum of their
    weights for all the others.

    Raises ValueError for a layer or head that does not exist, or whose attention was not kept.
    """
    name = f"layer.{layer}.attention"
    if name not in trace.shapes:
        kept = [name for name in trace.shapes if name.endswith(".attention")]
        raise ValueError(
            f"This trace has no {name!r}. It has {', '.join(kept) or 'no attention'}; layers count "
            'from 0, and keep= must match ("*.attention").'
        )
    weights = trace[name]
    heads = len(weights)
    if head is not None and not 0 <= head < heads:
        raise ValueError(f"There is no head {head}: layer {layer} has {heads}, counted from 0.")
    drawn = weights.mean(axis=0) if head is None else weights[head]
    which = f"mean of {heads} heads" if head is None else f"head {head}"
    labels = [
        Label(token, apart=word is None)
        for token, word in zip(trace.tokens.tokens, trace.tokens.word_ids, strict=True)
    ]
    rows, columns = labels[:max_tokens], list(labels[:max_tokens])
    if len(labels) > max_tokens:
        columns.append(Label(f"{len(labels) - max_tokens} later tokens", apart=True, is_rest=True))
    return grid_svg(
        first_tokens(drawn, max_tokens), Axis("token", rows), Axis("looks at", columns),
        f"{name}, {which}",
    )  # fmt: skip


def first_tokens(weights: Array, max_tokens: int) -> Array:
    """Keep the weights of the first tokens: (..., T, T) -> (..., max_tokens, max_tokens + 1).

    The last column has the sum of their weights for all later tokens, so rows still sum to 1. A
    text of at most `max_tokens` tokens keeps its weights as they are, without such a column.
    """
    if weights.shape[-1] <= max_tokens:
        return weights
    rows = weights[..., :max_tokens, :]
    return np.concatenate(
        [rows[..., :max_tokens], rows[..., max_tokens:].sum(axis=-1, keepdims=True)], axis=-1
    )
