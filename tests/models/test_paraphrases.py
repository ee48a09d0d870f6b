"""Paraphrases among texts: those among their vectors."""

import numpy as np
import pytest

from minibert.models.paraphrases import paraphrase_mining


def test_paraphrases_of_texts_are_those_of_their_vectors(minilm):
    texts = ["A cat sleeps.", "The dog barks.", "A cat is sleeping.", "A dog is barking."]
    found = paraphrase_mining(minilm, texts, top_k=1, prompt="a text: ")
    assert [pair[1:] for pair in found] == [[0, 2], [1, 3]]
    vectors = minilm.encode(texts, prompt="a text: ")
    np.testing.assert_allclose(
        [pair[0] for pair in found], [vectors[0] @ vectors[2], vectors[1] @ vectors[3]], atol=1e-6
    )


def test_one_text_has_no_paraphrases_and_is_refused():
    with pytest.raises(TypeError, match="sentences is one text"):
        paraphrase_mining(None, "a dog")
