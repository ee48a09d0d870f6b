"""LiteLLM, which speaks as its caller's provider does."""

import asyncio

import litellm
import numpy as np
import pytest

# Providers and what stands behind the server's address.
EMBEDDINGS = [("openai", "/v1"), ("hosted_vllm", "/v1"), ("infinity", ""), ("ollama", "")]
RERANKS = ["cohere", "jina_ai", "hosted_vllm", "huggingface"]
# Of Hugging Face's models LiteLLM asks the hub what they cost, and goes on without an answer.
pytestmark = pytest.mark.usefixtures("hub_is_refused")


def vectors(answer):
    return [entry["embedding"] for entry in answer.data]


@pytest.mark.parametrize(("provider", "path"), EMBEDDINGS)
def test_texts_get_encode_s_vectors(open_server, opened, sent, close, provider, path):
    answer = litellm.embedding(
        f"{provider}/minilm", input=sent, api_base=open_server.url + path, api_key="any"
    )
    close(vectors(answer), opened["minilm"].encode(sent))
    assert answer.usage.prompt_tokens == sum(
        len(opened["minilm"].tokens(text).tokens) for text in sent
    )


def test_hugging_face_s_vectors_are_encode_s(open_server, opened, sent, close):
    answer = litellm.embedding(
        "huggingface/minilm", input=sent, api_base=f"{open_server.url}/embed", api_key="any",
        input_type="feature-extraction",  # else it asks the hub what the model is for
    )  # fmt: skip
    close(vectors(answer), opened["minilm"].encode(sent))


def test_reproducible_vectors_are_encode_s_bit_for_bit(strict_server, sent, exact):
    answer = litellm.embedding(
        "openai/minilm",
        input=sent,
        api_base=f"{strict_server.url}/v1",
        api_key=strict_server.key,
    )
    np.testing.assert_array_equal(np.array(vectors(answer), np.float32), exact(sent))


def test_the_async_call_gets_the_same(open_server, opened, sent, close):
    answer = asyncio.run(
        litellm.aembedding(
            "openai/minilm", input=sent, api_base=f"{open_server.url}/v1", api_key="any"
        )
    )
    close(vectors(answer), opened["minilm"].encode(sent))


@pytest.mark.parametrize("provider", RERANKS)
def test_the_best_come_in_rank_s_order(open_server, asked, offered, ranked, close, provider):
    answer = litellm.rerank(
        f"{provider}/reranker", query=asked, documents=offered, top_n=len(offered),
        api_base=open_server.url, api_key="any", return_documents=True,
    )  # fmt: skip
    assert [result["index"] for result in answer.results] == ranked.order
    close([result["relevance_score"] for result in answer.results], ranked.scores)
    assert [result["document"]["text"] for result in answer.results] == [
        offered[place] for place in ranked.order
    ]


def test_infinity_s_best_come_in_rank_s_order(open_server, asked, offered, ranked, close):
    """LiteLLM reads infinity's documents as plain texts, and all others' as objects."""
    answer = litellm.rerank(
        "infinity/reranker", query=asked, documents=offered, top_n=3, api_base=open_server.url,
        api_key="any", return_documents=False,
    )  # fmt: skip
    assert [result["index"] for result in answer.results] == ranked.order[:3]
    close([result["relevance_score"] for result in answer.results], ranked.scores[:3])


def test_an_unknown_model_is_not_found(open_server):
    with pytest.raises(litellm.NotFoundError, match="nope"):
        litellm.embedding(
            "openai/nope", input=["a"], api_base=f"{open_server.url}/v1", api_key="any"
        )


def test_a_wrong_key_is_refused(strict_server):
    with pytest.raises(litellm.AuthenticationError):
        litellm.embedding(
            "openai/minilm", input=["a"], api_base=f"{strict_server.url}/v1", api_key="wrong"
        )
