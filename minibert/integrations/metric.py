"""A model's metric in a framework's own word, so that a store ranks as the model does.

No library is imported. Start at store_metric.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from minibert import SentenceTransformer

__all__ = ["ranks_alike", "store_metric", "warn_unless_cosine"]

logger = logging.getLogger(__name__)

Word = TypeVar("Word")

# |a - b|² is 2 - 2ab for vectors of the length 1, and their cosine is ab.
ALIKE_FOR_UNIT_VECTORS = ("cosine", "dot", "euclidean")


def store_metric(
    model: SentenceTransformer,
    words: Mapping[str, Word],
    store: str,
    encode_kwargs: Mapping[str, Any] | None = None,
) -> Word:
    """Return the word of `words` for the metric by which a store ranks as the model does.

    `words` has minibert's names of the metrics that `store` knows, and the store's own words for
    them. `encode_kwargs` are the arguments of encode that vectors are made with.

    Raises ValueError if the store cannot rank as the model does.
    """
    found = ranks_alike(model, words, encode_kwargs)
    if found is None:
        metric = model.similarity_fn_name
        raise ValueError(
            f"The metric of {model.folder.path} is {metric!r}, but {store} compares by "
            f"{' or '.join(map(repr, words))}, which gives another ranking. Use a store that "
            f"knows {metric!r}; or accept the other ranking with "
            f"similarity_fn_name={next(iter(words))!r}."
        )
    return words[found]


def warn_unless_cosine(
    model: SentenceTransformer, store: str, encode_kwargs: Mapping[str, Any] | None = None
) -> None:
    """Log a warning if the cosine, by which a store compares, does not rank as the model does."""
    if ranks_alike(model, ["cosine"], encode_kwargs) is None:
        metric = model.similarity_fn_name
        logger.warning(
            "The metric of %s is %r, and %s compares by the cosine, which gives another ranking. "
            "Use a store that knows %r, and say so here with similarity_fn_name=%r; or accept the "
            "other ranking with similarity_fn_name='cosine'.",
            model.folder.path, metric, store, metric, metric,
        )  # fmt: skip


def ranks_alike(
    model: SentenceTransformer,
    metrics: Collection[str],
    encode_kwargs: Mapping[str, Any] | None = None,
) -> str | None:
    """Return the metric of `metrics` that ranks as the model's own does, or None.

    Vectors of the length 1 have the same ranking by cosine, dot and euclidean.
    """
    metric = model.similarity_fn_name
    if metric in metrics:
        return metric
    is_unit = (encode_kwargs or {}).get("normalize_embeddings") or has_unit_vectors(model)
    if metric in ALIKE_FOR_UNIT_VECTORS and is_unit:
        return next((other for other in ALIKE_FOR_UNIT_VECTORS if other in metrics), None)
    return None


def has_unit_vectors(model: SentenceTransformer) -> bool:
    """Return whether every vector of a model has the length 1: normalised last, all dimensions."""
    is_whole = model.get_embedding_dimension() == model.dimension
    return is_whole and type(model[-1]).__name__ == "Normalize"
