"""Models of one form -> a model whose weights are the means of theirs. Start at merged."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

import numpy as np

from minibert.common.arguments import check_choice, is_number
from minibert.models.trainable import check_trainable

if TYPE_CHECKING:
    from minibert.bert.parameters import Config
    from minibert.checkpoint.folder import Folder
    from minibert.models.trainable import Trainable
    from minibert.models.transformer import Transformer

__all__ = ["merged"]


class Mergeable(Protocol):
    """A SentenceTransformer, as far as it is merged."""

    folder: Folder
    transformer: Transformer

    @property
    def config(self) -> Config: ...

    def trainable(self, *, seed: int = 42, dropout: bool = True) -> Trainable: ...

    def __iter__(self) -> Iterator[Any]: ...


M = TypeVar("M", bound=Mergeable)


def merged(models: Sequence[M], parameters: Mapping[str, object]) -> M:
    """Merge models as SentenceTransformer.merge tells; they stay as they are."""
    weights, divisor = weights_of(parameters, len(models))
    first: Any = models[0]  # with all that a SentenceTransformer has
    check_trainable(first, "merges")
    for number, model in enumerate(models[1:], start=1):
        check_alike(models[0], model, number)
    result: M = copy.copy(models[0])
    target = result.trainable(dropout=False)
    for tensor in target.values.values():
        tensor *= weights[0]
    for number, (model, weight) in enumerate(zip(models[1:], weights[1:], strict=True), start=1):
        values = model.trainable(dropout=False).values
        if values.keys() != target.values.keys():
            raise ValueError(f"Model {number} has other tensors than model 0.")
        for key, tensor in values.items():
            target.values[key] += weight * tensor
    for tensor in target.values.values():
        tensor /= divisor
    target.describe_training(section(models, weights))
    target.refresh()
    return result


def weights_of(parameters: Mapping[str, object], count: int) -> tuple[list[np.float32], np.float32]:
    """Read the weights of models, and what their sum of tensors is divided by.

    Raises ValueError for parameters of other methods, and for weights that cannot be meant.
    """
    for name in parameters:
        check_choice("A name in parameters", name, ("weight", "normalize"))
    given: Any = parameters.get("weight", 1.0)
    listed = list(given) if isinstance(given, list | tuple) else [given] * count
    total = sum(float(weight) for weight in listed if is_number(weight))
    divides = parameters.get("normalize", True)
    if len(listed) != count or not all(map(is_number, listed)) or (divides and total == 0):
        raise ValueError(
            f"weight is {given!r:.80}; expected a number for each of the {count} models, whose sum "
            "is not 0."
        )
    return [np.float32(weight) for weight in listed], np.float32(total if divides else 1.0)


def check_alike(first: Mergeable, other: Mergeable, number: int) -> None:
    """Raise ValueError for two models that differ in more than the numbers of their tensors."""
    forms: dict[str, list[Any]] = {
        "sizes in config.json": [tuple(model.config) for model in (first, other)],
        "modules after the Transformer": [without_paths(model) for model in (first, other)],
        "tokens": [
            model.transformer.text_tokenizer.backend.get_vocab() for model in (first, other)
        ],
    }
    for what, (expected, found) in forms.items():
        if found != expected:
            raise ValueError(
                f"Model {number} has other {what} than model 0. Only models that were trained from "
                "one model can be merged."
            )


def without_paths(model: Mergeable) -> list[tuple[str, dict[str, object]]]:
    """Return the kinds and the settings of the modules after the Transformer."""
    return [
        (type(module).__name__, {**module._asdict(), "path": None}) for module in list(model)[1:]
    ]


def section(models: Sequence[Mergeable], weights: Sequence[np.float32]) -> str:
    """Write the paragraph about the merge for the card of the result."""
    lines = [
        f"- {model.folder.path.name}: {weight:g}"
        for model, weight in zip(models, weights, strict=True)
    ]
    return "\n".join(
        ["## Merge", "The means of these models' tensors, with their weights:\n", *lines, ""]
    )
