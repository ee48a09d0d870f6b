"""Token ids of many texts -> packs: several texts end to end, no padding.

A pack is what the model computes on. Only attention and pooling ask where a text begins, and
`lengths` tells them, so there is no mask that could be wrong and nothing is computed for padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minibert.common.arrays import IntArray
from minibert.kernels.segments import places_of

__all__ = ["Pack", "packs", "split"]


class Pack(NamedTuple):
    """The tokens of S texts laid end to end, N in all.

    Positions travel with the pack because model families count them differently, and because a
    left-padded row keeps the positions of its padded form.
    """

    ids: IntArray  # (N,)
    positions: IntArray  # (N,)
    token_types: IntArray  # (N,)
    lengths: IntArray  # (S,), each at least 1
    order: IntArray  # (S,), where each text stood in the caller's list


def packs(
    ids: Sequence[IntArray],
    pack_tokens: int,
    max_texts: int | None = None,
    *,
    positions: Sequence[IntArray] | None = None,
    token_types: Sequence[IntArray] | None = None,
) -> Iterator[Pack]:
    """Group texts into packs of at most `pack_tokens` tokens, the longest texts first.

    There is an even number of packs, of about as many tokens each, so that threads end together.

    ids, positions and token_types hold one array a text, equally long. Positions default to
    0 ... T-1, token types to 0. A text longer than the budget is a pack of its own.
    """
    lengths = np.array([len(text) for text in ids], dtype=np.int64)
    # Longest first: the largest pack is met at once, so memory that suffices for it suffices.
    for order in groups(np.argsort(-lengths, kind="stable"), lengths, pack_tokens, max_texts):
        of_pack = lengths[order]
        total = int(of_pack.sum())
        yield Pack(
            ids=np.concatenate([ids[text] for text in order]),
            positions=(
                places_of(of_pack)
                if positions is None
                else np.concatenate([positions[text] for text in order])
            ),
            token_types=(
                np.zeros(total, dtype=np.int64)
                if token_types is None
                else np.concatenate([token_types[text] for text in order])
            ),
            lengths=of_pack,
            order=order,
        )


def split(pack: Pack, pack_tokens: int) -> Iterator[Pack]:
    """The texts of a pack in several of at most `pack_tokens` tokens, in the order that they have.

    A text longer than that is a pack of its own.
    """
    ends = np.cumsum(pack.lengths)
    for texts in groups(np.arange(len(ends)), pack.lengths, pack_tokens, None):
        rows = slice(ends[texts[0]] - pack.lengths[texts[0]], ends[texts[-1]])
        tokens = (pack.ids[rows], pack.positions[rows], pack.token_types[rows])
        yield Pack(*tokens, pack.lengths[texts], pack.order[texts])


def groups(
    order: IntArray, lengths: IntArray, pack_tokens: int, max_texts: int | None
) -> Iterator[IntArray]:
    """Cut the order of texts where the next one would break the budget: (S,) -> several.

    A cut comes sooner where a pack has its fair share. How many threads there are plays no part:
    the same texts make the same packs everywhere.
    """
    total, longest = int(lengths.sum()), min(int(lengths.max(initial=0)), pack_tokens)
    # No text is cut in two, so a pack that may not be exceeded is filled but for half of one.
    count = 1 if total <= pack_tokens else math.ceil(total / (pack_tokens - longest / 2))
    share = total / (count if count == 1 else count + count % 2)
    start, tokens, before, cuts = 0, 0, 0, 0
    for end, text in enumerate(order):
        length = int(lengths[text])
        full = tokens + length > pack_tokens or end - start == max_texts
        # Half of a text or more lies beyond the shares of the packs so far.
        if end > start and (full or before + length / 2 > share * (cuts + 1)):
            yield order[start:end]
            start, tokens, cuts = end, 0, cuts + 1
        tokens, before = tokens + length, before + length
    if start < len(order):
        yield order[start:]
