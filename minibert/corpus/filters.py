"""Conditions on fields -> the numbers of the documents that meet them. Start at matching.

    matching(corpus, {"lang": ["de", "fr"], "year": {">=": 2000, "<": 2010}})

A condition is looked up among the different values of a field, shard by shard. Then one pass over
the codes of the documents is enough. No texts and no vectors are read.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from minibert.common.arguments import type_of
from minibert.common.arrays import IntArray
from minibert.corpus.corpus import Corpus
from minibert.corpus.fields import KINDS, NUMBERS, Column, json_of, kind_of
from minibert.documents import Scalar, scalar_of

__all__ = ["OPERATORS", "Where", "conditions_of", "matching", "words_of"]

Values: TypeAlias = Scalar | Sequence[Scalar] | Set[Scalar]
# Name of a field -> its value, several of which it is one, or operators with their values.
Where: TypeAlias = Mapping[str, Values | Mapping[str, Values]]


class Operator(NamedTuple):
    """A way to compare a field's values with a given one."""

    # (field, value) -> the first code of the values that are asked for, and the end of them
    codes: Callable[[Column, Scalar], tuple[int, int]]
    is_negated: bool = False  # True asks for all values but these
    is_of_order: bool = True  # True for an operator of numbers and texts, and of one value alone


def codes_from(column: Column, value: Scalar) -> tuple[int, int]:
    """Return the codes of the values >= `value`; those of another kind are not."""
    return column.range_of(value)[0], column.range_of_kind(kind_of(value))[1]


def codes_behind(column: Column, value: Scalar) -> tuple[int, int]:
    """Return the codes of the values > `value`."""
    return column.range_of(value)[1], column.range_of_kind(kind_of(value))[1]


def codes_to(column: Column, value: Scalar) -> tuple[int, int]:
    """Return the codes of the values <= `value`."""
    return column.range_of_kind(kind_of(value))[0], column.range_of(value)[1]


def codes_before(column: Column, value: Scalar) -> tuple[int, int]:
    """Return the codes of the values < `value`."""
    return column.range_of_kind(kind_of(value))[0], column.range_of(value)[0]


# Name of an operator, as conditions have it -> its row.
OPERATORS: dict[str, Operator] = {
    "=": Operator(Column.range_of, is_of_order=False),
    "!=": Operator(Column.range_of, is_negated=True, is_of_order=False),
    ">": Operator(codes_behind),
    ">=": Operator(codes_from),
    "<": Operator(codes_before),
    "<=": Operator(codes_to),
}


class Condition(NamedTuple):
    """A condition on one field: `operator` holds for one of the values."""

    field: int  # place among the fields of the corpus
    operator: Operator
    values: tuple[Scalar, ...]

    def is_met(self, column: Column) -> NDArray[np.bool_]:
        """Return whether each document of a shard meets the condition: (n,)."""
        of_values = np.full(len(column), self.operator.is_negated)
        for value in self.values:
            first, end = self.operator.codes(column, value)
            of_values[first:end] = not self.operator.is_negated
        of_documents: NDArray[np.bool_] = of_values[column.codes]
        return of_documents


def matching(corpus: Corpus, where: Where) -> IntArray:
    """Find the documents that meet all conditions: -> numbers, rising, without deleted ones.

    `where` has names of fields. Of each it has a value, a list of values, one of which the
    document must have, or a dict of operators and their values, which must all hold:
    =, !=, >, >=, <, <=. A number is compared with numbers, by size, and a text with texts, by code
    points. None stands for no value; it meets != and no comparison of order.

    Raises TypeError for conditions that are no dict; ValueError for a field or an operator that is
    not there, and for a value of another kind than the field's.
    """
    conditions = conditions_of(where, corpus)
    met = [np.empty(0, dtype=np.int64)]
    for shard in corpus.shards:
        is_met = np.ones(len(shard), dtype=bool)
        for condition in conditions:
            is_met &= condition.is_met(shard.columns[condition.field])
        met.append(np.flatnonzero(is_met) + shard.first)
    return np.setdiff1d(np.concatenate(met), corpus.deleted, assume_unique=True)


def conditions_of(where: Where, corpus: Corpus) -> list[Condition]:
    """Check conditions and make a list of them. Raises the errors of matching."""
    if not isinstance(where, Mapping):
        raise TypeError(
            f'where is {type_of(where)}; expected a dict of fields, as {{"lang": "de"}}.'
        )
    names, kinds, conditions = corpus.manifest.settings.fields, corpus.kinds(), []
    for name, wanted in where.items():
        if name not in names:
            there = f"it has {', '.join(names)}" if names else "it was built without fields"
            raise ValueError(f"where names {name!r:.80}, which the corpus lacks: {there}.")
        operators = wanted if isinstance(wanted, Mapping) else {"=": wanted}
        if not operators:
            raise ValueError(f"where has no condition for {name!r}; expected a value.")
        for operator, value in operators.items():
            if operator not in OPERATORS:
                raise ValueError(
                    f"where has the operator {operator!r:.40} for {name!r}; expected one of "
                    f"{', '.join(OPERATORS)}."
                )
            values = values_of(value, name, operator)
            conditions.append(Condition(names.index(name), OPERATORS[operator], values))
            check_kind(values, name, kinds.get(name))
    return conditions


def words_of(where: Where) -> str:
    """Write conditions for a message, as `lang=de, fr and year>=2000`; at most 200 characters."""
    told = []
    for name, wanted in where.items():
        operators = wanted if isinstance(wanted, Mapping) else {"=": wanted}
        for operator, value in operators.items():
            values = values_of(value, name, operator)
            words = (one if isinstance(one, str) else json_of(one) for one in values)
            told.append(f"{name}{operator}{', '.join(words)}")
    return f"{' and '.join(told):.200}"


def values_of(value: object, name: str, operator: str) -> tuple[Scalar, ...]:
    """Return the values of a condition. Raises ValueError for one that it cannot have."""
    several = isinstance(value, list | tuple | set | frozenset | np.ndarray)
    given = tuple(value) if several else (value,)  # type: ignore[arg-type]
    values = tuple(scalar_of(one, name, "where") for one in given)
    if OPERATORS[operator].is_of_order and (several or kind_of(values[0]) < NUMBERS):
        raise ValueError(
            f"where compares {name!r} by {operator} with {value!r:.60}; expected a number or a "
            "text."
        )
    return values


def check_kind(values: tuple[Scalar, ...], name: str, kind: int | None) -> None:
    """Raise ValueError for a value of another kind than those of its field."""
    for value in values:
        if kind and value is not None and kind_of(value) != kind:
            raise ValueError(
                f"where asks for {value!r:.60} in {name!r}, and the corpus has {KINDS[kind]} there."
            )
