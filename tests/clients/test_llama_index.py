"""LlamaIndex's embeddings for text-embeddings-inference and for servers like OpenAI's."""

import asyncio

import numpy as np
import pytest
from llama_index.embeddings.openai_like import OpenAILikeEmbedding
from llama_index.embeddings.text_embeddings_inference import TextEmbeddingsInference


def of_tei(server, key=None):
    return TextEmbeddingsInference(
        model_name="minilm", base_url=server.url, auth_token=key,
        text_instruction="", query_instruction="",
    )  # fmt: skip


def of_openai(server, key="any"):
    return OpenAILikeEmbedding(model_name="minilm", api_base=f"{server.url}/v1", api_key=key)


BOTH = pytest.mark.parametrize("embeddings_of", [of_tei, of_openai])
# What LlamaIndex makes of texts before it sends them differs: these it leaves as they are.
TEXTS = ["The cat sat on the mat.", "Dogs, cats and London!", "Café 中文", "a " * 600, "a"]


@BOTH
def test_texts_get_encode_s_vectors(open_server, opened, close, embeddings_of):
    got = embeddings_of(open_server).get_text_embedding_batch(TEXTS)
    close(got, opened["minilm"].encode(TEXTS))


@BOTH
def test_a_query_gets_one_vector(open_server, opened, close, embeddings_of):
    got = embeddings_of(open_server).get_query_embedding("a cat")
    close(got, opened["minilm"].encode("a cat"))


@BOTH
def test_the_async_calls_get_the_same(open_server, opened, close, embeddings_of):
    got = asyncio.run(embeddings_of(open_server).aget_text_embedding_batch(TEXTS))
    close(got, opened["minilm"].encode(TEXTS))


@BOTH
def test_more_texts_than_a_call_carries_keep_their_order(open_server, opened, close, embeddings_of):
    texts = [f"cat number {n}" for n in range(25)]
    got = embeddings_of(open_server).get_text_embedding_batch(texts)
    close(got, opened["minilm"].encode(texts))


@BOTH
def test_reproducible_vectors_are_encode_s_bit_for_bit(strict_server, exact, embeddings_of):
    got = embeddings_of(strict_server, strict_server.key).get_text_embedding_batch(TEXTS)
    np.testing.assert_array_equal(np.array(got, np.float32), exact(TEXTS))
