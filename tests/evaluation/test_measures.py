"""The measures against their definitions worked out by hand, and the test against all signs."""

from itertools import product
from math import log2

import numpy as np
import pytest

from minibert.evaluation import MEASURES, compare, means, measure, measures, randomisation_test

# One ranking of five documents: two of three relevant ones found, one of them of grade 2.
RANKED = ["x", "a", "y", "b", "z"]
GRADES = {"a": 1, "b": 2, "c": 1, "x": 0, "z": -1}


def measured(values):
    return {
        str(query): dict.fromkeys(MEASURES, value) for query, value in enumerate(values, start=1)
    }


def test_each_measure_is_its_definition():
    values = measure(RANKED, GRADES)
    assert values["mrr@10"] == 1 / 2
    gain, best = 1 / log2(3) + 2 / log2(5), 2 / log2(2) + 1 / log2(3) + 1 / log2(4)
    assert values["ndcg@10"] == pytest.approx(gain / best, abs=1e-15)
    assert values["recall@100"] == 2 / 3
    assert values["map"] == values["map@100"] == pytest.approx((1 / 2 + 2 / 4) / 3, abs=1e-15)


def test_a_measure_from_outside_is_computed_with_the_others(monkeypatch):
    monkeypatch.setitem(MEASURES, "precision@2", lambda found: (found.ranks <= 2).sum() / 2)
    first = {"1": measure(RANKED, GRADES), "2": measure(["a", "b"], GRADES)}
    assert [row["precision@2"] for row in first.values()] == [1 / 2, 1]
    assert means(first)["precision@2"] == 3 / 4
    assert compare(first, first)["precision@2"] == 1


@pytest.mark.parametrize(("rank", "expected"), [(1, 1), (10, 0.1), (11, 0)])
def test_mrr_looks_at_ten_documents(rank, expected):
    assert measure(["x"] * (rank - 1) + ["a"], {"a": 1})["mrr@10"] == expected


def test_ndcg_looks_at_ten_documents_and_so_does_its_ideal():
    grades = {f"d{number}": 1 for number in range(12)}
    assert measure(list(grades), grades)["ndcg@10"] == 1
    assert measure(["x"] * 10 + list(grades), grades)["ndcg@10"] == 0
    gain = sum(1 / log2(rank + 1) for rank in range(1, 10))
    found = measure([*list(grades)[:9], "x", "d10"], grades)["ndcg@10"]
    assert found == pytest.approx(gain / (gain + 1 / log2(11)), abs=1e-15)


def test_higher_grades_count_more_and_negative_ones_nothing():
    grades = {"a": 1, "b": 2, "c": -1}
    assert measure(["b", "a"], grades)["ndcg@10"] == 1
    assert measure(["a", "b"], grades)["ndcg@10"] < 1
    assert measure(["c", "b", "a"], grades) == measure(["x", "b", "a"], grades)


def test_a_grade_may_be_a_fraction():
    """By hand: 0.25 at rank 1 and 1.5 at rank 2, of 1.5, 0.5 and 0.25 at best."""
    grades = {"a": 0.25, "b": 1.5, "c": 0.5, "d": -0.5, "e": 0.0}
    values = measure(["a", "b", "d", "e"], grades)
    expected = (0.25 + 1.5 / log2(3)) / (1.5 + 0.5 / log2(3) + 0.25 / 2)
    assert values["ndcg@10"] == pytest.approx(expected, rel=1e-15)
    assert values["recall@100"] == 2 / 3
    assert values["map"] == 2 / 3


def test_recall_and_map_at_100_use_100_documents_and_map_all():
    values = measure(["x"] * 99 + ["a", "b"], {"a": 1, "b": 1})
    assert values["recall@100"] == 1 / 2
    assert values["map@100"] == pytest.approx((1 / 100) / 2, abs=1e-15)
    assert values["map"] == pytest.approx((1 / 100 + 2 / 101) / 2, abs=1e-15)


def test_map_at_100_expects_at_most_100_relevant_documents():
    grades = {f"d{number}": 1 for number in range(150)}
    values = measure(list(grades)[:100], grades)
    assert values["map@100"] == 1
    assert values["map"] == values["recall@100"] == pytest.approx(100 / 150, abs=1e-15)


def test_nothing_found_is_0_and_nothing_to_find_is_refused():
    assert measure([], {"a": 1}) == dict.fromkeys(MEASURES, 0)
    with pytest.raises(ValueError, match="No document is judged relevant"):
        measure(["a"], {"a": 0})


def test_a_mean_is_over_queries():
    assert means(measured([1, 0, 0.5])) == dict.fromkeys(MEASURES, 0.5)


def p_of_all_signs(differences):
    """The share of all 2^n choices of signs with a mean as far from 0: the test's definition."""
    sums = [abs(np.dot(signs, differences)) for signs in product([1, -1], repeat=len(differences))]
    return np.mean(np.array(sums) >= abs(sum(differences)) - 1e-12)


@pytest.mark.parametrize("count", [1, 2, 8, 12])
def test_p_is_that_of_all_choices_of_signs(count):
    differences = np.random.default_rng(count).normal(0.3, 0.5, size=(count, 3))
    expected = [p_of_all_signs(column) for column in differences.T]
    # 100,000 samples: 4 sigma are 0.0064 at p = 0.5.
    np.testing.assert_allclose(randomisation_test(differences), expected, atol=0.0064)


def test_p_counts_sums_that_are_equal_but_for_rounding():
    # 0.4 is what 0.7 + 0.4 - 0.7 should be; the sums are 0.4 or 1.0 or 1.8, so each is as far.
    differences = np.array([[0.7], [0.4], [-0.7]])
    assert randomisation_test(differences) == 1


def test_p_is_the_same_each_time_and_never_0():
    differences = np.full((40, 1), 0.5)
    first = randomisation_test(differences)
    assert first == randomisation_test(differences)
    assert first == 1 / (measures.SAMPLES + 1)  # 2^-39 would be met once in 5 million runs


def test_many_queries_are_sampled_in_parts():
    differences = np.random.default_rng(0).normal(0.1, 1, size=(50, 2))
    whole = randomisation_test(differences)
    in_parts = randomisation_test(differences, block_signs=50 * 999)
    np.testing.assert_allclose(in_parts, whole, atol=0.0064)
    assert list(measures.shares(10, 4)) == [4, 4, 2]


def test_equal_results_have_p_1_whatever_the_order_of_queries():
    first, second = measured([0.5, 0.25, 0]), measured([0.5, 0.25, 0])
    assert compare(first, second) == dict.fromkeys(MEASURES, 1)
    shuffled = dict(reversed(measured([1, 0.5, 0]).items()))
    assert compare(measured([1, 0.5, 0]), shuffled) == dict.fromkeys(MEASURES, 1)


def test_different_queries_cannot_be_compared():
    with pytest.raises(ValueError, match=r"different queries \('3' is in one of them\)"):
        compare(measured([1, 0, 1]), measured([1, 0]))
