"""The words whose rows of the word table are nearest to a state."""

import dataclasses

import numpy as np
import pytest

from minibert import SentenceTransformer
from minibert.explain import nearest_words


def test_the_row_of_a_word_is_nearest_to_itself(model, minilm):
    for used in (model, minilm):
        trace = used.trace("the cat sat", keep="embeddings.word_embeddings")
        found = nearest_words(used, trace["embeddings.word_embeddings"], k=1)
        assert found == [["[CLS]"], ["the"], ["cat"], ["sat"], ["[SEP]"]]


@pytest.mark.parametrize("rows", [1, 7, 10**6])
def test_the_order_is_that_of_the_cosines_of_all_words(model, rows):
    states = np.random.default_rng(0).normal(size=(6, 20)) * 7
    table = model.checkpoint.parameters.word_embeddings.astype(np.float64)
    cosines = states @ table.T / np.linalg.norm(table, axis=1)
    name = model.transformer.text_tokenizer.backend.id_to_token
    best = np.argsort(-cosines, axis=1)[:, :9].tolist()
    expected = [[name(id) or f"#{id}" for id in row] for row in best]
    assert nearest_words(model, states, k=9, block_rows=rows) == expected


def test_a_row_of_zeros_is_last_and_an_unnamed_row_has_a_number(folder):
    model = SentenceTransformer(folder)
    table = np.array(model.checkpoint.parameters.word_embeddings)
    table[3] = 0
    table = np.concatenate([table, [[50.0] * 20]]).astype(np.float32)
    held = model.checkpoint.parameters._replace(word_embeddings=table)
    model.transformer.checkpoint = dataclasses.replace(model.checkpoint, parameters=held)
    found = nearest_words(model, [[1.0] * 20], k=500)[0]
    assert found[0] == f"#{len(table) - 1}"
    assert len(found) == len(set(found)) == len(table)


def test_nearest_words_of_no_state_and_among_few_words(model):
    assert nearest_words(model, np.empty((0, 20))) == []
    assert len(nearest_words(model, np.ones((2, 20)))[1]) == 5


@pytest.mark.parametrize(
    ("states", "k", "message"),
    [
        (np.ones((2, 9)), 3, "The states have 9 dimensions and the word embeddings have 20"),
        (np.ones((2, 20)), 0, "k is 0; expected a whole number from 1 up"),
        (np.full((2, 20), np.nan), 3, "NaN"),
        (np.ones((2, 2, 20)), 3, r"The states have the shape \(2, 2, 20\)"),
    ],
)
def test_what_cannot_be_compared_is_refused(model, states, k, message):
    with pytest.raises(ValueError, match=message):
        nearest_words(model, states, k=k)
