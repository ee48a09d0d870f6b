"""Vectors -> scores. Higher is closer, so distances are negative. No texts, no files.

`semantic_search` scores by the cosine unless it is told otherwise, like sentence-transformers': for
a model trained for the dot product that is the wrong ranking. Give it the model, or the function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from typing import Any, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from minibert.arguments import check_given_counts
from minibert.arrays import Array, IntArray
from minibert.json_files import is_count
from minibert.kernels import normalize_

__all__ = [
    "PAIRWISE_SIMILARITIES",
    "SIMILARITIES",
    "ScoreFunction",
    "SimilarityFunction",
    "cos_sim",
    "dot_score",
    "euclidean_sim",
    "manhattan_sim",
    "normalize_embeddings",
    "pairwise_angle_sim",
    "pairwise_cos_sim",
    "pairwise_dot_score",
    "pairwise_euclidean_sim",
    "pairwise_manhattan_sim",
    "semantic_search",
    "top_k",
]

# (n, D), (m, D) -> (n, m)
ScoreFunction: TypeAlias = Callable[[Any, Any], Array]

# Numbers of one temporary: 64 MB of float32.
BLOCK_FLOATS = 1 << 24


class SimilarityFunction(StrEnum):
    """The names of the metrics, as sentence-transformers has them; each is a str."""

    COSINE = "cosine"
    DOT_PRODUCT = "dot"
    DOT = "dot"
    EUCLIDEAN = "euclidean"
    MANHATTAN = "manhattan"


class Similar(Protocol):
    """What semantic_search needs of a model."""

    @property
    def similarity_fn_name(self) -> str: ...


def dot_score(a: ArrayLike, b: ArrayLike) -> Array:
    """The dot product of every vector of a with every one of b: (n, D), (m, D) -> (n, m).

    A single vector (D,) counts as one row. Whole numbers and half precision are computed as
    float32, so codes of int8 do not overflow. Raises ValueError if the widths differ.
    """
    left, right = rows_of(a, b)
    return left @ right.T


def cos_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """The cosine of every vector of a with every one of b: (n, D), (m, D) -> (n, m).

    A vector of zeros has the cosine 0 with everything. Otherwise as dot_score.
    """
    left, right = map(normalize_embeddings, rows_of(a, b))
    return left @ right.T


def euclidean_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Minus the Euclidean distance of every vector of a from every one of b: -> (n, m)."""
    left, right = rows_of(a, b)
    # |x - y|^2 = |x|^2 - 2 xy + |y|^2 cancels for neighbours; in float64 the loss is out of sight.
    wide = right.astype(np.float64)
    squares = np.vecdot(wide, wide)  # (m,)
    scores = np.empty((len(left), len(right)), dtype=left.dtype)
    for rows in blocks(len(left), len(right)):
        block = left[rows].astype(np.float64)
        distances = squares - 2 * (block @ wide.T) + np.vecdot(block, block)[:, None]
        scores[rows] = -np.sqrt(np.maximum(distances, 0))
    return scores


def manhattan_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Minus the sum of absolute differences, every vector of a with every one of b: -> (n, m)."""
    left, right = rows_of(a, b)
    scores = np.empty((len(left), len(right)), dtype=left.dtype)
    for rows in blocks(len(left), right.size):
        scores[rows] = -np.abs(left[rows, None] - right).sum(axis=2)
    return scores


def pairwise_dot_score(a: ArrayLike, b: ArrayLike) -> Array:
    """The dot product of each vector of a with the one of b in its place: (n, D), (n, D) -> (n,).

    Two single vectors give one number, (). Raises ValueError if the shapes differ.
    """
    left, right = pairs_of(a, b)
    products: Array = np.vecdot(left, right)
    return products


def pairwise_cos_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """The cosine of each vector of a with the one of b in its place: -> (n,)."""
    return pairwise_dot_score(*map(normalize_embeddings, pairs_of(a, b)))


def pairwise_euclidean_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Minus the Euclidean distance of each vector of a from the one of b in its place: -> (n,)."""
    left, right = pairs_of(a, b)
    difference = left - right
    distances: Array = np.sqrt(np.vecdot(difference, difference))
    return -distances


def pairwise_manhattan_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """Minus the sum of absolute differences of the vectors in one place: -> (n,)."""
    left, right = pairs_of(a, b)
    distances: Array = np.abs(left - right).sum(axis=-1)
    return -distances


def pairwise_angle_sim(a: ArrayLike, b: ArrayLike) -> Array:
    """|cos + sin| of the angle between the vectors in one place: (n, D), (n, D) -> (n,).

    The first half of the dimensions are the real parts of complex numbers, the second half their
    imaginary parts: Li and Li, "AnglE-optimized Text Embeddings" (2023), section 3.4. An odd
    dimension gets a zero.
    """
    left, right = map(as_rows, pairs_of(a, b))
    if left.shape[1] % 2:
        left, right = (np.pad(rows, ((0, 0), (0, 1))) for rows in (left, right))
    left, right = normalize_embeddings(left), normalize_embeddings(right)
    half = left.shape[1] // 2
    sines = np.vecdot(left[:, half:], right[:, :half]) - np.vecdot(left[:, :half], right[:, half:])
    angles: Array = np.abs(np.vecdot(left, right) + sines)
    return angles


# similarity_fn_name -> the function of all pairs, and that of the pairs in one place.
SIMILARITIES: dict[str, ScoreFunction] = {
    "cosine": cos_sim,
    "dot": dot_score,
    "euclidean": euclidean_sim,
    "manhattan": manhattan_sim,
}
PAIRWISE_SIMILARITIES: dict[str, ScoreFunction] = {
    "cosine": pairwise_cos_sim,
    "dot": pairwise_dot_score,
    "euclidean": pairwise_euclidean_sim,
    "manhattan": pairwise_manhattan_sim,
}


def normalize_embeddings(embeddings: ArrayLike) -> Array:
    """A copy with each vector divided by its Euclidean length; zeros stay. Of any shape."""
    vectors = as_floats(embeddings).copy()
    normalize_(vectors)
    return vectors


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
    score = score_function_of(score_function, model)
    check_given_counts(query_chunk_size=query_chunk_size, corpus_chunk_size=corpus_chunk_size)
    if top_k != 0 and not is_count(top_k):
        raise ValueError(f"top_k is {top_k!r}; expected a whole number from 0 up.")
    ids, scores = best_of_chunks(
        as_rows(query_embeddings, "query_embeddings"),
        as_rows(corpus_embeddings, "corpus_embeddings"),
        query_chunk_size,
        corpus_chunk_size,
        top_k,
        score,
    )
    return [
        [{"corpus_id": id, "score": s} for id, s in zip(*row, strict=True)]
        for row in zip(ids.tolist(), scores.tolist(), strict=True)
    ]


def score_function_of(
    score_function: ScoreFunction | str | None, model: Similar | None = None
) -> ScoreFunction:
    """The function that semantic_search scores by. Raises ValueError for a name that is none."""
    if score_function is None:
        return cos_sim if model is None else SIMILARITIES[model.similarity_fn_name]
    if isinstance(score_function, str):
        if score_function not in SIMILARITIES:
            raise ValueError(
                f"score_function is {score_function!r}; expected a function or one of "
                f"{', '.join(SIMILARITIES)}."
            )
        return SIMILARITIES[score_function]
    return score_function


def best_of_chunks(
    queries: Array,
    corpus: Array,
    query_chunk_size: int,
    corpus_chunk_size: int,
    k: int,
    score: ScoreFunction,
) -> tuple[IntArray, Array]:
    """The k best of a corpus, in chunks of both: (Q, D), (N, D) -> (Q, k), (Q, k)."""
    cosine = score is cos_sim
    if cosine:  # then each vector is divided by its length once, not once for every other chunk
        queries, score = normalize_embeddings(queries), dot_score
    # Of no queries, one empty part, which is not scored: it may not know its width.
    parts = [
        queries[start : start + query_chunk_size]
        for start in range(0, max(1, len(queries)), query_chunk_size)
    ]
    ids = [np.empty((len(part), 0), dtype=np.int64) for part in parts]
    scores = [np.empty((len(part), 0), dtype=np.float32) for part in parts]
    for start in range(0, len(corpus) if len(queries) else 0, corpus_chunk_size):
        chunk = corpus[start : start + corpus_chunk_size]
        chunk = normalize_embeddings(chunk) if cosine else chunk
        for number, part in enumerate(parts):
            new_ids, new_scores = top_k(np.asarray(score(part, chunk)), k)
            # What was found before comes first, and has the smaller ids.
            both = np.hstack([scores[number], new_scores])
            columns, scores[number] = top_k(both, k)
            both_ids = np.hstack([ids[number], new_ids + start])
            ids[number] = np.take_along_axis(both_ids, columns, axis=1)
    return np.concatenate(ids), np.concatenate(scores)


def top_k(scores: Array, k: int) -> tuple[IntArray, Array]:
    """Find the k highest scores of each row, best first: (Q, N) -> (Q, k), (Q, k).

    Equal scores come in the order of their columns. With fewer than k columns, all are returned.

    Raises ValueError for NaN, which has no place in an order.
    """
    count = min(k, scores.shape[1])
    columns = np.empty((len(scores), count), dtype=np.int64)
    if count == 0:
        return columns, np.empty((len(scores), 0), dtype=scores.dtype)
    for row, values in enumerate(scores):
        # The k-th highest by selection, in linear time. NaN would come after all numbers.
        highest = np.partition(values, len(values) - count)[len(values) - count :]
        if np.isnan(highest).any():
            raise ValueError(f"Row {row} of the scores holds NaN; its vectors are no numbers.")
        above = np.flatnonzero(values > highest[0])
        level = np.flatnonzero(values == highest[0])[: count - len(above)]
        # Each part is in the order of the columns, and a stable sort keeps that among equals.
        chosen = np.concatenate([above, level])
        columns[row] = chosen[np.argsort(-values[chosen], kind="stable")]
    return columns, np.take_along_axis(scores, columns, axis=1)


def rows_of(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Both as float matrices of one width."""
    left, right = as_rows(a), as_rows(b)
    if left.shape[1] != right.shape[1]:
        raise ValueError(
            f"The vectors have {left.shape[1]} and {right.shape[1]} dimensions; "
            "only vectors of one model can be compared."
        )
    return left, right


def pairs_of(a: ArrayLike, b: ArrayLike) -> tuple[Array, Array]:
    """Both as floats of one shape, or one of them a single vector that goes with all."""
    left, right = as_floats(a), as_floats(b)
    if left.shape != right.shape and (
        left.shape[-1:] != right.shape[-1:] or 1 not in (left.ndim, right.ndim)
    ):
        raise ValueError(
            f"The vectors have the shapes {left.shape} and {right.shape}; "
            "a score of each pair needs two of one shape."
        )
    return left, right


def as_rows(vectors: ArrayLike, name: str = "vectors") -> Array:
    """Vectors as a matrix (n, D) of float32, or of float64 if they were."""
    rows = as_floats(vectors)
    if rows.ndim == 1:
        rows = rows[None] if rows.size else rows.reshape(0, 0)
    if rows.ndim != 2:
        raise ValueError(f"The {name} have the shape {rows.shape}; expected (D,) or (n, D).")
    return rows


def as_floats(vectors: ArrayLike) -> Array:
    """Numbers as float32, or as float64 if they were. Raises TypeError for texts and None."""
    array = np.asarray(vectors)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"These are no vectors ({vectors!r:.60}); encode() makes them of texts.")
    # Python's own floats are of 64 bits, but nobody chose that.
    written = isinstance(vectors, list | tuple) and not any(hasattr(v, "dtype") for v in vectors)
    is_wide = array.dtype == np.float64 and not written
    return array if is_wide else array.astype(np.float32, copy=False)


def blocks(rows: int, floats_per_row: int) -> Iterator[slice]:
    """Some rows at a time, so that a temporary stays at BLOCK_FLOATS numbers."""
    step = max(1, BLOCK_FLOATS // max(1, floats_per_row))
    for start in range(0, rows, step):
        yield slice(start, start + step)
