"""Which words of the vocabulary a hidden state is nearest to. Start at nearest_words."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike

from minibert.bert.load import Checkpoint
from minibert.common.arguments import check_given_counts
from minibert.kernels.cores import one_blas_thread
from minibert.kernels.protocol import NORM_FLOOR
from minibert.scoring.similarity import as_rows, normalize_embeddings
from minibert.scoring.top_k import Best
from minibert.tokens.tokenizer import TextTokenizer

__all__ = ["nearest_words"]

# Rows of the word table that are compared at a time: 12 MB of a BERT-base's.
BLOCK_ROWS = 4096


class HasCheckpoint(Protocol):
    """A model, as far as its word table is asked for."""

    @property
    def checkpoint(self) -> Checkpoint: ...

    @property
    def transformer(self) -> HasTokenizer: ...


class HasTokenizer(Protocol):
    """A model's transformer, as far as its pieces are asked for."""

    @property
    def words(self) -> TextTokenizer: ...


def nearest_words(model: HasCheckpoint, states: ArrayLike, k: int = 5) -> list[list[str]]:
    """The k pieces whose rows of the word table are nearest to each state: (T, D) -> T lists of k.

    Nearest is the highest cosine, best first; equal ones come by their ids. Nothing holds the
    deeper layers to the table that the model begins with, so of those it is a hint. (The "logit
    lens" of nostalgebraist, 2020, is such a look through the table that a language model ends
    with.) A row without a piece is named by its number, as "#7".

    Raises ValueError for states of another width than hidden_size, for numbers that are none, and
    for a k below 1.
    """
    check_given_counts(k=k)
    table = model.checkpoint.parameters.word_embeddings  # (V, D), mapped: read a block at a time
    wanted = normalize_embeddings(as_rows(states, "states"))
    if wanted.shape[1] != table.shape[1]:
        raise ValueError(
            f"The states have {wanted.shape[1]} dimensions and the word table has "
            f"{table.shape[1]}; only states of this model's embeddings and layers can be compared."
        )
    best = Best(len(wanted), min(k, len(table)), wanted.dtype)
    with one_blas_thread():
        for start in range(0, len(table) if len(wanted) else 0, BLOCK_ROWS):
            rows = table[start : start + BLOCK_ROWS]
            lengths = np.sqrt(np.vecdot(rows, rows))
            cosines = wanted @ rows.T / np.maximum(lengths, NORM_FLOOR)  # (T, rows)
            best.offer(cosines, np.arange(start, start + len(rows)))
    name = model.transformer.words.backend.id_to_token
    return [[name(id) or f"#{id}" for id in row] for row in best.ranking()[0].tolist()]
