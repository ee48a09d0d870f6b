"""Find the words of the vocabulary nearest to a hidden state. Start at nearest_words."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from minibert.bert.load import Checkpoint
from minibert.common.arguments import check_given_counts
from minibert.kernels.cores import one_blas_thread
from minibert.kernels.devices import to_host
from minibert.kernels.protocol import NORM_FLOOR
from minibert.scoring.similarity import as_rows, normalize_embeddings
from minibert.scoring.top_k import TopK
from minibert.tokens.tokenizer import TextTokenizer

__all__ = ["nearest_words"]

# Rows of the word embeddings compared at a time, by default: 12 MB for a BERT-base.
BLOCK_ROWS = 4096


class HasCheckpoint(Protocol):
    """A model with its word embeddings and its tokenizer."""

    @property
    def checkpoint(self) -> Checkpoint: ...

    @property
    def transformer(self) -> HasTokenizer: ...


class HasTokenizer(Protocol):
    """A transformer module with its tokenizer."""

    @property
    def text_tokenizer(self) -> TextTokenizer: ...


def nearest_words(
    model: HasCheckpoint, states: ArrayLike, *, k: int = 5, block_rows: int = BLOCK_ROWS
) -> list[list[str]]:
    """Find the k tokens whose word embeddings are nearest to each state: (T, D) -> T lists of k.

    Nearest is the highest cosine, best first; equal ones come by their ids. Deeper layers need not
    keep to the word embeddings, so for their states the result is a hint. (The "logit lens" of
    nostalgebraist, 2020, compares states with the output embeddings of a language model.) A row
    without a token is named by its number, as "#7". `block_rows` word embeddings are compared at a
    time.

    Raises ValueError for states with another dimension than hidden_size, for NaN or infinity, and
    for a `k` below 1.
    """
    check_given_counts(k=k)
    # (V, D), mapped and read a block at a time; training leaves it on a GPU.
    table = to_host(model.checkpoint.parameters.word_embeddings)
    wanted = normalize_embeddings(as_rows(states, "states"))
    if wanted.shape[1] != table.shape[1]:
        raise ValueError(
            f"The states have {wanted.shape[1]} dimensions and the word embeddings have "
            f"{table.shape[1]}; only states of this model's embeddings and layers can be compared."
        )
    nearest = TopK(len(wanted), min(k, len(table)), wanted.dtype)
    with one_blas_thread():
        for start in range(0, len(table) if len(wanted) else 0, block_rows):
            rows = table[start : start + block_rows]
            lengths = np.sqrt(np.vecdot(rows, rows))
            cosines = wanted @ rows.T / np.maximum(lengths, NORM_FLOOR)  # (T, rows)
            nearest.offer(cosines, np.arange(start, start + len(rows)))
    name = model.transformer.text_tokenizer.backend.id_to_token
    return [[name(id) or f"#{id}" for id in row] for row in nearest.ranking()[0].tolist()]
