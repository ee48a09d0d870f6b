"""Scores of texts with a vector for each token: a query's tokens, each with its closest one.

Khattab and Zaharia, "ColBERT: Efficient and Effective Passage Search via Contextualized Late
Interaction over BERT" (2020), section 3.4. Start at maxsim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeAlias, cast

import numpy as np
from numpy.typing import ArrayLike

from minibert.common.arrays import Array
from minibert.scoring.similarity import BLOCK_FLOATS, as_floats

__all__ = ["maxsim", "maxsim_pairwise", "mean_maxsim", "mean_maxsim_pairwise"]

# A list of (T, D), one for each text; an array (n, T, D), padded with zeros; or one text (T, D).
TokenVectors: TypeAlias = Sequence[ArrayLike] | ArrayLike
# For each text a mask (T,), or an array (n, T); a token with 0 or False does not count.
Masks: TypeAlias = Sequence[ArrayLike] | ArrayLike | None

EMPTY_DOCUMENT = np.float32(-1e9)  # score of a document without tokens, as in the reference


def maxsim(
    a: TokenVectors,
    b: TokenVectors,
    a_mask: Masks = None,
    b_mask: Masks = None,
    chunk_elements: int | None = None,
    length_normalize: bool = False,
    device: str | None = None,
) -> Array:
    """Score every query of `a` with every document of `b`: -> (n, m) float32.

    score = sum over i of max over j of q_i . d_j, for tokens i of the query and j of the document.
    Both are lists of arrays (T, D), one for each text; or an array (n, T, D), in which a token of
    zeros is padding; or one text, (T, D). A token whose mask is 0 does not count. A document
    without tokens scores -1e9, a query without tokens 0. `length_normalize` divides each score by
    the number of the query's tokens. A temporary has at most `chunk_elements` numbers, or one
    document. `device` is None or "cpu".

    Raises ValueError for vectors of two dimensions, masks of other lengths, or another device.
    """
    check_device(device)
    queries, documents = texts_of(a, a_mask, "a"), texts_of(b, b_mask, "b")
    scores = np.zeros((len(queries), len(documents)), dtype=np.float32)
    longest = max(map(len, queries), default=0)
    tokens = (chunk_elements or BLOCK_FLOATS) // max(1, longest)
    for start, stop in ranges([len(document) for document in documents], tokens):
        block = documents[start:stop]
        filled = [place for place, document in enumerate(block, start) if len(document)]
        if filled:
            together = np.concatenate([documents[place] for place in filled])
            begins = np.cumsum([0, *(len(documents[place]) for place in filled[:-1])])
        for number, query in enumerate(queries):
            scores[number, start:stop] = EMPTY_DOCUMENT
            if filled:
                products = product(query, together)
                highest = np.maximum.reduceat(products, begins, axis=1)
                scores[number, filled] = highest.astype(np.float32).sum(axis=0)
    return scores / counts(queries)[:, None] if length_normalize else scores


def maxsim_pairwise(
    a: TokenVectors,
    b: TokenVectors,
    a_mask: Masks = None,
    b_mask: Masks = None,
    chunk_elements: int | None = None,
    length_normalize: bool = False,
    device: str | None = None,
) -> Array:
    """Score the queries of `a` with the documents of `b`, in pairs: -> (n,) float32.

    All else is as for maxsim; `chunk_elements` changes nothing. Raises ValueError if there are not
    as many documents as queries.
    """
    check_device(device)
    queries, documents = texts_of(a, a_mask, "a"), texts_of(b, b_mask, "b")
    if len(queries) != len(documents):
        raise ValueError(
            f"a has {len(queries)} texts and b has {len(documents)}; pairs need as many of each."
        )
    scores = np.full(len(queries), EMPTY_DOCUMENT, dtype=np.float32)
    for place, (query, document) in enumerate(zip(queries, documents, strict=True)):
        if len(document):
            scores[place] = product(query, document).max(axis=1).astype(np.float32).sum()
    return scores / counts(queries) if length_normalize else scores


def mean_maxsim(
    a: TokenVectors,
    b: TokenVectors,
    a_mask: Masks = None,
    b_mask: Masks = None,
    chunk_elements: int | None = None,
    length_normalize: bool = True,
    device: str | None = None,
) -> Array:
    """Compute maxsim divided by the number of the query's tokens: -> (n, m) float32.

    The arguments are those of maxsim.
    """
    return maxsim(a, b, a_mask, b_mask, chunk_elements, length_normalize, device)


def mean_maxsim_pairwise(
    a: TokenVectors,
    b: TokenVectors,
    a_mask: Masks = None,
    b_mask: Masks = None,
    chunk_elements: int | None = None,
    length_normalize: bool = True,
    device: str | None = None,
) -> Array:
    """Compute maxsim_pairwise divided by the number of the query's tokens: -> (n,) float32.

    The arguments are those of maxsim_pairwise.
    """
    return maxsim_pairwise(a, b, a_mask, b_mask, chunk_elements, length_normalize, device)


def texts_of(vectors: TokenVectors, masks: Masks, name: str) -> list[Array]:
    """Return the vectors of the tokens that count, an array (T, D) for each text."""
    if isinstance(vectors, list | tuple):
        texts = [as_floats(text) for text in vectors]
        counting: list[Any] = [np.ones(len(text), dtype=bool) for text in texts]
    else:
        padded = as_floats(cast("ArrayLike", vectors))
        padded = padded[None] if padded.ndim == 2 else padded
        texts = list(padded)
        counting = [text.any(axis=-1) for text in texts]
    if any(text.ndim != 2 for text in texts):
        raise ValueError(f"{name} has no token vectors; expected arrays (T, D), or one (n, T, D).")
    if masks is not None:
        rows = np.asarray(masks)[None] if is_one_mask(masks) else masks
        counting = [np.asarray(mask).astype(bool) for mask in rows]  # type: ignore[union-attr]
    lengths = [len(text) for text in texts]
    if lengths != [len(mask) for mask in counting]:
        raise ValueError(f"{name}_mask has other lengths than the texts of {name}, {lengths}.")
    return [text[mask] for text, mask in zip(texts, counting, strict=True)]


def is_one_mask(masks: Any) -> bool:
    """Return whether this is the mask of a single text, (T,)."""
    return not isinstance(masks, list | tuple) and np.ndim(masks) == 1


def product(query: Array, document: Array) -> Array:
    """Multiply each token of a query with each of a document: (T, D), (S, D) -> (T, S)."""
    if query.shape[1] != document.shape[1]:
        raise ValueError(
            f"The vectors have {query.shape[1]} and {document.shape[1]} dimensions; "
            "only vectors of one model can be compared."
        )
    return query @ document.T


def ranges(lengths: Sequence[int], tokens: int) -> Iterator[tuple[int, int]]:
    """Yield ranges of texts that have at most so many tokens together, or one text."""
    start, together = 0, 0
    for place, length in enumerate(lengths):
        if place > start and together + length > tokens:
            yield start, place
            start, together = place, 0
        together += length
    if start < len(lengths):
        yield start, len(lengths)


def counts(queries: list[Array]) -> Array:
    """Count the tokens of each query, at least 1: -> (n,) float32."""
    return np.maximum([len(query) for query in queries], 1).astype(np.float32)


def check_device(device: str | None) -> None:
    """Raise ValueError for a device other than the CPU."""
    if device not in (None, "cpu"):
        raise ValueError(f'device is {device!r}; here scores are computed on the "cpu".')
