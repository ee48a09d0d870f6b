"""Training data, or a Dataset of Hugging Face -> pairs of an anchor and a positive.

    pairs = read_pairs("pairs.jsonl")   # pairs.anchors[n] and pairs.positives[n] are of one row
    texts = unique_texts(pairs)         # each text once, and the numbers of each query's positives

No models. Start at read_pairs.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple, Protocol, TypeGuard

import numpy as np

from minibert.common.arrays import IntArray
from minibert.errors import TrainingError
from minibert.training.columns import checked_text, divided, ordered, tell_pair
from minibert.training.examples import Data, records_of

__all__ = [
    "Dataset",
    "Pairs",
    "Texts",
    "is_dataset",
    "read_pairs",
    "rows_of_one_query",
    "unique_texts",
]

logger = logging.getLogger(__name__)


class Dataset(Protocol):
    """A `datasets.Dataset`, as far as its texts are read and new rows are put into one."""

    @property
    def column_names(self) -> list[str]: ...

    def __len__(self) -> int: ...

    def __getitem__(self, column: str, /) -> Iterable[object]: ...

    @classmethod
    # A Dataset of Hugging Face takes columns of more kinds than lists.
    def from_dict(cls, columns: Any, /) -> Dataset: ...


class Pairs(NamedTuple):
    """Two columns of training data."""

    anchor: str  # name of the column of anchors
    positive: str  # name of the column of positives
    anchors: list[str]
    positives: list[str]  # of the same rows


class Texts(NamedTuple):
    """Queries and documents, each once, in the order in which they come."""

    queries: list[str]  # Q of them
    documents: list[str]  # N of them
    rows: IntArray  # (P,): a query's number for each of its positives, rising
    positives: IntArray  # (P,): the numbers of these positives among the documents

    def firsts(self) -> IntArray:
        """Return the place of each query's first positive: (Q,). Each query has one."""
        return np.searchsorted(self.rows, np.arange(len(self.queries)))


def is_dataset(data: object) -> TypeGuard[Dataset]:
    """Return whether data is a `datasets.Dataset`, or has its methods."""
    has_methods = hasattr(data, "column_names") and hasattr(type(data), "from_dict")
    return has_methods and not isinstance(data, Mapping)


def read_pairs(
    data: Data | Dataset,
    anchor: str | None = None,
    positive: str | None = None,
    form: str | None = None,
) -> Pairs:
    """Read the anchors and the positives of all rows.

    Without their names, they are the first two columns of a Dataset, and the first two columns of
    texts in the order of training for all else: see Columns. So are they, with a warning, for a
    name that no column has, as in sentence-transformers. Other columns are not read.

    Raises ValueError for data without rows or without two columns, and TrainingError, with the
    place of the row, for a cell that is no text. An empty text is one only in a Dataset.
    """
    pairs = of_dataset(data, anchor, positive) if is_dataset(data) else None
    if pairs is None:
        pairs = of_rows(data, anchor, positive, form)  # type: ignore[arg-type]  # no Dataset
    if not pairs.anchors:
        raise ValueError("The dataset is empty. Expected a row for each pair of texts.")
    return pairs


def of_dataset(data: Dataset, anchor: str | None, positive: str | None) -> Pairs:
    """Read two columns of a Dataset."""
    names = list(data.column_names)
    anchor, positive = named_or_first(names, names, anchor, positive)
    columns = [
        [
            checked_text(text, name, f"row {number} of the dataset", may_be_empty=True)
            for number, text in enumerate(data[name])
        ]
        for name in (anchor, positive)
    ]
    return Pairs(anchor, positive, *columns)


def of_rows(data: Data, anchor: str | None, positive: str | None, form: str | None) -> Pairs:
    """Read two columns of training data."""
    found: tuple[str, str] | None = None
    columns: tuple[list[str], list[str]] = [], []
    for values, origin in records_of(data, form):
        if found is None:
            names = [str(name) for name in values]
            texts, _, _ = divided(names)
            found = named_or_first(names, ordered(texts, origin), anchor, positive)
            if found != (anchor, positive):
                tell_pair(*found, origin)
        for name, column in zip(found, columns, strict=True):
            if name not in values:
                raise TrainingError(f"{origin} has no column {name!r}, which the first row has.")
            column.append(checked_text(values[name], name, origin))
    return Pairs(*(found or ("", "")), *columns)


def named_or_first(
    names: list[str], texts: list[str], anchor: str | None, positive: str | None
) -> tuple[str, str]:
    """Choose the columns of anchors and of positives: the named ones, else the first two texts."""
    found = []
    for place, (argument, name) in enumerate((("anchor", anchor), ("positive", positive))):
        if name and name in names:
            found.append(name)
            continue
        if len(texts) <= place:
            raise ValueError(
                f"The dataset has {len(texts)} columns of texts: {', '.join(names) or 'none'}. "
                "Expected two, of the anchors and of the positives."
            )
        found.append(texts[place])
        if name:
            logger.warning(
                "%s_column_name is %r, and the dataset has no such column; %r is taken. It has %s.",
                argument, name, texts[place], ", ".join(names),
            )  # fmt: skip
    if found[0] == found[1]:
        raise ValueError(
            f"The column {found[0]!r} would be both anchor and positive. Name both columns: "
            f"anchor_column_name and positive_column_name, of {', '.join(names)}."
        )
    return found[0], found[1]


def unique_texts(pairs: Pairs, corpus: Iterable[str] | None = None) -> Texts:
    """Number queries and documents, each once, and find the positives of each query.

    The documents are the texts of the corpus, then those positives that it does not have. All rows
    with the same anchor are positives of one query.

    Raises ValueError for a text of the corpus that is no str.
    """
    given = [] if corpus is None else list(corpus)  # once: it may be a generator
    for number, text in enumerate(given):
        if not isinstance(text, str):
            raise ValueError(f"corpus[{number}] is {text!r:.60}; expected a text.")
    numbers: dict[str, int] = {}
    for text in chain(given, pairs.positives):
        numbers.setdefault(text, len(numbers))
    of_query: dict[str, dict[int, None]] = {}  # its positives, each once
    for query, positive in zip(pairs.anchors, pairs.positives, strict=True):
        of_query.setdefault(query, {})[numbers[positive]] = None
    counts = [len(found) for found in of_query.values()]
    return Texts(
        list(of_query),
        list(numbers),
        np.repeat(np.arange(len(of_query)), counts),
        np.fromiter(chain.from_iterable(of_query.values()), np.int64),
    )


def rows_of_one_query(pairs: Pairs) -> int:
    """Return the largest number of rows with one anchor; repeated pairs count, too."""
    return max(Counter(pairs.anchors).values())
