"""Batches and columns beside those of torch and sentence-transformers."""

import inspect

import pytest
import torch
from sentence_transformers import InputExample as ReferenceExample
from sentence_transformers.base.data_collator import DEFAULT_LABEL_COLUMNS
from torch.utils.data import DataLoader as TorchLoader
from torch.utils.data import IterableDataset

from minibert.training.columns import LABELS
from minibert.training.loader import (
    REFUSED,
    WITHOUT_EFFECT,
    Batches,
    DataLoader,
    InputExample,
)

ROWS = [([f"query {n}", f"text {n}"], [n / 2, -n]) for n in range(10)]
OURS = [InputExample(texts=texts, label=label) for texts, label in ROWS]
THEIRS = [ReferenceExample(texts=texts, label=label) for texts, label in ROWS]


def columns_of(batches):
    return [(batch.texts, batch.labels.tolist()) for batch in Batches(batches)]


@pytest.mark.parametrize("size", [1, 3, 4, 5, 10, 11])
@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_and_lengths_are_torch_s(size, drop_last):
    arguments = {"batch_size": size, "drop_last": drop_last}
    ours, theirs = DataLoader(OURS, **arguments), TorchLoader(THEIRS, **arguments)
    assert len(ours) == len(theirs)
    assert columns_of(ours) == columns_of(theirs)


@pytest.mark.parametrize("workers", [0, 1])
def test_examples_of_a_shuffled_loader_of_torch_are_taken(workers):
    loader = TorchLoader(THEIRS, batch_size=4, shuffle=True, num_workers=workers)
    found = columns_of(loader)
    assert [len(labels) for _, labels in found] == [4, 4, 2]
    assert sorted(label for _, labels in found for label in labels) == sorted(
        [n / 2, -n] for n in range(10)
    )


def test_labels_may_be_tensors():
    examples = [ReferenceExample(texts=["a"], label=torch.tensor([0.5, n])) for n in (1.0, 2.0)]
    assert columns_of([examples]) == [([["a", "a"]], [[0.5, 1], [0.5, 2]])]


def test_a_stream_of_torch_has_the_same_batches():
    class Stream(IterableDataset):
        def __iter__(self):
            return iter(THEIRS)

    for drop_last in (False, True):
        ours = DataLoader(Stream(), batch_size=4, drop_last=drop_last)
        theirs = TorchLoader(Stream(), batch_size=4, drop_last=drop_last)
        assert columns_of(ours) == columns_of(theirs)


def test_an_input_example_has_the_reference_s_arguments():
    ours, theirs = (
        [(p.name, p.kind, p.default) for p in inspect.signature(kind).parameters.values()]
        for kind in (InputExample, ReferenceExample)
    )
    assert ours == theirs
    assert str(OURS[1]) == str(THEIRS[1])


def test_every_argument_of_torch_s_loader_is_known():
    named = {"dataset", "batch_size", "shuffle", "drop_last"}
    arguments = set(inspect.signature(TorchLoader).parameters) - {"self"}
    assert arguments == named | WITHOUT_EFFECT | REFUSED.keys()


def test_labels_have_the_reference_s_names_in_its_order():
    assert LABELS == DEFAULT_LABEL_COLUMNS
