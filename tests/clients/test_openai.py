"""OpenAI's own client."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
from prompted import QUERY


@pytest.fixture(scope="module")
def openai_client(open_server):
    return openai.OpenAI(base_url=f"{open_server.url}/v1", api_key="any", max_retries=0)


@pytest.fixture(scope="module")
def strict_openai(strict_server):
    return openai.OpenAI(
        base_url=f"{strict_server.url}/v1", api_key=strict_server.key, max_retries=0
    )


def vectors(answer):
    return [entry.embedding for entry in answer.data]


def test_texts_get_encode_s_vectors_in_order(openai_client, opened, sent, close):
    answer = openai_client.embeddings.create(model="minilm", input=sent)
    close(vectors(answer), opened["minilm"].encode(sent))
    assert [entry.index for entry in answer.data] == [*range(len(sent))]
    assert {entry.object for entry in answer.data} == {"embedding"}
    assert (answer.object, answer.model) == ("list", "minilm")


def test_usage_counts_the_tokens_that_are_computed(openai_client, opened, sent):
    usage = openai_client.embeddings.create(model="minilm", input=sent).usage
    lengths = [len(opened["minilm"].tokens(text).tokens) for text in sent]
    assert max(lengths) == opened["minilm"].max_seq_length  # one text is truncated
    assert usage.prompt_tokens == usage.total_tokens == sum(lengths)


def test_one_text_gets_one_vector(openai_client, opened, close):
    answer = openai_client.embeddings.create(model="minilm", input="A dog barks.")
    close(vectors(answer), opened["minilm"].encode(["A dog barks."]))


def test_floats_are_the_same_bits_as_base64(openai_client, sent):
    by_default = openai_client.embeddings.create(model="minilm", input=sent[:1])
    floats = openai_client.embeddings.create(
        model="minilm", input=sent[:1], encoding_format="float"
    )
    encoded = openai_client.embeddings.create(
        model="minilm", input=sent[:1], encoding_format="base64"
    )
    raw = base64.b64decode(encoded.data[0].embedding)
    assert np.array(vectors(floats)[0], np.float32).tobytes() == raw
    assert np.array(vectors(by_default)[0], np.float32).tobytes() == raw


def test_reproducible_vectors_are_encode_s_bit_for_bit(strict_openai, sent, exact):
    together = vectors(strict_openai.embeddings.create(model="minilm", input=sent))
    np.testing.assert_array_equal(np.array(together, np.float32), exact(sent))
    for text, expected in zip(sent, exact(sent), strict=True):
        (alone,) = vectors(strict_openai.embeddings.create(model="minilm", input=text))
        np.testing.assert_array_equal(np.array(alone, np.float32), expected)


def test_fewer_dimensions_are_normalised_again(openai_client, opened, sent, close):
    got = vectors(openai_client.embeddings.create(model="minilm", input=sent, dimensions=64))
    close(got, opened["minilm"].encode(sent, truncate_dim=64, normalize_embeddings=True))


def test_a_cosine_model_s_vectors_have_the_length_one(openai_client, opened, sent, close):
    got = vectors(openai_client.embeddings.create(model="tiny", input=sent))
    assert np.linalg.norm(opened["tiny"].encode(sent), axis=1).min() > 1.01
    close(got, opened["tiny"].encode(sent, normalize_embeddings=True))


def test_a_dot_product_model_s_vectors_are_raw(openai_client, opened, sent, close):
    got = vectors(openai_client.embeddings.create(model="dot", input=sent))
    assert np.linalg.norm(got, axis=1).min() > 1.01
    close(got, opened["dot"].encode(sent))


def test_a_prompt_is_named_by_the_model_or_beside_it(openai_client, opened, close):
    expected = opened["prompted"].encode([QUERY], prompt_name="query", normalize_embeddings=True)
    by_name = openai_client.embeddings.create(model="prompted:query", input=[QUERY])
    beside = openai_client.embeddings.create(
        model="prompted", input=[QUERY], extra_body={"prompt_name": "query"}
    )
    close(vectors(by_name), expected)
    close(vectors(beside), expected)


def test_as_many_texts_as_openai_takes_are_one_request(openai_client, opened, close):
    texts = [f"the cat number {n}" for n in range(2048)]
    got = vectors(openai_client.embeddings.create(model="tiny", input=texts))
    close(got, opened["tiny"].encode(texts, normalize_embeddings=True))


def test_callers_at_once_get_their_own_vectors(openai_client, opened, sent, close):
    many = [f"{text} {n}" for n in range(8) for text in sent]
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(
            lambda text: openai_client.embeddings.create(model="minilm", input=text), many
        )
        got = [vectors(answer)[0] for answer in answers]
    close(got, opened["minilm"].encode(many))


def test_the_async_client_gets_the_same(open_server, opened, sent, close):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{open_server.url}/v1", api_key="any") as client:
            ask_for = client.embeddings.create
            return await asyncio.gather(*(ask_for(model="minilm", input=text) for text in sent))

    answers = asyncio.run(ask())
    close([vectors(answer)[0] for answer in answers], opened["minilm"].encode(sent))


def test_the_models_are_listed_in_the_command_s_order(openai_client, served_folders):
    listed = openai_client.models.list().data
    assert [model.id for model in listed] == [*served_folders]
    assert {(model.object, model.owned_by) for model in listed} == {("model", "minibert")}
    assert openai_client.models.retrieve("minilm") == listed[0]
    assert listed[0].created == int(
        (served_folders["minilm"] / "model.safetensors").stat().st_mtime
    )


def test_an_unknown_model_is_not_found(openai_client):
    with pytest.raises(openai.NotFoundError, match="nope") as caught:
        openai_client.embeddings.create(
            model="nope", input="a", extra_headers={"x-request-id": "mine"}
        )
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.request_id == "mine"
    with pytest.raises(openai.NotFoundError, match="nope"):
        openai_client.models.retrieve("nope")


def test_a_key_is_asked_for(strict_server):
    wrong = openai.OpenAI(base_url=f"{strict_server.url}/v1", api_key="not-the-key", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        wrong.embeddings.create(model="minilm", input="a")
    assert caught.value.code == "invalid_api_key"
    assert "not-the-key" not in str(caught.value.body)


@pytest.mark.parametrize("ids", [[101, 1037, 3899, 102], [[101, 1037], [3899]]])
def test_token_ids_are_refused_with_advice(openai_client, ids):
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length") as caught:
        openai_client.embeddings.create(model="minilm", input=ids)
    assert caught.value.param.startswith("input")


@pytest.mark.parametrize("dimensions", [0, 385])
def test_dimensions_that_are_not_there_are_refused(openai_client, dimensions):
    with pytest.raises(openai.BadRequestError, match=str(dimensions)) as caught:
        openai_client.embeddings.create(model="minilm", input="a", dimensions=dimensions)
    assert caught.value.param == "dimensions"


def test_too_many_texts_are_refused_with_their_number(strict_openai):
    with pytest.raises(openai.BadRequestError, match="9"):
        strict_openai.embeddings.create(model="minilm", input=["a"] * 9)


def test_a_body_that_is_too_large_is_refused(strict_openai):
    with pytest.raises(openai.APIStatusError) as caught:
        strict_openai.embeddings.create(model="minilm", input="a" * 100_000)
    assert caught.value.status_code == 413
    assert "100000" in caught.value.message.replace(",", "")


def test_the_request_id_comes_back(openai_client):
    answer = openai_client.embeddings.create(
        model="tiny", input="a", extra_headers={"x-request-id": "7"}
    )
    assert answer._request_id == "7"


def test_a_reranker_embeds_nothing(openai_client):
    with pytest.raises(openai.APIStatusError, match="reranker"):
        openai_client.embeddings.create(model="reranker", input="a")
