"""The best of rows of scores, against sorting them."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import minibert.scoring.top_k
from minibert.scoring.top_k import Best, top_k


@pytest.mark.parametrize("k", [0, 1, 3, 7, 50])
def test_the_highest_scores_come_best_first_and_ties_by_column(k):
    scores = np.random.default_rng(0).integers(0, 4, size=(20, 7)).astype(np.float32)
    scores[3] = -np.inf
    scores[4, 2] = np.inf
    columns, values = top_k(scores, k)
    expected = [sorted(range(7), key=lambda c, row=row: (-row[c], c))[:k] for row in scores]
    assert columns.tolist() == expected
    np.testing.assert_array_equal(values, np.take_along_axis(scores, columns, axis=1))


def test_nan_has_no_rank():
    scores = np.zeros((3, 9), dtype=np.float32)
    scores[1, 4] = np.nan
    with pytest.raises(ValueError, match="Row 1 of the scores holds NaN"):
        top_k(scores, 2)


@given(data=st.data(), rows=st.integers(1, 4), k=st.integers(1, 9), kinds=st.integers(1, 30))
def test_blocks_in_any_order_leave_the_same_best(data, rows, k, kinds):
    """Few kinds of scores, so that many are equal; candidates are dropped after every few."""
    columns = data.draw(st.integers(k + 3, 60))
    random = np.random.default_rng(data.draw(st.integers(0, 99)))
    scores = random.integers(0, kinds, size=(rows, columns)).astype(np.float32)
    excluded = random.choice(columns, 3, replace=False)
    cuts = sorted(data.draw(st.sets(st.integers(1, columns - 1), max_size=6)))
    blocks = np.split(np.arange(columns), cuts)
    best = Best(rows, k, np.float32)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibert.scoring.top_k, "CANDIDATES", data.draw(st.integers(0, 20)))
        for block in data.draw(st.permutations(blocks)):
            best.offer(scores[:, block], block, None, excluded)
        numbers, found = best.ranking()
    left = [n for n in range(columns) if n not in excluded]
    expected = [sorted(left, key=lambda n, row=row: (-row[n], n))[:k] for row in scores]
    assert numbers.tolist() == expected
    np.testing.assert_array_equal(found, np.take_along_axis(scores, numbers, axis=1))


@given(seed=st.integers(0, 999), k=st.integers(1, 5), limit=st.integers(0, 20))
def test_estimates_within_their_error_do_not_change_the_best(seed, k, limit):
    random = np.random.default_rng(seed)
    exact = random.integers(0, 12, size=(3, 50)).astype(np.float32)
    error = np.array([0.0, 0.5, 3.0], dtype=np.float32)
    estimates = exact + error[:, None] * random.uniform(-1, 1, size=exact.shape).astype(np.float32)
    best = Best(3, k, np.float32, lambda row, number, estimate: exact[row, number])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(minibert.scoring.top_k, "CANDIDATES", limit)
        for start in range(0, 50, 7):
            block = slice(start, start + 7)
            # A later block may be less exact than those before.
            grown = error * (start + 7 >= 50 or 1)
            best.offer(estimates[:, block], np.arange(50)[block], grown)
        numbers, found = best.ranking()
    expected = [sorted(range(50), key=lambda n, row=row: (-row[n], n))[:k] for row in exact]
    assert numbers.tolist() == expected
    np.testing.assert_array_equal(found, np.take_along_axis(exact, numbers, axis=1))


def test_the_best_of_many_are_those_of_a_sort():
    random = np.random.default_rng(0)
    scores = random.normal(size=(3, 5000)).astype(np.float32)
    best = Best(3, 50, np.float32)
    for start in range(0, 5000, 500):
        best.offer(scores[:, start : start + 500], np.arange(start, start + 500))
    expected = np.argsort(-scores, axis=1, kind="stable")[:, :50]
    np.testing.assert_array_equal(best.ranking()[0], expected)


def test_equal_scores_keep_the_candidates_few(monkeypatch):
    monkeypatch.setattr(minibert.scoring.top_k, "CANDIDATES", 100)
    best = Best(2, 5, np.float32)
    for start in range(0, 10_000, 50):
        best.offer(np.zeros((2, 50), dtype=np.float32), np.arange(start, start + 50))
        assert best.count == sum(len(row) for row, _, _ in best.kept) <= 120
    assert best.ranking()[0].tolist() == [[0, 1, 2, 3, 4]] * 2


def test_nan_is_found_behind_higher_scores():
    best = Best(1, 1, np.float32)
    best.offer(np.array([[5.0, 4.0]], dtype=np.float32), np.array([0, 1]))
    with pytest.raises(ValueError, match="Row 0 of the scores holds NaN, at 3"):
        best.offer(np.array([[1.0, np.nan]], dtype=np.float32), np.array([2, 3]))
