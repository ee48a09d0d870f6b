"""Scores with a vector for each token, against loops in float64."""

import numpy as np
import pytest

from minibert.util import maxsim, maxsim_pairwise, mean_maxsim, mean_maxsim_pairwise

EMPTY = np.zeros((0, 5), dtype=np.float32)


def texts(lengths, seed):
    """Vectors of 5 numbers, most of them below zero: padding would win a maximum."""
    rng = np.random.default_rng(seed)
    return [(rng.standard_normal((n, 5)) - 1.5).astype(np.float32) for n in lengths]


QUERIES = [-query for query in texts([3, 1, 4], 1)]
DOCUMENTS = texts([2, 6, 1, 3], 2)


def looped(query, document):
    """The sum over a query's tokens of the best product with a token of the document."""
    if len(document) == 0:
        return -1e9
    return sum(
        max(float(np.dot(q.astype(np.float64), d.astype(np.float64))) for d in document)
        for q in query
    )


def padded(vectors, width):
    return np.stack([np.pad(text, ((0, width - len(text)), (0, 0))) for text in vectors])


EXPECTED = np.array([[looped(query, document) for document in DOCUMENTS] for query in QUERIES])


def assert_scores(scores, expected):
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected, rtol=1e-5)


@pytest.mark.parametrize("chunk_elements", [None, 1, 30])
def test_scores_are_sums_of_each_token_s_best(chunk_elements):
    assert (EXPECTED < 0).all()
    assert_scores(maxsim(QUERIES, DOCUMENTS, chunk_elements=chunk_elements), EXPECTED)


def test_zeros_in_an_array_are_padding():
    assert_scores(maxsim(padded(QUERIES, 7), padded(DOCUMENTS, 9)), EXPECTED)
    assert_scores(maxsim(QUERIES[0], DOCUMENTS[1]), EXPECTED[:1, 1:2])


def test_masked_tokens_do_not_count():
    masks = [np.arange(len(text)) != 1 for text in QUERIES]
    kept = [np.delete(text, 1, axis=0) if len(text) > 1 else text for text in QUERIES]
    expected = [[looped(query, document) for document in DOCUMENTS] for query in kept]
    assert_scores(maxsim(QUERIES, DOCUMENTS, a_mask=masks), expected)
    ones = np.ones((1, 6))
    ones[0, 2] = 0
    cut = np.delete(DOCUMENTS[1], 2, axis=0)
    assert_scores(maxsim(QUERIES[0], DOCUMENTS[1], b_mask=ones), [[looped(QUERIES[0], cut)]])
    assert_scores(maxsim(QUERIES[0], DOCUMENTS[1], b_mask=ones[0]), [[looped(QUERIES[0], cut)]])


def test_pairs_are_the_diagonal():
    diagonal = np.diag(EXPECTED)
    assert_scores(maxsim_pairwise(QUERIES, DOCUMENTS[:3]), diagonal)
    counts = [3, 1, 4]
    assert_scores(mean_maxsim_pairwise(QUERIES, DOCUMENTS[:3]), diagonal / counts)
    with pytest.raises(ValueError, match="a has 3 texts and b has 4"):
        maxsim_pairwise(QUERIES, DOCUMENTS)


def test_a_mean_is_divided_by_the_query_s_tokens():
    counts = np.array([[3], [1], [4]])
    assert_scores(mean_maxsim(QUERIES, DOCUMENTS), EXPECTED / counts)
    assert_scores(mean_maxsim(padded(QUERIES, 7), DOCUMENTS), EXPECTED / counts)
    assert_scores(mean_maxsim(QUERIES, DOCUMENTS, length_normalize=False), EXPECTED)


def test_a_document_without_tokens_is_last_and_no_query_is_0():
    scores = maxsim([*QUERIES[:1], EMPTY], [EMPTY, DOCUMENTS[0], EMPTY])
    assert_scores(scores, [[-1e9, EXPECTED[0, 0], -1e9], [-1e9, 0, -1e9]])
    assert_scores(maxsim_pairwise([EMPTY, QUERIES[0]], [DOCUMENTS[0], EMPTY]), [0, -1e9])
    assert maxsim([], DOCUMENTS).shape == (0, 4)
    assert maxsim(QUERIES, []).shape == (3, 0)


def test_whole_numbers_do_not_overflow():
    codes = np.full((1, 2, 5), 100, dtype=np.int8)
    assert_scores(maxsim(codes, codes), [[100_000]])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"b": [np.ones((2, 4))]}, "5 and 4 dimensions"),
        ({"b": [np.ones(5)]}, "b has no token vectors"),
        ({"a_mask": [[1, 1, 1], [1], [1]]}, r"a_mask has other lengths .* \[3, 1, 4\]"),
        ({"a_mask": [[1, 1, 1]]}, "a_mask has other lengths"),
        ({"device": "cuda"}, "device is 'cuda'"),
    ],
)
def test_impossible_arguments_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        maxsim(**{"a": QUERIES, "b": DOCUMENTS, **arguments})
