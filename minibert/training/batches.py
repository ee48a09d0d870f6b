"""Batches of a run by their number through all epochs, and the loss that is trained on them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import count, islice
from typing import Any, NamedTuple, Protocol

from minibert.errors import TrainingError
from minibert.training.columns import Batch
from minibert.training.examples import Examples
from minibert.training.loader import Batches as LoadedBatches
from minibert.training.loader import DataLoader, Dataset
from minibert.training.losses import Loss
from minibert.training.order import Order

__all__ = ["Batches", "Objective", "OrderedBatches", "StreamedBatches", "objective_of"]


class Batches(Protocol):
    """Batches by their number; `len` is how many an epoch has."""

    def __len__(self) -> int: ...

    def batch(self, number: int) -> Batch:
        """Return a batch by its number through all epochs, from 0. The numbers only rise."""
        ...

    def fingerprint(self) -> str:
        """Digest of all that the batches depend on."""
        ...


class Objective(NamedTuple):
    """Data and the loss to train on it."""

    batches: Batches
    loss: Loss


class OrderedBatches:
    """Batches of examples in the order of each epoch."""

    def __init__(self, examples: Examples, order: Order) -> None:
        """Take examples on disk, and the order in which they are read."""
        self.examples = examples  # of all batches
        self.order = order  # which examples a batch has

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self.order)

    def batch(self, number: int) -> Batch:
        """Return a batch by its number through all epochs, from 0."""
        return self.examples.batch(self.order.batch(number))

    def fingerprint(self) -> str:
        """Digest of the examples; the order is among the numbers of the run."""
        return self.examples.fingerprint


def objective_of(
    examples: Examples, loss: Loss, batch_size: int, drop_last: bool, seed: int
) -> Objective:
    """Divide examples into batches for a loss. Raises ValueError if a batch does not fit it."""
    order = Order(len(examples), batch_size, drop_last=drop_last, seed=seed)
    last = len(examples) % batch_size
    # Else a last batch that is too small would be found at the end of the first epoch.
    for size in {min(batch_size, len(examples)), last if last and not drop_last else batch_size}:
        texts, labels, _ = examples.batch(range(min(size, len(examples))))
        try:
            loss.check(len(texts), labels, len(texts[0]))
        except ValueError as error:
            raise ValueError(
                f"{error} The columns of texts are: {', '.join(examples.columns):.200}."
            ) from error
    return Objective(OrderedBatches(examples, order), loss)


class StreamedBatches:
    """Batches of an iterable, which is iterated once for each epoch.

    A run that goes on reads the batches that it had before, and leaves them. So it ends with the
    same bytes if the iterable gives the same batches again, as a DataLoader of minibert does.
    """

    def __init__(self, batches: Iterable[Any]) -> None:  # of lists of examples
        """Take batches, each a list of examples: see loader.Batches."""
        self.source = batches  # as given
        self._loaded = LoadedBatches(batches)
        self._stream = self._all_batches()
        self._next = 0  # number of the next batch of the stream

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        return len(self._loaded)

    def _all_batches(self) -> Iterator[Batch]:
        """Yield the batches of all epochs. Raises TrainingError for an epoch without any."""
        for epoch in count():
            batch = None
            for batch in self._loaded:
                yield batch
            if batch is None:
                raise TrainingError(
                    f"The batches of epoch {epoch}, counted from 0, are none. Give fit an object "
                    "that can be iterated again, as a list or a DataLoader."
                )

    def batch(self, number: int) -> Batch:
        """Return a batch by its number through all epochs, from 0. The numbers only rise."""
        batch = next(islice(self._stream, number - self._next, None))
        self._next = number + 1
        return batch

    def fingerprint(self) -> str:
        """Digest of the examples of a DataLoader and its arguments; else of the length alone."""
        told: list[object] = [len(self)]
        digest = hashlib.sha256()
        source = self.source
        if isinstance(source, DataLoader) and isinstance(source.dataset, Dataset):
            told += [source.batch_size, source.shuffle, source.drop_last, source.seed]
            for number in range(len(source.dataset)):
                example = source.dataset[number]
                digest.update(repr(getattr(example, "__dict__", example)).encode())
        digest.update(json.dumps(told).encode())
        return digest.hexdigest()
