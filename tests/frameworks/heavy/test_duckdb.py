"""DuckDB: a file of texts and vectors that is written, closed, opened and searched in SQL."""

import sys
from importlib import import_module

import duckdb
import numpy as np
import pytest
from exact_neighbours import assert_nearest

from minibert import MissingLibraryError, SentenceTransformer
from minibert.integrations.duckdb import register

NEAREST = """
    SELECT id FROM notes ORDER BY embedding_score(vector, embed_query(?)) DESC LIMIT 10
"""


def test_a_reopened_table_finds_the_nearest(cranfield, minilm_folder, dot_folder, tmp_path):
    for folder in (minilm_folder, dot_folder):
        path = tmp_path / f"{folder.name}.duckdb"
        with duckdb.connect(path) as connection:
            register(connection, folder, on_long="ignore")
            connection.execute("CREATE TABLE texts (id VARCHAR, text VARCHAR)")
            connection.executemany(
                "INSERT INTO texts VALUES (?, ?)", [*cranfield.documents.items()]
            )
            connection.execute(
                "CREATE TABLE notes AS SELECT *, embed_document(text) AS vector FROM texts"
            )
        with duckdb.connect(path) as connection:
            model = register(connection, folder, on_long="ignore")
            found = [
                [id for (id,) in connection.execute(NEAREST, [query]).fetchall()]
                for query in cranfield.queries.values()
            ]
        assert_nearest(model, cranfield, found)


def test_a_missing_pyarrow_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.delitem(sys.modules, "minibert.integrations.duckdb")
    expected = r"^minibert.integrations.duckdb needs pyarrow, .* Install it: pip install pyarrow\.$"
    with pytest.raises(MissingLibraryError, match=expected):
        import_module("minibert.integrations.duckdb")


@pytest.mark.parametrize("metric", ["cosine", "dot", "euclidean"])
def test_scores_are_those_of_the_model_s_metric(dot_folder, metric):
    connection = duckdb.connect()
    model = register(connection, dot_folder, similarity_fn_name=metric)
    question = "SELECT embedding_score(embed_document('the cat'), embed_query('a dog'))"
    ((score,),) = connection.execute(question).fetchall()
    expected = model.similarity(model.encode("the cat"), model.encode("a dog"))
    assert score == pytest.approx(expected.item(), rel=1e-5)


def test_a_metric_that_duckdb_does_not_have_is_refused(dot_folder):
    with pytest.raises(
        ValueError, match="'manhattan', but DuckDB compares by 'cosine' or 'dot' or"
    ):
        register(duckdb.connect(), dot_folder, similarity_fn_name="manhattan")


def test_queries_and_documents_have_their_own_prompts(dot_folder):
    connection = duckdb.connect()
    register(connection, dot_folder, prompts={"query": "the dog ", "document": "a cat "})
    plain = SentenceTransformer(dot_folder)
    question = "SELECT embed_query('barks'), embed_document('barks')"
    ((query, document),) = connection.execute(question).fetchall()
    np.testing.assert_array_equal(np.float32(query), plain.encode("the dog barks"))
    np.testing.assert_array_equal(np.float32(document), plain.encode("a cat barks"))


def test_a_missing_text_has_no_vector(dot_folder):
    connection = duckdb.connect()
    register(connection, dot_folder)
    rows = "(VALUES (1, 'the cat'), (2, NULL), (3, '')) AS texts(id, text)"
    found = connection.execute(
        f"SELECT id FROM {rows} WHERE embed_document(text) IS NULL"
    ).fetchall()
    assert found == [(2,)]
    assert connection.execute("SELECT embed_query(NULL)").fetchall() == [(None,)]


def test_a_second_call_replaces_the_model(dot_folder, minilm_folder):
    connection = duckdb.connect()
    for folder, dimension in ((dot_folder, 20), (minilm_folder, 384), (dot_folder, 20)):
        register(connection, folder)
        ((found,),) = connection.execute("SELECT embed_query('the cat')").fetchall()
        assert len(found) == dimension
