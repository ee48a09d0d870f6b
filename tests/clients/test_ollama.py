"""Ollama's own client."""

import asyncio

import numpy as np
import ollama
import pytest


@pytest.fixture(scope="module")
def ollama_client(open_server):
    return ollama.Client(open_server.url)


def test_texts_get_encode_s_vectors(ollama_client, opened, sent, close):
    answer = ollama_client.embed("minilm", sent)
    close(answer.embeddings, opened["minilm"].encode(sent))
    assert answer.model == "minilm"
    assert answer.total_duration > 0
    assert answer.load_duration >= 0
    assert answer.prompt_eval_count == sum(
        len(opened["minilm"].tokens(text).tokens) for text in sent
    )


def test_one_text_gets_one_vector(ollama_client, opened, close):
    close(ollama_client.embed("minilm", "a cat").embeddings, opened["minilm"].encode(["a cat"]))


def test_names_may_have_the_tag_latest_and_capitals(ollama_client, opened, close):
    for name in ("minilm:latest", "MiniLM", "all-minilm"):
        close(ollama_client.embed(name, "a cat").embeddings, opened["minilm"].encode(["a cat"]))


def test_fewer_dimensions_are_normalised_again(ollama_client, opened, sent, close):
    got = ollama_client.embed("minilm", sent, dimensions=64).embeddings
    close(got, opened["minilm"].encode(sent, truncate_dim=64, normalize_embeddings=True))


def test_a_dot_product_model_s_vectors_are_raw(ollama_client, opened, sent, close):
    close(ollama_client.embed("dot", sent).embeddings, opened["dot"].encode(sent))


def test_the_old_call_gets_a_raw_vector(ollama_client, opened, close):
    raw = opened["tiny"].encode("a cat")
    assert np.linalg.norm(raw) > 1.01
    close(ollama_client.embeddings("tiny", "a cat").embedding, raw)
    assert ollama_client.embeddings("tiny", "").embedding == []


def test_no_text_gets_no_vectors(ollama_client):
    assert ollama_client.embed("minilm", "").embeddings == []
    assert ollama_client.embed("minilm", []).embeddings == []


def test_a_long_text_is_refused_where_none_may_be_truncated(ollama_client, sent):
    with pytest.raises(ollama.ResponseError, match="context length") as caught:
        ollama_client.embed("minilm", sent, truncate=False)
    assert caught.value.status_code == 400


def test_the_models_are_listed(ollama_client, served_folders):
    listed = ollama_client.list().models
    assert [model.model for model in listed][:2] == ["minilm:latest", "tiny:latest"]
    first = listed[0]
    assert first.size == (served_folders["minilm"] / "model.safetensors").stat().st_size
    assert first.details.family == "bert"
    assert first.details.parameter_size == "22.7M"
    assert first.modified_at.timestamp() > 0
    assert len(first.digest) == 64


def test_a_model_is_shown(ollama_client):
    shown = ollama_client.show("minilm")
    assert shown.modelinfo["general.architecture"] == "bert"
    assert shown.modelinfo["bert.embedding_length"] == 384
    assert shown.modelinfo["bert.context_length"] == 256
    assert shown.capabilities == ["embedding"]
    assert shown.details.family == "bert"


def test_the_models_in_memory_are_told(ollama_client):
    assert "minilm:latest" in [model.model for model in ollama_client.ps().models]


def test_the_async_client_gets_the_same(open_server, opened, sent, close):
    async def ask():
        return await ollama.AsyncClient(open_server.url).embed("minilm", sent)

    close(asyncio.run(ask()).embeddings, opened["minilm"].encode(sent))


def test_an_unknown_model_is_not_found(ollama_client):
    for ask in (ollama_client.embed, ollama_client.embeddings):
        with pytest.raises(ollama.ResponseError, match="nope") as caught:
            ask("nope", "a cat")
        assert caught.value.status_code == 404
    with pytest.raises(ollama.ResponseError, match="nope"):
        ollama_client.show("nope")


def test_a_key_is_asked_for(strict_server, exact):
    with pytest.raises(ollama.ResponseError) as caught:
        ollama.Client(strict_server.url).embed("minilm", "a cat")
    assert caught.value.status_code == 401
    headers = {"Authorization": f"Bearer {strict_server.key}"}
    answer = ollama.Client(strict_server.url, headers=headers).embed("minilm", "a cat")
    np.testing.assert_array_equal(np.array(answer.embeddings[0], np.float32), exact("a cat"))
