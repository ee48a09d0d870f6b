"""The frameworks' own classes for sentence-transformers, unchanged, with minibert in its place.

Each is a program of its own: the stand-in is for a whole process.
"""

import json
import subprocess
import sys

import numpy as np
import pytest
from exact_neighbours import assert_nearest
from other_processes import environment

from minibert import CrossEncoder, SentenceTransformer

INSTALLED = """
import json, sys, warnings
warnings.simplefilter("ignore")
from staying_here import REFUSED, refuse_other_machines
refuse_other_machines()
from minibert.integrations.sentence_transformers import install
install()
folder, given = sys.argv[1], json.load(open(sys.argv[2]))
"""
LANGCHAIN = """
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_huggingface import HuggingFaceEmbeddings
embeddings = HuggingFaceEmbeddings(
    model_name=folder, model_kwargs={"device": "cpu"}, encode_kwargs={"batch_size": 64}
)
store = InMemoryVectorStore(embeddings)
store.add_texts(list(given["documents"].values()), ids=list(given["documents"]))
found = [[hit.id for hit in store.similarity_search(query, k=10)]
         for query in given["queries"].values()]
"""
LLAMA_INDEX = """
from llama_index.core import VectorStoreIndex
from llama_index.core.schema import TextNode
from llama_index.embeddings.huggingface import HuggingFaceEmbedding
embedding = HuggingFaceEmbedding(model_name=folder, device="cpu", embed_batch_size=64)
nodes = [TextNode(text=text, id_=id) for id, text in given["documents"].items()]
retriever = VectorStoreIndex(nodes, embed_model=embedding).as_retriever(similarity_top_k=10)
found = [[hit.node_id for hit in retriever.retrieve(query)] for query in given["queries"].values()]
"""
HAYSTACK = """
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import ComponentDevice
from haystack_integrations.components.embedders.sentence_transformers import (
    SentenceTransformersDocumentEmbedder, SentenceTransformersTextEmbedder)
cpu = {"model": folder, "device": ComponentDevice.from_str("cpu"), "progress_bar": False}
documents = [Document(id=id, content=text) for id, text in given["documents"].items()]
store = InMemoryDocumentStore(embedding_similarity_function="cosine")
store.write_documents(SentenceTransformersDocumentEmbedder(**cpu).run(documents)["documents"])
search = Pipeline()
search.add_component("embed", SentenceTransformersTextEmbedder(**cpu))
search.add_component("search", InMemoryEmbeddingRetriever(store, top_k=10))
search.connect("embed.embedding", "search.query_embedding")
found = [[hit.id for hit in search.run({"embed": {"text": query}})["search"]["documents"]]
         for query in given["queries"].values()]
"""
RERANK = """
from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.sbert_rerank import SentenceTransformerRerank
rerank = SentenceTransformerRerank(
    model=folder, device="cpu", top_n=3, cross_encoder_kwargs={"max_length": 32}
)
nodes = [NodeWithScore(node=TextNode(text=text), score=0.5) for text in given["documents"]]
found = [[hit.text, hit.score] for hit in rerank.postprocess_nodes(nodes, query_str=given["query"])]
"""
PRINTED = """
assert not REFUSED and "torch" not in sys.modules
print(json.dumps(found))
"""


@pytest.fixture
def printed(tmp_path):
    """Run a program on a model and what is given to it: printed(program, folder, given)."""

    def ran(program, folder, given):
        (tmp_path / "given.json").write_text(json.dumps(given), encoding="utf-8")
        done = subprocess.run(
            [sys.executable, "-c", INSTALLED + program + PRINTED, folder, tmp_path / "given.json"],
            env=environment(),
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout.splitlines()[-1])

    return ran


@pytest.mark.parametrize(
    "program", [LANGCHAIN, LLAMA_INDEX, HAYSTACK], ids=["langchain", "llama_index", "haystack"]
)
def test_a_framework_s_own_class_finds_the_nearest(program, printed, cranfield, short_folder):
    found = printed(program, short_folder, vars(cranfield))
    assert_nearest(SentenceTransformer(short_folder, on_long="ignore"), cranfield, found)


def test_llama_index_s_own_rerank_orders_by_the_cross_encoder(printed, one_label):
    given = {"query": "the cat sat", "documents": ["a dog barks", "London", "the cat sat.", "cats"]}
    found = printed(RERANK, one_label, given)
    hits = CrossEncoder(one_label).rank(given["query"], given["documents"])[:3]
    assert [text for text, _ in found] == [given["documents"][hit["corpus_id"]] for hit in hits]
    np.testing.assert_allclose(
        [score for _, score in found], [hit["score"] for hit in hits], atol=1e-6
    )
