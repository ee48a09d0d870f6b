"""An evaluator for training: a model -> one measure of its rankings on a collection.

model.fit([(batches, loss)], evaluator=RetrievalEvaluator(read_collection("cranfield")))
"""

from __future__ import annotations

import os
from pathlib import Path

from minibert.common.arguments import check_choice
from minibert.common.escapes import json_line
from minibert.evaluation.collection import Collection
from minibert.evaluation.measures import MEASURES, means
from minibert.evaluation.retrieval import Retrieves, measured, rankings

__all__ = ["RetrievalEvaluator"]

LOG = "retrieval.jsonl"  # the file of all measures, in the folder that a call names


class RetrievalEvaluator:
    """Ranks all documents of a collection for each query, and returns the mean of a measure.

    It is called as the evaluators of sentence-transformers are. A higher value is better.
    """

    def __init__(self, collection: Collection, measure: str = "ndcg@10") -> None:
        """Take a collection with texts, and a name in MEASURES.

        Raises ValueError for an unknown measure, and for a collection without documents.
        """
        check_choice("measure", measure, MEASURES)
        if not collection.documents:
            raise ValueError("The collection has judgements but no documents, so none is ranked.")
        self.collection = collection  # documents, queries and judgements
        self.primary_metric = measure  # the name of the measure that is returned

    def __call__(
        self,
        model: Retrieves,
        output_path: str | os.PathLike[str] | None = None,
        epoch: int = -1,
        steps: int = -1,
    ) -> float:
        """Measure the model as it is now.

        With a folder `output_path`, a line with all measures is added to retrieval.jsonl there,
        after `epoch` and `steps`; of these, -1 stands for the end.
        """
        values = means(measured(rankings(model, self.collection), self.collection.qrels))
        if output_path is not None:
            line = json_line({"epoch": epoch, "steps": steps, **values})
            with (Path(output_path) / LOG).open("a", encoding="utf-8") as file:
                file.write(f"{line}\n")
        return values[self.primary_metric]
