"""sentence-transformers' `semantic_search`: vectors -> the nearest ones, as lists of dicts.

Without a model or a score function, it scores by the cosine, as sentence-transformers does. For a
model trained for the dot product, that ranking is wrong: give the model, or the function.
"""

from __future__ import annotations

from typing import Protocol, TypedDict

from numpy.typing import ArrayLike

from minibert.common.arguments import check_given_counts, is_count
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import find_metric
from minibert.scoring.nearest import nearest
from minibert.scoring.similarity import ScoreFunction, as_rows, cos_sim

__all__ = ["FoundVector", "semantic_search"]


class Similar(Protocol):
    """A model, as far as semantic_search needs it."""

    @property
    def similarity_fn_name(self) -> str: ...


class FoundVector(TypedDict):
    """A corpus vector that semantic_search has found for a query."""

    corpus_id: int  # its row in the corpus vectors
    score: float  # the higher, the better


def semantic_search(
    query_embeddings: ArrayLike,
    corpus_embeddings: ArrayLike,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500_000,
    top_k: int = 10,
    score_function: ScoreFunction | str | None = None,
    *,
    model: Similar | None = None,
) -> list[list[FoundVector]]:
    """Find the corpus vectors that score highest for each query: (Q, D), (N, D) -> Q lists.

    Each list holds {"corpus_id": ..., "score": ...}, best first, equal scores by the smaller id:
    `top_k` of them, or all if there are fewer. The chunk sizes bound the memory and change no
    result.

    `score_function` is a function or a metric's name. Without one, the scores are those of the
    metric of `model`, the model that made the vectors. Without either they are cosines, which are
    wrong for a model trained for the dot product.

    Raises TypeError for texts, ValueError for vectors of two dimensions, for NaN, and for a number
    out of its range.
    """
    if score_function is None:
        score_function = cos_sim if model is None else model.similarity_fn_name
    metric = find_metric(score_function)
    check_given_counts(query_chunk_size=query_chunk_size, corpus_chunk_size=corpus_chunk_size)
    if top_k != 0 and not is_count(top_k):
        raise ValueError(f"top_k is {top_k!r}; expected a whole number from 0 up.")
    ids, scores = nearest(
        as_rows(query_embeddings, "query_embeddings"),
        Stack([as_rows(corpus_embeddings, "corpus_embeddings")], ["corpus_embeddings"]),
        top_k,
        metric,
        query_rows=query_chunk_size,
        block_rows=corpus_chunk_size,
    )
    return [
        [{"corpus_id": id, "score": s} for id, s in zip(*row, strict=True)]
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]
