"""A query and texts -> the texts, best first."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from minibert.models.sentence_transformer import SentenceTransformer

__all__ = ["ranking"]


def ranking(
    model: SentenceTransformer, query: str, documents: Sequence[str]
) -> list[dict[str, Any]]:
    """Rank documents for a query, best first: "score", "index" in `documents` and "text" of each.

    Equal scores come in the order of `documents`.
    """
    vector = model.encode(query, prompt_name="query")
    scores = model.similarity(vector, model.encode(documents, prompt_name="document"))[0]
    return [
        {"score": float(scores[index]), "index": int(index), "text": documents[index]}
        for index in np.argsort(-scores, kind="stable")
    ]
