"""Queries, positives and negatives -> columns of training data, and what is known of them.

A new format is a function from Mined to columns, and a row of FORMATS. Start at Mined.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array, IntArray
from minibert.common.counts import counted
from minibert.training.candidates import DROPS, Candidates, Filters, Scored
from minibert.training.pairs import Texts

__all__ = ["FORMATS", "Format", "Mined", "Statistics", "statistics_of"]


@dataclass(frozen=True)
class Mined:
    """Texts, the positives of each query with their scores, and its negatives with theirs."""

    anchor: str  # name of the column of anchors
    positive: str  # name of the column of positives
    texts: Texts
    positive_scores: Array  # (P,), of texts.positives
    negatives: Candidates  # (Q, n); the score of a negative that was not found is -inf

    def by_positive(self) -> Candidates:
        """Repeat the negatives of each query for each of its positives: (P, n)."""
        rows = self.texts.rows
        return Candidates(self.negatives.numbers[rows], self.negatives.scores[rows])

    def anchors(self, places: IntArray) -> list[str]:
        """Return the queries of some positives, by the places of these."""
        return [self.texts.queries[row] for row in self.texts.rows[places].tolist()]

    def positives(self, places: IntArray) -> list[str]:
        """Return some positives, by their places."""
        return self.documents(self.texts.positives[places])

    def documents(self, numbers: IntArray) -> list[str]:
        """Return some documents by their numbers."""
        return [self.texts.documents[number] for number in numbers.tolist()]


Columns = dict[str, list[Any]]  # texts, numbers, or lists of these


def add(columns: Columns, name: str, values: list[Any]) -> None:
    """Add a column. Raises ValueError if the anchors or the positives have its name."""
    if name in columns:
        raise ValueError(
            f"The pairs have a column {name!r}, and the result gets one of this name, too. Rename "
            "it."
        )
    columns[name] = values


def triplets(mined: Mined, has_scores: bool) -> Columns:
    """Make a row of each positive and each negative that was found for its query."""
    spread = mined.by_positive()
    rows, places = np.nonzero(spread.found())
    columns: Columns = {
        mined.anchor: mined.anchors(rows),
        mined.positive: mined.positives(rows),
    }
    add(columns, "negative", mined.documents(spread.numbers[rows, places]))
    if has_scores:
        pairs = np.stack([mined.positive_scores[rows], spread.scores[rows, places]], axis=1)
        add(columns, "scores", pairs.tolist())
    return columns


def tuples(mined: Mined, has_scores: bool) -> Columns:
    """Make a row of each positive whose query has all of its negatives."""
    spread = mined.by_positive()
    rows = np.flatnonzero(spread.found().all(axis=1))
    columns: Columns = {
        mined.anchor: mined.anchors(rows),
        mined.positive: mined.positives(rows),
    }
    for place, column in enumerate(spread.numbers[rows].T, start=1):
        add(columns, f"negative_{place}", mined.documents(column))
    if has_scores:
        scores = np.column_stack([mined.positive_scores[rows], spread.scores[rows]])
        add(columns, "scores", scores.tolist())
    return columns


def labeled_pairs(mined: Mined, has_scores: bool) -> Columns:
    """Make a row of each positive, labeled 1, and of each negative, labeled 0; query by query."""
    numbers, scores = mined.negatives
    query, place = np.nonzero(mined.negatives.found())
    queries = np.concatenate([mined.texts.rows, query])
    documents = np.concatenate([mined.texts.positives, numbers[query, place]])
    order = np.argsort(queries, kind="stable")  # positives come first
    columns: Columns = {
        mined.anchor: [mined.texts.queries[number] for number in queries[order].tolist()],
        mined.positive: mined.documents(documents[order]),
    }
    if has_scores:
        all_scores = np.concatenate([mined.positive_scores, scores[query, place]])
        add(columns, "score", all_scores[order].tolist())
    else:
        labels = np.repeat([1, 0], [len(mined.texts.positives), len(query)])
        add(columns, "label", labels[order].tolist())
    return columns


def labeled_lists(mined: Mined, has_scores: bool) -> Columns:
    """Make a row of each positive with a list of it and its query's negatives, if there is one."""
    numbers, scores = spread = mined.by_positive()
    found = spread.found()
    rows = np.flatnonzero(found.any(axis=1))
    columns: Columns = {
        mined.anchor: mined.anchors(rows),
        mined.positive: [
            mined.documents(np.append(mined.texts.positives[row], numbers[row, found[row]]))
            for row in rows.tolist()
        ],
    }
    if has_scores:
        lists = [
            [mined.positive_scores[row].item(), *scores[row, found[row]].tolist()]
            for row in rows.tolist()
        ]
        add(columns, "scores", lists)
    else:
        lists = [[1, *[0] * int(found[row].sum())] for row in rows.tolist()]
        add(columns, "labels", lists)
    return columns


class Format(NamedTuple):
    """A row of FORMATS: how columns are made, and how many rows there could be."""

    columns: Callable[[Mined, bool], Columns]  # the second argument: with scores
    possible: Callable[[Mined], int]  # rows, if every query had all of its negatives
    holds: str  # a row's content, for --help
    needs_all: bool = False  # whether a query with fewer negatives has no row


FORMATS: dict[str, Format] = {
    "triplet": Format(
        triplets,
        lambda mined: len(mined.texts.positives) * mined.negatives.scores.shape[1],
        "a query, a positive and a negative",
    ),
    "n-tuple": Format(
        tuples,
        lambda mined: len(mined.texts.positives),
        "a query, a positive and all negatives of the query",
        needs_all=True,
    ),
    "labeled-pair": Format(
        labeled_pairs,
        lambda mined: len(mined.texts.positives) + mined.negatives.scores.size,
        "a query and a text, with the label 1 for a positive and 0 for a negative",
    ),
    "labeled-list": Format(
        labeled_lists,
        lambda mined: len(mined.texts.positives),
        "a query, and lists of a positive and the negatives, and of their labels",
    ),
}

MEASURES: dict[str, Callable[[Array], Any]] = {
    "mean": np.mean,
    "std": lambda scores: np.std(scores, ddof=1) if len(scores) > 1 else np.nan,
    "min": np.min,
    "25%": lambda scores: np.quantile(scores, 0.25),
    "median": np.median,
    "75%": lambda scores: np.quantile(scores, 0.75),
    "max": np.max,
}


# Arguments that decide how many negatives are found -> what would leave more.
REMEDIES = {
    "corpus": "more texts ({})",
    "range_max": "a larger {}",
    "range_min": "a smaller {}",
    **dict.fromkeys(DROPS, "a looser {}"),
}


class Statistics(NamedTuple):
    """Numbers and scores of what was mined."""

    rows: int  # of the result
    queries: int  # each once
    positives: int  # pairs of a query and a positive, each once
    negatives: int  # in the result, as often as they stand in it
    missing: int  # rows that would be there if every query had all of its negatives
    skipped: dict[str, int]  # filter by score -> candidates that it dropped
    # "positive", "negative", and "difference", of a positive and a negative beside it -> measure ->
    # its value; None of too few scores
    scores: dict[str, dict[str, float | None]]
    remedies: list[str]  # arguments by which fewer rows would be missing; empty if none is

    def lines(self, spell: Callable[[str], str] = str) -> list[str]:
        """Return the statistics as lines for people; `spell` writes the name of an argument."""
        told = [
            f"{counted(self.rows, 'row')} of {counted(self.queries, 'query', 'queries')} with "
            f"{counted(self.positives, 'positive')}",
            f"{'score':8}" + "".join(f"{name:>12}" for name in self.scores),
        ]
        for name in MEASURES:
            values = [column[name] for column in self.scores.values()]
            shown = ["none" if value is None else f"{value:.4f}" for value in values]
            told.append(f"{name:8}" + "".join(f"{value:>12}" for value in shown))
        told += [
            f"{counted(count, 'candidate')} dropped by {spell(name)}"
            for name, count in self.skipped.items()
        ]
        if self.missing:
            verb = "is" if self.missing == 1 else "are"
            told.append(f"{counted(self.missing, 'row')} {verb} missing: {self.reason(spell)}")
        return told

    def reason(self, spell: Callable[[str], str] = str) -> str:
        """Tell why rows are missing, and what would leave more."""
        advice = " or ".join(REMEDIES[name].format(spell(name)) for name in self.remedies)
        if self.remedies == ["corpus"]:
            return f"the texts to search are too few; give {advice}"
        return f"queries have too few negatives; for more, give {advice}"


def statistics_of(
    mined: Mined,
    columns: Columns,
    skipped: Mapping[str, int],
    form: str,
    filters: Filters,
    scored: Scored,
) -> Statistics:
    """Count what was mined in a format of FORMATS, and measure its scores.

    `filters` chose the negatives among those of `scored`, and dropped `skipped` of them.
    """
    spread = mined.by_positive()
    scores, found = spread.scores, spread.found()
    if FORMATS[form].needs_all:
        found &= found.all(axis=1, keepdims=True)
    differences = mined.positive_scores[:, None] - scores
    measured = {
        "positive": mined.positive_scores,
        "negative": scores[found],
        "difference": differences[found],
    }
    rows = len(next(iter(columns.values())))
    missing = FORMATS[form].possible(mined) - rows
    return Statistics(
        rows=rows,
        queries=len(mined.texts.queries),
        positives=len(mined.texts.positives),
        negatives=int(found.sum()),
        missing=missing,
        skipped=dict(skipped),
        scores={name: measures_of(values) for name, values in measured.items()},
        remedies=filters.remedies(scored, mined.texts, skipped) if missing else [],
    )


def measures_of(scores: Array) -> dict[str, float | None]:
    """Measure scores (n,); a measure that they are too few for is None."""
    if not len(scores):
        return dict.fromkeys(MEASURES)
    values = {name: float(measure(scores)) for name, measure in MEASURES.items()}
    return {name: None if np.isnan(value) else value for name, value in values.items()}
