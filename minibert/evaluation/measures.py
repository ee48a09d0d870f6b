"""Measures of rankings: of each query, their means, and p-values of differences.

L are the documents judged relevant (a grade above 0), R is their number, with those that are not in
the corpus; ranks begin with 1:

    mrr@10      1 / rank of the first of L within 10, else 0
    ndcg@10     sum of grade / log2(rank + 1) within 10, divided by the highest possible
    recall@100  share of L within 100
    map         sum over L that were found of (how many of L up to its rank) / rank, divided by R
    map@100     the same within 100, divided by the smaller of R and 100

`docs/evaluation.md` has the sources, and where other programs define them differently.

A measure is a row of MEASURES: its name, and a function of Found, the relevant documents found for
a query. All that measure, compare or print read that table.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray

__all__ = ["MEASURES", "Found", "Measured", "compare", "means", "measure", "randomisation_test"]

# query id -> measure -> its value
Measured: TypeAlias = dict[str, dict[str, float]]

SAMPLES = 100_000  # of the randomisation test: p is then good to 0.0014 at 0.05 (2 sigma)
BLOCK_SIGNS = 1 << 22  # of one temporary, by default


class Found(NamedTuple):
    """Relevant documents of one ranking."""

    ranks: IntArray  # of relevant documents that were found, rising: (n,)
    grades: Array  # of these documents: (n,)
    ideal: Array  # grades of all relevant documents, falling: (R,)


def reciprocal_rank(found: Found, k: int) -> float:
    """Compute 1 / rank of the first relevant document, 0 if it is below rank k."""
    return 1 / int(found.ranks[0]) if (found.ranks <= k).any() else 0.0


def ndcg(found: Found, k: int) -> float:
    """Compute the discounted cumulative gain of the first k, divided by the highest possible.

    The gain is the grade and the discount log2(rank + 1): Järvelin and Kekäläinen, "Cumulated
    gain-based evaluation of IR techniques" (2002), in the form of trec_eval's ndcg_cut.
    """
    ideal_ranks = np.arange(1, len(found.ideal) + 1)
    return dcg(found.ranks, found.grades, k) / dcg(ideal_ranks, found.ideal, k)


def dcg(ranks: IntArray, grades: Array, k: int) -> float:
    """Sum grade / log2(rank + 1) over ranks up to k."""
    within = ranks <= k
    return float((grades[within] / np.log2(ranks[within] + 1)).sum())


def recall(found: Found, k: int) -> float:
    """Compute the share of the relevant documents that is within the first k."""
    return int((found.ranks <= k).sum()) / len(found.ideal)


def precision(found: Found, k: int) -> float:
    """Compute the share of the first k that is relevant; of fewer than k, too, it is that of k."""
    return int((found.ranks <= k).sum()) / k


def success(found: Found, k: int) -> float:
    """Return 1 if a relevant document is within the first k, else 0."""
    return float((found.ranks <= k).any())


def average_precision(found: Found, k: int | None = None) -> float:
    """Compute the mean precision at the ranks of relevant documents; 0 for one not found."""
    ranks, possible = found.ranks, len(found.ideal)
    if k is not None:
        ranks, possible = ranks[ranks <= k], min(k, possible)
    return float((np.arange(1, len(ranks) + 1) / ranks).sum()) / possible


# A measure's name -> its function of one query. Rows may be added.
MEASURES: dict[str, Callable[[Found], float]] = {
    "mrr@10": partial(reciprocal_rank, k=10),
    "ndcg@10": partial(ndcg, k=10),
    "recall@100": partial(recall, k=100),
    "map": average_precision,
    "map@100": partial(average_precision, k=100),
}


def measure(ids: Sequence[str], grades: Mapping[str, float]) -> dict[str, float]:
    """Compute all measures of one query.

    `ids` are the documents of its ranking, best first; `grades` are its judgements, by id.

    Raises ValueError if no document is judged relevant.
    """
    found = found_of(ids, grades)
    return {name: of(found) for name, of in MEASURES.items()}


def found_of(ids: Sequence[Hashable], grades: Mapping[Any, float]) -> Found:
    """Find the relevant documents in a ranking: its ids, best first; grades by id.

    Raises ValueError if no document is judged relevant.
    """
    relevant = {id: grade for id, grade in grades.items() if grade > 0}
    if not relevant:
        raise ValueError("No document is judged relevant: nothing can be measured on this query.")
    found = [(rank, relevant[id]) for rank, id in enumerate(ids, start=1) if id in relevant]
    return Found(
        ranks=np.array([rank for rank, _ in found], dtype=np.int64),
        grades=np.array([grade for _, grade in found], dtype=np.float64),
        ideal=np.array(sorted(relevant.values(), reverse=True), dtype=np.float64),
    )


def means(measured: Measured) -> dict[str, float]:
    """Compute the mean of each measure over the queries."""
    table = np.array([[row[name] for name in MEASURES] for row in measured.values()])
    return dict(zip(MEASURES, table.mean(axis=0).tolist(), strict=True))


def compare(first: Measured, second: Measured) -> dict[str, float]:
    """Compute the p-value of the difference of means, for each measure: see randomisation_test.

    Raises ValueError if the two are not of the same queries.
    """
    if first.keys() != second.keys():
        odd = min(first.keys() ^ second.keys())
        raise ValueError(
            f"The two were measured on different queries ({odd!r} is in one of them); "
            "only the same queries can be compared."
        )
    differences = np.array(
        [[first[query][name] - second[query][name] for name in MEASURES] for query in first]
    )
    return dict(zip(MEASURES, randomisation_test(differences).tolist(), strict=True))


def randomisation_test(
    differences: Array, samples: int = SAMPLES, *, seed: int = 0, block_signs: int = BLOCK_SIGNS
) -> Array:
    """Compute two-sided p-values by Fisher's paired randomisation test: (n, M) -> (M,).

    If two systems were equally good, each query's difference could have the other sign. So p is the
    share of random signs whose mean is at least as far from 0 as the observed one: Smucker, Allan
    and Carterette, "A comparison of statistical significance tests for information retrieval
    evaluation" (2007). The observed signs count as one sample, so p is never 0 (Phipson and Smyth,
    2010). The seed is fixed, so the same differences give the same p. A temporary has at most
    `block_signs` signs, or those of one sample.
    """
    generator = np.random.default_rng(seed)
    # Sums that differ by rounding only count as equal.
    rounding = 1e-12 * np.abs(differences).sum(axis=0)
    observed = np.abs(differences.sum(axis=0)) - rounding
    as_far: Array = np.ones(differences.shape[1])
    for count in shares(samples, max(1, block_signs // len(differences))):
        signs = generator.choice(np.array([-1.0, 1.0]), size=(count, len(differences)))
        as_far += (np.abs(signs @ differences) >= observed).sum(axis=0)
    return as_far / (samples + 1)


def shares(total: int, size: int) -> Iterable[int]:
    """Split a number into parts of at most `size`."""
    return (min(size, total - start) for start in range(0, total, size))
