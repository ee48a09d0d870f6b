"""Haystack's components for OpenAI and for text-embeddings-inference."""

import numpy as np
import pytest
from haystack import Document, Pipeline
from haystack.components.embedders import OpenAIDocumentEmbedder, OpenAITextEmbedder
from haystack.utils import Secret
from haystack_integrations.components.embedders.huggingface_api import (
    HuggingFaceAPIDocumentEmbedder,
    HuggingFaceAPITextEmbedder,
)
from haystack_integrations.components.rankers.huggingface_api import HuggingFaceTEIRanker

TOKEN = Secret.from_token("any")


@pytest.fixture(scope="module")
def haystack_openai(open_server):
    return {"model": "minilm", "api_base_url": f"{open_server.url}/v1", "api_key": TOKEN}


@pytest.fixture(scope="module")
def haystack_tei(open_server):
    return {
        "api_type": "text_embeddings_inference",
        "api_params": {"url": open_server.url},
        "token": TOKEN,
    }


@pytest.fixture(scope="module")
def haystack_documents():
    """More than one call carries, one of them without content."""
    contents = [f"cat number {n}" for n in range(40)]
    return [Document(content=content) for content in contents] + [Document(content=None)]


def test_a_text_gets_encode_s_vector(haystack_openai, haystack_tei, opened, close):
    for embedder in (
        OpenAITextEmbedder(**haystack_openai),
        HuggingFaceAPITextEmbedder(**haystack_tei),
    ):
        close(embedder.run("a cat")["embedding"], opened["minilm"].encode("a cat"))


def test_documents_get_encode_s_vectors(
    haystack_openai, haystack_tei, haystack_documents, opened, close
):
    expected = opened["minilm"].encode([document.content or "" for document in haystack_documents])
    for embedder in (
        OpenAIDocumentEmbedder(**haystack_openai, progress_bar=False, raise_on_failure=True),
        HuggingFaceAPIDocumentEmbedder(**haystack_tei, progress_bar=False),
    ):
        embedded = embedder.run(haystack_documents)["documents"]
        close([document.embedding for document in embedded], expected)


def test_the_usage_is_told(haystack_openai, opened):
    told = OpenAITextEmbedder(**haystack_openai).run("a cat")["meta"]
    tokens = len(opened["minilm"].tokens("a cat").tokens)
    assert told["model"] == "minilm"
    assert told["usage"]["prompt_tokens"] == told["usage"]["total_tokens"] == tokens


def test_passages_are_ranked_in_rank_s_order(open_server, asked, offered, ranked, close):
    ranker = HuggingFaceTEIRanker(url=open_server.url, top_k=3, token=TOKEN)
    documents = [Document(content=passage) for passage in offered]
    best = ranker.run(query=asked, documents=documents)["documents"]
    assert [document.content for document in best] == [offered[place] for place in ranked.order[:3]]
    close([document.score for document in best], ranked.scores[:3])


def test_raw_scores_are_the_model_s_logits(open_server, opened, asked, offered, close):
    ranker = HuggingFaceTEIRanker(url=open_server.url, raw_scores=True, token=TOKEN)
    documents = [Document(content=passage) for passage in offered]
    best = ranker.run(query=asked, documents=documents)["documents"]
    logits = opened["reranker"].predict(
        [(asked, document.content) for document in best], activation_fn="identity"
    )
    close([document.score for document in best], logits)


def test_a_pipeline_embeds_and_is_read_back(haystack_openai, opened, close):
    pipeline = Pipeline()
    key = Secret.from_env_var("LANG")  # a pipeline stores no token, but where to find one
    pipeline.add_component("embedder", OpenAITextEmbedder(**{**haystack_openai, "api_key": key}))
    again = Pipeline.loads(pipeline.dumps())
    got = again.run({"embedder": {"text": "a cat"}})["embedder"]["embedding"]
    close(got, opened["minilm"].encode("a cat"))


def test_a_key_is_sent(strict_server, asked, offered, ranked, exact):
    key = Secret.from_token(strict_server.key)
    embedder = HuggingFaceAPITextEmbedder(
        api_type="text_embeddings_inference", api_params={"url": strict_server.url}, token=key
    )
    got = np.array(embedder.run("a cat")["embedding"], np.float32)
    np.testing.assert_array_equal(got, exact("a cat"))
    ranker = HuggingFaceTEIRanker(url=strict_server.url, token=key)
    best = ranker.run(query=asked, documents=[Document(content=text) for text in offered])
    assert best["documents"][0].content == offered[ranked.order[0]]
