"""LangChain's rerank of Cohere, whose client is an older one: in an environment of its own."""

import asyncio

import cohere
import pytest
from langchain_cohere import CohereRerank
from langchain_core.documents import Document


@pytest.fixture(scope="module")
def langchain_reranker(open_server):
    return CohereRerank(model="reranker", cohere_api_key="any", base_url=open_server.url, top_n=3)


def test_the_best_come_in_rank_s_order(langchain_reranker, asked, offered, ranked, close):
    hits = langchain_reranker.rerank(offered, asked)
    assert [hit["index"] for hit in hits] == ranked.order[:3]
    close([hit["relevance_score"] for hit in hits], ranked.scores[:3])


def test_documents_are_compressed_in_rank_s_order(
    langchain_reranker, asked, offered, ranked, close
):
    documents = [Document(page_content=passage) for passage in offered]
    best = langchain_reranker.compress_documents(documents, asked)
    assert [document.page_content for document in best] == [
        offered[place] for place in ranked.order[:3]
    ]
    close([document.metadata["relevance_score"] for document in best], ranked.scores[:3])


def test_the_async_call_gets_the_same(langchain_reranker, asked, offered, ranked):
    documents = [Document(page_content=passage) for passage in offered]
    best = asyncio.run(langchain_reranker.acompress_documents(documents, asked))
    assert [document.page_content for document in best] == [
        offered[place] for place in ranked.order[:3]
    ]


def test_cohere_s_older_client_gets_rank_s_order(open_server, asked, offered, ranked):
    assert cohere.__version__.startswith("5.")
    for client in (cohere.Client, cohere.ClientV2):
        answer = client(api_key="any", base_url=open_server.url).rerank(
            model="reranker", query=asked, documents=offered
        )
        assert [result.index for result in answer.results] == ranked.order


def test_an_unknown_model_is_not_found(open_server):
    unknown = CohereRerank(model="nope", cohere_api_key="any", base_url=open_server.url)
    with pytest.raises(cohere.NotFoundError, match="nope"):
        unknown.rerank(["b"], "a")


def test_a_key_is_sent(strict_server, asked, offered, ranked):
    with_key = CohereRerank(
        model="reranker", cohere_api_key=strict_server.key, base_url=strict_server.url
    )
    assert [hit["index"] for hit in with_key.rerank(offered, asked)] == ranked.order[:3]
