"""LanceDB: tables that are written, opened by another process, and searched by text."""

import asyncio
import json
import subprocess
import sys

import lancedb
import numpy as np
import pytest
from exact_neighbours import assert_nearest
from golden_files import copy_of, edit_json
from lancedb.embeddings import get_registry
from lancedb.pydantic import LanceModel, Vector
from other_processes import environment

from minibert import CorpusError, SentenceTransformer
from minibert.integrations.lancedb import MinibertFunction

# Another program, which does not name the model: its arguments are a folder and the queries.
REOPEN = """
import json, sys
from staying_here import refuse_other_machines
refuse_other_machines()
import lancedb
from minibert.integrations import lancedb as _
notes = lancedb.connect(sys.argv[1]).open_table("notes")
distance = notes.embedding_functions["vector"].function.distance_type
found = [
    [row["id"] for row in notes.search(query).distance_type(distance).limit(10).to_list()]
    for query in json.loads(sys.argv[2])
]
assert "torch" not in sys.modules
print(json.dumps(found))
"""


def table_of(function, folder):
    """A new table of ids and texts."""

    class Note(LanceModel):
        id: str
        text: str = function.SourceField()
        vector: Vector(function.ndims()) = function.VectorField()

    return lancedb.connect(folder).create_table("notes", schema=Note, mode="overwrite")


def filled(function, folder, cranfield):
    notes = table_of(function, folder)
    notes.add([{"id": id, "text": text} for id, text in cranfield.documents.items()])
    return notes


def ids_of(notes, queries, distance_type=None):
    """Ids of the documents nearest to each query, ten of each."""
    searches = (notes.search(query).limit(10) for query in queries)
    return [
        [
            row["id"]
            for row in (search.distance_type(distance_type) if distance_type else search).to_list()
        ]
        for search in searches
    ]


def reopened(folder, queries):
    """Search a table in a new process."""
    return subprocess.run(
        [sys.executable, "-c", REOPEN, str(folder), json.dumps(queries)],
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_reopened_table_finds_the_nearest(cranfield, minilm_folder, dot_folder, tmp_path):
    queries = list(cranfield.queries.values())
    for folder in (minilm_folder, dot_folder):
        function = MinibertFunction.create(model_name_or_path=folder, on_long="ignore")
        notes = filled(function, tmp_path / "store", cranfield)
        here = ids_of(notes, queries, function.distance_type)
        assert_nearest(function.model, cranfield, here)
        there = reopened(tmp_path / "store", queries)
        assert json.loads(there.stdout) == here, there.stderr


@pytest.mark.parametrize(
    ("metric", "distance"), [("cosine", "cosine"), ("dot", "dot"), ("euclidean", "l2")]
)
def test_the_distance_is_the_one_of_the_model_s_metric(dot_folder, metric, distance):
    function = MinibertFunction.create(model_name_or_path=dot_folder, similarity_fn_name=metric)
    assert function.distance_type == distance


def test_a_metric_that_lancedb_does_not_have_is_refused(dot_folder):
    with pytest.raises(
        ValueError, match="'manhattan', but LanceDB compares by 'cosine' or 'dot' or"
    ):
        MinibertFunction.create(model_name_or_path=dot_folder, similarity_fn_name="manhattan")


def test_a_cosine_model_is_right_by_lancedb_s_own_distance(cranfield, dot_folder, tmp_path):
    function = MinibertFunction.create(
        model_name_or_path=dot_folder, similarity_fn_name="cosine", on_long="ignore"
    )
    notes = filled(function, tmp_path / "store", cranfield)
    vectors = np.array(notes.to_arrow()["vector"].to_pylist())
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-6)
    assert_nearest(function.model, cranfield, ids_of(notes, cranfield.queries.values()))


def test_a_dot_model_is_warned_of_once_and_has_its_own_vectors(dot_folder, tmp_path, caplog):
    function = MinibertFunction.create(model_name_or_path=dot_folder)
    notes = table_of(function, tmp_path / "store")
    notes.add([{"id": "1", "text": "the cat"}])
    (row,) = notes.search("a cat").to_list()
    notes.search("a dog").to_list()
    expected = SentenceTransformer(dot_folder).encode("the cat")
    np.testing.assert_array_equal(np.float32(row["vector"]), expected)
    (said,) = [record.getMessage() for record in caplog.records]
    assert said.startswith(
        f"The metric of {dot_folder} is the dot product, and LanceDB searches by"
    )


def test_queries_and_documents_have_their_own_prompts(dot_folder, tmp_path):
    prompts = {"query": "the dog ", "document": "a cat "}
    function = MinibertFunction.create(model_name_or_path=dot_folder, prompts=prompts)
    plain = SentenceTransformer(dot_folder)
    (found,) = function.compute_query_embeddings("barks")
    np.testing.assert_array_equal(found, plain.encode("the dog barks"))
    (found,) = function.compute_source_embeddings(["barks"])
    np.testing.assert_array_equal(found, plain.encode("a cat barks"))
    notes = table_of(function, tmp_path / "store")
    (found,) = asyncio.run(first_queries(notes, tmp_path / "store"))
    np.testing.assert_array_equal(found, plain.encode("the dog barks"))


async def first_queries(notes, folder):
    """What a table that is opened by LanceDB's asynchronous client computes for a query."""
    table = await (await lancedb.connect_async(folder)).open_table("notes")
    functions = await table.embedding_functions()
    again = functions["vector"].function
    assert again.model is notes.embedding_functions["vector"].function.model  # opened once
    return again.compute_query_embeddings("barks")


def test_a_table_whose_model_has_changed_is_refused(cranfield, dot_folder, tmp_path):
    notes = table_of(MinibertFunction.create(model_name_or_path=dot_folder), tmp_path / "store")
    notes.add([{"id": "1", "text": "the cat"}])
    edit_json(dot_folder / "config.json", hidden_act="relu")
    refused = reopened(tmp_path / "store", ["the cat"]).stderr
    assert "CorpusError: The store's vectors are not of" in refused.splitlines()[-1]
    dot_folder.rename(tmp_path / "moved")
    refused = reopened(tmp_path / "store", ["the cat"]).stderr
    assert f"{str(dot_folder)!r}. Expected the folder of a model" in refused.splitlines()[-1]


def test_a_sample_of_another_model_is_refused_by_name(dot_folder, tmp_path):
    given = MinibertFunction.create(model_name_or_path=dot_folder).safe_model_dump()
    other = copy_of("relu", tmp_path)
    with pytest.raises(CorpusError, match=rf"not of {other}: .* cannot be compared"):
        MinibertFunction.create(**{**given, "model_name_or_path": other})
    MinibertFunction.create(**{**given, "model_name_or_path": str(dot_folder)})


def test_an_error_of_the_model_comes_at_once_and_as_it_is(dot_folder):
    function = MinibertFunction.create(model_name_or_path=dot_folder)
    for compute in (
        function.compute_query_embeddings_with_retry,
        function.compute_source_embeddings_with_retry,
    ):
        with pytest.raises(TypeError, match="Text 1 of 2 is a NoneType"):
            compute(["the cat", None])


def test_a_token_is_not_stored_and_what_is_no_json_is_refused(dot_folder):
    with pytest.raises(ValueError, match="Sensitive key 'token' cannot be set to a hardcoded"):
        MinibertFunction.create(model_name_or_path=dot_folder, token="hf_secret")
    get_registry().set_var("hub", "hf_secret")
    function = MinibertFunction.create(model_name_or_path=dot_folder, token="$var:hub")
    assert function.safe_model_dump()["token"] == "$var:hub"
    with pytest.raises(TypeError, match=r"dtype is <class 'numpy.float32'>; expected a text"):
        MinibertFunction.create(model_name_or_path=dot_folder, dtype=np.float32)
    with pytest.raises(TypeError, match="truncate_dims"):
        MinibertFunction.create(model_name_or_path=dot_folder, truncate_dims=3)
