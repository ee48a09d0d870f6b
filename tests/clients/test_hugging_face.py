"""Hugging Face's InferenceClient, which speaks to text-embeddings-inference."""

import asyncio

import numpy as np
import pytest
from huggingface_hub import AsyncInferenceClient, InferenceClient
from huggingface_hub.errors import HfHubHTTPError
from prompted import QUERY
from server_process import running


@pytest.fixture(scope="module")
def inference(open_server):
    return InferenceClient(model=open_server.url)


@pytest.fixture(scope="module")
def prompted_inference(served_folders):
    """A client of a server whose one model has prompts."""
    with running(served_folders["prompted"]) as server:
        yield InferenceClient(model=server.url)


@pytest.fixture(scope="module")
def label_inference(served_folders):
    """A client of a server whose one model has labels."""
    with running(served_folders["classifier"]) as server:
        yield InferenceClient(model=f"{server.url}/predict")


def test_texts_get_encode_s_vectors(inference, opened, sent, close):
    close(inference.feature_extraction(sent), opened["minilm"].encode(sent))
    close(inference.feature_extraction("a cat"), opened["minilm"].encode(["a cat"]))


def test_the_embed_route_is_the_same(open_server, opened, sent, close):
    client = InferenceClient(base_url=f"{open_server.url}/embed")
    close(client.feature_extraction(sent), opened["minilm"].encode(sent))


def test_raw_vectors_come_when_asked_for(prompted_inference, opened, sent, close):
    close(
        prompted_inference.feature_extraction(sent, normalize=False),
        opened["prompted"].encode(sent),
    )
    close(
        prompted_inference.feature_extraction(sent),
        opened["prompted"].encode(sent, normalize_embeddings=True),
    )


def test_a_prompt_is_asked_for_by_name(prompted_inference, opened, close):
    got = prompted_inference.feature_extraction(QUERY, prompt_name="query", normalize=False)
    close(got, opened["prompted"].encode([QUERY], prompt_name="query"))
    with pytest.raises(HfHubHTTPError, match="422"):
        prompted_inference.feature_extraction(QUERY, prompt_name="nope")


def test_fewer_dimensions_are_normalised_again(inference, opened, sent, close):
    got = inference.feature_extraction(sent, dimensions=64)
    close(got, opened["minilm"].encode(sent, truncate_dim=64, normalize_embeddings=True))


def test_a_text_may_be_truncated_at_its_left(inference, opened, close):
    words = ["cat", "dog", "house", "tree", "sea"] * 60  # each is one token
    kept = opened["minilm"].max_seq_length - 2
    for direction, rest in (("left", words[-kept:]), ("right", words[:kept])):
        got = inference.feature_extraction(
            " ".join(words), truncate=True, truncation_direction=direction
        )
        close(got, opened["minilm"].encode([" ".join(rest)]))


def test_a_long_text_is_refused_where_none_may_be_truncated(inference, sent):
    with pytest.raises(HfHubHTTPError, match="422"):
        inference.feature_extraction(sent, truncate=False)


def test_similarities_are_those_of_the_model(inference, opened, asked, offered, close):
    got = inference.sentence_similarity(asked, offered)
    model = opened["minilm"]
    close(got, model.similarity(model.encode([asked]), model.encode(offered))[0])


def test_the_best_label_comes_with_its_score(label_inference):
    best = label_inference.text_classification("the cat sat in London")
    assert best.label in ("LABEL_0", "LABEL_1", "LABEL_2")
    assert 1 / 3 < best.score < 1


def test_the_server_is_healthy_and_says_what_it_serves(open_server):
    client = InferenceClient(model=open_server.url, provider="hf-inference")
    assert client.health_check() is True
    told = client.get_endpoint_info()
    assert told["model_type"] == {"embedding": {"pooling": "mean"}}
    assert told["served_model_name"] == "minilm"
    assert told["max_input_length"] == 256


def test_the_async_client_gets_the_same(open_server, opened, sent, close):
    async def ask():
        async with AsyncInferenceClient(model=open_server.url) as client:
            return await client.feature_extraction(sent)

    close(asyncio.run(ask()), opened["minilm"].encode(sent))


def test_a_key_is_asked_for(strict_server, exact):
    with pytest.raises(HfHubHTTPError, match="401"):
        InferenceClient(model=strict_server.url, token="wrong").feature_extraction("a cat")
    right = InferenceClient(model=strict_server.url, token=strict_server.key)
    np.testing.assert_array_equal(right.feature_extraction("a cat"), exact(["a cat"]))
