"""How good rankings are: measures of each query, their means, and whether two differ by chance.

The definitions, with L the documents judged relevant (a grade above 0) and R how many they are,
whether or not they are in the corpus; a rank begins with 1:

    mrr@10      1 / rank of the first of L within 10, else 0
    ndcg@10     sum of grade / log2(rank + 1) within 10, divided by the highest possible
    recall@100  share of L within 100
    map         sum over L that were found of (how many of L up to its rank) / rank, divided by R
    map@100     the same within 100, divided by the smaller of R and 100

`docs/evaluation.md` says where they come from and where others define them otherwise.

A measure is a row of MEASURES: its name, and a function of what was Found for a query. Whatever
measures, compares or prints reads that table.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import NamedTuple, TypeAlias

import numpy as np

from minibert.common.arrays import Array, IntArray

__all__ = ["MEASURES", "Found", "Measured", "compare", "means", "measure", "randomisation_test"]

# query id -> measure -> its value
Measured: TypeAlias = dict[str, dict[str, float]]

SAMPLES = 100_000  # of the randomisation test: p is then good to 0.0014 at 0.05 (2 sigma)
BLOCK_SIGNS = 1 << 22  # of one temporary


class Found(NamedTuple):
    """What of a ranking counts."""

    ranks: IntArray  # of the relevant documents that were found, rising
    grades: Array  # of these
    ideal: Array  # the grades of all relevant documents, falling: (R,)


def reciprocal_rank(found: Found, k: int) -> float:
    """1 / rank of the first relevant document, 0 if it is below rank k."""
    return 1 / int(found.ranks[0]) if (found.ranks <= k).any() else 0.0


def ndcg(found: Found, k: int) -> float:
    """The discounted cumulative gain of the first k, of the highest that there could be.

    The gain is the grade and the discount log2(rank + 1): Järvelin and Kekäläinen, "Cumulated
    gain-based evaluation of IR techniques" (2002), in the form of trec_eval's ndcg_cut.
    """
    best = np.arange(1, len(found.ideal) + 1)
    return dcg(found.ranks, found.grades, k) / dcg(best, found.ideal, k)


def dcg(ranks: IntArray, grades: Array, k: int) -> float:
    """The sum of grade / log2(rank + 1) over ranks up to k."""
    near = ranks <= k
    return float((grades[near] / np.log2(ranks[near] + 1)).sum())


def recall(found: Found, k: int) -> float:
    """The share of the relevant documents that is within the first k."""
    return int((found.ranks <= k).sum()) / len(found.ideal)


def average_precision(found: Found, k: int | None = None) -> float:
    """The mean of the precision at the rank of each relevant document; 0 for one not found."""
    ranks, possible = found.ranks, len(found.ideal)
    if k is not None:
        ranks, possible = ranks[ranks <= k], min(k, possible)
    return float((np.arange(1, len(ranks) + 1) / ranks).sum()) / possible


# The name of a measure -> its value for a query. A row may be added.
MEASURES: dict[str, Callable[[Found], float]] = {
    "mrr@10": partial(reciprocal_rank, k=10),
    "ndcg@10": partial(ndcg, k=10),
    "recall@100": partial(recall, k=100),
    "map": average_precision,
    "map@100": partial(average_precision, k=100),
}


def measure(ids: Sequence[str], grades: Mapping[str, int]) -> dict[str, float]:
    """All measures of one query: the ids of its ranking, best first, and its judgements.

    Raises ValueError if no document is judged relevant.
    """
    relevant = {id: grade for id, grade in grades.items() if grade > 0}
    if not relevant:
        raise ValueError("No document is judged relevant: nothing can be measured on this query.")
    found = [(rank, relevant[id]) for rank, id in enumerate(ids, start=1) if id in relevant]
    ranks, found_grades = np.array(found, dtype=np.int64).reshape(-1, 2).T
    ideal = np.array(sorted(relevant.values(), reverse=True), dtype=np.float64)
    counted = Found(ranks, found_grades.astype(np.float64), ideal)
    return {name: of(counted) for name, of in MEASURES.items()}


def means(measured: Measured) -> dict[str, float]:
    """Each measure's mean over the queries."""
    table = np.array([[row[name] for name in MEASURES] for row in measured.values()])
    return dict(zip(MEASURES, table.mean(axis=0).tolist(), strict=True))


def compare(first: Measured, second: Measured) -> dict[str, float]:
    """How likely so large a difference of means would be by chance: each measure's p-value.

    Both must be of the same queries; raises ValueError if they are not. See randomisation_test.
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


def randomisation_test(differences: Array, samples: int = SAMPLES, *, seed: int = 0) -> Array:
    """The two-sided p-values of Fisher's paired randomisation test: (n, M) -> (M,).

    If two systems were alike, each query's difference could as well have the other sign. So p is
    how often random signs give a mean at least as far from 0 as the one there is: Smucker, Allan
    and Carterette, "A comparison of statistical significance tests for information retrieval
    evaluation" (2007). What there is counts as one of the samples, so p is never 0 (Phipson and
    Smyth, 2010). The seed is fixed, so the same differences give the same p.
    """
    generator = np.random.default_rng(seed)
    # Sums that are equal but for rounding count as equal.
    rounding = 1e-12 * np.abs(differences).sum(axis=0)
    observed = np.abs(differences.sum(axis=0)) - rounding
    as_far: Array = np.ones(differences.shape[1])
    for count in shares(samples, max(1, BLOCK_SIGNS // len(differences))):
        signs = generator.choice(np.array([-1.0, 1.0]), size=(count, len(differences)))
        as_far += (np.abs(signs @ differences) >= observed).sum(axis=0)
    return as_far / (samples + 1)


def shares(total: int, size: int) -> Iterable[int]:
    """A number in parts of at most `size`."""
    return (min(size, total - start) for start in range(0, total, size))
