"""Rows of training data -> texts in the order of a loss, and a label; each row is checked.

No files. Start at Columns.
"""

from __future__ import annotations

import json
import logging
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, count
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from minibert.common.arguments import type_of
from minibert.errors import TrainingError

__all__ = [
    "Batch",
    "Columns",
    "Row",
    "batch_of_rows",
    "batch_told",
    "checked_text",
    "divided",
    "is_example",
    "ordered",
    "tell_pair",
    "values_of",
]

logger = logging.getLogger(__name__)

LABELS = ("label", "labels", "score", "scores")  # the first that a row has is its label
# Columns that number the rows; pandas writes the last two for its index.
IDS = re.compile(r"id|.*_(id|ids|idx)||__index_level_\d+__")
QUERY, SENTENCE, POSITIVE, NEGATIVE, OTHER = range(5)  # places of texts, in their order
QUERIES = ("query", "anchor")
NUMBERED_NEGATIVE = re.compile(r"negative(?:_(\d+))?")
NUMBERED_SENTENCE = re.compile(r"sentence_?(\d+)")
NUMBERED_TEXT = re.compile(r"text \d+")  # of a tuple, which is in order
MAX_LABEL = float(np.finfo(np.float32).max)  # losses are computed in float32


class Row(NamedTuple):
    """One example: its texts in the order of the columns, and its label."""

    texts: list[str]
    label: NDArray[np.float64] | None  # of shape () for a number, (n,) for a list of numbers


class Batch(NamedTuple):
    """Examples of a training step, by columns."""

    texts: list[list[str]]  # each column with its B texts
    labels: NDArray[np.float64] | None  # (B,) for a number a row, (B, n) for a list of numbers
    origins: list[str]  # place of each example in the data, as "FILE, line 3"


def batch_of_rows(rows: Sequence[Row], origins: list[str]) -> Batch:
    """Make a batch of the rows of B examples, which have equal columns."""
    texts = [list(column) for column in zip(*(row.texts for row in rows), strict=True)]
    labels = [row.label for row in rows if row.label is not None]
    return Batch(texts, np.stack(labels) if labels else None, origins)


def batch_told(batch: Batch) -> str:
    """Name all examples of a batch, which is shuffled."""
    return f"the examples {'; '.join(batch.origins):.1000}"


class Columns:
    """Columns of texts and of the label, as the first row of the data has them.

    The label is the first of the columns label, labels, score and scores. A column of ids, as "id"
    or "query_id", is left out, with a warning. (sentence-transformers trains on it as on a text.)
    Of the texts, query or anchor comes first, then sentence1, sentence2 and so on by their numbers,
    then positive, then negative, negative_1 and so on. Other columns follow, in their order. If
    query, anchor and sentences are missing, all keep their order. The log tells the use of columns.
    """

    def __init__(
        self,
        values: Mapping[str, Any],
        origin: str,
        *,
        may_be_empty: bool = False,
        has_labels: bool = True,
    ) -> None:
        """Find the columns in the first row, whose place is `origin`.

        With `may_be_empty`, a text may be empty. Without `has_labels`, the rows that are made have
        no label, so it may be anything. Raises TrainingError for a row without a text.
        """
        names = [str(name) for name in values]
        self.names = names  # all columns of the first row
        self.may_be_empty = may_be_empty  # whether an empty text is one
        texts, self.label, ids = divided(names)  # `label` is the name of its column
        self.has_labels = has_labels  # whether rows have the label
        self.label_shape: tuple[int, ...] | None = None  # of the first row's label
        if ids:
            logger.warning(
                "%s: the columns %s look like ids and are left out. Rename a column that holds "
                "texts.",
                origin,
                quoted(ids),
            )
        if not texts:
            raise TrainingError(
                f"{origin} has no column of texts; it has {quoted(names)}. Expected columns as "
                "query and positive, or sentence1, sentence2 and label."
            )
        found = dict(zip(names, values.values(), strict=True))
        self.check_no_numbers({name: found[name] for name in texts}, origin)
        self.texts = ordered(texts, origin)  # columns of texts, in the order of a loss
        tell_use(self.texts, self.label if has_labels else None, origin)

    def check_no_numbers(self, values: Mapping[str, Any], origin: str) -> None:
        """Raise TrainingError if a column without a known place holds a number in the first row.

        It is a label under another name: trained on as a text, it would change the model silently.
        """
        for name, value in values.items():
            if not is_known(name) and is_number(value):
                advice = "name it label or score if it is the label"
                if self.label is not None:
                    advice = f"leave it out, as the label is {self.label!r}"
                raise TrainingError(
                    f"{origin}: column {name!r} holds numbers, not texts, as {value!r:.60}; "
                    f"{advice}. Texts that are numerals need a name as query, positive or "
                    "sentence1."
                )

    def row(self, values: Mapping[str, Any], origin: str) -> Row:
        """Check a row, whose place is `origin`, and take its texts and its label.

        Raises TrainingError for other columns than in the first row, for an empty text or one that
        is no text, and for a label that is no number, or has another length than the first.
        """
        if values.keys() != set(self.names):
            raise TrainingError(self.difference(values, origin))
        texts = [
            checked_text(values[name], name, origin, may_be_empty=self.may_be_empty)
            for name in self.texts
        ]
        if self.label is None or not self.has_labels:
            return Row(texts, None)
        label = label_of(values[self.label], self.label, origin)
        if self.label_shape is None:
            self.label_shape = label.shape
        if label.shape != self.label_shape:
            raise TrainingError(
                f"{origin}: {self.label} is {counted(label.shape)}, in the first row it is "
                f"{counted(self.label_shape)}. Every row needs equally many."
            )
        return Row(texts, label)

    def difference(self, values: Mapping[str, Any], origin: str) -> str:
        """Message about a row with other columns than the first."""
        found = f"it has {quoted(values) or 'none'}"
        lost = [name for name in self.names if name not in values]
        if lost:
            return f"{origin} has no column {lost[0]!r}, which the first row has; {found}."
        more = next(name for name in values if name not in self.names)
        return f"{origin} has a column {more!r}, which the first row does not have; {found}."


def values_of(example: object, origin: str) -> Mapping[str, Any]:
    """Return the values of an example by column.

    An example is a dict, or has `texts` and a `label`, as an InputExample, or is a tuple or list of
    texts with a label behind them if the last is no text. Raises TrainingError for anything else.
    """
    if isinstance(example, Mapping):
        return example
    if hasattr(example, "texts") and hasattr(example, "label"):
        if not isinstance(example.texts, list | tuple):
            raise TrainingError(
                f"{origin}: texts is {example.texts!r:.60}; expected a list of texts."
            )
        return {**numbered(example.texts), "label": example.label}
    if isinstance(example, list | tuple):
        if any(map(is_example, example)):
            raise TrainingError(
                f"{origin} is a batch of examples, {example!r:.60}; expected one example. Give the "
                "list of examples itself, and batch_size."
            )
        if not example or isinstance(example[-1], str):
            return numbered(example)
        return {**numbered(example[:-1]), "label": example[-1]}
    raise TrainingError(
        f"{origin} is {type_of(example)}, {example!r:.60}; expected a dict of columns, a tuple of "
        "texts with or without a label, or an InputExample."
    )


def is_example(value: object) -> bool:
    """Return whether a value is a dict, or has `texts` and a `label`, as an InputExample."""
    return isinstance(value, Mapping) or (hasattr(value, "texts") and hasattr(value, "label"))


def numbered(texts: Sequence[Any]) -> dict[str, Any]:
    """Name texts by their numbers, from 1."""
    return {f"text {number}": text for number, text in enumerate(texts, start=1)}


def divided(names: list[str]) -> tuple[list[str], str | None, list[str]]:
    """Divide columns into those of texts, the label's, and those of ids; each in its order."""
    label = next((name for name in LABELS if name in names), None)
    ids = [name for name in names if IDS.fullmatch(name)]
    return [name for name in names if name != label and name not in ids], label, ids


def checked_text(value: object, name: str, origin: str, *, may_be_empty: bool = False) -> str:
    """Return one text of a row, of the column `name`. Raises TrainingError for anything else."""
    if not isinstance(value, str):
        advice = ""
        if isinstance(value, list | tuple):
            advice = " Give one row for each, or columns negative_1, negative_2."
        raise TrainingError(f"{origin}: {name} is {value!r:.60}; expected a text.{advice}")
    if not (may_be_empty or value.strip()):
        raise TrainingError(f"{origin}: {name} is empty. Fill it in, or leave the row out.")
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise TrainingError(
            f"{origin}: {name} holds {value[error.start]!r}, half of a surrogate pair, which "
            "is no character."
        ) from error
    return value


def ordered(names: list[str], origin: str) -> list[str]:
    """Order columns of texts as a loss takes them.

    If none is known to come first, all keep their order. Raises TrainingError for two that do.
    """
    places = {name: place_of(name) for name in names}
    queries = [name for name in names if places[name][0] == QUERY]
    if len(queries) > 1:
        raise TrainingError(
            f"{origin} has the columns {quoted(queries)}, which are two names of one text. Leave "
            "one out."
        )
    has_first = any(places[name][0] in (QUERY, SENTENCE) for name in names)
    return sorted(names, key=places.__getitem__) if has_first else names


def tell_use(texts: list[str], label: str | None, origin: str) -> None:
    """Log how columns are used; a warning if one of several texts has no known place."""
    ordinals = chain(("first", "second", "third"), map("number {}".format, count(4)))
    told = [f"{name} ({ordinal})" for name, ordinal in zip(texts, ordinals, strict=False)]
    message = f"{origin}: texts: {quoted(told)}; label: {label or 'none'}."
    others = [name for name in texts if not is_known(name)]
    level = logging.INFO
    if others and len(texts) > 1:
        level = logging.WARNING
        message += (
            f" These have no known place: {quoted(others)}. All texts are used. Leave a column "
            "out, or rename it, as query or positive, if its place is wrong."
        )
    logger.log(level, "%s", message)


def tell_pair(query: str, positive: str, origin: str) -> None:
    """Log a warning of the use of two columns unless their names tell it."""
    firsts, seconds = (QUERY, SENTENCE), (SENTENCE, POSITIVE)
    for name, places in ((query, firsts), (positive, seconds)):
        if place_of(name)[0] not in places and not NUMBERED_TEXT.fullmatch(name):
            logger.warning(
                "%s: the column %s is taken as the query, and %s as the positive. Rename them to "
                "query and positive if that is wrong.",
                origin, query, positive,
            )  # fmt: skip
            return


def is_known(name: str) -> bool:
    """Return whether a column of texts has a place by its name, or is of a tuple."""
    return place_of(name)[0] != OTHER or NUMBERED_TEXT.fullmatch(name) is not None


def place_of(name: str) -> tuple[int, int]:
    """Place of a column by its name, and its number there."""
    if name in QUERIES:
        return QUERY, 0
    sentence = NUMBERED_SENTENCE.fullmatch(name)
    if sentence:
        return SENTENCE, int(sentence[1])
    if name == "positive":
        return POSITIVE, 0
    negative = NUMBERED_NEGATIVE.fullmatch(name)
    return (NEGATIVE, int(negative[1] or 0)) if negative else (OTHER, 0)


def label_of(value: Any, name: str, origin: str) -> NDArray[np.float64]:
    """Return the label of a row, from the column `name`: of shape () or (n,).

    A table holds texts alone, so a number, or a JSON list of them, may also be a text. Raises
    TrainingError for anything else, for an empty list, and for a number that float32 cannot hold.
    """
    given = value.tolist() if hasattr(value, "tolist") else value  # of NumPy or torch
    if isinstance(given, str):
        given = number_in(given)
    is_list = isinstance(given, list | tuple)
    numbers = list(given) if is_list else [given]
    if not numbers or not all(isinstance(number, Real) for number in numbers):
        raise TrainingError(
            f"{origin}: {name} is {value!r:.60}; expected a number, or a list of numbers."
        )
    wrong = [n for n in numbers if not abs(n) <= MAX_LABEL]  # also true of NaN
    if wrong:
        raise TrainingError(f"{origin}: {name} holds {wrong[0]}, which is no finite float32.")
    label = np.array(numbers, dtype=np.float64)
    return label if is_list else label.reshape(())


def is_number(value: object) -> bool:
    """Return whether a value is a number, or a text that is a finite one."""
    number = number_in(value) if isinstance(value, str) else value
    return isinstance(number, Real) and (value is number or math.isfinite(float(number)))


def number_in(text: str) -> Any:
    """Return the number, or the list in JSON, that a text holds; None if it holds neither."""
    try:
        return json.loads(text) if text.lstrip().startswith("[") else float(text)
    except (ValueError, RecursionError):
        return None


def counted(shape: tuple[int, ...]) -> str:
    """Say how many numbers a label of this shape has."""
    return f"a list of {shape[0]}" if shape else "one number"


def quoted(names: Iterable[object]) -> str:
    """Join names for a message."""
    return f"{', '.join(map(str, names)):.200}"
