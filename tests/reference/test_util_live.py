"""Functions of util, each given what the reference is given."""

import numpy as np
import pytest
import torch
from sentence_transformers import util as reference

from minibert import util

RNG = np.random.default_rng(11)


def texts(lengths):
    return [(RNG.standard_normal((n, 8)) - 1).astype(np.float32) for n in lengths]


def padded(vectors):
    width = max(map(len, vectors)) + 2
    return np.stack([np.pad(text, ((0, width - len(text)), (0, 0))) for text in vectors])


QUERIES, DOCUMENTS = texts([3, 1, 5]), texts([4, 9, 1])
EMPTY = np.zeros((0, 8), dtype=np.float32)
MASKS = [np.arange(len(text)) != 0 for text in DOCUMENTS]  # the last one has no token left
MASK_ARRAY = RNG.random((3, 7)) > 0.3
ONE_MASK = np.array([True, False, True])
INPUTS = {
    "lists": (QUERIES, DOCUMENTS, {}),
    "arrays": (padded(QUERIES), padded(DOCUMENTS), {}),
    "an empty document": (QUERIES, [DOCUMENTS[0], EMPTY, DOCUMENTS[1]], {}),
    "masks": (QUERIES, DOCUMENTS, {"b_mask": MASKS}),
    "a mask of an array": (padded(QUERIES), DOCUMENTS, {"a_mask": MASK_ARRAY}),
    "one text": (QUERIES[0], DOCUMENTS[0], {"a_mask": ONE_MASK}),
    "codes": (padded([np.round(40 * text) for text in QUERIES]).astype(np.int8), DOCUMENTS, {}),
    "small chunks": (QUERIES, DOCUMENTS, {"chunk_elements": 7}),
}


def for_torch(value):
    """A copy, since the reference changes masks of NumPy into tensors."""
    return [torch.tensor(one) for one in value] if isinstance(value, list) else torch.tensor(value)


@pytest.mark.parametrize(
    "name", ["maxsim", "mean_maxsim", "maxsim_pairwise", "mean_maxsim_pairwise"]
)
@pytest.mark.parametrize("case", INPUTS)
def test_scores_of_token_vectors_are_the_reference_s(name, case):
    a, b, arguments = INPUTS[case]
    given = {
        key: value if isinstance(value, int) else for_torch(value)
        for key, value in arguments.items()
    }
    expected = getattr(reference, name)(for_torch(a), for_torch(b), **given).numpy()
    scores = getattr(util, name)(a, b, **arguments)
    assert scores.dtype == expected.dtype
    np.testing.assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_small_functions_give_what_the_reference_s_give(folder):
    vectors = RNG.standard_normal((2, 3, 8))
    for count in (None, 3, 8):
        expected = reference.truncate_embeddings(vectors, count)
        np.testing.assert_array_equal(util.truncate_embeddings(vectors, count), expected)
    for thing in ("a text", str, RNG, np.ndarray):
        assert util.fullname(thing) == reference.fullname(thing)
    path = str(folder)
    assert util.is_sentence_transformer_model(path) == reference.is_sentence_transformer_model(path)
    for name in ("config.json", "nothing.json"):
        assert util.load_file_path(path, name) == reference.load_file_path(path, name)
    for name in ("1_Pooling", "nothing", ""):
        found, expected = util.load_dir_path(path, name), reference.load_dir_path(path, name)
        assert found == expected
    x, y = RNG.standard_normal((2, 4, 8))
    scores = util.pairwise_angle_sim(x=x, y=y)
    np.testing.assert_allclose(scores, reference.pairwise_angle_sim(x=x, y=y), rtol=1e-6)
