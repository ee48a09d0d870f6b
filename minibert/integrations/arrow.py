"""Vectors as a column of an Arrow table (https://arrow.apache.org), for engines that pass tables.

import pyarrow.parquet
from minibert.integrations.arrow import Encoder

encoder = Encoder("sentence-transformers/all-MiniLM-L6-v2", column="text")
table = encoder(pyarrow.parquet.read_table("passages.parquet"))
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, get_args

import numpy as np

from minibert import SentenceTransformer, quantize_embeddings
from minibert.common.advice import needing
from minibert.common.arguments import check_choice

with needing("pyarrow", "minibert.integrations.arrow", "parquet"):
    import pyarrow

__all__ = ["Encoder", "StoredPrecision", "check_precision"]

# int8 is missing: its codes need the ranges of the whole corpus, and a table is a part of it.
StoredPrecision: TypeAlias = Literal["float32", "float16", "binary"]


class Encoder:
    """A model that adds a column of vectors to a table, when it is called."""

    def __init__(
        self,
        model: str | os.PathLike[str],
        *,
        column: str = "text",
        into: str = "vector",
        precision: StoredPrecision = "float32",
        prompt_name: str | None = None,
        prompt: str | None = None,
        normalize_embeddings: bool = False,
        pack_tokens: int | None = None,
        **arguments: Any,
    ) -> None:
        """Load a folder or a model of the hub; `arguments` are SentenceTransformer's own.

        `column` holds the texts, and `into` is the new column of vectors. The others are those of
        encode_document(); without a prompt, its prompt is taken. `precision` is "float32",
        "float16", or "binary" for one bit per number, eight of them in an int8. `short_inputs` is
        the same as `reproducible`, unless it is given.

        Raises ValueError for another precision, and the errors of SentenceTransformer().
        """
        check_precision(precision)
        # A table with one short text is still a part of a corpus: a second copy of the weights for
        # short inputs would not pay. With `reproducible`, bits must be those of encode's calls.
        arguments.setdefault("short_inputs", bool(arguments.get("reproducible")))
        self.model = SentenceTransformer(model, **arguments)  # model, loaded
        self.column = column  # name of the column of texts
        self.into = into  # name of the new column of vectors
        self.precision = precision  # precision of the vectors
        self._encode_arguments: dict[str, Any] = {
            "prompt_name": prompt_name,
            "prompt": prompt,
            "normalize_embeddings": normalize_embeddings,
            "pack_tokens": pack_tokens,
            "show_progress_bar": False,
        }

    def __call__(self, table: Any) -> Any:
        """Add the vectors to a table or record batch: n rows -> n rows, one column more.

        The column has fixed-size lists of D numbers, or of D/8 for "binary". Raises ValueError if
        `column` is missing or `into` is there already, TypeError for a row without a text.
        """
        vectors = self.model.encode_document(self.texts(table), **self._encode_arguments)
        return table.append_column(self.into, column_of(stored(vectors, self.precision)))

    def texts(self, table: Any) -> Sequence[str]:
        """Read and check the texts of a table's rows."""
        if self.column not in table.column_names:
            raise ValueError(
                f"There is no column {self.column!r} to encode, only "
                f"{', '.join(map(repr, table.column_names))}. Name one with column=."
            )
        if self.into in table.column_names:
            raise ValueError(
                f"There is a column {self.into!r} already; name another with into=, or drop it."
            )
        texts: list[Any] = table.column(self.column).to_pylist()
        for number, text in enumerate(texts):
            if not isinstance(text, str):
                (row,) = table.slice(number, 1).to_pylist()
                raise TypeError(
                    f"{self.column} is {text!r:.60} in the row {row!r:.300}. Every row must have a "
                    "text; an empty one is allowed. Fill in or filter out the others first."
                )
        return texts


def check_precision(precision: str, known: Sequence[str] = get_args(StoredPrecision)) -> None:
    """Raise ValueError for a precision that is not one of `known`."""
    check_choice("precision", precision, known)


def stored(vectors: Any, precision: StoredPrecision) -> Any:
    """Convert vectors to a precision: (n, D) float32 -> (n, D) of its dtype, or (n, D/8) int8."""
    if precision == "binary":
        return quantize_embeddings(vectors, "binary")
    return vectors.astype(precision, copy=False)


def column_of(rows: Any) -> Any:
    """Turn a matrix into an Arrow column of lists, without a copy: (n, D) -> n."""
    numbers = pyarrow.array(np.ascontiguousarray(rows).reshape(-1))
    return pyarrow.FixedSizeListArray.from_arrays(numbers, rows.shape[1])
