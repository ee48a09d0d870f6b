"""Packs for training: of whole examples, whose loss needs no other texts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from minibert.bert.packs import Pack, groups, packs
from minibert.common.arrays import IntArray

__all__ = ["packs_of_examples"]


def packs_of_examples(
    ids: Sequence[IntArray],
    positions: Sequence[IntArray],
    token_types: Sequence[IntArray] | None,
    examples: int,
    pack_tokens: int,
) -> list[Pack]:
    """Group whole examples into packs of about `pack_tokens` tokens at most.

    Text c * examples + e is column c of example e. Examples with the most tokens come first, and an
    example of more tokens than `pack_tokens` is a pack of its own. In a pack, the longest texts
    come first, as attention takes texts of one length together.
    """
    lengths = np.array([len(row) for row in ids]).reshape(-1, examples)
    totals = lengths.sum(axis=0)
    found = []
    for order in groups(np.argsort(-totals, kind="stable"), totals, pack_tokens, None):
        texts = (np.arange(len(lengths))[:, None] * examples + order).ravel().tolist()
        of_texts = [ids[text] for text in texts]
        types = None if token_types is None else [token_types[text] for text in texts]
        (pack,) = packs(
            of_texts,
            int(totals[order].sum()),
            positions=[positions[text] for text in texts],
            token_types=types,
        )
        found.append(pack._replace(order=np.array(texts)[pack.order]))
    return found
