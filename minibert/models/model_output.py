"""Output of a model under transformers' names: a dict that is a tuple, too.

No arithmetic, no families. Start at BertOutput.
"""

from __future__ import annotations

import copy
from collections import OrderedDict
from collections.abc import ItemsView, Iterator, ValuesView
from typing import Any, NoReturn

from minibert.common.arrays import Array

__all__ = ["BertOutput", "Refused"]


class Refused:
    """Stands for a value that is missing: access to it raises ValueError with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return f"<{self.reason}>"


class BertOutput(OrderedDict[str, Any]):
    """Output of BertModel for B rows of T tokens, like transformers' ModelOutput.

    The keys are the names of the fields that are not None, in the order of transformers' model.
    `output["hidden_states"]`, `output[2]`, `output[:2]`, `output.to_tuple()`,
    `output.hidden_states`, `in`, `len` and `keys` work as in transformers. States are 0 where the
    mask is 0.

    This checkpoint may lack a pooler that transformers' model has, and rows may begin with padding.
    Then "pooler_output" is still a key, so that all others keep their places, but every access to
    it raises a ValueError, also by `to_tuple` and `values`. transformers would give the output of a
    pooler with random numbers, or of that padding.
    """

    last_hidden_state: Array  # (B, T, D)
    # pooler_output: Array, (B, D), of each row's first token; DistilBERT and others have none
    hidden_states: tuple[Array, ...] | None  # L + 1 of (B, T, D): the embeddings, each layer
    attentions: tuple[Array, ...] | None  # L of (B, H, T, T), a row of weights for each token

    # Any: arrays, tuples of arrays, and a program's own fields; so in transformers.
    def __init__(self, **fields: Any) -> None:
        """Keep the fields of a model's output, in their order; None for a missing one."""
        super().__init__()
        vars(self)["_fields"] = tuple(fields)
        for name, value in fields.items():
            setattr(self, name, value)

    # Any: see __init__, and a tuple of such for a slice.
    def __getitem__(self, key: Any) -> Any:
        """A field by its name; by its place, or a slice of places, among those that are there."""
        if isinstance(key, str):
            value = super().__getitem__(key)
            if isinstance(value, Refused):
                raise ValueError(value.reason)
            return value
        keys = tuple(self)[key]
        return self[keys] if isinstance(keys, str) else tuple(self[name] for name in keys)

    def __getattr__(self, name: str) -> Any:
        """A field whose value is refused: all others are attributes."""
        if name in vars(self).get("_fields", ()):
            return self[name]
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self._fields and value is not None:
            super().__setitem__(name, value)
        if not isinstance(value, Refused):
            super().__setattr__(name, value)

    def __setitem__(self, key: str, value: Any) -> None:
        super().__setitem__(key, value)
        super().__setattr__(key, value)

    def to_tuple(self) -> tuple[Any, ...]:  # see __init__
        """Return the values of all keys."""
        return tuple(self.values())

    # dict's own methods would return the objects of class Refused.

    def get(self, key: str, default: Any = None) -> Any:  # see __init__
        """Return the value of a key, or the default where there is no such key."""
        if key not in self:
            return default
        return self[key]

    def values(self) -> Any:  # a ValuesView; OrderedDict's type is private
        """Return the values of all keys, in their order."""
        return Values(self)

    def items(self) -> Any:  # an ItemsView; OrderedDict's type is private
        """Return the keys with their values."""
        return Items(self)

    def __or__(self, other: Any) -> Any:
        """Another output with the keys of a dict, too; where both have one, the dict's counts."""
        if not isinstance(other, dict):
            return NotImplemented
        output = self.copy()
        for name, value in other.items():
            output[name] = value
        return output

    def __ror__(self, other: Any) -> Any:
        """Combine a dict with this output: the dict's keys come first, this output's values win."""
        if not isinstance(other, dict):
            return NotImplemented
        return BertOutput(**dict.fromkeys(self._fields)) | {**other, **self}

    def copy(self) -> BertOutput:
        """Another output with the same arrays."""
        return copy.copy(self)

    def __reduce__(self) -> tuple[Any, ...]:
        fields = {name: OrderedDict.get(self, name) for name in self._fields}
        added = {name: self[name] for name in self if name not in self._fields}
        known = {"_fields", *fields, *added}
        # Attributes that a program has added.
        own = {name: value for name, value in vars(self).items() if name not in known}
        return restored, (fields, added), own

    def __repr__(self) -> str:
        fields = (f"{name}={OrderedDict.get(self, name)!r}" for name in self._fields)
        return f"{type(self).__name__}({', '.join(fields)})"

    # transformers refuses every change of the keys, too.

    def _refuse(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError(f"A {type(self).__name__} keeps its keys; make a dict of it: dict(output).")

    __delitem__ = pop = popitem = update = setdefault = clear = _refuse


class Values(ValuesView[Any]):
    """Values of an output; a ValueError for one that is refused."""

    _mapping: BertOutput

    def __reversed__(self) -> Iterator[Any]:
        return (self._mapping[name] for name in reversed(tuple(self._mapping)))


class Items(ItemsView[str, Any]):
    """Keys of an output with their values; a ValueError for one that is refused."""

    _mapping: BertOutput

    def __reversed__(self) -> Iterator[tuple[str, Any]]:
        return ((name, self._mapping[name]) for name in reversed(tuple(self._mapping)))


def restored(fields: dict[str, Any], added: dict[str, Any]) -> BertOutput:
    """Make an output from the content of a pickle or a copy."""
    output = BertOutput(**fields)
    for name, value in added.items():
        output[name] = value
    return output
