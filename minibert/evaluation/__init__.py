"""Measure how good a ranking is: that of a model on a collection, or that in a file of a run.

- `collection`: documents, queries, judgements and runs, read and written
- `measures`: one row per measure; means, and p-values of differences
- `retrieval`: a model and a collection -> rankings -> measures
- `evaluator`: the same as a callable for training
- `sample/`: a small collection of our own, `SAMPLE`
"""

from minibert.evaluation.collection import (
    SAMPLE,
    Collection,
    Qrels,
    Ranking,
    read_collection,
    read_qrels,
    read_run,
    write_run,
)
from minibert.evaluation.evaluator import RetrievalEvaluator
from minibert.evaluation.measures import (
    MEASURES,
    Found,
    Measured,
    compare,
    means,
    measure,
    randomisation_test,
)
from minibert.evaluation.retrieval import measured, rankings

__all__ = [
    "MEASURES",
    "SAMPLE",
    "Collection",
    "Found",
    "Measured",
    "Qrels",
    "Ranking",
    "RetrievalEvaluator",
    "compare",
    "means",
    "measure",
    "measured",
    "randomisation_test",
    "rankings",
    "read_collection",
    "read_qrels",
    "read_run",
    "write_run",
]
