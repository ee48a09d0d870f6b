"""Rows of tokens -> padded matrices, as transformers has them."""

from __future__ import annotations

import numpy as np

from minibert.common.arrays import IntArray
from minibert.tokens.tokenizer import Rows, TextTokenizer

__all__ = ["pad_rows"]


def pad_rows(
    rows: Rows, tokenizer: TextTokenizer, length: int = 0, side: str | None = None
) -> dict[str, IntArray]:
    """Pad rows of tokens to matrices under transformers' names: S of (T,) -> (S, longest) int64.

    `length` is the least number of columns. `side` is the side of the padding, by default the
    folder's. The tokenizer's `input_names` say which of the three matrices are returned.
    """
    length = max(length, max(map(len, rows.ids), default=0))
    ids = np.full((len(rows.ids), length), tokenizer.pad_id, dtype=np.int64)
    types, mask = np.zeros_like(ids), np.zeros_like(ids)
    for index, row in enumerate(rows.ids):
        left = (side or tokenizer.padding_side) == "left"
        here = slice(length - len(row), None) if left else slice(len(row))
        ids[index, here], mask[index, here] = row, 1
        if rows.types is not None:
            types[index, here] = rows.types[index]
    arrays = {"input_ids": ids, "token_type_ids": types, "attention_mask": mask}
    return {name: arrays[name] for name in arrays if name in tokenizer.input_names}
