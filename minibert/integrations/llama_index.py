"""An embedding and a re-ranker for LlamaIndex (https://developers.llamaindex.ai), on its core.

from llama_index.core import Document, VectorStoreIndex
from minibert.integrations.llama_index import MinibertEmbedding

embedding = MinibertEmbedding("sentence-transformers/all-MiniLM-L6-v2")
documents = [Document(text="The cat sat."), Document(text="Dogs bark.")]
index = VectorStoreIndex.from_documents(documents, embed_model=embedding)
index.as_retriever(similarity_top_k=1).retrieve("Who barks?")
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from typing import Any

from minibert import CrossEncoder, SentenceTransformer
from minibert.common.advice import needing
from minibert.common.arguments import folder_or_name, one_name
from minibert.integrations.metric import warn_unless_cosine
from minibert.integrations.stored_model import without_token

with needing("llama-index-core", "minibert.integrations.llama_index", at_least="0.13"):
    from llama_index.core.base.embeddings.base import BaseEmbedding, SimilarityMode
    from llama_index.core.bridge.pydantic import Field, PrivateAttr
    from llama_index.core.instrumentation import get_dispatcher
    from llama_index.core.instrumentation.events.rerank import ReRankEndEvent, ReRankStartEvent
    from llama_index.core.postprocessor.types import BaseNodePostprocessor
    from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

__all__ = ["MinibertEmbedding", "MinibertRerank"]

dispatcher = get_dispatcher(__name__)

# Arguments of LlamaIndex's HuggingFaceEmbedding -> the way to have the same.
OTHER_NAMES = {
    "normalize": 'give encode_kwargs={"normalize_embeddings": True}, or leave it out',
    "max_length": 'give processor_kwargs={"model_max_length": 32}',
    "query_instruction": 'give prompts={"query": "the text before each question"}',
    "text_instruction": 'give prompts={"document": "the text before each document"}',
}


class MinibertEmbedding(BaseEmbedding):
    """A model as LlamaIndex's embedding.

    to_dict() and pickles hold its name and `arguments`, but neither the weights nor a token.
    """

    arguments: dict[str, Any] = Field()  # SentenceTransformer's own, but for the token
    encode_kwargs: dict[str, Any] = Field()  # arguments of each encode
    _model: SentenceTransformer = PrivateAttr()

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        model_name: str | None = None,
        arguments: Mapping[str, Any] | None = None,  # SentenceTransformer's own
        encode_kwargs: Mapping[str, Any] | None = None,  # encode's own
        embed_batch_size: int = 256,
        **others: Any,  # SentenceTransformer's own, or fields of BaseEmbedding
    ) -> None:
        """Load a folder or a model of the hub.

        `model_name` is LlamaIndex's name of the first argument. SentenceTransformer's arguments are
        given by their names, or as a mapping `arguments`. `encode_kwargs` are those of encode(), as
        {"normalize_embeddings": True}. Any other field of BaseEmbedding, as num_workers, may be
        given, too. A store has to compare by the model's metric. LlamaIndex's SimpleVectorStore
        takes the cosine: a warning is logged if this gives another ranking, unless
        `similarity_fn_name` is given.

        Raises the errors of SentenceTransformer().
        """
        fields = {name: others.pop(name) for name in type(self).model_fields if name in others}
        given = {**(arguments or {}), **others}
        for other in OTHER_NAMES.keys() & given.keys():
            raise TypeError(f"{other} is no argument of MinibertEmbedding; {OTHER_NAMES[other]}.")
        name = given_name(model_name_or_path, model_name=model_name)
        super().__init__(
            model_name=name,
            arguments=without_token(given),
            encode_kwargs=dict(encode_kwargs or {}),
            embed_batch_size=embed_batch_size,
            **fields,
        )
        self._model = SentenceTransformer(name, **given)
        if given.get("similarity_fn_name") is None:
            warn_unless_cosine(self._model, "LlamaIndex's SimpleVectorStore", self.encode_kwargs)

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in saved settings."""
        return "MinibertEmbedding"

    def similarity(
        self,
        embedding1: list[float],
        embedding2: list[float],
        mode: SimilarityMode | None = None,
    ) -> float:
        """Score two vectors of D numbers: by the model's own metric, unless `mode` is given."""
        if mode is not None:
            return float(super().similarity(embedding1, embedding2, mode))
        return float(self._model.similarity_pairwise([embedding1], [embedding2])[0])

    def _get_query_embedding(self, query: str) -> list[float]:
        vector: list[float] = self._model.encode_query(query, **self.encode_kwargs).tolist()
        return vector

    def _get_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        vectors: list[list[float]] = self._model.encode_document(
            texts, **self.encode_kwargs
        ).tolist()
        return vectors

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    # In a thread, as the event loop must not wait for a model.
    async def _aget_query_embedding(self, query: str) -> list[float]:
        return await asyncio.to_thread(self._get_query_embedding, query)

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return await asyncio.to_thread(self._get_text_embedding, text)

    async def _aget_text_embeddings(self, texts: list[str]) -> list[list[float]]:
        return await asyncio.to_thread(self._get_text_embeddings, texts)


class MinibertRerank(BaseNodePostprocessor):
    """A cross-encoder that keeps the best nodes of a retriever, best first, with its scores.

    to_dict() and pickles hold its name and `arguments`, but neither the weights nor a token.
    """

    model: str = Field()  # name of the cross-encoder, or path of its folder
    top_n: int = Field(ge=1)  # number of nodes that are kept
    arguments: dict[str, Any] = Field()  # CrossEncoder's own, but for the token
    _model: CrossEncoder = PrivateAttr()

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str] | None = None,
        *,
        model: str | None = None,
        top_n: int = 2,
        arguments: Mapping[str, Any] | None = None,  # CrossEncoder's own
        **others: Any,  # CrossEncoder's own, or fields of BaseNodePostprocessor
    ) -> None:
        """Load a folder or a model of the hub.

        `model` is LlamaIndex's name of the first argument. CrossEncoder's arguments are given by
        their names, or as a mapping `arguments`.

        Raises the errors of CrossEncoder(), and pydantic's ValidationError for a `top_n` below 1.
        """
        fields = {name: others.pop(name) for name in type(self).model_fields if name in others}
        given = {**(arguments or {}), **others}
        name = given_name(model_name_or_path, model=model)
        super().__init__(model=name, top_n=top_n, arguments=without_token(given), **fields)
        self._model = CrossEncoder(name, **given)

    @classmethod
    def class_name(cls) -> str:
        """Name of the class in saved settings."""
        return "MinibertRerank"

    def _postprocess_nodes(
        self, nodes: list[NodeWithScore], query_bundle: QueryBundle | None = None
    ) -> list[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("MinibertRerank got no question; give query_bundle= or query_str=.")
        dispatcher.event(
            ReRankStartEvent(
                query=query_bundle, nodes=nodes, top_n=self.top_n, model_name=self.model
            )
        )
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        hits = self._model.rank(query_bundle.query_str, texts, top_k=self.top_n)
        kept = [
            NodeWithScore(node=nodes[hit["corpus_id"]].node, score=float(hit["score"]))
            for hit in hits
        ]
        dispatcher.event(ReRankEndEvent(nodes=kept))
        return kept


def given_name(model_name_or_path: str | os.PathLike[str] | None, **framework: str | None) -> str:
    """Return the name of a model. Raises TypeError unless it is given, by one of two names."""
    name: str | os.PathLike[str] | None = one_name(
        model_name_or_path=model_name_or_path, **framework
    )
    if name is None:
        raise TypeError("model_name_or_path is missing; give a folder or a name on the hub.")
    return folder_or_name(name)
