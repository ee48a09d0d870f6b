"""InputExample, DataLoader and batches, as scripts for sentence-transformers use them."""

import numpy as np
import pytest

from minibert.errors import TrainingError
from minibert.training.loader import Batches, DataLoader, Dataset, InputExample

EXAMPLES = [InputExample(texts=[f"query {n}", f"text {n}"], label=n / 2) for n in range(10)]


class Squares(Dataset):
    """Derives from Dataset, as a script's own class does from torch's."""

    def __init__(self, count):
        self.count = count

    def __getitem__(self, number):
        return InputExample(texts=[f"{number * number}"])

    def __len__(self):
        return self.count


class Stream:
    """Examples that have neither numbers nor a length."""

    def __iter__(self):
        return iter(EXAMPLES)


def numbers(batches):
    """The numbers of the examples in each batch."""
    return [[EXAMPLES.index(example) for example in batch] for batch in batches]


def test_an_input_example_is_as_the_reference_s():
    example = InputExample()
    assert (example.guid, example.texts, example.label) == ("", None, 0)
    example = InputExample("7", ["a", "b"], 0.5)
    assert (example.guid, example.texts, example.label) == ("7", ["a", "b"], 0.5)
    assert str(example) == "<InputExample> label: 0.5, texts: a; b"


@pytest.mark.parametrize("dataset", [EXAMPLES, Stream()])
def test_batches_are_in_order_by_default(dataset):
    assert numbers(DataLoader(dataset, 4)) == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9]]
    assert numbers(DataLoader(dataset, batch_size=4, drop_last=True)) == [
        [0, 1, 2, 3],
        [4, 5, 6, 7],
    ]
    assert numbers(DataLoader(dataset)) == [[n] for n in range(10)]
    assert numbers(DataLoader(dataset, 5, drop_last=True)) == [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9]]


def test_shuffled_epochs_differ_and_repeat_with_the_seed():
    loader = DataLoader(EXAMPLES, 4, shuffle=True, seed=3)
    first, second = numbers(loader), numbers(loader)
    assert first != second
    for batches in (first, second):
        assert sorted(number for batch in batches for number in batch) == list(range(10))
    again = DataLoader(EXAMPLES, 4, True, seed=3)  # in torch's order
    again.epoch = 1
    assert numbers(again) == second
    assert numbers(DataLoader(EXAMPLES, 4, shuffle=True, seed=4)) != first


def test_an_epoch_begins_when_the_iteration_does():
    loader = DataLoader(EXAMPLES, 4, shuffle=True)
    zero, one = iter(loader), iter(loader)
    assert next(zero) != next(one)
    assert loader.epoch == 2


@pytest.mark.parametrize(("size", "count"), [(1, 10), (3, 4), (5, 2), (10, 1), (11, 1)])
def test_the_length_is_the_number_of_batches(size, count):
    loader = DataLoader(EXAMPLES, size)
    assert len(loader) == len(list(loader)) == count
    whole = DataLoader(EXAMPLES, size, drop_last=True)
    assert len(whole) == len(list(whole)) == 10 // size


def test_a_dataset_may_be_a_class_of_the_script():
    (batch,) = DataLoader(Squares(3), batch_size=3)
    assert [example.texts for example in batch] == [["0"], ["1"], ["4"]]
    assert len(DataLoader(Squares(9), batch_size=2, shuffle=True)) == 5


def test_what_has_no_length_is_told():
    with pytest.raises(TypeError, match="The dataset, a Stream, has no length"):
        len(DataLoader(Stream()))
    with pytest.raises(ValueError, match="shuffle needs a dataset with numbers and a length"):
        DataLoader(Stream(), shuffle=True)


def test_arguments_that_change_no_batch_have_no_effect():
    loader = DataLoader(
        EXAMPLES, batch_size=4, num_workers=4, pin_memory=True, sampler=None, prefetch_factor=2
    )
    assert numbers(loader) == numbers(DataLoader(EXAMPLES, 4))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"sampler": [1, 0]}, ValueError, "does not support sampler. Pass shuffle=True"),
        ({"batch_sampler": [[1]]}, ValueError, "does not support batch_sampler. Pass batch_size"),
        ({"collate_fn": list}, ValueError, "does not support collate_fn. Leave it out"),
        ({"generator": 3}, ValueError, "does not support generator. Pass seed"),
        ({"worker_init_fn": list}, ValueError, "does not support worker_init_fn. Leave it out"),
        ({"shufle": True}, TypeError, "got an unexpected argument 'shufle'"),
        ({"batch_size": 0}, ValueError, "batch_size is 0; expected a whole number"),
        ({"seed": -2}, ValueError, "seed is -2; expected a whole number"),
    ],
)
def test_arguments_that_would_change_batches_are_refused(arguments, error, message):
    with pytest.raises(error, match=message):
        DataLoader(EXAMPLES, **arguments)


def test_batches_of_a_loader_are_divided_into_columns():
    batches = Batches(DataLoader(EXAMPLES, 4))
    assert len(batches) == 3
    for _ in range(2):  # an epoch each
        *_, last = batches
        assert last.texts == [["query 8", "query 9"], ["text 8", "text 9"]]
        assert last.labels.tolist() == [4, 4.5]
        assert last.origins == ["batch 2, example 0", "batch 2, example 1"]


@pytest.mark.parametrize(
    "batch",
    [
        [InputExample(texts=["a", ""], label=[1, 2]), InputExample(texts=["b", "c"], label=[3, 4])],
        [("a", "", np.array([1, 2])), ("b", "c", (3, 4))],
        [
            {"positive": "", "query": "a", "scores": [1, 2]},
            {"query": "b", "positive": "c", "scores": (3, 4)},
        ],
    ],
)
def test_any_iterable_of_lists_of_examples_gives_batches(batch):
    for given in (batch, tuple(batch)):
        (found,) = Batches(iter([given]))
        assert found.texts == [["a", "b"], ["", "c"]]
        assert found.labels.tolist() == [[1, 2], [3, 4]]


def test_columns_of_ids_are_told_once_for_all_batches(caplog):
    row = {"id": 1, "query": "a", "positive": "b"}
    assert len(list(Batches([[row], [row, row]]))) == 2
    assert len(caplog.messages) == 1


def test_a_loader_that_joins_examples_gives_them_as_they_are():
    class Joining(list):
        """As torch's DataLoader: joins the examples of a batch by a function that can be set."""

        collate_fn = staticmethod(str)

        def __iter__(self):
            return (self.collate_fn(batch) for batch in super().__iter__())

    (batch,) = Batches(Joining([EXAMPLES[:2]]))
    assert batch.texts[0] == ["query 0", "query 1"]


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([], r"^batch 1 is \[\]; expected a list of examples, as InputExamples"),
        ({"query": ["a"]}, "^batch 1 is one example, a dict; expected a list of examples"),
        (
            EXAMPLES[0],
            r"^batch 1 is one example, an InputExample; .* in DataLoader\(examples, batch_",
        ),
        ([EXAMPLES[0], 3], "^batch 1, example 1 is an int, 3; expected a dict of columns"),
        ([InputExample()], "^batch 1, example 0: texts is None; expected a list"),
        ([InputExample(texts=["a"])], "^batch 1, example 0 has no column 'text 2'"),
        ([InputExample(texts=["a", None])], "^batch 1, example 0: text 2 is None; expected a text"),
        ([InputExample(texts=["a", "b"], label="c")], "^batch 1, example 0: label is 'c'; expe"),
        ([InputExample(texts=["a", "b"], label=[1])], "^batch 1, example 0: label is a list of 1"),
    ],
)
def test_a_batch_that_holds_no_examples_is_told(batch, message):
    with pytest.raises(TrainingError, match=message):
        list(Batches([EXAMPLES[:2], batch]))
