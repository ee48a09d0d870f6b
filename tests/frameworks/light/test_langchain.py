"""LangChain: its own conformance tests, a store that is written and opened again, re-ranking."""

import json
import logging
import pickle

import pytest
from exact_neighbours import assert_nearest
from golden_files import GOLDEN, copy_of, edit_json
from langchain_classic.retrievers import ContextualCompressionRetriever
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests
from prompted import DOCUMENT, PROMPTS, QUERY
from pydantic import ValidationError

from minibert import CrossEncoder, SentenceTransformer
from minibert.integrations.langchain import MinibertEmbeddings, MinibertReranker

OFFERED = [Document("a dog barks", id="a"), Document("London", metadata={"page": 3}),
           Document("the cat sat."), Document("cats")]  # fmt: skip


class OurEmbeddings:
    """What LangChain's own tests have to know."""

    @property
    def embeddings_class(self):
        return MinibertEmbeddings

    @property
    def embedding_model_params(self):
        return {"model_name_or_path": str(GOLDEN / "gelu")}


class TestUnit(OurEmbeddings, EmbeddingsUnitTests):
    """LangChain's own tests of the class."""


@pytest.mark.asyncio
class TestIntegration(OurEmbeddings, EmbeddingsIntegrationTests):
    """LangChain's own tests of its vectors."""


def test_a_reopened_store_finds_the_nearest(cranfield, short_folder, tmp_path):
    store = InMemoryVectorStore(MinibertEmbeddings(short_folder, on_long="ignore"))
    store.add_texts(list(cranfield.documents.values()), ids=list(cranfield.documents))
    store.dump(str(tmp_path / "store.json"))
    embeddings = MinibertEmbeddings(short_folder, on_long="ignore")
    again = InMemoryVectorStore.load(str(tmp_path / "store.json"), embeddings)
    found = [
        [hit.id for hit in again.similarity_search(query, k=10)]
        for query in cranfield.queries.values()
    ]
    assert_nearest(embeddings.model, cranfield, found)


def test_vectors_are_the_model_s_own_lengths_and_all(dot_folder):
    embeddings = MinibertEmbeddings(dot_folder)
    model = SentenceTransformer(dot_folder)
    assert embeddings.embed_documents([QUERY, DOCUMENT]) == model.encode([QUERY, DOCUMENT]).tolist()
    assert embeddings.embed_query(QUERY) == model.encode(QUERY).tolist()
    assert embeddings.embed_documents([]) == []


def test_questions_and_documents_have_their_prompts(folder):
    embeddings = MinibertEmbeddings(folder, prompts=PROMPTS)
    plain = SentenceTransformer(folder)
    assert embeddings.embed_query(QUERY) == plain.encode(PROMPTS["query"] + QUERY).tolist()
    texts = [PROMPTS["document"] + DOCUMENT]
    assert embeddings.embed_documents([DOCUMENT]) == plain.encode(texts).tolist()


def test_arguments_reach_the_model_and_encode(folder):
    embeddings = MinibertEmbeddings(
        folder, truncate_dim=8, encode_kwargs={"normalize_embeddings": True}
    )
    vectors = [embeddings.embed_query(QUERY), *embeddings.embed_documents([DOCUMENT])]
    for vector in vectors:
        assert len(vector) == 8
        assert sum(number * number for number in vector) == pytest.approx(1)


def test_a_pickle_holds_the_path_and_not_the_weights(folder):
    embeddings = MinibertEmbeddings(folder, prompts=PROMPTS)
    content = pickle.dumps(embeddings)
    assert len(content) < 2000
    assert pickle.loads(content).embed_query(QUERY) == embeddings.embed_query(QUERY)


@pytest.mark.parametrize(
    ("arguments", "warned"),
    [
        ({}, True),
        ({"similarity_fn_name": "dot"}, False),  # the store knows it: that is said
        ({"similarity_fn_name": "cosine"}, False),
        ({"encode_kwargs": {"normalize_embeddings": True}}, False),  # the ranking is the same
    ],
)
def test_a_metric_that_the_store_may_not_know_is_told(dot_folder, caplog, arguments, warned):
    with caplog.at_level(logging.WARNING, "minibert"):
        MinibertEmbeddings(dot_folder, **arguments)
    assert caplog.messages == warned * [
        f"The metric of {dot_folder} is 'dot', and LangChain's InMemoryVectorStore compares by the "
        "cosine, which gives another ranking. Use a store that knows 'dot', and say so here with "
        "similarity_fn_name='dot'; or accept the other ranking with similarity_fn_name='cosine'."
    ]


def test_a_store_of_vectors_of_another_length_is_no_match(folder, tmp_path):
    InMemoryVectorStore.from_texts(["a"], MinibertEmbeddings(folder)).dump(str(tmp_path / "store"))
    other = MinibertEmbeddings(folder, truncate_dim=8)
    again = InMemoryVectorStore.load(str(tmp_path / "store"), other)
    with pytest.raises(ValueError, match="columns in X and Y must be the same"):
        again.similarity_search("a")


def test_a_retriever_s_documents_are_ranked_again(folder, one_label):
    store = InMemoryVectorStore(MinibertEmbeddings(folder))
    store.add_documents(OFFERED)
    retriever = ContextualCompressionRetriever(
        base_compressor=MinibertReranker(one_label, top_n=3),
        base_retriever=store.as_retriever(search_kwargs={"k": 4}),
    )
    found = retriever.invoke("the cat sat in London")
    texts = [document.page_content for document in OFFERED]
    hits = CrossEncoder(one_label).rank("the cat sat in London", texts)[:3]
    assert [document.page_content for document in found] == [texts[h["corpus_id"]] for h in hits]
    scores = [document.metadata["relevance_score"] for document in found]
    assert scores == pytest.approx([hit["score"] for hit in hits], abs=1e-6)
    assert {type(score) for score in scores} == {float}


@pytest.mark.asyncio
async def test_a_ranked_document_is_a_copy_with_all_it_had(one_label):
    reranker = MinibertReranker(one_label, top_n=None)
    found = {d.page_content: d for d in await reranker.acompress_documents(OFFERED, "who")}
    assert found.keys() == {document.page_content for document in OFFERED}
    assert found["a dog barks"].id == "a"
    assert found["London"].metadata.keys() == {"page", "relevance_score"}
    assert OFFERED[1].metadata == {"page": 3}
    assert reranker.compress_documents([], "who") == []


def test_the_reranker_s_arguments_reach_the_model(one_label):
    plain, raw = (
        MinibertReranker(one_label, **arguments).compress_documents(OFFERED, "who")
        for arguments in ({}, {"activation_fn": "identity"})
    )
    assert plain[0].metadata["relevance_score"] < 1 < raw[0].metadata["relevance_score"]


def test_a_dumped_reranker_is_opened_with_its_arguments(one_label):
    given = {"max_length": 5, "activation_fn": "identity", "on_long": "ignore", "token": "secret"}
    reranker = MinibertReranker(one_label, top_n=2, **given)
    dumped = json.loads(json.dumps(reranker.model_dump()))
    assert "secret" not in str(dumped)
    again = MinibertReranker.model_validate(dumped)
    found, expected = (one.compress_documents(OFFERED, "who sat") for one in (again, reranker))
    assert found == expected
    plain = MinibertReranker(one_label, top_n=2).compress_documents(OFFERED, "who sat")
    assert plain != expected
    with pytest.raises(TypeError, match="max_lenght"):
        MinibertReranker.model_validate({**dumped, "max_lenght": 5})


def test_bad_settings_of_a_reranker_are_refused(one_label, tmp_path):
    with pytest.raises(ValidationError, match="greater than or equal to 1"):
        MinibertReranker(one_label, top_n=0)
    three_labels = MinibertReranker(copy_of("cross_encoder", tmp_path / "three"))
    with pytest.raises(ValueError, match="3 labels"):
        three_labels.compress_documents(OFFERED, "who")
    with pytest.raises(TypeError, match="sorts"):
        MinibertEmbeddings(GOLDEN / "gelu", sorts=True)


def test_the_default_prompt_of_a_folder_is_kept_for_neither(folder):
    """It is for encode(), as in sentence-transformers."""
    edit_json(
        folder / "config_sentence_transformers.json",
        prompts={"any": "London "}, default_prompt_name="any",
    )  # fmt: skip
    embeddings, plain = MinibertEmbeddings(folder), SentenceTransformer(folder, prompts=PROMPTS)
    assert embeddings.embed_query(QUERY) == plain.encode(QUERY, prompt="").tolist()


def test_a_model_goes_by_langchain_s_name_too(folder):
    found = MinibertEmbeddings(model_name=str(folder)).embed_query("a cat")
    assert found == MinibertEmbeddings(folder).embed_query("a cat")
    with pytest.raises(TypeError, match="model_name_or_path and model_name are two names"):
        MinibertEmbeddings(folder, model_name=str(folder))
    with pytest.raises(TypeError, match="model_name_or_path is None; expected a folder or a name"):
        MinibertEmbeddings()
