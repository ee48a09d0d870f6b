"""Numbers of the examples of each batch: shuffled by seed, known for any step. Start at Order."""

from __future__ import annotations

import numpy as np

from minibert.common.arguments import check_given_counts
from minibert.common.arrays import IntArray
from minibert.errors import TrainingError

__all__ = ["Order"]


class Order:
    """Divides examples into batches, in each epoch in another order.

    The order of an epoch depends on the seed and the number of the epoch alone. So a training run
    that goes on at any step gets the batches that it would have got. `len` is the number of
    batches in an epoch.
    """

    def __init__(
        self,
        examples: int,
        batch_size: int,
        *,
        shuffle: bool = True,
        drop_last: bool = False,
        seed: int = 42,
    ) -> None:
        """Set the sizes; nothing is drawn yet.

        With `drop_last`, a last batch of fewer than `batch_size` examples is left out of each
        epoch. Raises ValueError for a batch_size that is no whole number from 1 up, and for a
        negative seed.
        """
        check_given_counts(batch_size=batch_size)
        if seed < 0:
            raise ValueError(f"seed is {seed}; expected a whole number from 0 up.")
        self.examples = examples  # their number
        self.batch_size = batch_size  # examples in a batch
        self.shuffle = shuffle  # False: every epoch has the order of the data
        self.drop_last = drop_last  # whether a short last batch is left out
        self.seed = seed  # of all epochs' orders
        self._epoch, self._numbers = -1, np.empty(0, np.int64)  # the latest order that was drawn

    def __len__(self) -> int:
        """Return the number of batches in an epoch."""
        whole, rest = divmod(self.examples, self.batch_size)
        return whole + (rest > 0 and not self.drop_last)

    def batch(self, step: int) -> IntArray:
        """Return the numbers of the examples of one batch: (B,) int64.

        `step` counts batches from 0, through all epochs. Raises TrainingError if there are too few
        examples for a batch.
        """
        if not len(self):
            raise TrainingError(
                f"{self.examples} examples make no batch of {self.batch_size}, and a short last "
                "batch is left out (drop_last=True, --drop-last). Lower the batch size."
            )
        epoch, place = divmod(step, len(self))
        return self.epoch(epoch)[place * self.batch_size : (place + 1) * self.batch_size]

    def epoch(self, epoch: int) -> IntArray:
        """Return the numbers of all examples in the order of an epoch: (N,) int64."""
        if epoch != self._epoch:
            self._numbers = np.arange(self.examples, dtype=np.int64)
            if self.shuffle:
                seeds = np.random.SeedSequence([self.seed, epoch])
                np.random.Generator(np.random.Philox(seeds)).shuffle(self._numbers)
            self._epoch = epoch
        return self._numbers
