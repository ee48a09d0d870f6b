"""The forward pass: what is computed for some tokens only, and the softmax's shortcut."""

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.bert.forward import hidden_states
from minibert.bert.packs import packs
from minibert.kernels import cpu as kernels
from minibert.kernels.segments import firsts
from minibert.pooling.modes import lasts


@pytest.fixture(scope="module")
def model():
    return SentenceTransformer(GOLDEN / "gelu", on_long="ignore")


def pack_of(model, texts):
    (pack,) = packs(model.transformer.words.rows(texts, 41).ids, 1024)
    return pack


@pytest.mark.parametrize("pooled_tokens", [firsts, lasts])
def test_the_last_layer_for_some_tokens_is_the_last_layer_s(model, pooled_tokens):
    pack = pack_of(model, ["the cat sat", "a dog", "a cat", "", "the dog barks and barks", "a"])
    arguments = pack, model.transformer.parameters, model.config, kernels
    whole, rows = hidden_states(*arguments), pooled_tokens(pack.lengths)
    some = hidden_states(*arguments, query_rows=rows)
    assert some.shape == (6, 20)
    np.testing.assert_allclose(some, whole[rows], rtol=0, atol=1e-5)


def test_a_head_that_reads_one_token_is_given_no_other(model):
    shapes = []

    def head(pack, hidden, hook):
        shapes.append((hidden.shape, pack.lengths.tolist()))
        return (hidden,)

    (pack,) = [pack_of(model, ["the cat sat", "a dog"])]
    list(model.transformer.scheduler.run([pack], head, firsts, is_all=True))
    assert shapes == [((2, 20), [1, 1])]


def test_blocks_of_rows_change_no_state(model, monkeypatch):
    pack = pack_of(model, ["the cat sat", "a dog", "the dog barks and barks"])
    arguments = pack, model.transformer.parameters, model.config, kernels
    whole = hidden_states(*arguments)
    monkeypatch.setattr(kernels, "BLOCK_FLOATS", 64)  # three rows
    np.testing.assert_allclose(hidden_states(*arguments), whole, rtol=0, atol=1e-6)
