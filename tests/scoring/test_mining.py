"""Communities and paraphrases against definitions that look at every pair."""

import numpy as np
import pytest

from minibert.scoring.mining import (
    community_detection,
    paraphrase_mining_embeddings,
)
from minibert.scoring.similarity import cos_sim, dot_score


def clusters(seed=0):
    """Three groups of 9, 6 and 4 vectors, and two that belong nowhere, in no order."""
    random = np.random.default_rng(seed)
    centres = np.eye(8)[:3]
    groups = [c + 0.1 * random.normal(size=(n, 8)) for c, n in zip(centres, (9, 6, 4), strict=True)]
    return random.permutation(np.concatenate([*groups, np.eye(8)[5:7]])).astype(np.float32)


def groups_of(vectors):
    """The vectors of each group by what they point to, the largest group first."""
    near = vectors.argmax(axis=1)
    members = [set(np.flatnonzero(near == axis).tolist()) for axis in range(3)]
    return sorted(members, key=len, reverse=True)


@pytest.mark.parametrize("batch_size", [1024, 4])
def test_communities_are_the_groups_the_largest_first(batch_size):
    vectors = clusters()
    found = community_detection(
        3 * vectors, threshold=0.6, min_community_size=3, batch_size=batch_size
    )
    assert [set(group) for group in found] == groups_of(vectors)
    assert [len(group) for group in found] == [9, 6, 4]
    scores = cos_sim(vectors, vectors)
    for centre, *others in found:
        falling = scores[centre][others]
        assert (falling[:-1] >= falling[1:]).all()
        assert (falling >= 0.6).all()


def test_small_groups_are_left_out():
    assert [len(g) for g in community_detection(clusters(), 0.6, 5)] == [9, 6]
    assert community_detection(clusters(), 0.6, 10) == []
    assert community_detection(clusters(), 0.6, 1000) == []
    assert community_detection(np.empty((0, 3))) == []
    assert len(community_detection(clusters(), 0.6, 1)) == 5


def test_a_vector_in_two_groups_stays_with_the_larger():
    # On a circle: 0 to 4 within reach of 2; 4, 5, 6 of 5.
    angles = np.deg2rad([0, 10, 20, 30, 40, 55, 70])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    reach = np.cos(np.deg2rad(20.5))
    found = community_detection(vectors, threshold=reach, min_community_size=2)
    assert found[0][0] == 2
    assert set(found[0]) == {0, 1, 2, 3, 4}
    assert [set(group) for group in found[1:]] == [{5, 6}]


def naive_pairs(vectors, k, score):
    scores = score(vectors, vectors)
    pairs = {}
    for i, row in enumerate(scores):
        others = sorted((n for n in range(len(row)) if n != i), key=lambda n, r=row: -r[n])
        for j in others[:k]:
            pairs[min(i, j), max(i, j)] = row[j]
    return sorted(pairs, key=lambda pair: -pairs[pair])


@pytest.mark.parametrize("score", [cos_sim, dot_score])
@pytest.mark.parametrize("k", [1, 3, 100])
@pytest.mark.parametrize("chunks", [{}, {"query_chunk_size": 4, "corpus_chunk_size": 5}])
def test_paraphrases_are_the_best_pairs_of_all(score, k, chunks):
    vectors = np.random.default_rng(1).normal(size=(15, 4)).astype(np.float32)
    found = paraphrase_mining_embeddings(vectors, top_k=k, score_function=score, **chunks)
    expected = naive_pairs(vectors, k, score)
    assert [tuple(pair) for _, *pair in found] == expected
    scores = score(vectors, vectors)
    for value, i, j in found:
        assert type(value) is float
        assert value == pytest.approx(float(scores[i, j]), abs=1e-6)
    few = paraphrase_mining_embeddings(
        vectors, top_k=k, max_pairs=4, score_function=score, **chunks
    )
    assert [pair[1:] for pair in few] == [pair[1:] for pair in found[:4]]


def test_equal_vectors_are_paraphrases_but_none_of_itself():
    vectors = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    assert [p[1:] for p in paraphrase_mining_embeddings(vectors)] == [[0, 1], [0, 2], [1, 2]]
    assert paraphrase_mining_embeddings(vectors[:1]) == []


@pytest.mark.parametrize(
    ("mine", "arguments", "message"),
    [
        (community_detection, {"batch_size": 0}, "batch_size is 0; expected a whole number"),
        (community_detection, {"min_community_size": 0}, "min_community_size is 0"),
        (community_detection, {"threshold": float("nan")}, "threshold is nan; expected a number"),
        (community_detection, {"threshold": "0.7"}, "threshold is '0.7'; expected a number"),
        (paraphrase_mining_embeddings, {"query_chunk_size": 0}, "query_chunk_size is 0"),
        (paraphrase_mining_embeddings, {"corpus_chunk_size": None}, "corpus_chunk_size is None"),
        (paraphrase_mining_embeddings, {"max_pairs": -1}, "max_pairs is -1"),
        (paraphrase_mining_embeddings, {"top_k": 0}, "top_k is 0"),
    ],
)
def test_numbers_that_cannot_be_meant_are_refused(mine, arguments, message):
    with pytest.raises(ValueError, match=message):
        mine(clusters(), **arguments)


@pytest.mark.parametrize("mine", [community_detection, paraphrase_mining_embeddings])
def test_nan_and_texts_are_refused(mine):
    vectors = clusters()
    vectors[4, 1] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        mine(vectors)
    with pytest.raises(TypeError, match="Expected vectors, got"):
        mine(["a dog", "a cat"])


def test_a_metric_s_name_and_function_give_the_same_paraphrases():
    vectors = clusters()
    by_name = paraphrase_mining_embeddings(vectors, score_function="dot")
    assert by_name == paraphrase_mining_embeddings(vectors, score_function=dot_score)
    assert by_name != paraphrase_mining_embeddings(vectors)
