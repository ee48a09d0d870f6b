"""A model and a collection -> rankings -> measures.

    collection = read_collection("cranfield")
    per_query = measured(rankings(model, collection), collection.qrels)
    means(per_query)["ndcg@10"]

The rankings are computed some queries at a time, so that not all of them are in memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from minibert.common.arrays import Array
from minibert.common.progress import progress
from minibert.evaluation.collection import (
    Collection,
    Qrels,
    Ranking,
    say_how_many,
    with_relevant,
)
from minibert.evaluation.measures import Measured, measure
from minibert.scoring.metrics import METRICS
from minibert.scoring.similarity import BLOCK_FLOATS, ScoreFunction, blocks
from minibert.scoring.top_k import top_k

__all__ = ["measured", "rankings"]


class Retrieves(Protocol):
    """A model, as far as a measurement needs it."""

    @property
    def similarity_fn_name(self) -> str: ...

    def encode_query(self, inputs: Any, **arguments: Any) -> Any: ...

    def encode_document(self, inputs: Any, **arguments: Any) -> Any: ...


def rankings(
    model: Retrieves,
    collection: Collection,
    k: int | None = None,
    candidates: Mapping[str, Sequence[str]] | None = None,
    show_progress_bar: bool = False,
    *,
    block_floats: int = BLOCK_FLOATS,
) -> Iterator[tuple[str, Ranking]]:
    """Rank all documents for each query by the model's metric: yield query id, ranking.

    Queries and documents get the model's prompts for them. Every document is scored; of equal
    scores the smaller id, as a text, comes first. With `k`, only the k best are sorted
    and returned, and measures are computed on these. With `candidates`, query id -> document ids,
    only these are ranked: so a model can re-rank the documents that another has found.

    Beside the vectors of all documents, scores take a quarter of their size, or `block_floats`
    numbers (64 MB by default) if these are more.
    """
    # In the order of their ids, so that top_k settles ties by the id.
    ids = sorted(collection.documents)
    texts = [collection.documents[id] for id in ids]
    documents = model.encode_document(texts, show_progress_bar=show_progress_bar)
    names, questions = list(collection.queries), list(collection.queries.values())
    queries = model.encode_query(questions, show_progress_bar=show_progress_bar)
    score = METRICS[model.similarity_fn_name].all_pairs
    step = max(1, max(block_floats, documents.size // 4) // max(1, len(documents)))
    with progress(len(queries), show_progress_bar, unit="query") as advance:
        for start in range(0, len(queries), step):
            some = queries[start : start + step]
            scores = scores_of_all(some, documents, score, block_floats)
            for name, row in zip(names[start : start + step], scores, strict=True):
                ranked = ids
                if candidates is not None:
                    places = candidates_of(candidates.get(name, ()), ids)
                    ranked, row = [ids[place] for place in places], row[places]
                columns, found = top_k(row[None], len(ranked) if k is None else k)
                yield name, Ranking([ranked[column] for column in columns[0].tolist()], found[0])
                advance(1)


def candidates_of(wanted: Sequence[str], ids: list[str]) -> list[int]:
    """Find the places of some ids in those of all documents, rising; unknown ids have none."""
    found = ((bisect_left(ids, id), id) for id in set(wanted))
    return sorted(place for place, id in found if place < len(ids) and ids[place] == id)


def scores_of_all(
    queries: Array, documents: Array, score: ScoreFunction, block_floats: int = BLOCK_FLOATS
) -> Array:
    """Score some queries with all documents: (q, D), (N, D) -> (q, N).

    At most `block_floats` numbers of document vectors are scored at a time, or one document.
    """
    scores = np.empty((len(queries), len(documents)), dtype=documents.dtype)
    # In blocks, as a metric may copy its arguments.
    for rows in blocks(len(documents), documents.shape[1], block_floats):
        scores[:, rows] = score(queries, documents[rows])
    return scores


def measured(rankings: Iterable[tuple[str, Ranking]], qrels: Qrels) -> Measured:
    """Measure each query that has a relevant document: query id -> measure -> value.

    A query without a ranking has found nothing: all its measures are 0, and a warning gives the
    number of such queries. Rankings of queries without a relevant document are skipped. Raises
    ValueError if no query has both.
    """
    judged = with_relevant(qrels)
    values = {id: measure(ranking.ids, judged[id]) for id, ranking in rankings if id in judged}
    if not values:
        raise ValueError(
            f"None of the {len(judged)} queries with a relevant document has a ranking; "
            "are the judgements those of this collection?"
        )
    say_how_many(judged.keys() - values.keys(), "judged queries have no ranking: counted as 0")
    return {id: values.get(id) or measure([], judged[id]) for id in judged}
