"""The protocol of a loss, and the checks that losses share. Start at Loss."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy as np
from numpy.typing import ArrayLike

from minibert.common.arrays import Array

__all__ = ["Label", "Loss", "as_labels", "as_numbers", "check_columns", "check_loss", "check_only"]

# The label of an example: none, one number, one or several numbers, or vectors of a teacher.
Label: TypeAlias = Literal["none", "number", "numbers", "vectors"]


class Loss(Protocol):
    """A loss of a batch of B examples, each with one text a column.

    A class has the name and the arguments that it has in sentence-transformers, the model first.
    It is kept as `model` and used for nothing else, so it may be None.
    """

    @property
    def description(self) -> str:
        """One line for help texts: what the examples are, and what is compared."""
        ...

    @property
    def columns(self) -> tuple[int, int | None]:
        """The least and the largest number of columns of texts; None for any number."""
        ...

    @property
    def label(self) -> Label:
        """The label that each example needs. With "none", given labels are left unused."""
        ...

    @property
    def is_mean(self) -> bool:
        """True if the loss of a batch is the mean of the losses of its examples.

        Then parts of a batch can be computed one after another.
        """
        ...

    @property
    def in_batch_negatives(self) -> bool:
        """True if documents of the other examples are negatives: see false_negatives."""
        ...

    def check(self, columns: int, labels: Array | None, examples: int) -> None:
        """Raise ValueError for columns or labels that do not fit, and for too small a batch."""
        ...

    def __call__(self, vectors: Sequence[Array], labels: Array | None) -> tuple[float, list[Array]]:
        """Compute the loss and its gradients by the vectors: columns of (B, D) -> as many (B, D).

        Gradients have the dtype of the vectors. The loss is summed in float64.
        """
        ...

    def get_config_dict(self) -> dict[str, object]:
        """Return the settings as in sentence-transformers, for the model card."""
        ...


def check_loss(place: str, loss: Any) -> Loss:  # Any: whatever a program gives
    """Return a loss of minibert.losses. Raises TypeError for a class, and for any other loss."""
    if isinstance(loss, type):
        raise TypeError(
            f"{place} has the class {loss.__name__} as its loss; expected an instance, as "
            f"{loss.__name__}(model)."
        )
    names = ("check", "columns", "label", "is_mean", "in_batch_negatives", "__call__")
    if not all(hasattr(loss, name) for name in names):
        raise TypeError(
            f"{place} has a {type(loss).__module__}.{type(loss).__qualname__} as its loss; "
            "expected one of minibert.losses, which have the names that they have in "
            "sentence-transformers. Losses of torch give no gradients here."
        )
    checked: Loss = loss
    return checked


def check_columns(loss: Loss, columns: int) -> None:
    """Raise ValueError if a loss does not take this number of columns of texts."""
    least, largest = loss.columns
    if columns < least or (largest is not None and columns > largest):
        expected = f"{least}" if least == largest else f"at least {least}"
        raise ValueError(
            f"{name_of(loss)} takes {expected} columns of texts, and the examples have {columns}. "
            f"It is a loss for this: {loss.description}."
        )


def as_labels(loss: Loss, labels: ArrayLike | None, examples: int) -> Array:
    """Convert the labels of a batch to floats: (B, ...) -> (B, ...).

    Raises ValueError if they are missing, no numbers, not one an example, or not finite.
    """
    if labels is None:
        raise ValueError(
            f"{name_of(loss)} needs a label for each example, and there are none. "
            "Name their column label, labels, score or scores."
        )
    given = np.asarray(labels)
    if given.dtype.kind not in "fiub":
        raise ValueError(f"{name_of(loss)} needs numbers as labels; got {labels!r:.60}.")
    found = given if given.dtype.kind == "f" else given.astype(np.float64)
    if found.ndim == 0 or len(found) != examples:
        raise ValueError(
            f"The labels have the shape {found.shape}, for a batch of {examples} examples; "
            f"{name_of(loss)} needs a label for each example."
        )
    finite = np.isfinite(found).all(axis=tuple(range(1, found.ndim)))  # (B,)
    if not finite.all():
        example = int(np.argmin(finite))
        raise ValueError(
            f"The label of example {example} of the batch, counted from 0, is "
            f"{found[example]!s:.60}; {name_of(loss)} needs finite numbers."
        )
    return found


def as_numbers(loss: Loss, labels: ArrayLike | None, examples: int) -> Array:
    """Convert labels of one number an example to floats: (B,) or (B, 1) -> (B,).

    Raises ValueError as as_labels does, and for any other shape.
    """
    found = as_labels(loss, labels, examples)
    if found.size != examples:
        raise ValueError(
            f"The labels have the shape {found.shape}, for a batch of {examples} examples; "
            f"{name_of(loss)} needs one number for each, ({examples},)."
        )
    return found.reshape(examples)


def check_only(loss: Loss, computed: object, **given: object) -> None:
    """Raise ValueError for an argument of sentence-transformers with a value not computed here."""
    for name, value in given.items():
        if value is not computed:
            raise ValueError(
                f"{name} of {name_of(loss)} is {value!r:.80}; minibert computes only "
                f"{computed!r}, so leave it out."
            )


def name_of(loss: Loss) -> str:
    """Return the name of a loss, which is that of its class."""
    return type(loss).__name__
