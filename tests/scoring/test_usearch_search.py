"""A search among codes by usearch, against scores by hand."""

import logging

import numpy as np
import pytest

from minibert import quantize_embeddings
from minibert.quantization import semantic_search_usearch

pytest.importorskip("usearch.index", reason="usearch is an extra, not installed here")

RNG = np.random.default_rng(7)
CORPUS = RNG.standard_normal((150, 20)).astype(np.float32)
QUERIES = (CORPUS[:3] + 0.3 * RNG.standard_normal((3, 20))).astype(np.float32)
RANGES = np.stack([CORPUS.min(axis=0), CORPUS.max(axis=0)])


def pairs(hits):
    return [(hit["corpus_id"], pytest.approx(hit["score"], rel=1e-4)) for hit in hits]


def highest(scores, count):
    return [(int(i), float(scores[i])) for i in np.argsort(-scores, kind="stable")[:count]]


def lowest(distances, count):
    return [(i, -score) for i, score in highest(-distances, count)]


def test_float_vectors_are_found_by_their_cosine_distance():
    found, seconds = semantic_search_usearch(QUERIES, CORPUS, top_k=4, rescore=False)
    assert seconds >= 0
    for query, hits in zip(QUERIES, found, strict=True):
        cosines = CORPUS @ query / np.linalg.norm(CORPUS, axis=1) / np.linalg.norm(query)
        assert lowest(1 - cosines.astype(np.float64), 4) == pairs(hits)


def test_int8_codes_are_scored_again_by_the_steps_they_stand_for():
    codes = quantize_embeddings(CORPUS, "int8", RANGES)
    steps = (RANGES[1] - RANGES[0]) / 255
    numbers = (codes.astype(np.float64) + 128) * steps + RANGES[0]
    arguments = {"corpus_precision": "int8", "top_k": 4, "rescore_multiplier": 40}
    found, _ = semantic_search_usearch(QUERIES, codes, ranges=RANGES, **arguments)
    again, _ = semantic_search_usearch(QUERIES, codes, calibration_embeddings=CORPUS, **arguments)
    assert again == found
    for query, hits in zip(QUERIES, found, strict=True):
        assert highest(numbers @ query.astype(np.float64), 4) == pairs(hits)


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_bits_are_scored_again_by_the_ones(precision):
    codes = quantize_embeddings(CORPUS, precision)
    found, _ = semantic_search_usearch(
        QUERIES, codes, corpus_precision=precision, top_k=4, rescore_multiplier=40
    )
    for query, hits in zip(QUERIES, found, strict=True):
        assert highest((CORPUS > 0) @ query.astype(np.float64), 4) == pairs(hits)


@pytest.mark.parametrize("precision", ["binary", "ubinary"])
def test_bits_are_found_by_their_hamming_distance(precision):
    codes = quantize_embeddings(CORPUS, precision)
    found, _ = semantic_search_usearch(
        QUERIES, codes, corpus_precision=precision, top_k=5, rescore=False
    )
    for query, hits in zip(QUERIES, found, strict=True):
        distances = ((CORPUS > 0) != (query > 0)).sum(axis=1)
        assert [hit["score"] for hit in hits] == sorted(distances)[:5]
        assert all(distances[hit["corpus_id"]] == hit["score"] for hit in hits)


def test_only_as_many_as_asked_for_are_scored_again():
    codes = quantize_embeddings(CORPUS, "ubinary")
    found, _ = semantic_search_usearch(QUERIES, codes, corpus_precision="ubinary", top_k=3)
    for query, hits in zip(QUERIES, found, strict=True):
        distances = ((CORPUS > 0) != (query > 0)).sum(axis=1)
        assert max(distances[hit["corpus_id"]] for hit in hits) <= sorted(distances)[5]


def test_an_index_is_returned_and_taken_again():
    codes = quantize_embeddings(CORPUS, "ubinary")
    given = {"corpus_precision": "ubinary", "top_k": 4}
    found, _, index = semantic_search_usearch(QUERIES, codes, output_index=True, **given)
    assert semantic_search_usearch(QUERIES, corpus_index=index, **given)[0] == found


def test_a_small_corpus_gives_as_many_hits_as_it_has():
    codes = quantize_embeddings(CORPUS[:2], "ubinary")
    found, _ = semantic_search_usearch(QUERIES, codes, corpus_precision="ubinary")
    assert [len(hits) for hits in found] == [2, 2, 2]
    alone, _ = semantic_search_usearch(QUERIES[0], codes, corpus_precision="ubinary")
    assert alone == found[:1]


@pytest.mark.parametrize(
    ("queries", "corpus", "precision", "message"),
    [
        (QUERIES, CORPUS, "float32", "the corpus holds no codes"),
        (QUERIES > 0, CORPUS > 0, "ubinary", "the queries are codes already"),
    ],
)
def test_a_search_that_cannot_score_again_says_so(caplog, queries, corpus, precision, message):
    packed = [np.packbits(x, axis=1) if x.dtype == bool else x for x in (queries, corpus)]
    with caplog.at_level(logging.WARNING):
        semantic_search_usearch(*packed, corpus_precision=precision)
    assert message in caplog.text


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"corpus_embeddings": CORPUS, "corpus_precision": "uint8"}, "corpus_precision is 'uint8'"),
        ({}, "Give corpus_embeddings or corpus_index"),
        ({"corpus_embeddings": CORPUS, "corpus_index": object()}, "and not both"),
    ],
)
def test_impossible_arguments_of_a_search_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        semantic_search_usearch(QUERIES, **arguments)
