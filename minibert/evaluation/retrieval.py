"""How good a model is: a model and a collection -> rankings -> measures.

    collection = read_collection("cranfield")
    per_query = measured(rankings(model, collection), collection.qrels)
    means(per_query)["ndcg@10"]

The rankings come one query after another, so that never all of them are in memory.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
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
    """What a measurement needs of a model."""

    @property
    def similarity_fn_name(self) -> str: ...

    @property
    def encode_query(self) -> Callable[..., Any]: ...

    @property
    def encode_document(self) -> Callable[..., Any]: ...


def rankings(
    model: Retrieves,
    collection: Collection,
    *,
    depth: int | None = None,
    candidates: Mapping[str, Sequence[str]] | None = None,
    show_progress_bar: bool = False,
) -> Iterator[tuple[str, Ranking]]:
    """Rank all documents for each query by the model's own metric: yields query id, ranking.

    Queries and documents get the model's prompts for them. Every document is scored; of equal
    scores the smaller id, as a text, comes first. `depth` keeps the best so many; with it the
    whole ranking is not sorted, and what is measured is measured on those alone. `candidates`,
    ids by the query's, are all that is ranked for a query: so one re-ranks what another has found.

    Beside the vectors of all documents, a quarter of their size is used for scores, or 64 MB.
    """
    # In the order of their ids, so that top_k settles ties by the id.
    ids = sorted(collection.documents)
    texts = [collection.documents[id] for id in ids]
    documents = model.encode_document(texts, show_progress_bar=show_progress_bar)
    names, questions = list(collection.queries), list(collection.queries.values())
    queries = model.encode_query(questions, show_progress_bar=show_progress_bar)
    score = METRICS[model.similarity_fn_name].all_pairs
    step = max(1, max(BLOCK_FLOATS, documents.size // 4) // max(1, len(documents)))
    with progress(len(queries), show_progress_bar, unit="query") as advance:
        for start in range(0, len(queries), step):
            scores = scores_of_all(queries[start : start + step], documents, score)
            for name, row in zip(names[start : start + step], scores, strict=True):
                chosen = ids
                if candidates is not None:
                    places = candidates_of(candidates.get(name, ()), ids)
                    chosen, row = [ids[place] for place in places], row[places]
                columns, found = top_k(row[None], len(chosen) if depth is None else depth)
                yield name, Ranking([chosen[column] for column in columns[0].tolist()], found[0])
                advance(1)


def candidates_of(wanted: Sequence[str], ids: list[str]) -> list[int]:
    """The places of some ids among those of all documents, rising; unknown ones have none."""
    found = ((bisect_left(ids, id), id) for id in set(wanted))
    return sorted(place for place, id in found if place < len(ids) and ids[place] == id)


def scores_of_all(queries: Array, documents: Array, score: ScoreFunction) -> Array:
    """The scores of some queries with all documents: (q, D), (N, D) -> (q, N)."""
    scores = np.empty((len(queries), len(documents)), dtype=documents.dtype)
    for rows in blocks(*documents.shape):  # a metric may copy what it is given
        scores[:, rows] = score(queries, documents[rows])
    return scores


def measured(rankings: Iterable[tuple[str, Ranking]], qrels: Qrels) -> Measured:
    """Measure each query that has a relevant document: query id -> measure -> value.

    A query without a ranking has found nothing: all its measures are 0, and it is said how many
    there are. Rankings of queries without a relevant document are passed over. Raises ValueError if
    no query has both.
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
