"""LlamaIndex's embeddings for text-embeddings-inference and for servers like OpenAI's."""

import asyncio

import numpy as np
import pytest
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference


@pytest.fixture
def of_tei(server):
    return TextEmbeddingsInference(
        model_name="minilm", base_url=server.url, text_instruction="", query_instruction=""
    )


@pytest.fixture
def of_openai(server):
    return OpenAILikeEmbedding(model_name="minilm", api_base=f"{server.url}/v1", api_key="any")


@pytest.fixture(params=["of_tei", "of_openai"])
def embeddings(request):
    return request.getfixturevalue(request.param)


# What LlamaIndex makes of texts before it sends them differs: these it leaves as they are.
TEXTS = ["The cat sat on the mat.", "Dogs, cats and London!", "Café 中文", "a " * 600, "a"]


def test_texts_get_encode_s_vectors(embeddings, models, close):
    close(embeddings.get_text_embedding_batch(TEXTS), models["minilm"].encode(TEXTS))


def test_a_query_gets_one_vector(embeddings, models, close):
    close(embeddings.get_query_embedding("a cat"), models["minilm"].encode("a cat"))


def test_the_async_calls_get_the_same(embeddings, models, close):
    got = asyncio.run(embeddings.aget_text_embedding_batch(TEXTS))
    close(got, models["minilm"].encode(TEXTS))


def test_more_texts_than_a_call_carries_keep_their_order(embeddings, models, close):
    texts = [f"cat number {n}" for n in range(25)]
    close(embeddings.get_text_embedding_batch(texts), models["minilm"].encode(texts))


def test_reproducible_vectors_are_encode_s_bit_for_bit(strict_server, exact):
    embeddings = [
        OpenAILikeEmbedding(
            model_name="minilm", api_base=f"{strict_server.url}/v1", api_key=strict_server.key
        ),
        TextEmbeddingsInference(
            model_name="minilm", base_url=strict_server.url, auth_token=strict_server.key,
            text_instruction="", query_instruction="",
        ),
    ]  # fmt: skip
    for one in embeddings:
        got = np.array(one.get_text_embedding_batch(TEXTS), np.float32)
        np.testing.assert_array_equal(got, exact(TEXTS))
