"""Haystack: a store on disk and a pipeline that is saved and loaded, similarity, re-ranking."""

import pytest
from exact_neighbours import assert_nearest
from golden_files import GOLDEN
from haystack import Document, Pipeline
from haystack.components.retrievers.in_memory import InMemoryEmbeddingRetriever
from haystack.components.writers import DocumentWriter
from haystack.document_stores.in_memory import InMemoryDocumentStore
from haystack.utils import Secret
from prompted import DOCUMENT, PROMPTS, QUERY

from minibert import CrossEncoder, MinibertError, SentenceTransformer
from minibert.integrations.haystack import (
    MinibertDocumentEmbedder,
    MinibertRanker,
    MinibertTextEmbedder,
)

OURS = "minibert.integrations.haystack"
OFFERED = [Document(content=text) for text in ("a dog barks", "London", "the cat sat.", "cats")]


@pytest.fixture(params=["short_folder", "dot_folder"])
def each_folder(request):
    """The real MiniLM, whose metric is the cosine, and a model for the dot product."""
    return request.getfixturevalue(request.param)


def saved_and_loaded(pipeline):
    return Pipeline.loads(pipeline.dumps(), allowed_modules=[OURS])


def test_a_reopened_store_finds_the_nearest(cranfield, each_folder, tmp_path):
    embedder = MinibertDocumentEmbedder(each_folder, on_long="ignore")
    store = InMemoryDocumentStore(
        embedding_similarity_function=embedder.embedding_similarity_function
    )
    writing = Pipeline()
    writing.add_component("embed", embedder)
    writing.add_component("write", DocumentWriter(store))
    writing.connect("embed", "write")
    documents = [Document(id=id, content=text) for id, text in cranfield.documents.items()]
    saved_and_loaded(writing).run({"embed": {"documents": documents}})
    store.save_to_disk(str(tmp_path / "store.json"))

    again = InMemoryDocumentStore.load_from_disk(str(tmp_path / "store.json"))
    reading = Pipeline()
    reading.add_component("embed", MinibertTextEmbedder(each_folder, on_long="ignore"))
    reading.add_component("search", InMemoryEmbeddingRetriever(again, top_k=10))
    reading.connect("embed.embedding", "search.query_embedding")
    reading = saved_and_loaded(reading)
    found = [
        [hit.id for hit in reading.run({"embed": {"text": query}})["search"]["documents"]]
        for query in cranfield.queries.values()
    ]
    assert_nearest(embedder.model, cranfield, found)


def test_a_store_s_similarity_is_the_model_s_metric(each_folder, dot_folder):
    expected = "dot_product" if each_folder == dot_folder else "cosine"
    assert MinibertDocumentEmbedder(each_folder).embedding_similarity_function == expected


def test_a_metric_that_the_store_does_not_know_is_refused(folder, minilm_folder):
    far = MinibertDocumentEmbedder(folder, similarity_fn_name="euclidean")
    message = "is 'euclidean', but Haystack's InMemoryDocumentStore compares by 'cosine' or 'dot'"
    with pytest.raises(ValueError, match=message):
        _ = far.embedding_similarity_function
    unit = MinibertDocumentEmbedder(minilm_folder, similarity_fn_name="euclidean")
    assert unit.embedding_similarity_function == "cosine"  # the same ranking
    made_unit = MinibertDocumentEmbedder(
        folder, similarity_fn_name="euclidean", encode_kwargs={"normalize_embeddings": True}
    )
    assert made_unit.embedding_similarity_function == "cosine"


def test_questions_and_documents_have_their_prompts(folder):
    plain = SentenceTransformer(folder)
    found = MinibertTextEmbedder(folder, prompts=PROMPTS).run(QUERY)["embedding"]
    assert found == plain.encode(PROMPTS["query"] + QUERY).tolist()
    embedder = MinibertDocumentEmbedder(folder, prompts=PROMPTS)
    (document,) = embedder.run([Document(content=DOCUMENT)])["documents"]
    assert document.embedding == plain.encode([PROMPTS["document"] + DOCUMENT])[0].tolist()


def test_fields_go_before_the_content_that_stays(folder):
    embedder = MinibertDocumentEmbedder(
        folder, meta_fields_to_embed=["title", "page"], embedding_separator=" | "
    )
    given = [
        Document(content="cats", meta={"page": 0, "title": "London", "x": "y"}, id="a"),
        Document(content="cats", meta={"title": None}, id="b"),
        Document(id="c"),
    ]
    found = embedder.run(given)["documents"]
    vectors = SentenceTransformer(folder).encode(["London | 0 | cats", "cats", ""])
    assert [document.embedding for document in found] == vectors.tolist()
    assert [document.embedding for document in given] == [None] * 3
    assert [d.id for d in found] == ["a", "b", "c"]
    assert embedder.run([])["documents"] == []


def test_arguments_reach_the_model_and_encode(folder):
    arguments = {"truncate_dim": 8, "encode_kwargs": {"normalize_embeddings": True}}
    vector = MinibertTextEmbedder(folder, **arguments).run(QUERY)["embedding"]
    (document,) = MinibertDocumentEmbedder(folder, **arguments).run(OFFERED[:1])["documents"]
    for numbers in (vector, document.embedding):
        assert len(numbers) == 8
        assert sum(number * number for number in numbers) == pytest.approx(1)


@pytest.mark.parametrize(
    "component",
    [
        MinibertTextEmbedder("no/such", threads=1, encode_kwargs={"batch_size": 2}),
        MinibertDocumentEmbedder(
            "no/such", prompts=PROMPTS, meta_fields_to_embed=("a",), embedding_separator="; ",
            token=Secret.from_env_var("A_TOKEN", strict=False),
        ),
        MinibertRanker("no/such", top_k=3, score_threshold=0.5, max_length=64),
    ],
    ids=lambda component: type(component).__name__,
)  # fmt: skip
def test_a_component_is_saved_whole_and_unopened(component):
    described = component.to_dict()
    again = type(component).from_dict(described)
    assert again.to_dict() == described
    for name in ("model_name", "token", "settings", "arguments"):
        assert getattr(again, name) == getattr(component, name)
    with pytest.raises(MinibertError, match="no/such"):
        again.warm_up()


def test_a_token_is_written_to_no_file(folder):
    embedder = MinibertTextEmbedder(folder, token="hf_secret")
    assert len(embedder.run(QUERY)["embedding"]) == 20
    with pytest.raises(ValueError, match="Cannot serialize token-based secret"):
        embedder.to_dict()
    with pytest.raises(ValueError, match=r"None of the .*A_TOKEN"):
        MinibertTextEmbedder(folder, token=Secret.from_env_var("A_TOKEN")).warm_up()


def test_a_text_embedder_takes_one_question_alone(folder):
    message = "got a list; expected one question, a str. MinibertDocumentEmbedder encodes doc"
    with pytest.raises(TypeError, match=message):
        MinibertTextEmbedder(folder).run(OFFERED)


@pytest.mark.parametrize("given", [["a text"], "a text", {"content": "a text"}])
def test_what_is_no_document_is_refused(folder, one_label, given):
    for run in (
        lambda: MinibertDocumentEmbedder(folder).run(given),
        lambda: MinibertRanker(one_label).run(QUERY, given),
    ):
        with pytest.raises(TypeError, match=r"The documents have a str, .*Document"):
            run()


def test_documents_are_ranked_by_the_cross_encoder(one_label):
    pipeline = Pipeline()
    pipeline.add_component("rank", MinibertRanker(one_label, top_k=3))
    given = {"query": "the cat sat in London", "documents": [*OFFERED, OFFERED[0]]}
    found = saved_and_loaded(pipeline).run({"rank": given})["rank"]["documents"]
    texts = [document.content for document in OFFERED]
    hits = CrossEncoder(one_label).rank(given["query"], texts)
    assert [document.content for document in found] == [texts[h["corpus_id"]] for h in hits[:3]]
    scores = [document.score for document in found]
    assert scores == pytest.approx([hit["score"] for hit in hits[:3]], abs=1e-6)
    assert {type(score) for score in scores} == {float}
    assert [document.score for document in OFFERED] == [None] * 4


def test_a_ranker_keeps_the_best_above_a_score(one_label):
    given = {"query": "the cat sat in London", "documents": OFFERED}
    ranked = MinibertRanker(one_label).run(**given)["documents"]
    scores = [document.score for document in ranked]
    assert len(set(scores)) == 4
    for ranker, options, kept in [
        (MinibertRanker(one_label), {"top_k": 1}, 1),
        (MinibertRanker(one_label, top_k=1), {"top_k": 2}, 2),
        (MinibertRanker(one_label, score_threshold=scores[2]), {}, 3),
        (MinibertRanker(one_label, score_threshold=2), {"score_threshold": scores[1]}, 2),
        (MinibertRanker(one_label, score_threshold=-1), {"score_threshold": 2}, 0),
    ]:
        assert ranker.run(**given, **options)["documents"] == ranked[:kept]
    assert ranker.run("who", [])["documents"] == []


def test_a_ranker_reads_fields_as_the_embedder_does(one_label):
    ranker = MinibertRanker(one_label, meta_fields_to_embed=["title"])
    (found,) = ranker.run("who", [Document(content="cats", meta={"title": "London"})])["documents"]
    expected = CrossEncoder(one_label).predict([("who", "London\ncats")])
    assert found.score == pytest.approx(expected[0], abs=1e-6)


def test_a_ranker_that_would_keep_nothing_is_refused():
    with pytest.raises(ValueError, match="top_k is 0; expected a whole number from 1 up"):
        MinibertRanker(GOLDEN / "cross_encoder", top_k=0)
    with pytest.raises(ValueError, match="top_k is 0; expected a whole number from 1 up"):
        MinibertRanker(GOLDEN / "cross_encoder").run("who", OFFERED, top_k=0)
