"""Examples and batches under the names that sentence-transformers' scripts use.

    batches = DataLoader([InputExample(texts=["a query", "a text"])], shuffle=True, batch_size=64)

`fit` takes any iterable of batches, also a DataLoader of torch: Batches makes columns of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Sized
from typing import Any, Protocol, runtime_checkable

from minibert.common.arguments import type_of
from minibert.errors import TrainingError
from minibert.training.columns import Batch, Columns, batch_of_rows, is_example, values_of
from minibert.training.order import Order

__all__ = ["Batches", "DataLoader", "Dataset", "InputExample"]

# Arguments of torch's DataLoader that change how batches are loaded, and none of them.
WITHOUT_EFFECT = {
    "num_workers",
    "pin_memory",
    "pin_memory_device",
    "timeout",
    "multiprocessing_context",
    "prefetch_factor",
    "persistent_workers",
    "in_order",
}
# Arguments of torch's DataLoader that would change the batches -> advice.
REFUSED = {
    "sampler": "Pass shuffle=True, or give the examples in the order that they should have.",
    "batch_sampler": "Pass batch_size, or give fit an iterable of your own batches.",
    "collate_fn": "Leave it out: a batch is a list of examples, which fit takes as it is.",
    "generator": "Pass seed, a whole number.",
    "worker_init_fn": "Leave it out: batches are made in this process.",
}


class InputExample:
    """One example for training: its texts, and its label."""

    def __init__(
        self,
        guid: str = "",
        texts: list[str] | None = None,
        label: float | Sequence[float] = 0,
    ) -> None:
        """Keep what is given; it is checked when a batch is made of it."""
        self.guid = guid  # an id, which nothing reads
        self.texts = texts  # in the order of the loss
        self.label = label  # a number, or a list of numbers; losses without labels do not read it

    def __str__(self) -> str:
        return f"<InputExample> label: {self.label}, texts: {'; '.join(self.texts or [])}"


@runtime_checkable
class Dataset(Protocol):
    """Examples by number; a class that a script derives from torch's Dataset may derive from it."""

    def __getitem__(self, number: int, /) -> Any:  # an InputExample, a dict or a tuple
        """Return an example by its number, from 0."""
        ...

    def __len__(self) -> int:
        """Return the number of examples."""
        ...


class DataLoader:
    """Batches of examples, as torch's DataLoader makes them, without torch.

    `len` is the number of batches in an epoch. Each iteration is an epoch, and yields lists of the
    examples that the dataset holds. With shuffle, an epoch's order is drawn from the seed and the
    number of the epoch, which is the number of iterations before.
    """

    def __init__(
        self,
        dataset: Dataset | Iterable[Any],  # of InputExamples, dicts or tuples
        batch_size: int = 1,
        shuffle: bool = False,
        *,
        drop_last: bool = False,
        seed: int = 42,
        **loading: object,
    ) -> None:
        """Set from which examples, and how, batches are made.

        A dataset with lengths and numbers, as a list, can be shuffled; another iterable is read
        in its order, once an epoch. With `drop_last`, a short last batch is left out. `loading` are
        the arguments of torch's DataLoader that change no batch, as num_workers and pin_memory;
        they have no effect. Raises ValueError for an argument that would change the batches and is
        not supported, TypeError for one that torch's DataLoader does not have.
        """
        check_loading(loading)
        Order(0, batch_size, seed=seed)  # checks both
        if shuffle and not isinstance(dataset, Dataset):
            raise ValueError(
                f"shuffle needs a dataset with numbers and a length, as a list; {type_of(dataset)} "
                "has none. Leave shuffle out, or make a list of it."
            )
        self.dataset = dataset  # the examples
        self.batch_size = batch_size  # examples in a batch
        self.shuffle = shuffle  # whether an epoch has an order of its own
        self.drop_last = drop_last  # whether a short last batch is left out
        self.seed = seed  # of the orders
        self.epoch = 0  # number of the epoch that the next iteration yields

    def __len__(self) -> int:
        """Return the number of batches in an epoch. Raises TypeError for a dataset without len."""
        if not isinstance(self.dataset, Sized):
            raise TypeError(f"The dataset, {type_of(self.dataset)}, has no length.")
        return len(self._order(self.dataset))

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings, for the card of a model that is trained on the batches."""
        names = ("batch_size", "shuffle", "drop_last", "seed")
        return {name: getattr(self, name) for name in names}

    def __iter__(self) -> Iterator[list[Any]]:  # of whatever the dataset holds
        """Return the batches of the next epoch."""
        epoch, self.epoch = self.epoch, self.epoch + 1
        if isinstance(self.dataset, Dataset):
            return self._by_number(self.dataset, epoch)
        return self._in_order(self.dataset)

    def _order(self, dataset: Sized) -> Order:
        return Order(
            len(dataset),
            self.batch_size,
            shuffle=self.shuffle,
            drop_last=self.drop_last,
            seed=self.seed,
        )

    def _by_number(self, dataset: Dataset, epoch: int) -> Iterator[list[Any]]:
        order = self._order(dataset)
        for step in range(epoch * len(order), (epoch + 1) * len(order)):
            yield [dataset[number] for number in order.batch(step).tolist()]

    def _in_order(self, dataset: Iterable[Any]) -> Iterator[list[Any]]:
        batch = []
        for example in dataset:
            batch.append(example)
            if len(batch) == self.batch_size:
                yield batch
                batch = []
        if batch and not self.drop_last:
            yield batch


def check_loading(arguments: dict[str, object]) -> None:
    """Raise an error for arguments that torch's DataLoader does not have, or that change batches.

    An argument that is None is not given.
    """
    for name, value in arguments.items():
        if name in REFUSED and value is not None:
            raise ValueError(f"DataLoader does not support {name}. {REFUSED[name]}")
        if name not in REFUSED and name not in WITHOUT_EFFECT:
            raise TypeError(f"DataLoader got an unexpected argument {name!r}.")


class Batches:
    """Batches from any iterable of lists of examples, each checked and divided into columns.

    An example is an InputExample, a dict, or a tuple of texts with or without a label behind them.
    A DataLoader of torch is taken as well; as the fit of sentence-transformers does, its
    `collate_fn` is replaced, which knows no InputExample. `len` is that of the iterable.
    """

    def __init__(self, batches: Iterable[Any]) -> None:  # of lists of examples
        """Take an iterable, from which each iteration of this object reads anew."""
        if hasattr(batches, "collate_fn"):
            batches.collate_fn = as_it_is
        self.batches = batches  # the iterable
        self._columns: Columns | None = None  # of the first example

    def __len__(self) -> int:
        """Return the number of batches. Raises TypeError for an iterable without a length."""
        return len(self.batches)  # type: ignore[arg-type]  # the error names the type

    def __iter__(self) -> Iterator[Batch]:
        """Yield each batch by columns; a text may be empty.

        Raises TrainingError, with the numbers of batch and example from 0, for a batch that is no
        list of examples, for columns that differ from the first example's, and for a label that is
        no number.
        """
        for number, examples in enumerate(self.batches):
            place = f"batch {number}"
            if is_example(examples):
                raise TrainingError(
                    f"{place} is one example, {type_of(examples)}; expected a list of examples. "
                    "Wrap the examples in DataLoader(examples, batch_size=...)."
                )
            if not isinstance(examples, list | tuple) or not examples:
                raise TrainingError(
                    f"{place} is {examples!r:.60}; expected a list of examples, as InputExamples."
                )
            origins = [f"{place}, example {at}" for at in range(len(examples))]
            values = list(map(values_of, examples, origins))
            if self._columns is None:
                self._columns = Columns(values[0], origins[0], may_be_empty=True)
            yield batch_of_rows(list(map(self._columns.row, values, origins)), origins)


def as_it_is(batch: list[Any]) -> list[Any]:
    """Return a batch. A function with a name, as torch sends it to its worker processes."""
    return batch
