"""Correlations, thresholds and F1 against values worked out by hand."""

from itertools import permutations
from math import isnan, log2, sqrt

import numpy as np
import pytest

from minibert.evaluation.agreement import (
    average_precision_of,
    f1_of_classes,
    groups_of,
    highest_accuracy,
    highest_f1,
    matthews_correlation,
    ndcg_of,
    pearson,
    spearman,
)

# Two scores are equal, and their labels differ.
SCORES = np.array([0.2, 0.9, 0.6, 0.6, 0.4], dtype=np.float32)
LABELS = [0, 1, 1, 0, 1]


def test_equal_scores_are_one_group():
    groups = groups_of(SCORES, LABELS)
    np.testing.assert_array_equal(groups.scores, SCORES[[1, 2, 4, 0]])
    assert groups.taken.tolist() == [1, 3, 4, 5]
    assert groups.correct.tolist() == [1, 2, 3, 3]


def test_the_highest_accuracy_never_parts_equal_scores():
    # Right above 0.9: 2 of 5; from 0.9: 3; from 0.6: 3; from 0.4: 4; all: 3.
    accuracy, threshold = highest_accuracy(SCORES, LABELS)
    assert accuracy == 4 / 5
    assert threshold == pytest.approx((0.4 + 0.2) / 2)


def test_a_threshold_above_all_scores_takes_none_for_similar():
    accuracy, threshold = highest_accuracy(SCORES, [0, 0, 0, 0, 0])
    assert accuracy == 1
    assert threshold == np.nextafter(np.float32(0.9), np.float32(1))


def test_of_equal_accuracies_the_highest_threshold_is_taken():
    assert highest_accuracy([3.0, 2.0, 1.0], [1, 0, 1]) == (2 / 3, 2.5)


def test_a_threshold_rounded_to_the_lower_score_is_the_upper_one():
    low = np.float32(1)
    high = np.nextafter(low, np.float32(2))
    assert highest_f1(np.array([high, low]), [1, 0]).threshold == high


def test_the_highest_f1_comes_with_its_precision_and_recall():
    # From 0.9: P 1, R 1/3; from 0.6: 2/3, 2/3; from 0.4: 3/4, 1.
    f1, precision, recall, threshold = highest_f1(SCORES, LABELS)
    assert (precision, recall) == (3 / 4, 1)
    assert f1 == pytest.approx(6 / 7, abs=1e-15)
    assert threshold == pytest.approx((0.4 + 0.2) / 2)


def test_positives_that_were_not_found_lower_the_recall():
    found = highest_f1(SCORES, LABELS, positives=6)
    assert (found.precision, found.recall) == (3 / 4, 1 / 2)
    assert (
        average_precision_of(SCORES, LABELS, positives=6)
        == average_precision_of(SCORES, LABELS) / 2
    )


def test_without_a_positive_all_is_0():
    assert highest_f1(SCORES, [0] * 5) == (0, 0, 0, 0)
    assert average_precision_of(SCORES, [0] * 5) == ndcg_of(SCORES, [0] * 5, 3) == 0
    assert highest_f1([], [], positives=3) == (0, 0, 0, 0)
    assert average_precision_of([], [], positives=3) == 0


def test_average_precision_counts_equal_scores_together():
    expected = (1 / 1 * 1 + 2 / 3 * 1 + 3 / 4 * 1) / 3
    assert average_precision_of(SCORES, LABELS) == pytest.approx(expected, abs=1e-15)


def test_ndcg_is_the_mean_over_all_orders_of_equal_scores():
    scores, labels, k = [1, 2, 2, 2, 0.5, 1], [1, 0, 1, 0, 1, 0], 4
    ideal = sum(1 / log2(rank + 1) for rank in (1, 2, 3))
    values = set()
    for order in permutations(range(6)):
        if sorted((scores[n] for n in order), reverse=True) == [scores[n] for n in order]:
            gains = [labels[n] / log2(rank + 1) for rank, n in enumerate(order[:k], start=1)]
            values.add((order, sum(gains) / ideal))
    assert len(values) == 12
    expected = np.mean([value for _, value in values])
    assert ndcg_of(scores, labels, k) == pytest.approx(expected, abs=1e-14)


def test_matthews_correlation_is_its_formula():
    predicted, labels = [1, 1, 1, 0, 0, 0, 0], [1, 1, 0, 1, 0, 0, 0]
    expected = (2 * 3 - 1 * 1) / sqrt(3 * 3 * 4 * 4)
    assert matthews_correlation(predicted, labels) == pytest.approx(expected, abs=1e-15)
    assert matthews_correlation([1, 1], [0, 1]) == 0


def test_f1_of_classes_is_their_mean_in_three_ways():
    # F1 of class 0: 2*1/(2+2), of 1: 2*2/(2+3), of 2: 0 (never right), of 3: 0 (never wanted).
    found = f1_of_classes([0, 0, 1, 1, 3, 2], [0, 2, 1, 1, 1, 0])
    assert found.macro == pytest.approx((1 / 2 + 4 / 5) / 4, abs=1e-15)
    assert found.micro == 3 / 6
    assert found.weighted == pytest.approx((2 * 1 / 2 + 3 * 4 / 5) / 6, abs=1e-15)


def test_pearson_is_covariance_by_deviations():
    first, second = [1.0, 2.0, 4.0, 7.0], [3.0, -1.0, 5.0, 4.0]
    expected = np.cov(first, second)[0, 1] / (np.std(first, ddof=1) * np.std(second, ddof=1))
    assert pearson(first, second) == pytest.approx(expected, abs=1e-14)
    assert pearson(first, np.multiply(first, -1e-200)) == pytest.approx(-1, abs=1e-14)
    assert isnan(pearson([0.1, 0.1, 0.1], [1, 2, 3]))


def test_spearman_gives_equal_values_their_mean_rank():
    expected = pearson([1, 2.5, 2.5, 4], [4, 1.5, 3, 1.5])
    assert spearman([-5, 0, 0, 100], [9, 1, 2, 1]) == expected
    assert spearman([1, 2, 3], [1, 10, 1000]) == pytest.approx(1, abs=1e-15)
