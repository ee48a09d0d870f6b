"""Measure how good a ranking is: a model's on a collection, or one that another program wrote.

- `collection`: what is read and written: documents, queries, judgements, runs
- `measures`: a row a measure; means, and the chance of a difference
- `retrieval`: a model and a collection -> rankings -> measures
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
