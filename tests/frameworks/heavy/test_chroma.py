"""Chroma: collections that are written, closed, opened by another process, and searched."""

import json
import subprocess
import sys
from types import SimpleNamespace

import chromadb
import numpy as np
import pytest
from exact_neighbours import assert_nearest
from golden_files import copy_of, edit_json
from other_processes import environment

from minibert import CorpusError, SentenceTransformer
from minibert.integrations.chroma import MinibertEmbeddingFunction

# Every document is a neighbour of every other in the graph, and all are looked at: exact.
ALL = {"max_neighbors": 200, "ef_construction": 200, "ef_search": 200}
# Another program, which does not name the model; its arguments are a folder, and the queries.
REOPEN = """
import json, sys
from staying_here import refuse_other_machines
refuse_other_machines()
import chromadb
from minibert.integrations import chroma
notes = chromadb.PersistentClient(sys.argv[1]).get_collection("notes")
found = notes.query(query_texts=json.loads(sys.argv[2]), n_results=int(sys.argv[3]))
assert "torch" not in sys.modules
print(json.dumps(found["ids"]))
"""


@pytest.fixture
def client(tmp_path):
    return chromadb.PersistentClient(str(tmp_path / "store"))


def reopened(tmp_path, queries, k=1):
    """Search the collection of a folder in a new process."""
    arguments = [str(tmp_path / "store"), json.dumps(queries), str(k)]
    return subprocess.run(
        [sys.executable, "-c", REOPEN, *arguments],
        env=environment(),
        capture_output=True, text=True, check=False,
    )  # fmt: skip


def test_a_reopened_collection_finds_the_nearest(
    client, cranfield, minilm_folder, dot_folder, tmp_path
):
    for folder in (minilm_folder, dot_folder):
        function = MinibertEmbeddingFunction(folder, on_long="ignore")
        notes = client.get_or_create_collection(
            "notes", embedding_function=function, configuration={"hnsw": dict(ALL)}
        )
        documents = cranfield.documents
        notes.add(ids=list(documents), documents=list(documents.values()))
        queries = list(cranfield.queries.values())
        here = notes.query(query_texts=queries, n_results=10)["ids"]
        assert_nearest(function.model, cranfield, here)
        there = reopened(tmp_path, queries, 10)
        assert json.loads(there.stdout.splitlines()[-1]) == here, there.stderr
        client.delete_collection("notes")


@pytest.mark.parametrize(
    ("metric", "space"), [("cosine", "cosine"), ("dot", "ip"), ("euclidean", "l2")]
)
def test_the_space_is_the_one_of_the_model_s_metric(client, dot_folder, metric, space):
    function = MinibertEmbeddingFunction(dot_folder, similarity_fn_name=metric)
    notes = client.create_collection("notes", embedding_function=function)
    assert notes.configuration_json["hnsw"]["space"] == space
    assert function.supported_spaces() == [space]
    function.check(notes)


def test_a_metric_that_chroma_does_not_have_is_refused(dot_folder):
    with pytest.raises(
        ValueError, match="'manhattan', but Chroma compares by 'cosine' or 'dot' or"
    ):
        MinibertEmbeddingFunction(dot_folder, similarity_fn_name="manhattan")


def test_another_space_is_warned_of_and_refused_by_check(client, dot_folder):
    function = MinibertEmbeddingFunction(dot_folder)
    with pytest.warns(UserWarning, match="space cosine is not supported by minibert"):
        notes = client.create_collection(
            "notes", embedding_function=function, configuration={"hnsw": {"space": "cosine"}}
        )
    with pytest.raises(
        CorpusError, match=r"space 'cosine'; .* is dot, which is 'ip'\. Make it anew"
    ):
        function.check(notes)


def test_vectors_of_the_length_1_fit_any_space(client, minilm_folder):
    function = MinibertEmbeddingFunction(minilm_folder)
    assert function.default_space() == "cosine"
    notes = client.create_collection(
        "notes", embedding_function=function, configuration={"hnsw": {"space": "l2"}}
    )
    function.check(notes)


def test_queries_and_documents_have_their_own_prompts(client, dot_folder):
    prompts = {"query": "the dog ", "document": "a cat "}
    function = MinibertEmbeddingFunction(dot_folder, prompts=prompts)
    plain = SentenceTransformer(dot_folder)
    notes = client.create_collection("notes", embedding_function=function)
    notes.add(ids=["1"], documents=["barks"])
    (stored,) = notes.get(include=["embeddings"])["embeddings"]
    np.testing.assert_array_equal(stored, plain.encode("a cat barks"))
    (found,) = function.embed_query(["barks"])
    np.testing.assert_array_equal(found, plain.encode("the dog barks"))
    again = client.get_collection("notes").configuration["embedding_function"]
    np.testing.assert_array_equal(again.embed_query(["barks"])[0], found)
    assert again.model is function.model  # opened once


def test_one_text_is_a_list_of_one(dot_folder):
    function = MinibertEmbeddingFunction(dot_folder)
    for encode in (function, function.embed_query):
        np.testing.assert_array_equal(encode("the cat"), encode(["the cat"]))


def test_a_collection_whose_model_has_changed_is_refused(client, dot_folder, tmp_path):
    notes = client.create_collection(
        "notes", embedding_function=MinibertEmbeddingFunction(dot_folder)
    )
    notes.add(ids=["1"], documents=["the cat"])
    edit_json(dot_folder / "config.json", hidden_act="relu")
    refused = reopened(tmp_path, ["the cat"])
    assert "The store's vectors are not of" in refused.stderr.splitlines()[-1]
    edit_json(dot_folder / "config.json", hidden_act="gelu_new")
    assert json.loads(reopened(tmp_path, ["the cat"]).stdout) == [["1"]]


def test_a_collection_without_its_model_says_which_it_was(client, dot_folder, tmp_path):
    notes = client.create_collection(
        "notes", embedding_function=MinibertEmbeddingFunction(dot_folder)
    )
    notes.add(ids=["1"], documents=["the cat"])
    dot_folder.rename(tmp_path / "moved")
    refused = reopened(tmp_path, ["the cat"]).stderr.splitlines()[-1]
    assert "Could not build embedding function minibert" in refused
    assert f"{str(dot_folder)!r}. Expected the folder of a model" in refused


def test_another_model_of_one_dimension_is_refused_by_check(client, dot_folder, tmp_path):
    notes = client.create_collection(
        "notes", embedding_function=MinibertEmbeddingFunction(dot_folder)
    )
    other = MinibertEmbeddingFunction(copy_of("relu", tmp_path))
    assert other.model.dimension == 20
    with pytest.raises(CorpusError, match="Name the model or the folder that made them"):
        other.check(notes)
    with pytest.raises(CorpusError, match="cannot be compared"):
        notes.modify(configuration={"embedding_function": other})
    copied = MinibertEmbeddingFunction(copy_of("gelu_new", tmp_path / "copy"))
    notes.modify(configuration={"embedding_function": copied})  # the same weights elsewhere


def test_a_collection_of_another_function_is_refused_by_check(client, dot_folder):
    notes = client.create_collection("notes", embedding_function=None)
    with pytest.raises(CorpusError, match="has the embedding function None; expected 'minibert'"):
        MinibertEmbeddingFunction(dot_folder).check(notes)


def test_a_collection_of_chroma_s_own_function_is_told_the_way(client, dot_folder):
    own = {"type": "known", "name": "sentence_transformer", "config": {}}
    notes = SimpleNamespace(name="notes", configuration_json={"embedding_function": own})
    with pytest.raises(
        CorpusError, match=r"'sentence_transformer'; .* Call install\(\) of minibert"
    ):
        MinibertEmbeddingFunction(dot_folder).check(notes)


def test_a_token_is_not_stored_and_what_is_no_json_is_refused(client, dot_folder):
    function = MinibertEmbeddingFunction(dot_folder, token="hf_secret", truncate_dim=8)
    assert "hf_secret" not in json.dumps(function.get_config())
    assert function.build_from_config(function.get_config()).model.truncate_dim == 8
    with pytest.raises(
        TypeError, match=r"dtype is <class 'numpy.float32'>; expected a text, a numb"
    ):
        MinibertEmbeddingFunction(dot_folder, dtype=np.float32)
