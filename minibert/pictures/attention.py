"""Which token looks at which, in one layer of a text's way through a model: attention_svg."""

from __future__ import annotations

import numpy as np

from minibert.common.arrays import Array
from minibert.models.trace import Trace
from minibert.pictures.grid import Axis, Label, grid_svg

__all__ = ["attention_svg", "first_tokens"]


def attention_svg(trace: Trace, layer: int, head: int | None = None, most: int = 64) -> str:
    """The attention weights of a layer as a complete SVG: a row is what its token looks at.

    `head` is a head's number, from 0 as in the trace; None shows the mean of all heads. Of a text
    with more than `most` tokens, the first have rows and columns, and a last column holds what
    they give to all the others.

    Raises ValueError for a layer or head that is not there, or whose attention was not kept.
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
    chosen = weights.mean(axis=0) if head is None else weights[head]
    which = f"mean of {heads} heads" if head is None else f"head {head}"
    labels = [
        Label(token, apart=word is None)
        for token, word in zip(trace.tokens.tokens, trace.tokens.word_ids, strict=True)
    ]
    rows, columns = labels[:most], list(labels[:most])
    if len(labels) > most:
        columns.append(Label(f"{len(labels) - most} later tokens", apart=True, is_rest=True))
    return grid_svg(
        first_tokens(chosen, most), Axis("token", rows), Axis("looks at", columns),
        f"{name}, {which}",
    )  # fmt: skip


def first_tokens(weights: Array, most: int) -> Array:
    """The weights among the first tokens, (..., T, T) -> (..., most, most + 1).

    The last column is what they give to all later tokens, so rows still sum to 1; with at most
    `most` tokens there are no others, and no such column.
    """
    if weights.shape[-1] <= most:
        return weights
    rows = weights[..., :most, :]
    return np.concatenate([rows[..., :most], rows[..., most:].sum(axis=-1, keepdims=True)], axis=-1)
