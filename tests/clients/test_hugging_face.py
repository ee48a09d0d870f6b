"""Hugging Face's InferenceClient, which speaks to text-embeddings-inference."""

import asyncio

import numpy as np
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from prompted import QUERY
from server_process import serving


@pytest.fixture(scope="module")
def client(server):
    return InferenceClient(model=server.url)


@pytest.fixture(scope="module")
def prompted(folders, tmp_path_factory):
    """A client of a server whose one model has prompts."""
    folder = tmp_path_factory.mktemp("prompted")
    with serving(folder, f"prompted={folders['prompted']}") as server:
        yield InferenceClient(model=server.url)


@pytest.fixture(scope="module")
def classifier(folders, tmp_path_factory):
    """A client of a server whose one model has labels."""
    with serving(tmp_path_factory.mktemp("labels"), folders["classifier"]) as server:
        yield InferenceClient(model=f"{server.url}/predict")


def test_texts_get_encode_s_vectors(client, models, texts, close):
    close(client.feature_extraction(texts), models["minilm"].encode(texts))
    close(client.feature_extraction("a cat"), models["minilm"].encode(["a cat"]))


def test_the_embed_route_is_the_same(server, models, texts, close):
    client = InferenceClient(base_url=f"{server.url}/embed")
    close(client.feature_extraction(texts), models["minilm"].encode(texts))


def test_raw_vectors_come_when_asked_for(prompted, models, texts, close):
    close(prompted.feature_extraction(texts, normalize=False), models["prompted"].encode(texts))
    close(
        prompted.feature_extraction(texts),
        models["prompted"].encode(texts, normalize_embeddings=True),
    )


def test_a_prompt_is_asked_for_by_name(prompted, models, close):
    got = prompted.feature_extraction(QUERY, prompt_name="query", normalize=False)
    close(got, models["prompted"].encode([QUERY], prompt_name="query"))
    with pytest.raises(HfHubHTTPError, match="422"):
        prompted.feature_extraction(QUERY, prompt_name="nope")


def test_fewer_dimensions_are_normalised_again(client, models, texts, close):
    got = client.feature_extraction(texts, dimensions=64)
    close(got, models["minilm"].encode(texts, truncate_dim=64, normalize_embeddings=True))


def test_a_text_may_be_truncated_at_its_left(client, models, close):
    words = ["cat", "dog", "house", "tree", "sea"] * 60  # each is one token
    kept = models["minilm"].max_seq_length - 2
    for direction, rest in (("left", words[-kept:]), ("right", words[:kept])):
        got = client.feature_extraction(
            " ".join(words), truncate=True, truncation_direction=direction
        )
        close(got, models["minilm"].encode([" ".join(rest)]))


def test_a_long_text_is_refused_where_none_may_be_truncated(client, texts):
    with pytest.raises(HfHubHTTPError, match="422"):
        client.feature_extraction(texts, truncate=False)


def test_similarities_are_those_of_the_model(client, models, query, passages, close):
    got = client.sentence_similarity(query, passages)
    model = models["minilm"]
    close(got, model.similarity(model.encode([query]), model.encode(passages))[0])


def test_labels_come_with_their_scores_the_best_first(classifier):
    got = classifier.text_classification("the cat sat in London")
    scores = [label.score for label in got]
    assert {label.label for label in got} == {"LABEL_0", "LABEL_1", "LABEL_2"}
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)


def test_the_server_is_healthy_and_says_what_it_serves(client):
    assert client.health_check() is True
    told = client.get_endpoint_info()
    assert told["model_type"] == {"embedding": {"pooling": "mean"}}
    assert told["served_model_name"] == "minilm"
    assert told["max_input_length"] == 256


def test_the_async_client_gets_the_same(server, models, texts, close):
    async def ask():
        async with AsyncInferenceClient(model=server.url) as client:
            return await client.feature_extraction(texts)

    close(asyncio.run(ask()), models["minilm"].encode(texts))


def test_a_key_is_asked_for(strict_server, exact):
    with pytest.raises(HfHubHTTPError, match="401"):
        InferenceClient(model=strict_server.url, token="wrong").feature_extraction("a cat")
    right = InferenceClient(model=strict_server.url, token=strict_server.key)
    np.testing.assert_array_equal(right.feature_extraction("a cat"), exact(["a cat"]))
