"""Embedders and a ranker for Haystack (https://haystack.deepset.ai), on haystack-ai alone.

from haystack import Document
from minibert.integrations.haystack import MinibertDocumentEmbedder, MinibertTextEmbedder

documents = [Document(content="The cat sat."), Document(content="Dogs bark.")]
model = "sentence-transformers/all-MiniLM-L6-v2"
documents = MinibertDocumentEmbedder(model).run(documents)["documents"]
vector = MinibertTextEmbedder(model).run("Who barks?")["embedding"]
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any, Generic, Self, TypeVar, cast

from minibert import CrossEncoder, SentenceTransformer
from minibert.common.advice import needing
from minibert.common.arguments import check_counts, check_given_counts, folder_or_name, type_of
from minibert.integrations.metric import store_metric

with needing("haystack-ai", "minibert.integrations.haystack", at_least="2.24"):
    from haystack import Document, component, default_from_dict, default_to_dict
    from haystack.utils import Secret

__all__ = ["MinibertDocumentEmbedder", "MinibertRanker", "MinibertTextEmbedder"]

Opened = TypeVar("Opened", SentenceTransformer, CrossEncoder)

SIMILARITIES = {"cosine": "cosine", "dot": "dot_product"}  # our names -> the names in Haystack


class LateModel(Generic[Opened]):
    """A component whose model is opened at its first use: a pipeline is made and saved without."""

    kind: type[Opened]  # class of the model
    model_name: str  # its name on the hub, or path of its folder
    arguments: dict[str, Any]  # others of its class
    token: Secret | None  # token for the hub
    settings: dict[str, Any]  # other arguments of the component

    def __init__(
        self,
        name: str | os.PathLike[str],
        token: Secret | str | None,
        settings: dict[str, Any],  # of any kind
        arguments: dict[str, Any],  # of any kind
    ) -> None:
        """Keep the name of a model, its `arguments`, and the other `settings` of the component."""
        # Haystack refuses to write a token to a file, unless it is the name of a variable.
        self.token = Secret.from_token(token) if isinstance(token, str) else token
        self.model_name, self.settings, self.arguments = folder_or_name(name), settings, arguments

    @cached_property
    def model(self) -> Opened:
        """Model, opened."""
        token = None if self.token is None else self.token.resolve_value()
        return self.kind(self.model_name, token=token, **self.arguments)

    def warm_up(self) -> None:
        """Open the model. Raises the errors of its class."""
        _ = self.model

    def to_dict(self) -> dict[str, object]:
        """Describe the component for Pipeline.dumps(): the model's name, and all arguments."""
        given = {"model_name_or_path": self.model_name, "token": self.token}
        described: dict[str, object] = default_to_dict(
            self, **given, **self.settings, **self.arguments
        )
        return described

    @classmethod
    def from_dict(cls, data: dict[str, object]) -> Self:
        """Return the component of a description."""
        return cast(Self, default_from_dict(cls, data))


@component
class MinibertTextEmbedder(LateModel[SentenceTransformer]):
    """Encodes the question of a user, for a retriever."""

    kind = SentenceTransformer

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        token: Secret | str | None = None,
        encode_kwargs: Mapping[str, Any] | None = None,  # encode's own
        **arguments: Any,  # SentenceTransformer's own
    ) -> None:
        """Name a folder or a model of the hub, which is opened by warm_up() or run().

        `token` is for the hub. `encode_kwargs` are arguments of encode(), as
        {"normalize_embeddings": True}.
        """
        settings = {"encode_kwargs": dict(encode_kwargs or {})}
        # super() would look for the class that the decorator replaces.
        LateModel.__init__(self, model_name_or_path, token, settings, arguments)

    @component.output_types(embedding=list[float])
    def run(self, text: str) -> dict[str, list[float]]:
        """Encode a question with its prompt: {"embedding": D numbers}.

        Raises TypeError for anything but one str.
        """
        if not isinstance(text, str):
            raise TypeError(
                f"MinibertTextEmbedder got {type_of(text)}; expected one question, a str. "
                "MinibertDocumentEmbedder encodes documents."
            )
        vector = self.model.encode_query(text, **self.settings["encode_kwargs"])
        return {"embedding": vector.tolist()}


@component
class MinibertDocumentEmbedder(LateModel[SentenceTransformer]):
    """Encodes documents, for a document store."""

    kind = SentenceTransformer

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        token: Secret | str | None = None,
        encode_kwargs: Mapping[str, Any] | None = None,  # encode's own
        meta_fields_to_embed: Sequence[str] = (),
        embedding_separator: str = "\n",
        **arguments: Any,  # SentenceTransformer's own
    ) -> None:
        """Name a folder or a model of the hub, which is opened by warm_up() or run().

        Values of `meta_fields_to_embed` go before the content of each document, and
        `embedding_separator` between them all. `token` and `encode_kwargs` are as in
        MinibertTextEmbedder.
        """
        settings = {
            "encode_kwargs": dict(encode_kwargs or {}),
            "meta_fields_to_embed": list(meta_fields_to_embed),
            "embedding_separator": embedding_separator,
        }
        LateModel.__init__(self, model_name_or_path, token, settings, arguments)

    @property
    def embedding_similarity_function(self) -> str:
        """Similarity to give to an InMemoryDocumentStore: "cosine" or "dot_product".

        Raises ValueError for a model whose metric the store does not know.
        """
        store = "Haystack's InMemoryDocumentStore"
        return store_metric(self.model, SIMILARITIES, store, self.settings["encode_kwargs"])

    @component.output_types(documents=list[Document])
    def run(self, documents: list[Document]) -> dict[str, list[Document]]:
        """Encode documents with their prompt: {"documents": copies with their `embedding`}.

        Raises TypeError for anything but a list of Documents.
        """
        check_documents(documents)
        texts = texts_of(documents, self.settings)
        vectors = self.model.encode_document(texts, **self.settings["encode_kwargs"]).tolist()
        pairs = zip(documents, vectors, strict=True)
        return {"documents": [replace(document, embedding=vector) for document, vector in pairs]}


@component
class MinibertRanker(LateModel[CrossEncoder]):
    """Ranks documents with a cross-encoder, best first."""

    kind = CrossEncoder

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        token: Secret | str | None = None,
        top_k: int = 10,
        score_threshold: float | None = None,
        meta_fields_to_embed: Sequence[str] = (),
        embedding_separator: str = "\n",
        **arguments: Any,  # CrossEncoder's own
    ) -> None:
        """Name a folder or a model of the hub, which is opened by warm_up() or run().

        `top_k` is the number of documents that are kept, and `score_threshold` the least score of
        one. The others are as in MinibertDocumentEmbedder.

        Raises ValueError for a `top_k` below 1.
        """
        check_given_counts(top_k=top_k)
        settings = {
            "top_k": top_k,
            "score_threshold": score_threshold,
            "meta_fields_to_embed": list(meta_fields_to_embed),
            "embedding_separator": embedding_separator,
        }
        LateModel.__init__(self, model_name_or_path, token, settings, arguments)

    @component.output_types(documents=list[Document])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, list[Document]]:
        """Rank documents: {"documents": copies of the best with their `score`, best first}.

        Documents of one id count once. `top_k` and `score_threshold` replace the component's own.

        Raises ValueError for a `top_k` below 1, TypeError for anything but a list of Documents.
        """
        check_counts(top_k=top_k)
        least = self.settings["score_threshold"] if score_threshold is None else score_threshold
        check_documents(documents)
        unique = list({document.id: document for document in documents}.values())
        texts = texts_of(unique, self.settings)
        hits = self.model.rank(query, texts, top_k=top_k or self.settings["top_k"])
        ranked = [replace(unique[hit["corpus_id"]], score=float(hit["score"])) for hit in hits]
        return {"documents": [one for one in ranked if least is None or one.score >= least]}


def check_documents(documents: Sequence[Document]) -> None:
    """Raise TypeError for anything but a list of Documents."""
    for document in documents:
        if not isinstance(document, Document):
            raise TypeError(
                f"The documents have {type_of(document)}, {document!r:.60}; expected a list of "
                "Haystack's Documents, as Document(content=...)."
            )


def texts_of(documents: Sequence[Document], settings: Mapping[str, Any]) -> list[str]:
    """Join the values of each document's fields that are asked for, and its content, to a text."""
    texts = []
    for document in documents:
        values = [document.meta.get(name) for name in settings["meta_fields_to_embed"]]
        parts = [str(value) for value in values if value is not None]
        texts.append(settings["embedding_separator"].join([*parts, document.content or ""]))
    return texts
