"""SQL functions for DuckDB (https://duckdb.org): the vectors of texts, and the score of two.

import duckdb
from minibert.integrations.duckdb import register

connection = duckdb.connect("notes.duckdb")
register(connection, "sentence-transformers/all-MiniLM-L6-v2")
connection.sql("CREATE TABLE notes AS SELECT *, embed_document(text) AS vector FROM 'notes.csv'")
nearest = "ORDER BY embedding_score(vector, embed_query('Who barks?')) DESC LIMIT 10"
connection.sql(f"SELECT text FROM notes {nearest}").show()
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from minibert import SentenceTransformer
from minibert.common.advice import needing
from minibert.integrations.metric import store_metric

with needing("duckdb", "minibert.integrations.duckdb", at_least="1.4"):
    from duckdb import DuckDBPyConnection, InvalidInputException
with needing("pyarrow", "minibert.integrations.duckdb"):
    import pyarrow  # noqa: F401  # DuckDB passes columns as pyarrow's

    from minibert.integrations.arrow import column_of

__all__ = ["register"]

# Metric of a model -> score of two vectors in SQL; higher is closer.
SCORES = {
    "cosine": "array_cosine_similarity(a, b)",
    "dot": "array_inner_product(a, b)",
    "euclidean": "-array_distance(a, b)",
}


def register(
    connection: DuckDBPyConnection,
    model_name_or_path: str | os.PathLike[str],
    **arguments: Any,  # SentenceTransformer's own
) -> SentenceTransformer:
    """Give a connection the functions embed_document, embed_query and embedding_score.

    The first two turn a text into FLOAT[D], with the model's prompt for documents or questions;
    NULL stays NULL. The third scores two vectors by the model's metric, higher is closer. They end
    with the connection. A second call replaces them. `arguments` are SentenceTransformer's own.

    Returns the model. Raises ValueError for a model whose metric DuckDB does not have, and the
    errors of SentenceTransformer().
    """
    model = SentenceTransformer(model_name_or_path, **arguments)
    score = store_metric(model, SCORES, "DuckDB")
    kind = f"FLOAT[{model.get_embedding_dimension()}]"
    functions = {"embed_document": model.encode_document, "embed_query": model.encode_query}
    for name, encode in functions.items():
        with suppress(InvalidInputException):  # there is none yet
            connection.remove_function(name)
        connection.create_function(name, of_column(encode), ["VARCHAR"], kind, type="arrow")
    connection.execute(f"CREATE OR REPLACE TEMP MACRO embedding_score(a, b) AS {score}").fetchall()
    return model


# Any: columns of pyarrow, whose types are not used here, and a method with overloads.
def of_column(encode: Callable[[list[str]], Any]) -> Callable[[Any], Any]:  # as above
    """Make a function of an Arrow column of texts, which DuckDB passes, from one of a list."""

    def vectors(texts: Any) -> Any:
        return column_of(encode(texts.to_pylist()))

    return vectors
