"""LangChain's embeddings for OpenAI and for Ollama."""

import asyncio
from pathlib import Path

import litellm
import numpy as np
import openai
import pytest
from langchain_ollama import OllamaEmbeddings
from langchain_openai import OpenAIEmbeddings


def of_openai(server):
    return OpenAIEmbeddings(
        model="minilm", base_url=f"{server.url}/v1", api_key="any", check_embedding_ctx_length=False
    )


def of_ollama(server):
    return OllamaEmbeddings(model="minilm", base_url=server.url, validate_model_on_init=True)


BOTH = pytest.mark.parametrize("embeddings_of", [of_openai, of_ollama])


@BOTH
def test_documents_get_encode_s_vectors(open_server, opened, sent, close, embeddings_of):
    close(embeddings_of(open_server).embed_documents(sent), opened["minilm"].encode(sent))


@BOTH
def test_a_query_gets_one_vector(open_server, opened, close, embeddings_of):
    close(embeddings_of(open_server).embed_query("a cat"), opened["minilm"].encode("a cat"))


@BOTH
def test_the_async_calls_get_the_same(open_server, opened, sent, close, embeddings_of):
    got = asyncio.run(embeddings_of(open_server).aembed_documents(sent))
    close(got, opened["minilm"].encode(sent))


def test_a_thousand_documents_and_more_are_embedded(open_server, opened, close):
    """LangChain sends a thousand at once."""
    embeddings = OpenAIEmbeddings(
        model="tiny",
        base_url=f"{open_server.url}/v1",
        api_key="any",
        check_embedding_ctx_length=False,
    )
    texts = [f"the cat number {n}" for n in range(1100)]
    expected = opened["tiny"].encode(texts, normalize_embeddings=True)
    close(embeddings.embed_documents(texts), expected)


def test_fewer_dimensions_are_normalised_again(open_server, opened, sent, close):
    embeddings = OpenAIEmbeddings(
        model="minilm", base_url=f"{open_server.url}/v1", api_key="any", dimensions=64,
        check_embedding_ctx_length=False,
    )  # fmt: skip
    close(
        embeddings.embed_documents(sent),
        opened["minilm"].encode(sent, truncate_dim=64, normalize_embeddings=True),
    )


def test_reproducible_vectors_are_encode_s_bit_for_bit(strict_server, sent, exact):
    embeddings = OpenAIEmbeddings(
        model="minilm", base_url=f"{strict_server.url}/v1", api_key=strict_server.key,
        check_embedding_ctx_length=False,
    )  # fmt: skip
    got = np.array(embeddings.embed_documents(sent), np.float32)
    np.testing.assert_array_equal(got, exact(sent))


def test_token_ids_by_default_are_refused_with_advice(open_server, monkeypatch):
    """By default LangChain sends OpenAI's own token ids, of a vocabulary that litellm has, too."""
    vocabularies = Path(litellm.__file__).parent / "litellm_core_utils/tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    embeddings = OpenAIEmbeddings(model="minilm", base_url=f"{open_server.url}/v1", api_key="any")
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        embeddings.embed_documents(["a cat"])
