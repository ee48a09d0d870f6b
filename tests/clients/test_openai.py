"""OpenAI's own client."""

import asyncio
import base64
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import openai
import pytest
from prompted import QUERY

from minibert import SentenceTransformer


@pytest.fixture(scope="module")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="any", max_retries=0)


@pytest.fixture(scope="module")
def strict(strict_server):
    return openai.OpenAI(
        base_url=f"{strict_server.url}/v1", api_key=strict_server.key, max_retries=0
    )


def vectors(answer):
    return [entry.embedding for entry in answer.data]


def test_texts_get_encode_s_vectors_in_order(client, models, texts, close):
    answer = client.embeddings.create(model="minilm", input=texts)
    close(vectors(answer), models["minilm"].encode(texts))
    assert [entry.index for entry in answer.data] == [*range(len(texts))]
    assert {entry.object for entry in answer.data} == {"embedding"}
    assert (answer.object, answer.model) == ("list", "minilm")


def test_usage_counts_the_tokens_that_are_computed(client, models, texts):
    usage = client.embeddings.create(model="minilm", input=texts).usage
    lengths = [len(models["minilm"].tokens(text).tokens) for text in texts]
    assert max(lengths) == models["minilm"].max_seq_length  # one text is truncated
    assert usage.prompt_tokens == usage.total_tokens == sum(lengths)


def test_one_text_gets_one_vector(client, models, close):
    answer = client.embeddings.create(model="minilm", input="A dog barks.")
    close(vectors(answer), models["minilm"].encode(["A dog barks."]))


def test_floats_are_the_same_bits_as_base64(client, texts):
    by_default = client.embeddings.create(model="minilm", input=texts[:1])
    floats = client.embeddings.create(model="minilm", input=texts[:1], encoding_format="float")
    encoded = client.embeddings.create(model="minilm", input=texts[:1], encoding_format="base64")
    raw = base64.b64decode(encoded.data[0].embedding)
    assert np.array(vectors(floats)[0], np.float32).tobytes() == raw
    assert np.array(vectors(by_default)[0], np.float32).tobytes() == raw


def test_reproducible_vectors_are_encode_s_bit_for_bit(strict, texts, exact):
    together = vectors(strict.embeddings.create(model="minilm", input=texts))
    np.testing.assert_array_equal(np.array(together, np.float32), exact(texts))
    for text, expected in zip(texts, exact(texts), strict=True):
        (alone,) = vectors(strict.embeddings.create(model="minilm", input=text))
        np.testing.assert_array_equal(np.array(alone, np.float32), expected)


def test_fewer_dimensions_are_normalised_again(client, models, texts, close):
    got = vectors(client.embeddings.create(model="minilm", input=texts, dimensions=64))
    close(got, models["minilm"].encode(texts, truncate_dim=64, normalize_embeddings=True))


def test_a_cosine_model_s_vectors_have_the_length_one(client, models, texts, close):
    got = vectors(client.embeddings.create(model="tiny", input=texts))
    assert np.linalg.norm(models["tiny"].encode(texts), axis=1).min() > 1.01
    close(got, models["tiny"].encode(texts, normalize_embeddings=True))


def test_a_dot_product_model_s_vectors_are_raw(client, models, texts, close):
    got = vectors(client.embeddings.create(model="dot", input=texts))
    assert np.linalg.norm(got, axis=1).min() > 1.01
    close(got, models["dot"].encode(texts))


def test_a_prompt_is_named_by_the_model_or_beside_it(client, models, close):
    expected = models["prompted"].encode([QUERY], prompt_name="query", normalize_embeddings=True)
    by_name = client.embeddings.create(model="prompted:query", input=[QUERY])
    beside = client.embeddings.create(
        model="prompted", input=[QUERY], extra_body={"prompt_name": "query"}
    )
    close(vectors(by_name), expected)
    close(vectors(beside), expected)


def test_as_many_texts_as_openai_takes_are_one_request(client, models, close):
    texts = [f"the cat number {n}" for n in range(2048)]
    got = vectors(client.embeddings.create(model="tiny", input=texts))
    close(got, models["tiny"].encode(texts, normalize_embeddings=True))


def test_callers_at_once_get_their_own_vectors(client, models, texts, close):
    many = [f"{text} {n}" for n in range(8) for text in texts]
    with ThreadPoolExecutor(16) as pool:
        answers = pool.map(lambda text: client.embeddings.create(model="minilm", input=text), many)
        got = [vectors(answer)[0] for answer in answers]
    close(got, models["minilm"].encode(many))


def test_the_async_client_gets_the_same(server, models, texts, close):
    async def ask():
        async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key="any") as client:
            ask_for = client.embeddings.create
            return await asyncio.gather(*(ask_for(model="minilm", input=text) for text in texts))

    answers = asyncio.run(ask())
    close([vectors(answer)[0] for answer in answers], models["minilm"].encode(texts))


def test_the_models_are_listed_in_the_command_s_order(client, folders):
    listed = client.models.list().data
    assert [model.id for model in listed] == [*folders]
    assert {(model.object, model.owned_by) for model in listed} == {("model", "minibert")}
    assert client.models.retrieve("minilm") == listed[0]
    assert listed[0].created == int((folders["minilm"] / "model.safetensors").stat().st_mtime)


def test_an_unknown_model_is_not_found(client):
    with pytest.raises(openai.NotFoundError, match="nope") as caught:
        client.embeddings.create(model="nope", input="a", extra_headers={"x-request-id": "mine"})
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    assert caught.value.request_id == "mine"
    with pytest.raises(openai.NotFoundError, match="nope"):
        client.models.retrieve("nope")


def test_a_key_is_asked_for(strict_server):
    wrong = openai.OpenAI(base_url=f"{strict_server.url}/v1", api_key="not-the-key", max_retries=0)
    with pytest.raises(openai.AuthenticationError) as caught:
        wrong.embeddings.create(model="minilm", input="a")
    assert caught.value.code == "invalid_api_key"
    assert "not-the-key" not in str(caught.value.body)


@pytest.mark.parametrize("ids", [[101, 1037, 3899, 102], [[101, 1037], [3899]]])
def test_token_ids_are_refused_with_advice(client, ids):
    with pytest.raises(openai.BadRequestError, match="check_embedding_ctx_length") as caught:
        client.embeddings.create(model="minilm", input=ids)
    assert caught.value.param.startswith("input")


@pytest.mark.parametrize("dimensions", [0, 385])
def test_dimensions_that_are_not_there_are_refused(client, dimensions):
    with pytest.raises(openai.BadRequestError, match=str(dimensions)) as caught:
        client.embeddings.create(model="minilm", input="a", dimensions=dimensions)
    assert caught.value.param == "dimensions"


def test_too_many_texts_are_refused_with_their_number(strict):
    with pytest.raises(openai.BadRequestError, match="9"):
        strict.embeddings.create(model="minilm", input=["a"] * 9)


def test_a_body_that_is_too_large_is_refused(strict):
    with pytest.raises(openai.APIStatusError) as caught:
        strict.embeddings.create(model="minilm", input="a" * 100_000)
    assert caught.value.status_code == 413
    assert "100000" in caught.value.message.replace(",", "")


def test_the_request_id_comes_back(client):
    answer = client.embeddings.create(model="tiny", input="a", extra_headers={"x-request-id": "7"})
    assert answer._request_id == "7"


def test_a_reranker_embeds_nothing(client):
    with pytest.raises(openai.APIStatusError, match="reranker"):
        client.embeddings.create(model="reranker", input="a")


def test_the_vectors_find_what_the_model_finds(client, folders, texts):
    model = SentenceTransformer(str(folders["minilm"]), on_long="ignore")
    got = np.array(vectors(client.embeddings.create(model="minilm", input=texts)), np.float32)
    (query,) = vectors(client.embeddings.create(model="minilm", input="a cat on a mat"))
    assert int(np.argmax(got @ np.array(query, np.float32))) == 0
    assert int(np.argmax(model.similarity(model.encode("a cat on a mat"), got))) == 0
