"""An evaluator for training: a model -> measures of its rankings on a collection.

model.fit([(batches, loss)], evaluator=RetrievalEvaluator(read_collection("cranfield")))
"""

from __future__ import annotations

import json
import os

from minibert.common.arguments import check_choice
from minibert.evaluation.collection import Collection
from minibert.evaluation.measures import MEASURES, means
from minibert.evaluation.retrieval import Retrieves, measured, rankings

__all__ = ["RetrievalEvaluator"]


class RetrievalEvaluator:
    """Ranks all documents of a collection for each query, and measures the rankings.

    It is called as the evaluators of sentence-transformers are. The higher a measure, the better.
    """

    def __init__(self, collection: Collection, measure: str = "ndcg@10") -> None:
        """Take a collection with texts, and the name in MEASURES that tells the better model.

        Raises ValueError for an unknown measure, and for a collection without documents.
        """
        check_choice("measure", measure, MEASURES)
        if not collection.documents:
            raise ValueError("The collection has judgements but no documents, so none is ranked.")
        self.collection = collection  # documents, queries and judgements
        self.primary_metric = measure  # name of the measure that tells the better model

    def __call__(
        self,
        model: Retrieves,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> dict[str, float]:
        """Return the means of all measures, of the model as it is now.

        It writes no file into `output_path`, as the log of a training has the measures.
        """
        return means(measured(rankings(model, self.collection), self.collection.qrels))

    def get_config_dict(self) -> dict[str, object]:
        """Return the measure and a digest of the collection, by which a run is recognised."""
        import hashlib  # late: 3 ms that only training has to wait for

        digest = hashlib.sha256(json.dumps(self.collection).encode())
        return {"measure": self.primary_metric, "collection": digest.hexdigest()}
