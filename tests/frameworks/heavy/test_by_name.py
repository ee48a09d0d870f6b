"""Frameworks that build a model of sentence-transformers by name: with install(), one of minibert.

Each program is a process of its own, since install() holds for a whole process. It gets a folder,
documents and queries, and prints the ids of the ten nearest documents for each query. txtai's own
class needs torch itself: tests/reference/test_txtai.py.
"""

import json
import subprocess
import sys

import pytest
from exact_neighbours import assert_nearest
from other_processes import environment

BEGIN = """
import json, sys
from staying_here import refuse_other_machines
refuse_other_machines()
from minibert.integrations.sentence_transformers import install
install()
folder, documents, queries = json.loads(sys.stdin.read())
ids, texts = list(documents), list(documents.values())
"""
END = """
assert type(model).__module__.startswith("minibert."), type(model)
assert "torch" not in sys.modules
print(json.dumps(found))
"""
PROGRAMS = {
    "chroma": """
import chromadb
from chromadb.utils.embedding_functions import SentenceTransformerEmbeddingFunction
function = SentenceTransformerEmbeddingFunction(folder)
# Every document is a neighbour of every other in the graph, and all are looked at: exact.
graph = {"max_neighbors": 200, "ef_construction": 200, "ef_search": 200}
notes = chromadb.EphemeralClient().create_collection(
    "notes", embedding_function=function, configuration={"hnsw": graph}
)
notes.add(ids=ids, documents=texts)
found = notes.query(query_texts=queries, n_results=10)["ids"]
model = function._model
""",
    "lancedb": """
import lancedb
from lancedb.embeddings import get_registry
from lancedb.pydantic import LanceModel, Vector
function = get_registry().get("sentence-transformers").create(name=folder)

class Note(LanceModel):
    id: str
    text: str = function.SourceField()
    vector: Vector(function.ndims()) = function.VectorField()

notes = lancedb.connect("memory://").create_table("notes", schema=Note)
notes.add([{"id": id, "text": text} for id, text in documents.items()])
found = [[row["id"] for row in notes.search(query).limit(10).to_list()] for query in queries]
model = function.get_embedding_model()
""",
    "pymilvus.model": """
import numpy
from pymilvus.model.dense import SentenceTransformerEmbeddingFunction
function = SentenceTransformerEmbeddingFunction(folder)
vectors = numpy.array(function.encode_documents(texts))
assert vectors.shape == (200, function.dim) == (200, 384)
scores = numpy.array(function.encode_queries(queries)) @ vectors.T
found = [[ids[place] for place in row[:10]] for row in numpy.argsort(-scores, axis=1)]
model = function.model
""",
}


def run(program, given):
    """Run a program in a new process; its last line is JSON."""
    finished = subprocess.run(
        [sys.executable, "-c", BEGIN + program + END], input=json.dumps(given),
        env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    return json.loads(finished.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_framework_s_own_class_finds_the_nearest(name, cranfield, minilm_folder, minilm):
    given = [str(minilm_folder), cranfield.documents, list(cranfield.queries.values())]
    assert_nearest(minilm, cranfield, run(PROGRAMS[name], given))


def test_pymilvus_s_own_reranker_ranks_as_rank(one_label):
    from minibert import CrossEncoder

    texts = ["the cat", "a dog barks", "London", "the dog sat."]
    program = """
from pymilvus.model.reranker import CrossEncoderRerankFunction
function = CrossEncoderRerankFunction(folder, device="cpu")
ranked = function(queries, texts, top_k=3)
found = [[result.index, float(result.score)] for result in ranked]
model = function.model
"""
    found = run(program, [str(one_label), dict(enumerate(texts)), "who barks"])
    ours = CrossEncoder(one_label).rank("who barks", texts, top_k=3)
    assert [index for index, _ in found] == [hit["corpus_id"] for hit in ours]
    assert [score for _, score in found] == pytest.approx([hit["score"] for hit in ours], abs=1e-6)
