"""A model's metric in a framework's own word, so that a store ranks as the model does.

No library is imported. Start at store_metric.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypeVar

from minibert import SentenceTransformer

__all__ = ["has_unit_vectors", "store_metric"]

Word = TypeVar("Word")

# |a - b|² is 2 - 2ab for vectors of the length 1, and their cosine is ab.
ALIKE_FOR_UNIT_VECTORS = ("cosine", "dot", "euclidean")


def store_metric(
    model: SentenceTransformer,
    words: Mapping[str, Word],
    store: str,
    *,
    normalize_embeddings: bool = False,
) -> Word:
    """Return the word of `words` for the metric by which a store ranks as the model does.

    `words` has minibert's names of the metrics that `store` knows, and the store's own words for
    them. Vectors of the length 1 have the same ranking by cosine, dot and euclidean: for them, any
    of these will do. `normalize_embeddings` is encode's, and promises that length.

    Raises ValueError if the store cannot rank as the model does.
    """
    metric = model.similarity_fn_name
    if metric in words:
        return words[metric]
    if metric in ALIKE_FOR_UNIT_VECTORS and (normalize_embeddings or has_unit_vectors(model)):
        for other in ALIKE_FOR_UNIT_VECTORS:
            if other in words:
                return words[other]
    raise ValueError(
        f"The metric of {model.folder.path} is {metric!r}, but {store} compares by "
        f"{' or '.join(map(repr, words))}, which gives another ranking. Use a store that knows "
        f"{metric!r}; or accept the other ranking with similarity_fn_name={next(iter(words))!r}."
    )


def has_unit_vectors(model: SentenceTransformer) -> bool:
    """Return whether every vector of a model has the length 1: normalised last, all dimensions."""
    is_whole = model.get_embedding_dimension() == model.dimension
    return is_whole and type(model[-1]).__name__ == "Normalize"
