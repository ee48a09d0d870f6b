"""Numbers of the examples of each batch: once an epoch, by seed, for any step."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from minibert.errors import TrainingError
from minibert.training.order import Order

SIZES = {"examples": st.integers(1, 40), "batch_size": st.integers(1, 12)}


@given(**SIZES, seed=st.integers(0, 2**63), shuffle=st.booleans(), epoch=st.integers(0, 5))
def test_an_epoch_has_every_example_once(examples, batch_size, seed, shuffle, epoch):
    order = Order(examples, batch_size, shuffle=shuffle, seed=seed)
    batches = [order.batch(step) for step in range(epoch * len(order), (epoch + 1) * len(order))]
    assert [len(batch) for batch in batches[:-1]] == [batch_size] * (len(order) - 1)
    numbers = np.concatenate(batches)
    assert sorted(numbers.tolist()) == list(range(examples))
    assert shuffle or numbers.tolist() == list(range(examples))


@given(**SIZES)
def test_a_short_last_batch_is_left_out_if_asked(examples, batch_size):
    whole, kept = Order(examples, batch_size, drop_last=True), Order(examples, batch_size)
    assert len(whole) == examples // batch_size
    assert len(kept) == -(-examples // batch_size)
    for step in range(len(whole)):
        assert whole.batch(step).tolist() == kept.batch(step).tolist()
        assert len(whole.batch(step + 3 * len(whole))) == batch_size


@given(**SIZES, steps=st.lists(st.integers(0, 90), max_size=12))
def test_a_step_s_batch_does_not_depend_on_the_steps_before(examples, batch_size, steps):
    order = Order(examples, batch_size, seed=7)
    for step in steps:
        fresh = Order(examples, batch_size, seed=7).batch(step)
        assert order.batch(step).tolist() == fresh.tolist()


def test_epochs_and_seeds_have_orders_of_their_own():
    orders = {
        tuple(Order(50, 8, seed=seed).epoch(epoch).tolist()) for seed in (0, 1) for epoch in (0, 1)
    }
    assert len(orders) == 4


def test_an_order_is_drawn_from_seed_and_epoch():
    """A run that was begun with another version of minibert goes on with the same batches."""
    bits = np.random.Philox(np.random.SeedSequence([42, 1]))
    expected = np.random.Generator(bits).permutation(10).tolist()
    order = Order(10, 4, seed=42)
    assert order.batch(3).tolist() == expected[:4]
    assert order.batch(5).tolist() == expected[8:]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 0), "batch_size is 0; expected a whole number from 1 up"),
        ((3, 2.0), "batch_size is 2.0; expected a whole number from 1 up"),
        ((3, None), "batch_size is None; expected a whole number from 1 up"),
    ],
)
def test_a_batch_size_that_is_none_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Order(*arguments)


def test_a_negative_seed_is_refused():
    with pytest.raises(ValueError, match="seed is -1; expected a whole number from 0 up"):
        Order(3, 2, seed=-1)


def test_too_few_examples_for_a_whole_batch_are_told():
    with pytest.raises(TrainingError, match="3 examples make no batch of 4, and a short last"):
        Order(3, 4, drop_last=True).batch(0)
