"""The forward pass: what is computed for some tokens only, and the softmax's shortcut."""

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.bert.forward import hidden_states
from minibert.bert.packs import equal_runs, firsts, packs
from minibert.kernels import cpu as kernels
from minibert.pooling.pooling import lasts


@pytest.fixture(scope="module")
def model():
    return SentenceTransformer(GOLDEN / "gelu", on_long="ignore")


def pack_of(model, texts):
    (pack,) = packs(model.transformer.words.rows(texts, 41).ids, 1024)
    return pack


@pytest.mark.parametrize("reads", [firsts, lasts])
def test_the_last_layer_for_some_tokens_is_the_last_layer_s(model, reads):
    pack = pack_of(model, ["the cat sat", "a dog", "a cat", "", "the dog barks and barks", "a"])
    arguments = pack, model.transformer.parameters, model.config, kernels
    whole, chosen = hidden_states(*arguments), reads(pack.lengths)
    some = hidden_states(*arguments, chosen=chosen)
    assert some.shape == (6, 20)
    np.testing.assert_allclose(some, whole[chosen], rtol=0, atol=1e-5)


def test_a_head_that_reads_one_token_is_given_no_other(model):
    shapes = []

    def head(pack, hidden, watch):
        shapes.append((hidden.shape, pack.lengths.tolist()))
        return (hidden,)

    (pack,) = [pack_of(model, ["the cat sat", "a dog"])]
    list(model.transformer.scheduler.run([pack], head, firsts, is_all=True))
    assert shapes == [((2, 20), [1, 1])]


def test_runs_are_of_equal_lengths_and_hold_every_row_once():
    runs = [
        ((r.texts.start, r.texts.stop), (r.rows.start, r.rows.stop), r.longest)
        for r in equal_runs(np.array([5, 5, 3, 1, 1]))
    ]
    assert runs == [((0, 2), (0, 10), 5), ((2, 3), (10, 13), 3), ((3, 5), (13, 15), 1)]


def test_no_logit_is_above_the_bound_and_one_may_reach_it():
    random = np.random.default_rng(0)
    for _ in range(20):
        q, k = random.normal(size=(2, 7, 12)).astype(np.float32)
        by_head = np.einsum("qhd,khd->hqk", q.reshape(7, 3, 4), k.reshape(7, 3, 4))
        assert np.abs(by_head).max() <= kernels.logit_bound(q, k, 3) * (1 + 1e-6)
    q = np.array([[3.0, 4.0, 0.1, 0.0]], dtype=np.float32)
    assert kernels.logit_bound(q, q, 2) == pytest.approx(25)


@pytest.mark.parametrize("bound", [59.0, 61.0, np.inf, np.nan])
def test_the_shortcut_and_the_long_way_are_one_softmax(bound):
    logits = np.random.default_rng(0).uniform(-59, 59, size=(3, 4, 9)).astype(np.float32)
    exact = np.exp(logits.astype(np.float64))
    exact /= exact.sum(axis=-1, keepdims=True)
    found = logits.copy()
    found /= kernels.exponentials_(found, bound)
    np.testing.assert_allclose(found, exact, rtol=2e-5, atol=1e-7)


def test_logits_that_would_overflow_are_shifted():
    q = np.full((1, 4), 30.0, dtype=np.float32)
    # NaN is the bound of a pack in which another text has overflowed.
    for bound in (kernels.logit_bound(q, q, 1), np.nan):
        logits = np.array([[3600.0, 0.0, -3600.0]], dtype=np.float32)
        logits /= kernels.exponentials_(logits, bound)
        assert logits.tolist() == [[1, 0, 0]]


def test_blocks_of_rows_change_no_state(model, monkeypatch):
    pack = pack_of(model, ["the cat sat", "a dog", "the dog barks and barks"])
    arguments = pack, model.transformer.parameters, model.config, kernels
    whole = hidden_states(*arguments)
    monkeypatch.setattr(kernels, "BLOCK_FLOATS", 64)  # three rows
    np.testing.assert_allclose(hidden_states(*arguments), whole, rtol=0, atol=1e-6)
