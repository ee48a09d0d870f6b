"""Vectors of queries and documents -> the documents that may be hard negatives of each query.

    scored = scores_of(texts, vectors, k, "cosine")
    window, skipped = filters.window(scored, texts)
    negatives = drawn(window, num_negatives, "top")

Candidates are two matrices, of numbers and of scores, a row for each query. What is dropped keeps
its place, with the score -inf. Start at scores_of.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from minibert.common.arrays import Array, IntArray
from minibert.common.progress import progress
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS
from minibert.scoring.nearest import nearest, scores_of_pairs
from minibert.training.embedded import processes_of
from minibert.training.pairs import Texts

__all__ = [
    "DROPS",
    "SAMPLING",
    "Candidates",
    "Filters",
    "Predicts",
    "Scored",
    "check_one_label",
    "drawn",
    "scores_of",
]

PAIRS = 1024  # that a cross-encoder scores at a time


class Candidates(NamedTuple):
    """Documents of each query, and their scores."""

    numbers: IntArray  # (Q, c), among the documents; -1 where there is none
    scores: Array  # (Q, c); -inf where there is none, and where it was dropped

    def at(self, places: IntArray) -> Candidates:
        """Take the candidates at these places of each row: (Q, c), (Q, k) -> (Q, k)."""
        return Candidates(
            np.take_along_axis(self.numbers, places, axis=1),
            np.take_along_axis(self.scores, places, axis=1),
        )

    def found(self) -> NDArray[np.bool_]:
        """Return which candidates are there, and not dropped: (Q, c)."""
        return self.scores > -np.inf


class Scored(NamedTuple):
    """Candidates of each query, and the scores of its positives."""

    candidates: Candidates  # (Q, c)
    of_positives: Array  # (P,), as texts.positives


class Predicts(Protocol):
    """A cross-encoder, as far as candidates are scored by it."""

    @property
    def predict(self) -> Callable[..., Any]: ...  # overloads would not match a shorter signature

    @property
    def start_multi_process_pool(self) -> Callable[..., Any]: ...

    @property
    def stop_multi_process_pool(self) -> Callable[..., Any]: ...


# Scores of candidates (Q, c), the lowest score of a positive for each query (Q, 1), the filter's
# value -> which candidates it drops (Q, c).
Drop = Callable[[Array, Array, float], Any]

# The filters by score, in their order, by the name of their argument.
DROPS: dict[str, Drop] = {
    "absolute_margin": lambda scores, lowest, margin: scores + margin > lowest,
    # Of the absolute value: a positive's score may be negative, and a distance always is.
    "relative_margin": lambda scores, lowest, margin: scores > lowest - np.abs(lowest) * margin,
    "max_score": lambda scores, lowest, limit: scores > limit,
    "min_score": lambda scores, lowest, limit: scores < limit,
}


@dataclass(frozen=True)
class Filters:
    """Limits that a negative keeps: of its rank, of its score, and of its distance to a positive.

    Raises ValueError for ranks that leave fewer than `num_negatives` candidates, and for NaN.
    """

    num_negatives: int  # of each query
    range_min: int  # number of the first candidates that are skipped, after all other filters
    range_max: int  # rank of the last candidate, from 1
    max_score: float | None = None
    min_score: float | None = None
    absolute_margin: float | None = None  # to the lowest score of a positive
    relative_margin: float | None = None  # the same, as a fraction of that score's absolute value

    def __post_init__(self) -> None:
        first, last, wanted = self.range_min, self.range_max, self.num_negatives
        if first < 0:
            raise ValueError(f"range_min is {first}; expected a whole number from 0 up.")
        if first >= last:
            raise ValueError(
                f"range_min is {first} and range_max {last}; range_min must be smaller than "
                "range_max."
            )
        if wanted > last - first:
            raise ValueError(
                f"num_negatives is {wanted}, and range_max {last} without the first {first} "
                f"leaves {last - first} candidates. Lower num_negatives or range_min, or raise "
                "range_max."
            )
        for name, value in self.by_score().items():
            if math.isnan(value):  # it would drop nothing
                raise ValueError(f"{name} is NaN; expected a number, or None for no filter.")

    def by_score(self) -> dict[str, float]:
        """Return the filters by score that are given, in their order."""
        return {name: value for name in DROPS if (value := getattr(self, name)) is not None}

    def remedies(self, scored: Scored, texts: Texts, skipped: Mapping[str, int]) -> list[str]:
        """Name the arguments by which queries with too few negatives could get more.

        A larger range_max could only if some documents were no candidates.
        """
        named = ["corpus"]
        named += ["range_max"] * (scored.candidates.numbers.shape[1] < len(texts.documents))
        named += ["range_min"] * (self.range_min > 0)
        return named + [name for name, count in skipped.items() if count]

    def window(
        self, scored: Scored, texts: Texts, include_positives: bool = False
    ) -> tuple[Candidates, dict[str, int]]:
        """Drop candidates by their scores, sort the others, and take those of the ranks.

        Return (Q, w) candidates, best first, and how many each filter dropped. w is at least
        `num_negatives`: missing candidates are filled with -1. Where a query has several positives,
        a negative keeps its distance to the one with the lowest score.
        """
        left = scored.candidates._replace(scores=scored.candidates.scores.copy())
        if not include_positives:
            left.scores[are_positives(left.numbers, texts)] = -np.inf
        lowest = np.minimum.reduceat(scored.of_positives, texts.firsts())[:, None]
        skipped = {}
        for name, value in self.by_score().items():
            dropped = DROPS[name](left.scores, lowest, value) & left.found()
            left.scores[dropped] = -np.inf
            skipped[name] = int(dropped.sum())
        order = np.argsort(-left.scores, axis=1, kind="stable")
        order = order[:, self.range_min : self.range_max]
        numbers, scores = left.at(order)
        missing = (0, 0), (0, max(0, self.num_negatives - order.shape[1]))
        numbers = np.pad(numbers, missing, constant_values=-1)
        scores = np.pad(scores, missing, constant_values=-np.inf)
        return Candidates(numbers, scores), skipped


def are_positives(numbers: IntArray, texts: Texts) -> NDArray[np.bool_]:
    """Return which candidates are positives of their query: (Q, c) -> (Q, c)."""
    count = len(texts.documents)
    pairs = numbers + count * np.arange(len(texts.queries))[:, None]
    return np.isin(pairs, count * texts.rows + texts.positives)


def scores_of(
    texts: Texts,
    vectors: tuple[Array, Array],
    k: int,
    metric: str,
    cross_encoder: Predicts | None = None,
    *,
    rows: int,
    devices: bool | Sequence[str] = False,
    batch_size: int | None = None,
    show_progress_bar: bool = False,
) -> Scored:
    """Find the k nearest documents of each query, exactly, and score them and the positives.

    `vectors` are those of queries and documents, (Q, D) and (N, D). With fewer than k documents,
    all are found. `rows` queries are compared at a time, with blocks of documents. With a
    cross-encoder, the scores are its own, in a pool of processes if there are `devices`.
    """
    queries, documents = vectors
    candidates = nearest_documents(queries, documents, k, metric, rows, show_progress_bar)
    scored = Scored(candidates, positive_scores(queries, documents, texts, metric))
    if cross_encoder is None:
        return scored
    with processes_of(cross_encoder, devices) as start:
        predict = partial(cross_encoder.predict, batch_size=batch_size, pool=start())
        return rescored(scored, texts, predict, show_progress_bar)


def nearest_documents(
    queries: Array, documents: Array, k: int, metric: str, rows: int, show_progress_bar: bool
) -> Candidates:
    """Find the k nearest documents of each query: (Q, D), (N, D) -> (Q, min(k, N)), best first."""
    stack, k = Stack([documents], ["the documents' vectors"]), min(k, len(documents))
    shape = len(queries), k
    found = Candidates(np.empty(shape, np.int64), np.empty(shape, queries.dtype))
    with progress(len(queries), show_progress_bar, unit="query") as advance:
        for start in range(0, len(queries), rows):
            part = slice(start, start + rows)
            found.numbers[part], found.scores[part] = nearest(queries[part], stack, k, metric)
            advance(len(found.numbers[part]))
    return found


def positive_scores(queries: Array, documents: Array, texts: Texts, metric: str) -> Array:
    """Score each positive with its query, as the search does: (Q, D), (N, D) -> (P,)."""
    pairwise = METRICS[metric].pairwise
    return scores_of_pairs(queries, texts.rows, Stack([documents]), texts.positives, pairwise)


def rescored(
    scored: Scored, texts: Texts, predict: Callable[..., Any], show_progress_bar: bool
) -> Scored:
    """Score candidates and positives anew, by a cross-encoder's `predict`.

    Raises ValueError unless it gives one finite number for each pair.
    """
    shape = scored.candidates.numbers.shape
    rows = np.concatenate([np.repeat(np.arange(shape[0]), shape[1]), texts.rows])
    numbers = np.concatenate([scored.candidates.numbers.ravel(), texts.positives])
    parts = []
    with progress(len(rows), show_progress_bar, unit="pair") as advance:
        for start in range(0, len(rows), PAIRS):
            pairs = [
                (texts.queries[row], texts.documents[number])
                for row, number in zip(
                    rows[start : start + PAIRS], numbers[start : start + PAIRS], strict=True
                )
            ]
            parts.append(np.asarray(predict(pairs)))
            check_scores(parts[-1], len(pairs))
            advance(len(pairs))
    of_candidates, of_positives = np.split(np.concatenate(parts), [shape[0] * shape[1]])
    candidates = scored.candidates._replace(scores=of_candidates.reshape(shape))
    return Scored(candidates, of_positives)


def check_one_label(model: object, name: str) -> None:
    """Raise ValueError for a cross-encoder with several labels, which gives a pair no one score."""
    if (labels := getattr(model, "num_labels", 1)) != 1:
        raise ValueError(
            f"{name} has {labels} labels; expected a CrossEncoder with one, whose logit is the "
            "score of a pair."
        )


def check_scores(scores: Array, count: int) -> None:
    """Raise ValueError unless a cross-encoder gave `count` finite numbers."""
    if scores.shape != (count,):
        raise ValueError(
            f"The cross-encoder gave scores of the shape {scores.shape} for {count} pairs; "
            "expected one for each. Choose a cross-encoder with one label."
        )
    if not np.isfinite(scores).all():
        raise ValueError("The cross-encoder gave a score that is NaN or infinite.")


class Draw(Protocol):
    """Random numbers: a `random.Random`, or the module `random` with its one global state."""

    def sample(self, population: Sequence[int], k: int) -> list[int]: ...


def first_ones(candidates: Candidates, k: int, draw: Draw) -> IntArray:
    """Choose the k best of each query."""
    return np.tile(np.arange(k), (len(candidates.scores), 1))


def random_ones(candidates: Candidates, k: int, draw: Draw) -> IntArray:
    """Choose k of each query at random, of those that were not dropped, while there are as many."""
    left = candidates.found().sum(axis=1)
    places = [draw.sample(range(count), k=k) for count in np.maximum(left, k).tolist()]
    return np.sort(places, axis=1)  # so the best comes first again


# (candidates, k, random numbers) -> places in each row (Q, k), rising
SAMPLING: dict[str, Callable[[Candidates, int, Draw], IntArray]] = {
    "top": first_ones,
    "random": random_ones,
}


def drawn(candidates: Candidates, k: int, strategy: str, seed: int | None) -> Candidates:
    """Take k candidates of each query by a strategy of SAMPLING, best first: (Q, c) -> (Q, k).

    Without a seed, random numbers are those of Python's module `random`, one sample for each query
    in order, as sentence-transformers draws them.
    """
    draw = random if seed is None else random.Random(seed)
    return candidates.at(SAMPLING[strategy](candidates, k, draw))
