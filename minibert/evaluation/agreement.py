"""Agreement of scores with labels: correlations, thresholds, classes. No texts, no models.

Equal scores are taken together: a threshold cannot tell them apart, and a ranking of them is left
to chance. Start at Groups.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from minibert.common.arrays import Array, IntArray

__all__ = [
    "F1",
    "Accuracy",
    "ClassF1",
    "Groups",
    "average_precision_of",
    "f1_of_classes",
    "groups_of",
    "highest_accuracy",
    "highest_f1",
    "matthews_correlation",
    "ndcg_of",
    "pearson",
    "spearman",
]


class Groups(NamedTuple):
    """Distinct scores, the highest first: one item each."""

    scores: Array  # distinct, falling: (g,)
    taken: IntArray  # how many are at least as high as each: (g,)
    correct: IntArray  # how many of these have the label 1: (g,)


class Accuracy(NamedTuple):
    """Highest accuracy, and the score from which up a pair is then taken for similar."""

    accuracy: float  # 0 to 1
    threshold: float  # the middle between two scores, a score, or a number above all


class F1(NamedTuple):
    """Highest F1, and the score from which up a pair is then taken for similar."""

    f1: float  # harmonic mean of precision and recall
    precision: float  # how many of those taken are similar, 0 to 1
    recall: float  # how many of the similar ones are taken, 0 to 1
    threshold: float  # the middle between two scores, or a score


class ClassF1(NamedTuple):
    """Means of the F1 of each class."""

    macro: float  # each class counts the same
    micro: float  # each example counts the same, which is the accuracy
    weighted: float  # each class counts by its examples


def groups_of(scores: ArrayLike, labels: ArrayLike) -> Groups:
    """Group equal scores: scores (n,), labels (n,), of which 1 is correct -> (g,) each."""
    given = np.asarray(scores)
    order = np.argsort(-given, kind="stable")
    falling = given[order]
    ends = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))[: len(falling)]
    return Groups(falling[ends], ends + 1, np.cumsum(np.asarray(labels)[order] == 1)[ends])


def threshold_after(scores: Array, place: int) -> float:
    """Return the middle between a score and the next lower one; the last score itself."""
    if place + 1 == len(scores):
        return float(scores[place])
    middle = (scores[place] + scores[place + 1]) / 2
    # Rounded down to the lower score, it would take this one in, too.
    return float(scores[place] if middle == scores[place + 1] else middle)


def highest_accuracy(scores: ArrayLike, labels: ArrayLike) -> Accuracy:
    """Find the threshold with the highest accuracy: scores (n,), labels 0 or 1 (n,), n > 0.

    Of equal accuracies the highest threshold is taken, which may be above all scores.
    """
    groups = groups_of(scores, labels)
    positives, size = int(groups.correct[-1]), int(groups.taken[-1])
    # Right are the positives taken, and the negatives left out.
    right = np.append(size - positives, 2 * groups.correct - groups.taken + size - positives)
    place = int(right.argmax())
    above = np.nextafter(groups.scores[0], groups.scores.dtype.type(np.inf))
    threshold = float(above) if place == 0 else threshold_after(groups.scores, place - 1)
    return Accuracy(int(right[place]) / size, threshold)


def highest_f1(scores: ArrayLike, labels: ArrayLike, *, positives: int | None = None) -> F1:
    """Find the threshold with the highest F1: scores (n,), labels 0 or 1 (n,).

    `positives` are all that should be found, by default those with the label 1. Of equal F1 the
    highest threshold is taken. Without a positive, all is 0.
    """
    groups = groups_of(scores, labels)
    total = int(np.sum(np.asarray(labels) == 1)) if positives is None else positives
    some = np.flatnonzero(groups.correct)
    if not len(some) or not total:
        return F1(0.0, 0.0, 0.0, 0.0)
    precision, recall = groups.correct[some] / groups.taken[some], groups.correct[some] / total
    f1 = 2 * precision * recall / (precision + recall)
    place = int(f1.argmax())
    threshold = threshold_after(groups.scores, int(some[place]))
    return F1(float(f1[place]), float(precision[place]), float(recall[place]), threshold)


def average_precision_of(
    scores: ArrayLike, labels: ArrayLike, *, positives: int | None = None
) -> float:
    """Sum precision times the gain in recall over falling thresholds: (n,), (n,) -> a number.

    So scikit-learn defines average_precision_score. `positives` are all that should be found, by
    default those with the label 1. Without a positive it is 0.
    """
    groups = groups_of(scores, labels)
    total = int(np.sum(np.asarray(labels) == 1)) if positives is None else positives
    gains = np.diff(groups.correct, prepend=0)
    return float((groups.correct / groups.taken * gains).sum() / total) if total else 0.0


def ndcg_of(scores: ArrayLike, labels: ArrayLike, k: int) -> float:
    """Compute nDCG within the first k: scores (n,), labels 0 or 1 (n,).

    Of equal scores each order is as likely as any other, and the mean over all orders is taken:
    McSherry and Najork, "Computing information retrieval performance measures efficiently in the
    presence of tied scores" (2008). Without a positive it is 0.
    """
    groups = groups_of(scores, labels)
    positives = int(np.sum(np.asarray(labels) == 1))
    discounts = 1 / np.log2(np.arange(len(np.asarray(scores))) + 2)
    discounts[k:] = 0
    sums = np.cumsum(discounts)[groups.taken - 1]
    gains = np.diff(groups.correct, prepend=0) / np.diff(groups.taken, prepend=0)
    ideal = discounts[:positives].sum()
    return float((gains * np.diff(sums, prepend=0)).sum() / ideal) if positives else 0.0


def matthews_correlation(predicted: ArrayLike, labels: ArrayLike) -> float:
    """Compute the correlation of two series of 0 and 1 (Matthews 1975); 0 if one is constant."""
    found = pearson(predicted, labels)
    return 0.0 if np.isnan(found) else found


def f1_of_classes(predicted: ArrayLike, labels: ArrayLike) -> ClassF1:
    """Compute means of the F1 of each class: numbers of classes (n,), (n,), n > 0.

    Classes are those that were predicted or are right. A class never predicted rightly has 0.
    """
    guesses, right = np.asarray(predicted), np.asarray(labels)
    classes = np.union1d(guesses, right)[:, None]  # (c, 1)
    hits = ((guesses == classes) & (right == classes)).sum(axis=1)
    support = (right == classes).sum(axis=1)
    f1 = 2 * hits / ((guesses == classes).sum(axis=1) + support)
    weighted = (f1 * support).sum() / len(right)
    return ClassF1(float(f1.mean()), float(np.mean(guesses == right)), float(weighted))


def pearson(first: ArrayLike, second: ArrayLike) -> float:
    """Compute Pearson's correlation: (n,), (n,) -> -1 to 1; NaN if one of them is constant."""
    rows = np.array([first, second], dtype=np.float64)
    if (rows == rows[:, :1]).all(axis=1).any():
        return float("nan")
    rows -= rows.mean(axis=1, keepdims=True)
    rows /= np.abs(rows).max(axis=1, keepdims=True)  # so that no square underflows
    rows /= np.sqrt(np.vecdot(rows, rows))[:, None]
    return float(np.clip(rows[0] @ rows[1], -1, 1))


def spearman(first: ArrayLike, second: ArrayLike) -> float:
    """Compute Spearman's correlation: that of the ranks, equal values having their mean rank."""
    return pearson(ranks_of(first), ranks_of(second))


def ranks_of(values: ArrayLike) -> Array:
    """Rank values from 1 up, equal ones by the mean of their ranks: (n,) -> (n,)."""
    _, places, sizes = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: Array = (np.cumsum(sizes) - (sizes - 1) / 2)[places]
    return ranks
