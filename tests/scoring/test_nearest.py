"""The nearest vectors against a ranking of all in float64, whatever the blocks and threads."""

import threading
import time
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from minibert.kernels.cores import available_threads
from minibert.scoring.matrices import Stack
from minibert.scoring.metrics import METRICS
from minibert.scoring.nearest import nearest
from minibert.scoring.similarity import dot_score


def score_in_float64(query, vector, metric):
    """The textbook's definitions, rounded to float32 once."""
    x, y = query.astype(np.float64), vector.astype(np.float64)
    if metric == "euclidean":
        return np.float32(-(((x - y) ** 2).sum() ** 0.5))
    if metric == "manhattan":
        return np.float32(-np.abs(x - y).sum())
    product = (x * y).sum()
    if metric == "dot":
        return np.float32(product)
    lengths = (x * x).sum() ** 0.5, (y * y).sum() ** 0.5
    return np.float32(product / (max(lengths[0], 1e-12) * max(lengths[1], 1e-12)))


def whole_ranking(queries, vectors, metric, numbers):
    """All numbers of each query, best first, with their scores."""
    rankings = []
    for query in queries:
        scored = [(-score_in_float64(query, vectors[n], metric), n) for n in numbers]
        rankings.append([(n, -score) for score, n in sorted(scored)])
    return rankings


def agree(found, expected, k):
    """The same numbers, but where float64 itself is rounded to a neighbour; and the same scores."""
    numbers, scores = found
    for row, values, ranking in zip(numbers, scores, expected, strict=True):
        assert len(row) == min(k, len(ranking))
        np.testing.assert_allclose(
            values, [score for _, score in ranking[:k]], rtol=2e-7, atol=1e-12
        )
        whole = dict(ranking)
        for number, value in zip(row.tolist(), values, strict=True):
            assert value == pytest.approx(whole[number], rel=2e-7, abs=1e-12)
        pairs = list(zip(-values, row, strict=True))
        assert pairs == sorted(pairs)
        assert len(set(row.tolist())) == len(row)


@pytest.mark.slow
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("kind", [np.float32, np.float16, np.int8, np.float64])
@settings(deadline=None, max_examples=25)
@given(data=st.data(), k=st.integers(1, 40), seed=st.integers(0, 999))
def test_the_nearest_are_those_of_a_ranking_in_float64(metric, kind, data, k, seed):
    """Vectors of small whole numbers, so that many are equal and all scores of them exact."""
    random = np.random.default_rng(seed)
    count, dimension = data.draw(st.integers(1, 60)), data.draw(st.sampled_from([1, 3, 8, 40]))
    vectors = random.integers(-2, 3, size=(count, dimension)).astype(kind)
    if kind == np.float32:  # powers of two round nothing
        vectors *= np.float32(2.0) ** data.draw(st.integers(-20, 20))
    queries = random.integers(-2, 3, size=(data.draw(st.integers(1, 4)), dimension)).astype(
        np.float32
    )
    cuts = sorted(data.draw(st.sets(st.integers(0, count), max_size=3)))
    everything = list(range(count))
    allowed = data.draw(st.none() | st.lists(st.sampled_from(everything)))
    excluded = data.draw(st.none() | st.lists(st.sampled_from(everything)))
    left = sorted(set(everything if allowed is None else allowed) - set(excluded or []))
    found = nearest(
        queries,
        np.split(vectors, cuts),
        k,
        metric,
        threads=data.draw(st.integers(1, available_threads())),
        allowed=allowed,
        excluded=excluded,
        block_rows=data.draw(st.integers(1, 70)),
        query_rows=data.draw(st.integers(1, 5)),
    )
    expected = whole_ranking(queries, vectors, metric, left)
    agree(found, expected, k)
    if metric != "cosine":  # nothing is rounded before the end: ties are ties
        assert found[0].tolist() == [[n for n, _ in ranking[:k]] for ranking in expected]


@pytest.mark.parametrize("metric", METRICS)
def test_blocks_threads_and_other_queries_change_no_bit(metric):
    random = np.random.default_rng(0)
    vectors = random.normal(size=(997, 100)).astype(np.float32)
    vectors[500:] = vectors[random.integers(0, 500, 497)]  # copies, in other places of a block
    queries = random.normal(size=(20, 100)).astype(np.float32)
    numbers, scores = nearest(queries, [vectors], 30, metric)
    for arguments in (
        {"threads": 1},
        {"block_rows": 101},
        {"query_rows": 3, "block_rows": 333},
    ):
        again = nearest(queries, [vectors], 30, metric, **arguments)
        np.testing.assert_array_equal(numbers, again[0])
        np.testing.assert_array_equal(scores, again[1])
    for row in range(len(queries)):
        alone = nearest(queries[row], np.split(vectors, [10, 600]), 30, metric)
        np.testing.assert_array_equal(numbers[row], alone[0][0])
        np.testing.assert_array_equal(scores[row], alone[1][0])


@pytest.mark.parametrize("metric", METRICS)
def test_what_the_rounding_of_a_product_hides_is_found(metric):
    """Vectors far longer than the differences between their scores."""
    random = np.random.default_rng(1)
    vectors = (300 + random.normal(size=(2000, 64)) / 1000).astype(np.float32)
    queries = (300 + random.normal(size=(3, 64)) / 1000).astype(np.float32)
    found = nearest(queries, [vectors], 5, metric)
    agree(found, whole_ranking(queries, vectors, metric, range(2000)), 5)


@pytest.mark.parametrize("scaled", ["queries", "vectors"])
def test_a_tiny_scale_changes_no_ranking(scaled):
    """Its squares are 0 in float32; a power of two rounds nothing else."""
    random = np.random.default_rng(1)
    vectors = (300 + random.normal(size=(2000, 64)) / 1000).astype(np.float32)
    queries = (300 + random.normal(size=(3, 64)) / 1000).astype(np.float32)
    expected, _ = nearest(queries, [vectors], 5, "dot")
    tiny = np.float32(2.0**-90)
    if scaled == "queries":
        found, _ = nearest(queries * tiny, [vectors], 5, "dot")
    else:
        found, _ = nearest(queries, [vectors * tiny], 5, "dot")
    np.testing.assert_array_equal(found, expected)


def test_an_estimate_that_is_off_by_its_bound_is_still_scored(monkeypatch):
    """The product is made worse than rounding makes it, up to half of the bound."""
    random = np.random.default_rng(2)
    vectors = (1 + 1e-6 * random.normal(size=(500, 16))).astype(np.float32)
    queries = (1 + random.normal(size=(4, 16))).astype(np.float32)
    expected = nearest(queries, [vectors], 10, "dot")
    exact = METRICS["dot"]

    def worse(queries, block):
        estimates = exact.estimate(queries, block)
        bound = 24 * 1.2e-7 * np.linalg.norm(queries, axis=1) * block.longest
        return estimates + bound[:, None] * random.uniform(-1, 1, estimates.shape).astype("f4") / 2

    monkeypatch.setitem(METRICS, "dot", replace(exact, estimate=worse))
    found = nearest(queries, [vectors], 10, "dot")
    np.testing.assert_array_equal(found[0], expected[0])
    np.testing.assert_array_equal(found[1], expected[1])


def test_mapped_files_are_searched(tmp_path):
    vectors = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float16)
    for number, part in enumerate(np.split(vectors, [100, 100])):
        np.save(tmp_path / f"{number}.npy", part)
    mapped = [np.load(tmp_path / f"{n}.npy", mmap_mode="r" if n != 1 else None) for n in range(3)]
    numbers, scores = nearest(vectors[7], mapped, 3, "euclidean")
    assert numbers[0, 0] == 7
    assert scores[0, 0] == 0
    assert scores.dtype == np.float32


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("metric", METRICS)
@pytest.mark.parametrize("row", [0, 41, 99])
def test_what_is_no_number_is_refused_with_its_place(bad, metric, row):
    vectors = np.random.default_rng(0).normal(size=(100, 4)).astype(np.float32)
    vectors[row, 2] = bad
    shards = Stack(np.split(vectors, [40]), ["shard-0", "shard-1"])
    place = f"Row {row} of shard-0" if row < 40 else f"Row {row - 40} of shard-1"
    for queries in (np.zeros((1, 4)), -np.ones((3, 4)), np.ones(4)):
        with pytest.raises(ValueError, match=f"{place} holds NaN, infinity"):
            nearest(queries, shards, 1, metric)
    with pytest.raises(ValueError, match="Query 1 holds NaN, infinity"):
        nearest([[0.0] * 4, [bad] * 4], [np.ones((2, 4))], 1, metric)


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_numbers_whose_squares_are_beyond_float32_are_refused(metric):
    vectors = np.array([[0.5, 0.5], [1e30, 1e30], [0.5, 0.0]], dtype=np.float32)
    queries = [[1e10, 0.0]] if metric == "dot" else [[1.0, 0.0]]
    with pytest.raises(ValueError, match=r"Row 1 of matrix 0 holds .* too large to be multiplied"):
        nearest(queries, [vectors], 1, metric)


def test_a_metric_of_one_s_own_may_score_in_float64():
    vectors = np.eye(3, dtype=np.float32)

    def fine(queries, vectors):  # 0.1 is less in float64 than in float32, 0.7 is more
        return 0.1 * (queries @ vectors.T).astype(np.float64) + 0.7 * (vectors[:, 0] == 0)

    numbers, scores = nearest([[1.0, 0.0, 0.0]], [vectors], 3, fine)
    assert numbers.tolist() == [[1, 2, 0]]
    assert scores.tolist() == [[0.7, 0.7, 0.1]]
    fine_scores = 1 + np.array([[0.0, 1e-12, 2e-12]])
    numbers, _ = nearest([[1.0, 0.0, 0.0]], [vectors], 1, lambda queries, vectors: fine_scores)
    assert numbers.tolist() == [[2]]


def test_a_metric_of_one_s_own_gives_the_scores_as_they_are():
    calls = []

    def overlap(queries, vectors):
        calls.append((queries.shape, vectors.shape))
        return (queries[:, None] == vectors).sum(axis=2)

    vectors = np.array([[1, 1, 0], [0, 1, 0], [1, 1, 1], [1, 1, 0]], dtype=np.float32)
    numbers, scores = nearest([[1.0, 1.0, 0.0]], [vectors], 3, overlap, block_rows=3)
    assert numbers.tolist() == [[0, 3, 1]]
    assert scores.tolist() == [[3, 3, 2]]
    assert sorted(calls) == [((1, 3), (1, 3)), ((1, 3), (3, 3))]


def test_the_first_error_ends_the_work_of_all_threads():
    called, failed = [], threading.Event()
    threads = min(2, available_threads())

    def failing_once(queries, vectors):
        called.append(vectors)
        if len(called) == 2:
            failed.set()
            raise RuntimeError("no score today")
        if threads == 2:  # the first to be called is not the one that fails
            failed.wait(60)
            time.sleep(0.02)  # so two seconds may pass before the error is heard of
        return dot_score(queries, vectors)

    with pytest.raises(RuntimeError, match="no score today"):
        nearest(
            np.ones((1, 2)), [np.ones((1000, 2))], 1, failing_once, threads=threads, block_rows=1
        )
    assert len(called) < 100


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"metric": "dots"}, "score_function is 'dots'"),
        ({"queries": np.ones((1, 4))}, "4 and 3 dimensions"),
        ({"vectors": [np.ones((1, 3)), np.ones((1, 4))]}, r"matrix 1 has the shape \(1, 4\)"),
        ({"vectors": [np.ones(3)]}, r"matrix 0 has the shape \(3,\)"),
        ({"allowed": [0, 2]}, r"allowed is \[0, 2\]; expected whole numbers from 0 to 1"),
        ({"excluded": [-1]}, r"excluded is \[-1\]; expected whole"),
        ({"excluded": [0.5]}, r"excluded is \[0.5\]; expected whole"),
        ({"threads": 0}, "threads is 0; expected a whole number from 1 up"),
    ],
)
def test_what_cannot_be_meant_is_refused(arguments, message):
    given = {"queries": np.ones((1, 3)), "vectors": [np.ones((2, 3))], "k": 1, "metric": "dot"}
    with pytest.raises(ValueError, match=message):
        nearest(**{**given, **arguments})


def test_no_vectors_or_nothing_allowed_gives_no_hits():
    for arguments in ({"vectors": []}, {"allowed": []}, {"excluded": [0, 1]}, {"k": 0}):
        given = {"vectors": [np.ones((2, 3))], "k": 4, **arguments}
        numbers, scores = nearest(np.ones((5, 3)), metric="dot", **given)
        assert numbers.shape == scores.shape == (5, 0)
    numbers, scores = nearest(np.ones((0, 3)), [np.ones((2, 3))], 4, "dot")
    assert numbers.shape == scores.shape == (0, 2)
