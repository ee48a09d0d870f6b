"""Model as the training loop sees it: tensors, their gradients, and a folder to save to."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from minibert.common.arrays import Array
from minibert.tokens.texts import Text
from minibert.training.losses import Loss

__all__ = ["Trainable"]


class Trainable(Protocol):
    """A model that can be trained."""

    # Key -> tensor as in the model's file, float32, on the host or all on one GPU. The key is the
    # tensor's name in its file; for a module in a folder of its own, that folder and the name, as
    # "2_Dense/linear.weight". The optimizer changes the arrays in place.
    values: dict[str, Array]

    @property
    def folder(self) -> Path:
        """Folder of the model's other files, which `save` copies."""
        ...

    @property
    def gradients(self) -> dict[str, Array]:
        """Key -> dloss/dtensor, of its shape and where it is; only tensors that have a gradient.

        The arrays may be made anew for each call.
        """
        ...

    def add_gradients(
        self,
        texts: Sequence[Sequence[Text]],
        labels: Array | None,
        loss: Loss,
        step: int,
        *,
        scale: float = 1.0,
    ) -> float:
        """Add `scale` x the gradient of a batch's loss to `gradients`; return the loss, unscaled.

        `texts` are columns, each of B texts; `labels` (B, ...) as the loss needs them. Dropout is
        drawn from `step`, which is the number of the batch since the start, from 0.
        """
        ...

    def zero_gradients(self) -> None:
        """Set all gradients to 0."""
        ...

    def refresh(self) -> None:
        """Make the model compute with `values` as they are now."""
        ...

    def describe_training(self, section: str) -> None:
        """Take the Training section of the model's card, which `save` then writes."""
        ...

    def save(self, folder: Path) -> None:
        """Write a whole model folder with the present values, float32, without a copy of them."""
        ...

    def use_folder(self, folder: Path) -> None:
        """Tell the model that a folder has it as it is now, for copies and digests of it."""
        ...

    def fingerprint(self) -> str:
        """Digest of the model as it was before training: sha256 of its files and settings."""
        ...
