"""sentence-transformers' `semantic_search`: vectors -> the nearest ones, as lists of dicts.

It scores by the cosine unless it is told otherwise, like the reference's: for a model trained for
the dot product that is the wrong ranking. Give it the model, or the function.
"""

from __future__ import annotations

from typing import Protocol

from numpy.typing import ArrayLike

from minibert.common.arguments import check_given_counts, is_count
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import find_metric
from minibert.scoring.nearest import nearest
from minibert.scoring.similarity import ScoreFunction, as_rows, cos_sim

__all__ = ["semantic_search"]


class Similar(Protocol):
    """What semantic_search needs of a model."""

    @property
    def similarity_fn_name(self) -> str: ...


def semantic_search(
    query_embeddings: ArrayLike,
    corpus_embeddings: ArrayLike,
    query_chunk_size: int = 100,
    corpus_chunk_size: int = 500_000,
    top_k: int = 10,
    score_function: ScoreFunction | str | None = None,
    *,
    model: Similar | None = None,
) -> list[list[dict[str, int | float]]]:
    """Find the corpus vectors that score highest for each query: (Q, D), (N, D) -> Q lists.

    Each list holds {"corpus_id": ..., "score": ...}, best first, equal scores by the smaller id:
    `top_k` of them, or all there are. The chunk sizes bound the memory and change no result.

    The scores are those of `score_function`, a function or a metric's name; without one the own
    metric's of `model`, the model that made the vectors; without either the cosine, which is wrong
    for a model trained for the dot product.

    Raises TypeError for texts, ValueError for vectors of two widths, for NaN, and for a number that
    cannot be meant.
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
