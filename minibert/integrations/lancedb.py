"""An embedding function of LanceDB (https://docs.lancedb.com), which its tables keep.

import lancedb
from lancedb.pydantic import LanceModel, Vector
from minibert.integrations.lancedb import MinibertFunction

function = MinibertFunction.create(model_name_or_path="sentence-transformers/all-MiniLM-L6-v2")

class Note(LanceModel):
    text: str = function.SourceField()
    vector: Vector(function.ndims()) = function.VectorField()

notes = lancedb.connect("notes").create_table("notes", schema=Note)
notes.add([{"text": "A dog barks."}])
notes.search("Who barks?").distance_type(function.distance_type).limit(10).to_list()

A program that imports this file opens the table again without naming the model.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable
from functools import lru_cache
from typing import Annotated, Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minibert import SentenceTransformer
from minibert.common.advice import needing
from minibert.common.arguments import folder_or_name
from minibert.integrations.metric import ranks_alike, store_metric
from minibert.integrations.stored_model import NOT_STORED, StoredModel, check_sample, open_model

with needing("lancedb", "minibert.integrations.lancedb", at_least="0.25"):
    from lancedb.embeddings import TextEmbeddingFunction, register
    from pydantic import BeforeValidator, ConfigDict, PrivateAttr

__all__ = ["MinibertFunction"]

logger = logging.getLogger(__name__)

DistanceType: TypeAlias = Literal["cosine", "dot", "l2"]
# Metric of a model -> distance type of LanceDB.
DISTANCES: dict[str, DistanceType] = {"cosine": "cosine", "dot": "dot", "euclidean": "l2"}


@register("minibert")
class MinibertFunction(TextEmbeddingFunction):
    """A SentenceTransformer as an embedding function; make one by MinibertFunction.create().

    LanceDB keeps its arguments and a sample of the vectors in the table. It opens the model again
    by the arguments, and the sample tells whether it is that model still. The arguments are
    SentenceTransformer's own; a token is given as "$var:name", see LanceDB's set_var. Raises
    ValueError for a model whose metric LanceDB does not have, CorpusError for a table of another
    model, TypeError for an argument that is not JSON, and the errors of SentenceTransformer().

    LanceDB searches by "l2" unless told: give each search, or an index, this `distance_type`. The
    vectors of a model for the cosine are stored with the length 1, so that they have one ranking by
    all three.
    """

    # What has no field here goes to SentenceTransformer, and
    # names may begin with "model_".
    model_config = ConfigDict(extra="allow", protected_namespaces=())  # pydantic's settings

    model_name_or_path: Annotated[str, BeforeValidator(folder_or_name)]  # folder, or hub's name
    sample: tuple[float, ...] | None = None  # of a table's vectors; None makes no check

    _stored: StoredModel = PrivateAttr()

    def __init__(self, **arguments: Any) -> None:  # SentenceTransformer's own
        """Open the model, and check that it is the one of the table; see the class."""
        super().__init__(**arguments)
        # Not in a validator: pydantic would make each error one of its own.
        own = self.model_extra or {}
        self._stored = open_model({"model_name_or_path": self.model_name_or_path, **own})
        check_sample(self._stored.sample, self.sample, self.model_name_or_path)
        store_metric(self.model, DISTANCES, "LanceDB")

    @property
    def model(self) -> SentenceTransformer:
        """Model of the vectors."""
        return self._stored.model

    @property
    def distance_type(self) -> DistanceType:
        """LanceDB's word for the model's metric: "cosine", "dot" or "l2"."""
        return store_metric(self.model, DISTANCES, "LanceDB")

    @staticmethod
    def sensitive_keys() -> list[str]:
        """Return the arguments that a table must not keep."""
        return [NOT_STORED]

    def safe_model_dump(self) -> dict[str, Any]:  # JSON
        """Return what a table keeps: the arguments, and a sample of the vectors."""
        given = {**super().safe_model_dump(), "sample": self._stored.sample}
        return {**given, "model_name_or_path": os.fspath(given["model_name_or_path"])}

    def ndims(self) -> int:
        """Dimension of the vectors."""
        return self.model.get_embedding_dimension()

    def generate_embeddings(self, texts: Iterable[str]) -> list[NDArray[np.float32]]:
        """Encode documents: n texts -> n vectors."""
        return self._rows(self.model.encode_document, texts)

    def compute_query_embeddings(self, query: str | list[str]) -> list[NDArray[np.float32]]:
        """Encode questions, with the model's prompt for them: one or n texts -> as many vectors."""
        if self.distance_type != "cosine" and not ranks_alike(self.model, ["euclidean"]):
            remind(self.model_name_or_path)
        return self._rows(self.model.encode_query, self.sanitize_input(query))

    # LanceDB's own wait and try again up to seven times, which helps no computation.
    compute_source_embeddings_with_retry = TextEmbeddingFunction.compute_source_embeddings
    compute_query_embeddings_with_retry = compute_query_embeddings

    def _rows(
        self, encode: Callable[..., NDArray[np.float32]], texts: Iterable[str]
    ) -> list[NDArray[np.float32]]:
        """Encode texts to rows, of the length 1 if the metric is the cosine."""
        normalize = self.distance_type == "cosine" and not ranks_alike(self.model, ["euclidean"])
        return list(encode(list(texts), normalize_embeddings=normalize))


@lru_cache
def remind(name: str) -> None:
    """Warn once that LanceDB does not know the metric of a model for the dot product."""
    logger.warning(
        "The metric of %s is the dot product, and LanceDB searches by l2 unless told. Give each "
        'search .distance_type("dot"), or make an index with distance_type="dot".',
        name,
    )
