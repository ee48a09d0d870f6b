"""Cohere's own client, in both of its forms."""

import asyncio

import cohere
import pytest


@pytest.fixture(scope="module")
def cohere_v1(open_server):
    return cohere.Client(api_key="any", base_url=open_server.url)


@pytest.fixture(scope="module")
def cohere_v2(open_server):
    return cohere.ClientV2(api_key="any", base_url=open_server.url)


@pytest.fixture
def check_ranked(ranked, close):
    """Hold results to the order and the scores of CrossEncoder.rank."""

    def check(results, top=None):
        assert [result.index for result in results] == ranked.order[:top]
        close([result.relevance_score for result in results], ranked.scores[:top])

    return check


def test_the_old_client_gets_rank_s_order(cohere_v1, asked, offered, check_ranked):
    answer = cohere_v1.rerank(model="reranker", query=asked, documents=offered)
    check_ranked(answer.results)
    assert [result.document for result in answer.results] == [None] * len(offered)
    assert answer.id
    assert answer.meta.billed_units.search_units == 1


def test_the_old_client_gets_documents_when_it_asks(
    cohere_v1, asked, offered, ranked, check_ranked
):
    answer = cohere_v1.rerank(
        model="reranker",
        query=asked,
        documents=offered,
        top_n=2,
        return_documents=True,
    )
    check_ranked(answer.results, top=2)
    assert [result.document.text for result in answer.results] == [
        offered[place] for place in ranked.order[:2]
    ]


def test_documents_may_be_objects(cohere_v1, asked, offered, check_ranked):
    documents = [{"text": passage, "page": "7"} for passage in offered]
    check_ranked(cohere_v1.rerank(model="reranker", query=asked, documents=documents).results)


def test_fields_of_documents_are_joined(cohere_v1, opened, asked, close):
    documents = [{"title": "the cat", "body": "sat"}, {"title": "London", "body": "barks"}]
    answer = cohere_v1.rerank(
        model="reranker", query=asked, documents=documents, rank_fields=["title", "body"]
    )
    hits = opened["reranker"].rank(asked, ["the cat\nsat", "London\nbarks"])
    assert [result.index for result in answer.results] == [hit["corpus_id"] for hit in hits]
    close([result.relevance_score for result in answer.results], [hit["score"] for hit in hits])


def test_the_new_client_gets_rank_s_order(cohere_v2, asked, offered, check_ranked):
    answer = cohere_v2.rerank(model="reranker", query=asked, documents=offered)
    check_ranked(answer.results)
    assert answer.id
    assert answer.meta.billed_units.search_units == 1


def test_the_new_client_gets_the_best_alone(cohere_v2, asked, offered, check_ranked):
    answer = cohere_v2.rerank(model="reranker", query=asked, documents=offered, top_n=1)
    check_ranked(answer.results, top=1)


def test_a_base_url_with_a_version_works(open_server, asked, offered, check_ranked):
    client = cohere.ClientV2(api_key="any", base_url=f"{open_server.url}/v1")
    check_ranked(client.rerank(model="reranker", query=asked, documents=offered).results)


def test_the_async_client_gets_the_same(open_server, asked, offered, check_ranked):
    async def ask():
        async with cohere.AsyncClientV2(api_key="any", base_url=open_server.url) as client:
            return await client.rerank(model="reranker", query=asked, documents=offered)

    check_ranked(asyncio.run(ask()).results)


def test_an_unknown_model_is_not_found(cohere_v1, cohere_v2):
    for client in (cohere_v1, cohere_v2):
        with pytest.raises(cohere.NotFoundError) as caught:
            client.rerank(model="nope", query="a", documents=["b"])
        assert "nope" in caught.value.body["message"]


def test_a_key_is_asked_for(strict_server, asked, offered):
    wrong = cohere.ClientV2(api_key="wrong", base_url=strict_server.url)
    with pytest.raises(cohere.UnauthorizedError):
        wrong.rerank(model="reranker", query=asked, documents=offered)
    right = cohere.ClientV2(api_key=strict_server.key, base_url=strict_server.url)
    assert len(right.rerank(model="reranker", query=asked, documents=offered).results) == 5


def test_no_documents_are_a_bad_request(cohere_v2):
    with pytest.raises(cohere.BadRequestError) as caught:
        cohere_v2.rerank(model="reranker", query="a", documents=[])
    assert "documents" in caught.value.body["message"]
