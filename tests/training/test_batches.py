"""Batches by their number through all epochs, from examples on disk and from an iterable."""

import pytest

from minibert.training.batches import OrderedBatches, StreamedBatches
from minibert.training.examples import read_examples
from minibert.training.loader import DataLoader, InputExample
from minibert.training.order import Order

TEXTS = [[f"q{n}", f"p{n}"] for n in range(7)]


def loader(texts=TEXTS, labels=None, **changes):
    """A DataLoader of pairs."""
    labels = labels or [0.0] * len(texts)
    examples = [InputExample(texts=t, label=n) for t, n in zip(texts, labels, strict=True)]
    return DataLoader(examples, **{"batch_size": 3, "shuffle": True, "seed": 1, **changes})


def test_ordered_batches_are_those_of_the_order():
    with read_examples([tuple(pair) for pair in TEXTS]) as examples:
        order = Order(7, 3, seed=5)
        batches = OrderedBatches(examples, order)
        assert len(batches) == 3
        for number in (0, 2, 3, 8):
            expected = [TEXTS[at] for at in order.batch(number).tolist()]
            assert [
                list(pair) for pair in zip(*batches.batch(number).texts, strict=True)
            ] == expected
        assert batches.fingerprint() == examples.fingerprint


def test_streamed_batches_are_those_of_every_iteration():
    source = loader()
    epochs = [[[example.texts for example in batch] for batch in source] for _ in range(3)]
    assert epochs[0] != epochs[1]
    expected = [batch for epoch in epochs for batch in epoch]
    for numbers in (range(9), [0, 1, 5, 8], [7]):
        batches = StreamedBatches(loader())
        assert len(batches) == 3
        for number in numbers:
            columns = batches.batch(number).texts
            assert [list(pair) for pair in zip(*columns, strict=True)] == expected[number]


@pytest.mark.parametrize(
    "changes",
    [
        {"texts": [*TEXTS[:-1], ["q6", "other"]]},
        {"labels": [0.0] * 6 + [1.0]},
        {"batch_size": 2},
        {"shuffle": False},
        {"seed": 2},
        {"drop_last": True},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_a_loader_s_fingerprint_is_of_examples_and_arguments(changes):
    fingerprint = StreamedBatches(loader()).fingerprint()
    assert StreamedBatches(loader()).fingerprint() == fingerprint
    assert StreamedBatches(loader(**changes)).fingerprint() != fingerprint


def test_an_iterable_s_fingerprint_is_of_its_length():
    pairs = [[("a", "b")], [("c", "d")]]
    fingerprint = StreamedBatches(pairs).fingerprint()
    assert StreamedBatches(pairs[::-1]).fingerprint() == fingerprint
    assert StreamedBatches(pairs[:1]).fingerprint() != fingerprint
