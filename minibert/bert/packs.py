"""Token ids of many texts -> packs: several texts end to end, no padding.

The model computes on packs. Only attention and pooling need the places where texts begin; they have
them from `lengths`. So there is no mask that could be wrong, and no computing for padding.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from minibert.common.arrays import IntArray
from minibert.kernels.segments import places_of

__all__ = ["Pack", "groups", "packs", "split"]


class Pack(NamedTuple):
    """A ragged batch: N tokens of S texts end to end, no padding.

    `lengths` are the differences of what other libraries call cu_seqlens. Positions are in the pack
    because families count them differently, and a left-padded row keeps those of its padded form.
    """

    ids: IntArray  # (N,)
    positions: IntArray  # (N,)
    token_types: IntArray  # (N,)
    lengths: IntArray  # (S,), each at least 1
    order: IntArray  # (S,), each text's index in the caller's list


def packs(
    ids: Sequence[IntArray],
    pack_tokens: int,
    max_texts: int | None = None,
    *,
    positions: Sequence[IntArray] | None = None,
    token_types: Sequence[IntArray] | None = None,
) -> Iterator[Pack]:
    """Group texts into packs of at most `pack_tokens` tokens, the longest texts first.

    Several packs are even in number and have about as many tokens each, so that threads end at the
    same time. A text longer than `pack_tokens` is a pack of its own.

    `ids`, `positions` and `token_types` hold one array for each text, all equally long. Positions
    default to 0 ... T-1, token types to 0.
    """
    lengths = np.array([len(text) for text in ids], dtype=np.int64)
    # Longest first: if memory suffices for the first pack, it suffices for all.
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
    """Split a pack into packs of at most `pack_tokens` tokens; texts keep their order.

    A text longer than `pack_tokens` is a pack of its own.
    """
    ends = np.cumsum(pack.lengths)
    for texts in groups(np.arange(len(ends)), pack.lengths, pack_tokens, None):
        rows = slice(ends[texts[0]] - pack.lengths[texts[0]], ends[texts[-1]])
        tokens = (pack.ids[rows], pack.positions[rows], pack.token_types[rows])
        yield Pack(*tokens, pack.lengths[texts], pack.order[texts])


def groups(
    order: IntArray, lengths: IntArray, pack_tokens: int, max_texts: int | None
) -> Iterator[IntArray]:
    """Split the order of texts into groups within the budget: (S,) -> several.

    A group ends sooner where its tokens reach an equal part of the total. The number of threads
    does not count: the same texts make the same packs on every machine.
    """
    total, longest = int(lengths.sum()), min(int(lengths.max(initial=0)), pack_tokens)
    # Texts stay whole, so about half of the longest one's tokens remain free in each pack.
    count = 1 if total <= pack_tokens else math.ceil(total / (pack_tokens - longest / 2))
    target = total / (count if count == 1 else count + count % 2)
    start, tokens, before, done = 0, 0, 0, 0
    for end, text in enumerate(order):
        length = int(lengths[text])
        full = tokens + length > pack_tokens or end - start == max_texts
        # With half of this text, the packs so far would exceed their targets.
        if end > start and (full or before + length / 2 > target * (done + 1)):
            yield order[start:end]
            start, tokens, done = end, 0, done + 1
        tokens, before = tokens + length, before + length
    if start < len(order):
        yield order[start:]
