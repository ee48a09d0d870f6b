"""Embeddings and a re-ranker for LangChain (https://docs.langchain.com), on langchain-core alone.

from langchain_core.vectorstores import InMemoryVectorStore
from minibert.integrations.langchain import MinibertEmbeddings

embeddings = MinibertEmbeddings("sentence-transformers/all-MiniLM-L6-v2")
store = InMemoryVectorStore.from_texts(["The cat sat.", "Dogs bark."], embeddings)
store.similarity_search("Who barks?", k=1)
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

from minibert import CrossEncoder, SentenceTransformer
from minibert.common.advice import needing
from minibert.common.arguments import one_name
from minibert.integrations.metric import warn_unless_cosine
from minibert.integrations.stored_model import without_token

with needing("langchain-core", "minibert.integrations.langchain", at_least="1.0"):
    from langchain_core.callbacks import Callbacks
    from langchain_core.documents import BaseDocumentCompressor, Document
    from langchain_core.embeddings import Embeddings
    from pydantic import ConfigDict, Field, PrivateAttr

__all__ = ["MinibertEmbeddings", "MinibertReranker"]


class MinibertEmbeddings(Embeddings):
    """A model as LangChain's Embeddings. Copies and pickles hold its path, not the weights."""

    model: SentenceTransformer  # model of the vectors
    encode_kwargs: dict[str, Any]  # arguments of each encode_query() and encode_document()

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        model_name: str | None = None,
        encode_kwargs: Mapping[str, Any] | None = None,  # encode's own
        **arguments: Any,  # SentenceTransformer's own
    ) -> None:
        """Load a folder or a model of the hub; `arguments` are SentenceTransformer's own.

        `model_name` is LangChain's name of the first argument. `encode_kwargs` are arguments of
        encode(), as {"normalize_embeddings": True}. A store has to compare by the model's metric.
        LangChain's InMemoryVectorStore takes the cosine: a warning is logged if this gives another
        ranking, unless `similarity_fn_name` is given.

        Raises the errors of SentenceTransformer().
        """
        name = one_name(model_name_or_path=model_name_or_path, model_name=model_name)
        self.model = SentenceTransformer(name, **arguments)
        self.encode_kwargs = dict(encode_kwargs or {})
        if arguments.get("similarity_fn_name") is None:
            warn_unless_cosine(self.model, "LangChain's InMemoryVectorStore", self.encode_kwargs)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Encode documents with their prompt: n texts -> n lists of D numbers."""
        vectors: list[list[float]] = self.model.encode_document(
            texts, **self.encode_kwargs
        ).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """Encode a question with its prompt: a text -> D numbers."""
        vector: list[float] = self.model.encode_query(text, **self.encode_kwargs).tolist()
        return vector


class MinibertReranker(BaseDocumentCompressor):
    """A cross-encoder that keeps the best documents of a retriever, best first.

    It goes into a ContextualCompressionRetriever. Each document comes back as a copy with its
    score, a number, in `metadata["relevance_score"]`. model_dump() holds its name and `arguments`,
    but neither the weights nor a token; model_validate() opens the model again.
    """

    model_config = ConfigDict(protected_namespaces=())  # lets a field's name begin with "model_"

    model_name_or_path: str  # name on the hub, or path of the folder
    top_n: int | None = Field(default=3, ge=1)  # how many documents are kept; None keeps all
    arguments: dict[str, Any] = Field(default={})  # CrossEncoder's own, but for the token
    _model: CrossEncoder = PrivateAttr()

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        top_n: int | None = 3,
        arguments: Mapping[str, Any] | None = None,  # CrossEncoder's own
        **others: Any,  # CrossEncoder's own
    ) -> None:
        """Load a folder or a model of the hub.

        CrossEncoder's arguments are given by their names, or as a mapping `arguments`.

        Raises the errors of CrossEncoder(), and pydantic's ValidationError for a `top_n` below 1.
        """
        name, given = os.fspath(model_name_or_path), {**(arguments or {}), **others}
        kept = without_token(given)
        super().__init__(model_name_or_path=name, top_n=top_n, arguments=kept)
        self._model = CrossEncoder(name, **given)

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """Return copies of the `top_n` documents with the highest scores, best first."""
        texts = [document.page_content for document in documents]
        copies = []
        for hit in self._model.rank(query, texts, top_k=self.top_n):
            document, score = documents[hit["corpus_id"]], float(hit["score"])
            metadata = {**document.metadata, "relevance_score": score}
            copies.append(document.model_copy(update={"metadata": metadata}))
        return copies
