"""A Spark DataFrame (https://spark.apache.org) with a column of vectors, in all its tasks.

from minibert.integrations.spark import embed

passages = spark.read.parquet("passages")
embed(passages, "sentence-transformers/all-MiniLM-L6-v2").write.parquet("vectors")

Each Python worker has one model. Spark starts the workers, feeds them, and repeats failed tasks.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from minibert.common.advice import needing

with needing("PySpark", "minibert.integrations.spark", "spark"):
    import pyarrow
    from pyspark.sql import DataFrame
    from pyspark.sql.types import ArrayType, ByteType, DataType, FloatType, StructField, StructType

from minibert.integrations.arrow import Encoder, check_precision

__all__ = ["Encoder", "embed"]

# Spark has no floating-point numbers of 16 bits.
NUMBERS: dict[str, DataType] = {"float32": FloatType(), "binary": ByteType()}

# The encoder of this Python worker, for many tasks, by the arguments that it was made with.
HELD: dict[str, Encoder] = {}


def embed(
    frame: DataFrame,
    model: str | os.PathLike[str],
    *,
    into: str = "vector",
    precision: str = "float32",
    **arguments: Any,  # Encoder's own
) -> DataFrame:
    """Add the vectors of a column of texts to a frame: n rows -> n rows, arrays of D numbers.

    `model` is a hub's name, or a folder that every machine has at the same path. A task computes on
    spark.task.cpus cores. `precision` is "float32", or "binary" for arrays of D/8 bytes. Other
    `arguments` are those of Encoder: column, prompt_name, prompt, normalize_embeddings,
    pack_tokens, and those of SentenceTransformer.

    Nothing is computed, and no error of Encoder is raised, before the frame is read or written.
    Raises ValueError for another precision.
    """
    check_precision(precision, list(NUMBERS))
    # A process sees all cores of its machine, not only those that Spark gave it.
    threads = int(frame.sparkSession.conf.get("spark.task.cpus", "1"))
    settings = {"threads": threads, "into": into, "precision": precision, **arguments}
    vector = StructField(into, ArrayType(NUMBERS[precision], containsNull=False), nullable=False)
    schema = StructType([*frame.schema.fields, vector])
    function = partial(encoded, os.fspath(model), settings)
    return frame.mapInArrow(function, schema)


def encoded(model: str, settings: dict[str, Any], batches: Iterable[Any]) -> Iterator[Any]:
    """Add the vectors to the record batches of a task."""
    encoder = encoder_of(model, settings)
    for batch in batches:
        yield with_lists(encoder(batch), encoder.into)


def encoder_of(model: str, settings: dict[str, Any]) -> Encoder:
    """Return the encoder of this Python worker; for other arguments, make another in its place."""
    key = repr((model, settings))
    if key not in HELD:
        HELD.clear()
        HELD[key] = Encoder(model, **settings)
    return HELD[key]


def with_lists(batch: Any, column: str) -> Any:
    """Convert the vectors of a batch to lists of any length, the only lists that Spark has."""
    place = batch.schema.get_field_index(column)
    vectors = batch.column(place)
    return batch.set_column(place, column, vectors.cast(pyarrow.list_(vectors.type.value_type)))
