"""Dropout's random numbers: what they depend on, how many are 0, and the rates of a folder."""

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.bert import forward
from minibert.bert.dropout import PLACES, Draws, Dropout, Rates, dropout_rates
from minibert.bert.families import FAMILIES
from minibert.bert.hook import ForGradients
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import packs
from minibert.kernels import cpu
from minibert.kernels.segments import equal_buckets

LENGTHS = np.array([7, 5, 5, 2, 1])
TEXTS = np.array([3, 0, 4, 1, 2])


def dropout(texts=TEXTS, lengths=LENGTHS, rates=Rates(0.3, 0.2), step=4, **settings):  # noqa: B008
    return Dropout(Draws(42, step), rates, texts, lengths, **settings)


def keep(seed=42, step=4, text=3, layer=2, place="output", count=200):
    return Draws(seed, step).keep(text, layer, place, count, 0.3).tobytes()


@pytest.mark.parametrize(
    "other", [{"seed": 43}, {"step": 5}, {"text": 2}, {"layer": 3}, {"place": "attention"}]
)
def test_each_of_the_names_of_a_draw_changes_it(other):
    assert keep() == keep()
    assert keep(**other) != keep()


def test_no_two_places_layers_or_texts_have_one_draw():
    found = {
        keep(text=text, layer=layer, place=place)
        for text in range(9) for layer in range(5) for place in PLACES
    }  # fmt: skip
    assert len(found) == 9 * 5 * len(PLACES)


def test_the_largest_seeds_draw_different_numbers():
    found = {keep(seed=seed) for seed in (2**63, 2**63 + 1, 2**64 - 2, 2**64 - 1)}
    assert len(found) == 4


def test_a_draw_is_the_same_on_every_machine():
    """The numbers of Philox; a change of them would break the resuming of older runs."""
    bits = Draws(42, 7).keep(3, 2, "weights", 64, 0.5)
    assert np.packbits(bits).tobytes().hex() == "38a5e62c33b0e888"


def test_a_longer_draw_begins_with_the_shorter_one():
    for count in (1, 3, 4, 5, 199):
        assert keep(count=count) == keep(count=200)[:count]


def test_rows_of_a_text_are_the_same_in_any_pack():
    whole = dropout().rows(1, "output", 6)
    assert whole.shape == (20, 6)
    ends = np.cumsum(LENGTHS)
    for text, length, end in zip(TEXTS, LENGTHS, ends, strict=True):
        alone = dropout(np.array([text]), np.array([length])).rows(1, "output", 6)
        np.testing.assert_array_equal(whole[end - length : end], alone)


def test_weights_of_a_text_are_the_same_in_any_pack():
    (first, middle, *_), of_bucket = equal_buckets(LENGTHS), dropout().weights(1, 3)
    assert of_bucket(first).shape == (1, 3, 7, 7)
    both = of_bucket(middle)
    assert both.shape == (2, 3, 5, 5)
    for number, text in enumerate(TEXTS[middle.texts]):
        lone = dropout(np.array([text]), np.array([5]))
        (bucket,) = equal_buckets(lone.lengths)
        np.testing.assert_array_equal(lone.weights(1, 3)(bucket)[0], both[number])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_factor_is_0_or_what_keeps_the_mean(dtype):
    rows = dropout(dtype=dtype).rows(1, "output", 50)
    assert rows.dtype == dtype
    assert set(np.unique(rows)) == {0, np.array(1 / 0.7).astype(dtype)[()]}
    weights = dropout(dtype=dtype).weights(0, 40)(next(equal_buckets(LENGTHS)))
    assert weights.dtype == dtype
    assert set(np.unique(weights)) == {0, np.array(1.25).astype(dtype)[()]}


@pytest.mark.slow
def test_the_mean_of_2000_draws_is_1():
    rows, weights, bucket = 0, 0, next(equal_buckets(LENGTHS))
    for step in range(2000):
        of_step = dropout(step=step, dtype="float64")
        rows += of_step.rows(1, "attention", 6) / 2000
        weights += of_step.weights(1, 3)(bucket) / 2000
    # Five deviations of a mean of 2,000; the worst seen are 2.7 and 2.5.
    np.testing.assert_allclose(rows, 1, rtol=0, atol=5 * (0.3 / 0.7 / 2000) ** 0.5)
    np.testing.assert_allclose(weights, 1, rtol=0, atol=5 * (0.2 / 0.8 / 2000) ** 0.5)
    assert abs(rows.mean() - 1) < 5 * (0.3 / 0.7 / 2000 / rows.size) ** 0.5


@pytest.mark.parametrize("name", ["gelu", "electra", "mpnet", "albert"])
def test_a_rate_of_0_changes_no_bit(name):
    checkpoint = load_checkpoint(GOLDEN / name)
    ids = [np.arange(5, 5 + length) for length in (9, 9, 4, 1)]
    positions = [np.arange(len(row)) + 2 for row in ids]
    (pack,) = packs(ids, 1024, positions=positions)
    none = Dropout(Draws(42, 0), Rates(0.0, 0.0), pack.order, pack.lengths)
    given = pack, checkpoint.parameters, checkpoint.config, cpu
    plain = forward.hidden_states(*given)
    found = forward.hidden_states(*given, hook=ForGradients(lambda name, array: None, none))
    np.testing.assert_array_equal(found, plain)
    some = none._replace(rates=Rates(0.3, 0.2))
    dropped = forward.hidden_states(*given, hook=ForGradients(lambda name, array: None, some))
    assert (dropped != plain).any(axis=1).all()


@pytest.mark.parametrize("name", ["gelu", "modules", "distilbert"])
def test_encode_draws_nothing(name, monkeypatch, texts):
    def refuse(*arguments):
        raise AssertionError("a draw")

    monkeypatch.setattr(Draws, "keep", refuse)
    SentenceTransformer(str(GOLDEN / name), on_long="ignore").encode(texts)


def rates_of(name, **changes):
    family = FAMILIES[name]
    return dropout_rates(changes, family.keys, family.dropout)


KEYS = {
    "bert": ("hidden_dropout_prob", "attention_probs_dropout_prob"),
    "distilbert": ("dropout", "attention_dropout"),
}


@pytest.mark.parametrize("name", ["bert", "roberta", "distilbert", "electra", "mpnet", "albert"])
def test_rates_have_the_family_s_keys_in_config_json(name):
    hidden, attention = KEYS.get(name, KEYS["bert"])
    found = rates_of(name, **{hidden: 0.25, attention: 0})
    assert (found.hidden, found.attention) == (0.25, 0.0)
    default = (0.0, 0.0) if name == "albert" else (0.1, 0.1)
    assert rates_of(name, other=0.5)[:2] == default
    assert rates_of(name, **{hidden: 0.25})[:2] == (0.25, default[1])


@pytest.mark.parametrize("rate", [1, 1.5, -0.1, True, "0.1", None, float("nan"), [0.1]])
@pytest.mark.parametrize("key", KEYS["distilbert"])
def test_a_rate_that_is_none_is_refused(key, rate):
    with pytest.raises(ValueError, match=rf"config.json: {key} is .*; expected a number from 0"):
        rates_of("distilbert", **{key: rate})


# transformers' DistilBERT drops nothing of what attention gives, its ALBERT nothing after ffn.
@pytest.mark.parametrize(("name", "without"), [("distilbert", "attention"), ("albert", "output")])
def test_a_family_drops_nothing_where_it_has_no_dropout(name, without):
    hidden, _ = KEYS.get(name, KEYS["bert"])
    found = dropout(rates=rates_of(name, **{hidden: 0.5}))
    for place in ("embeddings", "attention", "output"):
        assert (found.rows(1, place, 6) is None) == (place == without)
