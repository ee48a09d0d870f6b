"""An embedding function of Chroma (https://docs.trychroma.com), which its collections keep.

import chromadb
from minibert.integrations.chroma import MinibertEmbeddingFunction

function = MinibertEmbeddingFunction("sentence-transformers/all-MiniLM-L6-v2")
client = chromadb.PersistentClient("notes")
notes = client.create_collection("notes", embedding_function=function)

A program that imports this file opens it without a model: client.get_collection("notes").
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from minibert import CorpusError, SentenceTransformer
from minibert.common.advice import needing
from minibert.common.arguments import folder_or_name
from minibert.integrations.metric import ranks_alike, store_metric
from minibert.integrations.stored_model import check_sample, open_model, without_token

with needing("chromadb", "minibert.integrations.chroma", at_least="1.1"):
    from chromadb.api.models.Collection import Collection
    from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
    from chromadb.utils.embedding_functions import register_embedding_function

__all__ = ["MinibertEmbeddingFunction"]

# Metric of a model -> space of a collection.
SPACES: dict[str, Space] = {"cosine": "cosine", "dot": "ip", "euclidean": "l2"}
CHROMAS_OWN = "sentence_transformer"  # Chroma's name of its function for sentence-transformers
BY_NAME = (
    "Call install() of minibert.integrations.sentence_transformers first, and open the collection "
    "without a function: Chroma's own one then has minibert's model. Or make it anew."
)
OTHER_FUNCTION = "Open it with that one, or make it anew."


@register_embedding_function
class MinibertEmbeddingFunction(EmbeddingFunction[Documents]):
    """A SentenceTransformer as an embedding function: a collection's space is the model's metric.

    Chroma keeps the arguments and a sample of the vectors in the collection. It opens the model
    again by the arguments, and the sample tells whether it is that model still.
    """

    model: SentenceTransformer  # model of the vectors

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        **arguments: Any,  # SentenceTransformer's own
    ) -> None:
        """Load a folder or a model of the hub; `arguments` are SentenceTransformer's own.

        Raises TypeError for an argument that is not JSON, ValueError for a model whose metric is no
        space of Chroma, and the errors of SentenceTransformer().
        """
        self._arguments = {"model_name_or_path": folder_or_name(model_name_or_path), **arguments}
        self._stored = open_model(self._arguments)
        self.model = self._stored.model
        store_metric(self.model, SPACES, "Chroma")

    def __call__(self, input: Documents) -> Embeddings:
        """Encode documents: n texts -> n vectors."""
        return list(np.atleast_2d(self.model.encode_document(input)))

    def embed_query(self, input: Documents) -> Embeddings:
        """Encode questions, with the model's prompt for them: n texts -> n vectors."""
        return list(np.atleast_2d(self.model.encode_query(input)))

    def default_space(self) -> Space:
        """Space of a new collection, by the model's metric: "cosine", "ip" or "l2"."""
        return store_metric(self.model, SPACES, "Chroma")

    def supported_spaces(self) -> list[Space]:
        """Return the spaces that rank as the model does: its metric's, or all for unit vectors."""
        return [SPACES[metric] for metric in SPACES if ranks_alike(self.model, [metric])]

    @staticmethod
    def name() -> str:
        """Name by which Chroma finds this class again."""
        return "minibert"

    def get_config(self) -> dict[str, Any]:  # JSON
        """Return what a collection keeps: a sample, and the arguments but for a token."""
        return {"arguments": without_token(self._arguments), "sample": self._stored.sample}

    @staticmethod
    def build_from_config(config: dict[str, Any]) -> MinibertEmbeddingFunction:  # JSON
        """Open the model of a collection again.

        Raises CorpusError if it gives other vectors now, and the errors of SentenceTransformer().
        """
        function = MinibertEmbeddingFunction(**config["arguments"])
        function._check(config)
        return function

    def validate_config_update(
        self,
        old_config: dict[str, Any],  # JSON
        new_config: dict[str, Any],  # JSON
    ) -> None:
        """Raise CorpusError for a collection that is to go on with another model."""
        self._check(old_config)

    def check(self, collection: Collection) -> None:
        """Raise CorpusError for a collection of another model, or with another space.

        Chroma compares neither, if it is given a function for a collection that exists.
        """
        settings = collection.configuration_json
        function = settings.get("embedding_function") or {}
        if (name := function.get("name")) != self.name():
            raise CorpusError(
                f"The collection {collection.name!r} has the embedding function {name!r}; expected "
                f"{self.name()!r}. {BY_NAME if name == CHROMAS_OWN else OTHER_FUNCTION}"
            )
        self._check(function["config"])
        spaces = [
            index["space"] for index in (settings.get("hnsw"), settings.get("spann")) if index
        ]
        if not set(spaces) <= set(self.supported_spaces()):
            raise CorpusError(
                f"The collection {collection.name!r} has the space {spaces[0]!r}; the metric of "
                f"{self._arguments['model_name_or_path']} is {self.model.similarity_fn_name}, "
                f"which is {self.default_space()!r}. Make it anew, and leave out the space."
            )

    def _check(self, config: Mapping[str, Any]) -> None:
        """Raise CorpusError if a config is of another model."""
        check_sample(self._stored.sample, config["sample"], self._arguments["model_name_or_path"])
