"""An embedding model for BERTopic (https://maartengr.github.io/BERTopic) and KeyBERT.

from bertopic import BERTopic
from minibert.integrations.topics import MinibertBackend

topics = BERTopic(embedding_model=MinibertBackend("sentence-transformers/all-MiniLM-L6-v2"))

Both replace an object that they do not know by a model of their own, without a word. They know this
class, as it is derived from theirs.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any

from minibert import SentenceTransformer
from minibert.common.advice import missing
from minibert.common.arrays import Array
from minibert.errors import MissingLibraryError

__all__ = ["MinibertBackend"]

BACKENDS: list[type] = []  # classes of the libraries that are installed
REASONS = []  # why one cannot be imported
try:
    from bertopic.backend import BaseEmbedder as TopicEmbedder

    BACKENDS.append(TopicEmbedder)
except ImportError as error:
    REASONS.append(error)
try:
    from keybert.backend import BaseEmbedder as KeywordEmbedder

    BACKENDS.append(KeywordEmbedder)
except ImportError as error:
    REASONS.append(error)
if not BACKENDS:
    raise MissingLibraryError(
        missing("bertopic or keybert", "minibert.integrations.topics", None, REASONS[0])
    )


class MinibertBackend(*BACKENDS):  # type: ignore[misc]  # which of them there are, is seen above
    """A SentenceTransformer as the embedding model of BERTopic, of KeyBERT, or of both."""

    embedding_model: SentenceTransformer  # model of the vectors, under the libraries' own name

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | SentenceTransformer,
        **arguments: Any,  # SentenceTransformer's own
    ) -> None:
        """Take a model, or load one of a folder or of the hub.

        Raises TypeError for arguments beside a model that is loaded already.
        """
        super().__init__()
        self.embedding_model = loaded(model_name_or_path, arguments)

    def embed(self, documents: Iterable[str], verbose: bool = False) -> Array:
        """Encode texts, each with the model's prompt for documents: n texts -> (n, D) float32.

        `verbose` shows a progress bar.
        """
        rows: Array = self.embedding_model.encode_document(
            list(documents), show_progress_bar=verbose
        )
        return rows


def loaded(model: str | os.PathLike[str] | SentenceTransformer, arguments: Any) -> Any:
    """Return a model that is given, or load one by its name."""
    if not isinstance(model, SentenceTransformer):
        return SentenceTransformer(model, **arguments)
    if arguments:
        raise TypeError(f"{min(arguments)} is for loading a model, and this one is loaded already.")
    return model
