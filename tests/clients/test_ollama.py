"""Ollama's own client."""

import asyncio

import numpy as np
import ollama
import pytest


@pytest.fixture(scope="module")
def client(server):
    return ollama.Client(server.url)


def test_texts_get_encode_s_vectors(client, models, texts, close):
    answer = client.embed("minilm", texts)
    close(answer.embeddings, models["minilm"].encode(texts))
    assert answer.model == "minilm"
    assert answer.total_duration > 0
    assert answer.load_duration >= 0
    assert answer.prompt_eval_count == sum(
        len(models["minilm"].tokens(text).tokens) for text in texts
    )


def test_one_text_gets_one_vector(client, models, close):
    close(client.embed("minilm", "a cat").embeddings, models["minilm"].encode(["a cat"]))


def test_names_may_have_the_tag_latest_and_capitals(client, models, close):
    for name in ("minilm:latest", "MiniLM", "all-minilm"):
        close(client.embed(name, "a cat").embeddings, models["minilm"].encode(["a cat"]))


def test_fewer_dimensions_are_normalised_again(client, models, texts, close):
    got = client.embed("minilm", texts, dimensions=64).embeddings
    close(got, models["minilm"].encode(texts, truncate_dim=64, normalize_embeddings=True))


def test_a_dot_product_model_s_vectors_are_raw(client, models, texts, close):
    close(client.embed("dot", texts).embeddings, models["dot"].encode(texts))


def test_the_old_call_gets_a_raw_vector(client, models, close):
    raw = models["tiny"].encode("a cat")
    assert np.linalg.norm(raw) > 1.01
    close(client.embeddings("tiny", "a cat").embedding, raw)
    assert client.embeddings("tiny", "").embedding == []


def test_no_text_gets_no_vectors(client):
    assert client.embed("minilm", "").embeddings == []
    assert client.embed("minilm", []).embeddings == []


def test_a_long_text_is_refused_where_none_may_be_truncated(client, texts):
    with pytest.raises(ollama.ResponseError, match="context length") as caught:
        client.embed("minilm", texts, truncate=False)
    assert caught.value.status_code == 400


def test_the_models_are_listed(client, folders):
    listed = client.list().models
    assert [model.model for model in listed][:2] == ["minilm:latest", "tiny:latest"]
    first = listed[0]
    assert first.size == (folders["minilm"] / "model.safetensors").stat().st_size
    assert first.details.family == "bert"
    assert first.details.parameter_size == "22.7M"
    assert first.modified_at.timestamp() > 0
    assert len(first.digest) == 64


def test_a_model_is_shown(client):
    shown = client.show("minilm")
    assert shown.modelinfo["general.architecture"] == "bert"
    assert shown.modelinfo["bert.embedding_length"] == 384
    assert shown.modelinfo["bert.context_length"] == 256
    assert shown.capabilities == ["embedding"]
    assert shown.details.family == "bert"


def test_the_models_in_memory_are_told(client):
    assert "minilm:latest" in [model.model for model in client.ps().models]


def test_the_async_client_gets_the_same(server, models, texts, close):
    async def ask():
        return await ollama.AsyncClient(server.url).embed("minilm", texts)

    close(asyncio.run(ask()).embeddings, models["minilm"].encode(texts))


def test_an_unknown_model_is_not_found(client):
    for ask in (client.embed, client.embeddings):
        with pytest.raises(ollama.ResponseError, match="nope") as caught:
            ask("nope", "a cat")
        assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="nope"):
        client.show("nope")


def test_a_key_is_asked_for(strict_server, exact):
    with pytest.raises(ollama.ResponseError) as caught:
        ollama.Client(strict_server.url).embed("minilm", "a cat")
    assert caught.value.status_code == 401
    headers = {"Authorization": f"Bearer {strict_server.key}"}
    answer = ollama.Client(strict_server.url, headers=headers).embed("minilm", "a cat")
    np.testing.assert_array_equal(np.array(answer.embeddings[0], np.float32), exact("a cat"))
