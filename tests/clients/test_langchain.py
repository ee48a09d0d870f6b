"""LangChain's embeddings for OpenAI and for Ollama."""

import asyncio
from pathlib import Path

import litellm
import numpy as np
import openai
import pytest
from langchain_ollama import OllamaEmbeddings
from langchain_openai import OpenAIEmbeddings


@pytest.fixture(scope="module")
def of_openai(server):
    return OpenAIEmbeddings(
        model="minilm", base_url=f"{server.url}/v1", api_key="any", check_embedding_ctx_length=False
    )


@pytest.fixture(scope="module")
def of_ollama(server):
    return OllamaEmbeddings(model="minilm", base_url=server.url, validate_model_on_init=True)


@pytest.fixture(params=["of_openai", "of_ollama"])
def embeddings(request):
    return request.getfixturevalue(request.param)


def test_documents_get_encode_s_vectors(of_openai, models, texts, close):
    close(of_openai.embed_documents(texts), models["minilm"].encode(texts))


def test_ollama_s_documents_get_encode_s_vectors(of_ollama, models, texts, close):
    close(of_ollama.embed_documents(texts), models["minilm"].encode(texts))


def test_a_query_gets_one_vector(embeddings, models, close):
    close(embeddings.embed_query("a cat"), models["minilm"].encode("a cat"))


def test_the_async_calls_get_the_same(embeddings, models, texts, close):
    close(asyncio.run(embeddings.aembed_documents(texts)), models["minilm"].encode(texts))


def test_a_thousand_documents_and_more_are_embedded(server, models, close):
    """LangChain sends a thousand at once."""
    embeddings = OpenAIEmbeddings(
        model="tiny", base_url=f"{server.url}/v1", api_key="any", check_embedding_ctx_length=False
    )
    texts = [f"the cat number {n}" for n in range(1100)]
    close(
        embeddings.embed_documents(texts),
        models["tiny"].encode(texts, normalize_embeddings=True),
    )


def test_fewer_dimensions_are_normalised_again(server, models, texts, close):
    embeddings = OpenAIEmbeddings(
        model="minilm", base_url=f"{server.url}/v1", api_key="any", dimensions=64,
        check_embedding_ctx_length=False,
    )  # fmt: skip
    close(
        embeddings.embed_documents(texts),
        models["minilm"].encode(texts, truncate_dim=64, normalize_embeddings=True),
    )


def test_reproducible_vectors_are_encode_s_bit_for_bit(strict_server, texts, exact):
    embeddings = OpenAIEmbeddings(
        model="minilm", base_url=f"{strict_server.url}/v1", api_key=strict_server.key,
        check_embedding_ctx_length=False,
    )  # fmt: skip
    got = np.array(embeddings.embed_documents(texts), np.float32)
    np.testing.assert_array_equal(got, exact(texts))


def test_token_ids_by_default_are_refused_with_advice(server, monkeypatch):
    """By default LangChain sends OpenAI's own token ids, of a vocabulary that litellm has, too."""
    vocabularies = Path(litellm.__file__).parent / "litellm_core_utils/tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    embeddings = OpenAIEmbeddings(model="minilm", base_url=f"{server.url}/v1", api_key="any")
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length=False"):
        embeddings.embed_documents(["a cat"])
