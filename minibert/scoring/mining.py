"""Find groups of similar vectors, and the pairs of vectors that score highest."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from minibert.common.arguments import check_given_counts
from minibert.common.arrays import Array
from minibert.common.progress import progress
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import find_metric
from minibert.scoring.nearest import nearest
from minibert.scoring.similarity import ScoreFunction, as_rows, cos_sim, normalize_embeddings

__all__ = ["community_detection", "paraphrase_mining_embeddings"]


def community_detection(
    embeddings: ArrayLike,
    threshold: float = 0.75,
    min_community_size: int = 10,
    batch_size: int = 1024,
    show_progress_bar: bool = False,
) -> list[list[int]]:
    """Find groups of vectors around a centre: (n, D) -> lists of their numbers, the largest first.

    A vector can be a centre if at least `min_community_size` vectors, with itself, have a cosine of
    `threshold` or more to it. Larger groups come first. A vector in two groups stays in the first;
    a group with fewer than `min_community_size` vectors left is dropped. The centre is the first
    number of a group, the others follow by falling cosine. `batch_size` rows are compared at a
    time; it changes no result.

    Raises TypeError if `embeddings` are no vectors, ValueError for NaN and for a number out of its
    range.
    """
    check_given_counts(min_community_size=min_community_size, batch_size=batch_size)
    if not isinstance(threshold, Real) or np.isnan(threshold):
        raise ValueError(f"threshold is {threshold!r}; expected a number from -1 to 1.")
    vectors = normalize_embeddings(as_rows(embeddings))
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"Vector {row} of {len(vectors)} holds NaN or infinity.")
    if len(vectors) < min_community_size:
        return []
    groups = []
    with progress(len(vectors), show_progress_bar) as advance:
        for start in range(0, len(vectors), batch_size):
            for row, scores in enumerate(vectors[start : start + batch_size] @ vectors.T):
                members = np.flatnonzero(scores >= threshold)
                if len(members) >= min_community_size:
                    order = np.argsort(-scores[members], kind="stable")
                    groups.append((start + row, members[order]))
            advance(min(batch_size, len(vectors) - start))
    taken = np.zeros(len(vectors), dtype=bool)
    communities = []
    for centre, members in sorted(groups, key=lambda group: len(group[1]), reverse=True):
        free = members[~taken[members]]
        if not taken[centre] and len(free) >= min_community_size:
            communities.append([centre, *free[free != centre].tolist()])
            taken[communities[-1]] = True
    return sorted(communities, key=len, reverse=True)


def paraphrase_mining_embeddings(
    embeddings: ArrayLike,
    query_chunk_size: int = 5000,
    corpus_chunk_size: int = 100_000,
    max_pairs: int = 500_000,
    top_k: int = 100,
    score_function: ScoreFunction | str = cos_sim,
) -> list[list[float | int]]:
    """Find the pairs of vectors that score highest: (n, D) -> [score, i, j] with i < j, best first.

    Each vector proposes its `top_k` neighbours. Of all these pairs, each counted once, the
    `max_pairs` highest are returned, equal scores by their numbers. The score must be the same in
    both directions. The chunk sizes bound the memory and change no result.

    Raises TypeError if `embeddings` are no vectors, ValueError for NaN and for a number out of its
    range.
    """
    check_given_counts(
        query_chunk_size=query_chunk_size,
        corpus_chunk_size=corpus_chunk_size,
        max_pairs=max_pairs,
        top_k=top_k,
    )
    vectors = as_rows(embeddings)
    stack = Stack([vectors], ["the embeddings"])
    metric = find_metric(score_function)
    kept = np.empty((0, 2), dtype=np.int64), np.empty(0, dtype=np.float32)
    for start in range(0, len(vectors), query_chunk_size):
        chunk = vectors[start : start + query_chunk_size]
        # One more than `top_k`, as a vector is its own neighbour.
        ids, scores = nearest(
            chunk, stack, top_k + 1, metric, block_rows=corpus_chunk_size
        )  # (q, k)
        rows = np.arange(start, start + len(chunk))[:, None]
        others = ids != rows
        others &= np.cumsum(others, axis=1) <= top_k
        pairs = np.stack([np.minimum(ids, rows), np.maximum(ids, rows)], axis=-1)
        kept = top_pairs(
            np.concatenate([kept[0], pairs[others]]),
            np.concatenate([kept[1], scores[others]]),
            max_pairs,
        )
    return [[score, *pair] for pair, score in zip(kept[0].tolist(), kept[1].tolist(), strict=True)]


def top_pairs(pairs: Any, scores: Array, k: int) -> tuple[Any, Array]:
    """Find the k highest pairs, each once: (P, 2), (P,) -> at most `k` of both, best first."""
    # A pair may have two scores; they differ by rounding, so either may stay.
    unique, first = np.unique(pairs, axis=0, return_index=True)
    order = np.argsort(-scores[first], kind="stable")[:k]
    return unique[order], scores[first][order]
