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
def openai_like(server):
    return {"model": "minilm", "api_base_url": f"{server.url}/v1", "api_key": TOKEN}


@pytest.fixture(scope="module")
def tei(server):
    return {
        "api_type": "text_embeddings_inference",
        "api_params": {"url": server.url},
        "token": TOKEN,
    }


@pytest.fixture(scope="module")
def documents():
    """More than one call carries, one of them without content."""
    contents = [f"cat number {n}" for n in range(40)]
    return [Document(content=content) for content in contents] + [Document(content=None)]


def test_a_text_gets_encode_s_vector(openai_like, tei, models, close):
    for embedder in (OpenAITextEmbedder(**openai_like), HuggingFaceAPITextEmbedder(**tei)):
        close(embedder.run("a cat")["embedding"], models["minilm"].encode("a cat"))


def test_documents_get_encode_s_vectors(openai_like, tei, documents, models, close):
    expected = models["minilm"].encode([document.content or "" for document in documents])
    for embedder in (
        OpenAIDocumentEmbedder(**openai_like, progress_bar=False, raise_on_failure=True),
        HuggingFaceAPIDocumentEmbedder(**tei, progress_bar=False),
    ):
        embedded = embedder.run(documents)["documents"]
        close([document.embedding for document in embedded], expected)


def test_the_usage_is_told(openai_like, models):
    told = OpenAITextEmbedder(**openai_like).run("a cat")["meta"]
    tokens = len(models["minilm"].tokens("a cat").tokens)
    assert told["model"] == "minilm"
    assert told["usage"]["prompt_tokens"] == told["usage"]["total_tokens"] == tokens


def test_passages_are_ranked_in_rank_s_order(server, query, passages, ranked, close):
    ranker = HuggingFaceTEIRanker(url=server.url, top_k=3, token=TOKEN)
    documents = [Document(content=passage) for passage in passages]
    best = ranker.run(query=query, documents=documents)["documents"]
    assert [document.content for document in best] == [
        passages[place] for place in ranked.order[:3]
    ]
    close([document.score for document in best], ranked.scores[:3])


def test_raw_scores_are_the_model_s_logits(server, models, query, passages, close):
    ranker = HuggingFaceTEIRanker(url=server.url, raw_scores=True, token=TOKEN)
    documents = [Document(content=passage) for passage in passages]
    best = ranker.run(query=query, documents=documents)["documents"]
    logits = models["reranker"].predict(
        [(query, document.content) for document in best], activation_fn="identity"
    )
    close([document.score for document in best], logits)


def test_a_pipeline_embeds_and_is_read_back(openai_like, models, close):
    pipeline = Pipeline()
    key = Secret.from_env_var("LANG")  # a pipeline stores no token, but where to find one
    pipeline.add_component("embedder", OpenAITextEmbedder(**{**openai_like, "api_key": key}))
    again = Pipeline.loads(pipeline.dumps())
    got = again.run({"embedder": {"text": "a cat"}})["embedder"]["embedding"]
    close(got, models["minilm"].encode("a cat"))


def test_a_key_is_sent(strict_server, query, passages, ranked, exact):
    key = Secret.from_token(strict_server.key)
    embedder = HuggingFaceAPITextEmbedder(
        api_type="text_embeddings_inference", api_params={"url": strict_server.url}, token=key
    )
    got = np.array(embedder.run("a cat")["embedding"], np.float32)
    np.testing.assert_array_equal(got, exact("a cat"))
    ranker = HuggingFaceTEIRanker(url=strict_server.url, token=key)
    best = ranker.run(query=query, documents=[Document(content=text) for text in passages])
    assert best["documents"][0].content == passages[ranked.order[0]]
