"""Scores, codes and mining against sentence-transformers' util, on vectors of several kinds."""

import numpy as np
import pytest
import torch
from sentence_transformers import SimilarityFunction, util

import minibert
from minibert.scoring.quantization import quantize_embeddings

CLOSE = {"rtol": 0, "atol": 1e-5}


def vectors(rows, dimension=16, seed=0):
    made = np.random.default_rng(seed).normal(size=(rows, dimension)).astype(np.float32)
    made[rows // 2] = 0
    return made


@pytest.mark.parametrize("name", ["dot_score", "cos_sim", "euclidean_sim", "manhattan_sim"])
@pytest.mark.parametrize(("rows", "others"), [(7, 9), (1, 3), (30, 40)])
def test_scores_of_all_pairs_are_equal(name, rows, others):
    a, b = vectors(rows), vectors(others, seed=1)
    ours, theirs = getattr(minibert.util, name)(a, b), getattr(util, name)(a, b).numpy()
    assert ours.dtype == theirs.dtype
    np.testing.assert_allclose(ours, theirs, **CLOSE)
    one = getattr(util, name)(a[0], list(b)).numpy()
    np.testing.assert_allclose(getattr(minibert.util, name)(a[0], list(b)), one, **CLOSE)
    wide = getattr(util, name)(a.astype(float), b.astype(float)).numpy()
    found = getattr(minibert.util, name)(a.astype(float), b.astype(float))
    assert found.dtype == wide.dtype == np.float64
    np.testing.assert_allclose(found, wide, rtol=0, atol=1e-7)


@pytest.mark.parametrize(
    "kind", ["dot_score", "cos_sim", "euclidean_sim", "manhattan_sim", "angle_sim"]
)
@pytest.mark.parametrize("dimension", [16, 7])
def test_scores_of_pairs_are_equal(kind, dimension):
    a, b = vectors(9, dimension), vectors(9, dimension, seed=1)
    ours = getattr(minibert.util, f"pairwise_{kind}")(a, b)
    theirs = getattr(util, f"pairwise_{kind}")(a, b).numpy()
    assert (ours.dtype, ours.shape) == (theirs.dtype, theirs.shape)
    np.testing.assert_allclose(ours, theirs, **CLOSE)
    if kind != "angle_sim":
        ours = getattr(minibert.util, f"pairwise_{kind}")(a[0], b[0])
        np.testing.assert_allclose(ours, getattr(util, f"pairwise_{kind}")(a[0], b[0]), **CLOSE)


def test_names_of_metrics_are_equal():
    ours = {name: member.value for name, member in minibert.SimilarityFunction.__members__.items()}
    theirs = {name: member.value for name, member in SimilarityFunction.__members__.items()}
    assert ours == {name: theirs[name] for name in ours}


@pytest.mark.parametrize("name", [None, "dot_score", "euclidean_sim"])
@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"top_k": 3},
        {"top_k": 1000},
        {"query_chunk_size": 2, "corpus_chunk_size": 7},
        {"top_k": 0},
    ],
)
def test_hits_are_equal(name, arguments):
    queries, corpus = vectors(5), np.delete(vectors(50, seed=1), 25, axis=0)
    ours_by, theirs_by = ({} if name is None else {"score_function": getattr(module, name)}
                          for module in (minibert.util, util))  # fmt: skip
    ours = minibert.util.semantic_search(queries[[0, 1, 3]], corpus, **arguments, **ours_by)
    theirs = util.semantic_search(queries[[0, 1, 3]], corpus, **arguments, **theirs_by)
    for found, expected in zip(ours, theirs, strict=True):
        assert [hit["corpus_id"] for hit in found] == [hit["corpus_id"] for hit in expected]
        assert [list(hit) for hit in found] == [list(hit) for hit in expected]
        scores = [[hit["score"] for hit in hits] for hits in (found, expected)]
        np.testing.assert_allclose(*scores, **CLOSE)
        assert all(type(hit["score"]) is float for hit in found)


def test_few_and_no_vectors_are_searched_alike():
    a, none = vectors(3), np.empty((0, 16), dtype=np.float32)
    for queries, corpus in ((a[0], a[:1]), (a, none), (none, a)):
        ours = minibert.util.semantic_search(queries, corpus)
        assert [len(hits) for hits in ours] == [
            len(hits) for hits in util.semantic_search(queries, corpus)
        ]


@pytest.mark.parametrize("precision", ["float32", "int8", "uint8", "binary", "ubinary"])
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.float16])
def test_codes_are_equal_to_the_bit(precision, dtype):
    x = vectors(200, 13).astype(dtype)
    x[:, 3] = 0.25  # a dimension that never changes
    calibration = vectors(150, 13, seed=2).astype(dtype)
    ranges = np.stack([np.linspace(-2, -1, 13), np.linspace(1, 2, 13)])
    for arguments in ({}, {"calibration_embeddings": calibration}, {"ranges": ranges}):
        ours = quantize_embeddings(x, precision, **arguments)
        theirs = util.quantize_embeddings(x, precision, **arguments)
        assert ours.dtype == theirs.dtype
        np.testing.assert_array_equal(ours, theirs)
        if arguments or "int8" not in precision:
            one = quantize_embeddings(x[0], precision, **arguments)
            np.testing.assert_array_equal(
                one, util.quantize_embeddings(x[0], precision, **arguments)
            )
    for given in (list(x), [x[:5], x[5:6]], x[:0], []):
        ours = quantize_embeddings(given, precision)
        theirs = util.quantize_embeddings(given, precision)
        assert type(ours) is type(theirs)
        for mine, other in zip(ours, theirs, strict=True):
            assert mine.dtype == other.dtype
            np.testing.assert_array_equal(mine, other)


def clusters(seed=7):
    """Vectors around a few centres, some of which overlap, in no order."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(6, 12))
    centres[5] = centres[4] + 0.6 * random.normal(size=12)
    sizes = [30, 12, 9, 4, 25, 25]
    made = np.concatenate(
        [c + 0.25 * random.normal(size=(n, 12)) for c, n in zip(centres, sizes, strict=True)]
    )
    return random.permutation(made).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.5, 0.75, 0.9, 0.97])
@pytest.mark.parametrize("size", [1, 3, 10, 40, 1000])
@pytest.mark.parametrize("batch_size", [1024, 17])
def test_communities_are_equal(threshold, size, batch_size):
    x = clusters(276)
    wide = x.astype(np.float64) / np.linalg.norm(x.astype(np.float64), axis=1, keepdims=True)
    cosines = np.sort(wide @ wide.T, axis=1)
    # Far more than float32 rounds, so no two members change places, and none is in or out by it.
    assert np.diff(cosines, axis=1).min() > 2e-6
    assert np.abs(cosines - threshold).min() > 2e-6
    arguments = {"threshold": threshold, "min_community_size": size, "batch_size": batch_size}
    assert minibert.util.community_detection(x, **arguments) == util.community_detection(
        x, **arguments
    )


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"top_k": 3},
        {"max_pairs": 20},
        {"query_chunk_size": 7, "corpus_chunk_size": 11, "max_pairs": 50, "top_k": 5},
    ],
)
def test_paraphrases_are_equal(arguments):
    """Among thousands of pairs some scores are level within float32's rounding: such pairs stand
    in the order that the processor's rounding gives them, so the order is that of our scores."""
    x = clusters()
    ours = minibert.util.paraphrase_mining_embeddings(x, **arguments)
    theirs = util.paraphrase_mining_embeddings(torch.from_numpy(x), **arguments)
    expected = {(i, j): score for score, i, j in theirs}
    assert len(ours) == len(theirs)
    assert {(i, j) for _, i, j in ours} == expected.keys()
    scores = [score for score, _, _ in ours]
    assert scores == sorted(scores, reverse=True)
    np.testing.assert_allclose(scores, [expected[i, j] for _, i, j in ours], rtol=0, atol=1e-6)
