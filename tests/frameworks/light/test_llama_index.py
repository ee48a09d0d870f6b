"""LlamaIndex: an index that is persisted and loaded again, prompts, saved settings, re-ranking."""

import json
import logging
import pickle
import threading

import numpy as np
import pytest
from exact_neighbours import assert_nearest
from golden_files import GOLDEN
from llama_index.core import StorageContext, VectorStoreIndex, load_index_from_storage
from llama_index.core.base.embeddings.base import SimilarityMode
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.llms import MockLLM
from llama_index.core.schema import NodeWithScore, TextNode
from prompted import DOCUMENT, PROMPTS, QUERY
from pydantic import ValidationError

from minibert import CrossEncoder, SentenceTransformer
from minibert.integrations.llama_index import MinibertEmbedding, MinibertRerank

OFFERED = ["a dog barks", "London", "the cat sat.", "cats"]


def nodes(texts):
    return [TextNode(text=text, id_=id) for id, text in texts.items()]


def scored(texts=OFFERED):
    return [NodeWithScore(node=TextNode(text=text), score=0.5) for text in texts]


def test_a_reopened_index_finds_the_nearest(cranfield, short_folder, tmp_path):
    embedding = MinibertEmbedding(short_folder, on_long="ignore")
    index = VectorStoreIndex(nodes(cranfield.documents), embed_model=embedding)
    index.storage_context.persist(tmp_path)
    again = load_index_from_storage(
        StorageContext.from_defaults(persist_dir=str(tmp_path)),
        embed_model=MinibertEmbedding.from_dict(embedding.to_dict()),
    )
    retriever = again.as_retriever(similarity_top_k=10)
    found = [
        [hit.node_id for hit in retriever.retrieve(query)] for query in cranfield.queries.values()
    ]
    assert_nearest(SentenceTransformer(short_folder, on_long="ignore"), cranfield, found)


def test_an_index_is_not_reopened_without_the_model(folder, tmp_path):
    index = VectorStoreIndex(nodes({"a": "cats"}), embed_model=MinibertEmbedding(folder))
    index.storage_context.persist(tmp_path)
    storage = StorageContext.from_defaults(persist_dir=str(tmp_path))
    with pytest.raises(ImportError, match="llama-index-embeddings-openai"):
        load_index_from_storage(storage)


def test_an_index_of_vectors_of_another_length_is_no_match(folder, tmp_path):
    index = VectorStoreIndex(nodes({"a": "cats"}), embed_model=MinibertEmbedding(folder))
    index.storage_context.persist(tmp_path)
    storage = StorageContext.from_defaults(persist_dir=str(tmp_path))
    other = load_index_from_storage(storage, embed_model=MinibertEmbedding(folder, truncate_dim=8))
    with pytest.raises(ValueError, match="not aligned"):
        other.as_retriever().retrieve("cats")


def test_questions_and_documents_have_their_prompts(folder):
    embedding = MinibertEmbedding(folder, prompts=PROMPTS)
    plain = SentenceTransformer(folder)
    assert embedding.get_query_embedding(QUERY) == plain.encode(PROMPTS["query"] + QUERY).tolist()
    expected = plain.encode([PROMPTS["document"] + DOCUMENT])[0].tolist()
    assert embedding.get_text_embedding(DOCUMENT) == expected
    np.testing.assert_allclose(
        embedding.get_text_embedding_batch([DOCUMENT, "a", DOCUMENT])[2], expected, atol=1e-6
    )


def test_arguments_reach_the_model_and_encode(folder):
    embedding = MinibertEmbedding(
        folder, truncate_dim=8, encode_kwargs={"normalize_embeddings": True}, num_workers=3
    )
    assert embedding.num_workers == 3
    vectors = [embedding.get_query_embedding(QUERY), embedding.get_text_embedding(DOCUMENT)]
    for vector in vectors:
        assert len(vector) == 8
        assert sum(number * number for number in vector) == pytest.approx(1)


def copies(one):
    """The same component out of a dict, of JSON and of a pickle."""
    return type(one).from_dict(one.to_dict()), type(one).from_json(one.to_json()), pickled(one)


def pickled(one):
    content = pickle.dumps(one)
    assert len(content) < 4000
    assert b"hf_secret" not in content
    return pickle.loads(content)


def test_saved_settings_have_the_arguments_and_no_token(folder):
    embedding = MinibertEmbedding(
        folder, prompts=PROMPTS, token="hf_secret", embed_batch_size=7,
        encode_kwargs={"normalize_embeddings": True},
    )  # fmt: skip
    assert "hf_secret" not in embedding.to_json()
    vector = embedding.get_query_embedding(QUERY)
    for copy in copies(embedding):
        assert copy.get_query_embedding(QUERY) == vector
        assert copy.embed_batch_size == 7


@pytest.mark.asyncio
async def test_the_event_loop_does_not_wait_for_the_model(folder):
    embedding = MinibertEmbedding(folder)
    names = []
    encode = embedding._model.encode
    embedding._model.encode = lambda *given, **named: (
        names.append(threading.current_thread().name) or encode(*given, **named)
    )
    found = [
        await embedding.aget_query_embedding(QUERY),
        await embedding.aget_text_embedding(QUERY),
        *await embedding.aget_text_embedding_batch([QUERY]),
    ]
    assert found == [encode(QUERY).tolist()] * 3
    assert len(names) == 3
    assert threading.main_thread().name not in names


@pytest.mark.parametrize(
    ("metric", "mode"),
    [("dot", SimilarityMode.DOT_PRODUCT), ("cosine", SimilarityMode.DEFAULT),
     ("euclidean", SimilarityMode.EUCLIDEAN)],
)  # fmt: skip
def test_vectors_are_compared_by_the_model_s_metric(folder, metric, mode):
    embedding = MinibertEmbedding(folder, similarity_fn_name=metric)
    a, b = embedding.get_text_embedding_batch(OFFERED[:2])
    assert embedding.similarity(a, b) == pytest.approx(embedding.similarity(a, b, mode), rel=1e-5)
    others = {embedding.similarity(a, b, other) for other in SimilarityMode}
    assert len(others) == 3


def test_a_metric_that_the_store_may_not_know_is_told(dot_folder, caplog):
    with caplog.at_level(logging.WARNING, "minibert"):
        MinibertEmbedding(dot_folder)
        (message,) = caplog.messages
        assert "is 'dot', and LlamaIndex's SimpleVectorStore compares by the cosine" in message
        for said in ({"similarity_fn_name": "dot"}, {"encode_kwargs": {"normalize_embeddings": 1}}):
            MinibertEmbedding(dot_folder, **said)
    assert len(caplog.messages) == 1


def test_an_index_s_nodes_are_ranked_again(folder, one_label):
    index = VectorStoreIndex([TextNode(text=t) for t in OFFERED],
                             embed_model=MinibertEmbedding(folder))  # fmt: skip
    engine = index.as_query_engine(
        llm=MockLLM(), similarity_top_k=4,
        node_postprocessors=[MinibertRerank(one_label, top_n=3)],
    )  # fmt: skip
    found = engine.query("the cat sat in London").source_nodes
    hits = CrossEncoder(one_label).rank("the cat sat in London", OFFERED)[:3]
    assert [node.text for node in found] == [OFFERED[hit["corpus_id"]] for hit in hits]
    scores = [node.score for node in found]
    assert scores == pytest.approx([hit["score"] for hit in hits], abs=1e-6)
    assert {type(score) for score in scores} == {float}


def test_a_rerank_reads_the_metadata_that_was_embedded(one_label):
    node = TextNode(text="cats", metadata={"page": 3})
    (found,) = MinibertRerank(one_label).postprocess_nodes(
        [NodeWithScore(node=node)], query_str="who"
    )
    expected = CrossEncoder(one_label).predict([("who", "page: 3\n\ncats")])
    assert found.score == pytest.approx(expected[0], abs=1e-6)


def test_a_rerank_is_saved_and_leaves_what_it_was_given(one_label):
    rerank = MinibertRerank(one_label, top_n=3, activation_fn="identity", token="hf_secret")
    given = scored()
    expected = [node.score for node in rerank.postprocess_nodes(given, query_str="who")]
    assert expected[0] > 1
    for copy in copies(rerank):
        assert [n.score for n in copy.postprocess_nodes(given, query_str="who")] == expected
    assert [node.score for node in given] == [0.5] * 4
    assert rerank.postprocess_nodes([], query_str="who") == []


def test_a_rerank_is_an_event_for_those_who_watch(one_label):
    seen = []

    class Seen(BaseEventHandler):
        def handle(self, event, **_):
            seen.append(event)

    dispatcher = get_dispatcher()
    dispatcher.add_event_handler(Seen())
    try:
        MinibertRerank(one_label, top_n=2).postprocess_nodes(scored(), query_str="who")
    finally:
        dispatcher.event_handlers.pop()
    begun, ended = seen
    assert (begun.query.query_str, begun.top_n, len(begun.nodes)) == ("who", 2, 4)
    assert len(ended.nodes) == 2


def test_bad_arguments_are_refused(one_label):
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        MinibertRerank(one_label, top_n=0)
    with pytest.raises(ValueError, match="got no question; give query_bundle= or query_str="):
        MinibertRerank(one_label).postprocess_nodes(scored())
    with pytest.raises(TypeError, match="sorts"):
        MinibertEmbedding(GOLDEN / "gelu", sorts=True)
    for one in (MinibertEmbedding, MinibertRerank):
        with pytest.raises(TypeError, match="model_name_or_path is missing; give a folder or a na"):
            one()
    with pytest.raises(TypeError, match="model_name_or_path and model_name are two names"):
        MinibertEmbedding(GOLDEN / "gelu", model_name="gelu")
    with pytest.raises(TypeError, match="is a CrossEncoder, a model that is open; expected a fold"):
        MinibertRerank(CrossEncoder(one_label))


@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("normalize", {"encode_kwargs": {"normalize_embeddings": True}}),
        ("max_length", {"processor_kwargs": {"model_max_length": 32}}),
        ("query_instruction", {"prompts": {"query": "the text before each question"}}),
        ("text_instruction", {"prompts": {"document": "the text before each document"}}),
    ],
)
def test_an_argument_of_llama_index_s_own_class_has_its_way(folder, name, way):
    with pytest.raises(TypeError) as refused:
        MinibertEmbedding(folder, **{name: True})
    (argument, value) = next(iter(way.items()))
    assert f"{name} is no argument of MinibertEmbedding; give {argument}=" in str(refused.value)
    assert json.dumps(value).replace("true", "True") in str(refused.value)
    MinibertEmbedding(folder, **way)
