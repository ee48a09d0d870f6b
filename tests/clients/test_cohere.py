"""Cohere's own client, in both of its forms."""

import asyncio

import cohere
import pytest


@pytest.fixture(scope="module")
def v1(server):
    return cohere.Client(api_key="any", base_url=server.url)


@pytest.fixture(scope="module")
def v2(server):
    return cohere.ClientV2(api_key="any", base_url=server.url)


@pytest.fixture
def is_ranked(ranked, close):
    """Hold results to the order and the scores of CrossEncoder.rank."""

    def check(results, top=None):
        assert [result.index for result in results] == ranked.order[:top]
        close([result.relevance_score for result in results], ranked.scores[:top])

    return check


def test_the_old_client_gets_rank_s_order(v1, query, passages, is_ranked):
    answer = v1.rerank(model="reranker", query=query, documents=passages)
    is_ranked(answer.results)
    assert [result.document for result in answer.results] == [None] * len(passages)
    assert answer.id
    assert answer.meta.billed_units.search_units == 1


def test_the_old_client_gets_documents_when_it_asks(v1, query, passages, ranked, is_ranked):
    answer = v1.rerank(
        model="reranker", query=query, documents=passages, top_n=2, return_documents=True
    )
    is_ranked(answer.results, top=2)
    assert [result.document.text for result in answer.results] == [
        passages[place] for place in ranked.order[:2]
    ]


def test_documents_may_be_objects(v1, query, passages, is_ranked):
    documents = [{"text": passage, "page": "7"} for passage in passages]
    is_ranked(v1.rerank(model="reranker", query=query, documents=documents).results)


def test_fields_of_documents_are_joined(v1, models, query, close):
    documents = [{"title": "the cat", "body": "sat"}, {"title": "London", "body": "barks"}]
    answer = v1.rerank(
        model="reranker", query=query, documents=documents, rank_fields=["title", "body"]
    )
    hits = models["reranker"].rank(query, ["the cat\nsat", "London\nbarks"])
    assert [result.index for result in answer.results] == [hit["corpus_id"] for hit in hits]
    close([result.relevance_score for result in answer.results], [hit["score"] for hit in hits])


def test_the_new_client_gets_rank_s_order(v2, query, passages, is_ranked):
    answer = v2.rerank(model="reranker", query=query, documents=passages)
    is_ranked(answer.results)
    assert answer.id
    assert answer.meta.billed_units.search_units == 1


def test_the_new_client_gets_the_best_alone(v2, query, passages, is_ranked):
    answer = v2.rerank(model="reranker", query=query, documents=passages, top_n=1)
    is_ranked(answer.results, top=1)


def test_a_base_url_with_a_version_works(server, query, passages, is_ranked):
    client = cohere.ClientV2(api_key="any", base_url=f"{server.url}/v1")
    is_ranked(client.rerank(model="reranker", query=query, documents=passages).results)


def test_the_async_client_gets_the_same(server, query, passages, is_ranked):
    async def ask():
        async with cohere.AsyncClientV2(api_key="any", base_url=server.url) as client:
            return await client.rerank(model="reranker", query=query, documents=passages)

    is_ranked(asyncio.run(ask()).results)


def test_an_unknown_model_is_not_found(v1, v2):
    for client in (v1, v2):
        with pytest.raises(cohere.NotFoundError) as caught:
            client.rerank(model="nope", query="a", documents=["b"])
        assert "nope" in caught.value.body["message"]


def test_a_key_is_asked_for(strict_server, query, passages):
    wrong = cohere.ClientV2(api_key="wrong", base_url=strict_server.url)
    with pytest.raises(cohere.UnauthorizedError):
        wrong.rerank(model="reranker", query=query, documents=passages)
    right = cohere.ClientV2(api_key=strict_server.key, base_url=strict_server.url)
    assert len(right.rerank(model="reranker", query=query, documents=passages).results) == 5


def test_no_documents_are_a_bad_request(v2):
    with pytest.raises(cohere.BadRequestError) as caught:
        v2.rerank(model="reranker", query="a", documents=[])
    assert "documents" in caught.value.body["message"]
