"""Questions to a corpus on disk: what is found, how it is scored, and what is refused."""

import shutil

import numpy as np
import pytest
from corpora import GELU, QUERIES, sentences, with_fields
from golden_files import GOLDEN

from minibert import CrossEncoder, SentenceTransformer
from minibert.corpus.building import build, delete
from minibert.corpus.search import Index
from minibert.documents import read_documents
from minibert.errors import CorpusError
from minibert.kernels import cores
from minibert.scoring.hamming import nearest_bits
from minibert.scoring.metrics import METRICS


@pytest.fixture(scope="module")
def prompted_model():
    return SentenceTransformer(GELU, prompts={"query": "a question: ", "document": "a text: "})


@pytest.fixture(scope="module", params=["float32", "float16", "int8", "binary"])
def searched_corpus(request, prompted_model, tmp_path_factory):
    """A corpus of three shards, some documents deleted."""
    folder = tmp_path_factory.mktemp(request.param) / "corpus"
    build(folder, sentences(), prompted_model, precision=request.param, shard_documents=25)
    delete(folder, ["d3", "d30", "d59"])
    return folder


@pytest.fixture(scope="module")
def plain(prompted_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "corpus"
    build(folder, sentences(), prompted_model)
    return folder


def expected_hits(model, folder, query, k, among=None):
    """A ranking of all vectors, as far as they are known, in float64."""
    precision, there = folder.parent.name, sentences()
    vectors = model.encode_document([one.text for one in there]).astype(np.float64)
    if precision.startswith("int8"):  # the ranges of the first shard, of 25
        low, high = vectors[:25].min(axis=0), vectors[:25].max(axis=0)
        steps = np.clip(np.floor((vectors - low) / (high - low) * 255), 0, 255)
        vectors = low + np.minimum(steps + 0.5, 255) * (high - low) / 255
    if precision.startswith("binary"):
        vectors = np.where(vectors > 0, 1.0, -1.0)
    scores = METRICS["cosine"].all_pairs(model.encode_query([query]).astype(np.float64), vectors)[0]
    gone = {"d3", "d30", "d59"} if precision[:5] != "plain" else set()
    left = [
        n for n, one in enumerate(there) if one.id not in gone and (not among or one.id in among)
    ]
    order = sorted(left, key=lambda n: (-np.float32(scores[n]), n))[:k]
    return [(there[n].id, scores[n], there[n].text) for n in order]


@pytest.mark.parametrize("k", [1, 7])
def test_the_hits_are_the_nearest_of_what_is_stored(prompted_model, searched_corpus, k):
    found = Index(searched_corpus, prompted_model).search(QUERIES, k)
    # A number of 16 bits is off by up to 2^-11, and a code may fall to the other side of a step.
    tolerance = {"float16": 1e-3, "int8": 2e-2}.get(searched_corpus.parent.name[:-1], 1e-6)
    for query, hits in zip(QUERIES, found, strict=True):
        expected = expected_hits(prompted_model, searched_corpus, query, k)
        assert [hit.rank for hit in hits] == list(range(1, k + 1))
        np.testing.assert_allclose(
            [hit.score for hit in hits], [score for _, score, _ in expected], atol=tolerance
        )
        if tolerance == 1e-6:
            assert [(hit.id, hit.text) for hit in hits] == [(id, t) for id, _, t in expected]


def test_only_the_ids_given_are_found(prompted_model, plain):
    among = ["d9", "d40", "d2"]
    hits = Index(plain, prompted_model).search(QUERIES[:1], 3, ids=among)[0]
    assert [hit.id for hit in hits] == [
        id for id, _, _ in expected_hits(prompted_model, plain, QUERIES[0], 3, among)
    ]
    with pytest.raises(ValueError, match=r"2 of 3 ids are not in .*'nobody' is the first"):
        Index(plain, prompted_model).search(QUERIES, ids=["d1", "nobody", "d999"])


def test_vectors_of_questions_find_what_the_questions_find(prompted_model, plain):
    index = Index(plain, prompted_model)
    vectors = index.encode(QUERIES)
    assert index.search_vectors(vectors, 4) == index.search(QUERIES, 4)
    allowed = ["d3", "d7", "d11"]
    assert index.search_vectors(vectors, 2, ids=allowed) == index.search(QUERIES, 2, ids=allowed)
    with pytest.raises(ValueError, match="are not in"):
        index.search_vectors(vectors, 2, ids=["no"])


def test_the_query_prompt_is_used_and_told(prompted_model, plain):
    index = Index(plain, prompted_model)
    assert index.prompt == "a question: "
    np.testing.assert_array_equal(
        index.encode(QUERIES), prompted_model.encode(QUERIES, prompt="a question: ")
    )
    plainly = SentenceTransformer(GELU, default_prompt_name="x", prompts={"x": "so: "})
    del plainly.prompts["query"]
    index = Index(plain, plainly)
    assert index.prompt == "so: "
    np.testing.assert_array_equal(index.encode(["a"]), prompted_model.encode(["a"], prompt="so: "))


def test_queries_are_encoded_with_the_corpus_s_settings(prompted_model, tmp_path):
    build(tmp_path / "c", sentences(), prompted_model, truncate_dim=8, normalize=True)
    index = Index(tmp_path / "c", prompted_model)
    assert index.encode(QUERIES).shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(index.encode(QUERIES), axis=1), 1, atol=1e-6)
    assert len(index.search(QUERIES, 2)[2]) == 2


@pytest.mark.parametrize("searched_corpus", ["binary"], indirect=True)
def test_a_first_pass_over_bits_ranks_its_candidates_exactly(prompted_model, searched_corpus):
    index = Index(searched_corpus, prompted_model)
    exact = index.search(QUERIES, 5)
    assert index.search(QUERIES, 5, rescore=100) == exact
    codes = np.signbit(index.encode(QUERIES))
    shown = index.vectors.take(np.arange(60)) < 0
    for query, hits, row in zip(QUERIES, index.search(QUERIES, 3, rescore=2), codes, strict=True):
        distances = (shown != row).sum(axis=1)
        distances[[3, 30, 59]] = 1000
        first = {f"d{n}" for n in np.argsort(distances, kind="stable")[:6]}
        ranked = [hit for hit in index.search([query], 57)[0] if hit.id in first]
        assert [hit.id for hit in hits] == [hit.id for hit in ranked[:3]]


@pytest.mark.parametrize("searched_corpus", ["binary"], indirect=True)
def test_rescore_times_k_candidates_come_from_the_first_pass(
    prompted_model, searched_corpus, monkeypatch
):
    taken = []

    def counting(queries, stack, k, **arguments):
        taken.append(k)
        return nearest_bits(queries, stack, k, **arguments)

    monkeypatch.setattr("minibert.corpus.search.nearest_bits", counting)
    Index(searched_corpus, prompted_model).search(QUERIES, 3, rescore=2)
    assert taken == [6]


def test_a_first_pass_needs_bits(prompted_model, plain):
    with pytest.raises(ValueError, match=r"rescore is 4, and .* is of float32"):
        Index(plain, prompted_model).search(QUERIES, rescore=4)


@pytest.fixture
def cross_encoder(one_label):
    return CrossEncoder(one_label)


def test_a_cross_encoder_ranks_the_first_again(prompted_model, plain, cross_encoder):
    index = Index(plain, prompted_model)
    first = index.search(QUERIES[:1], 12)[0]
    scores = cross_encoder.predict([(QUERIES[0], hit.text) for hit in first])
    order = np.argsort(-scores, kind="stable")[:4]
    hits = index.search(QUERIES[:1], 4, rerank=cross_encoder, candidates=12)[0]
    assert [hit.id for hit in hits] == [first[n].id for n in order]
    np.testing.assert_allclose([hit.score for hit in hits], scores[order], atol=1e-6)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert len(index.search(QUERIES[:1], 12, rerank=cross_encoder, candidates=3)[0]) == 12


def test_without_texts_there_are_hits_but_no_second_ranking(
    prompted_model, tmp_path, cross_encoder
):
    build(tmp_path / "c", sentences(), prompted_model, texts=False)
    index = Index(tmp_path / "c", prompted_model)
    assert [hit.text for hit in index.search(QUERIES[:1], 2)[0]] == [None, None]
    with pytest.raises(CorpusError, match="holds no texts"):
        index.search(QUERIES, rerank=cross_encoder)


def test_fewer_than_k_are_all_and_said_once(prompted_model, plain, caplog):
    index = Index(plain, prompted_model)
    for _ in range(2):
        assert {len(hits) for hits in index.search(QUERIES, 100)} == {60}
    assert [record.message for record in caplog.records] == [
        "k is 100, and there are 60 documents; all are returned."
    ]


def test_more_threads_than_cores_are_no_error_and_none_are(prompted_model, plain, monkeypatch):
    monkeypatch.setattr(cores.CORES, "has_warned", False)
    expected = Index(plain, prompted_model).search(["a dog"], 3)
    assert Index(plain, prompted_model, threads=1000).search(["a dog"], 3) == expected
    for threads in (0, -1, True, 2.0):
        with pytest.raises(ValueError, match=f"threads is {threads}; expected a whole number"):
            Index(plain, prompted_model, threads=threads)


def test_another_model_is_refused_with_both(plain):
    with pytest.raises(CorpusError, match=r"files_sha256 is '\w+' there and '\w+' here"):
        Index(plain, SentenceTransformer(GOLDEN / "relu"))


def test_another_metric_is_refused_with_both(plain):
    with pytest.raises(CorpusError, match=r"for the metric 'cosine'; this model has 'dot'"):
        Index(plain, SentenceTransformer(GELU, similarity_fn_name="dot"))


def test_without_a_model_the_revision_of_the_corpus_is_loaded(tmp_path, cache):
    snapshot = cache("someone/tiny", GOLDEN / "gelu")
    model = SentenceTransformer("someone/tiny", local_files_only=True)
    build(tmp_path / "c", sentences(), model, model_name="someone/tiny")
    later = snapshot.with_name(snapshot.name[::-1])  # and the hub's main goes on
    shutil.copytree(GOLDEN / "relu", later)
    (snapshot.parents[1] / "refs" / "main").write_text(later.name)
    expected = Index(tmp_path / "c", model).search(QUERIES, 3)
    assert Index(tmp_path / "c").search(QUERIES, 3) == expected


def test_an_empty_corpus_is_refused(prompted_model, tmp_path):
    build(tmp_path / "c", sentences(2 + 5), prompted_model)
    delete(tmp_path / "c", [one.id for one in sentences(2 + 5)])
    with pytest.raises(CorpusError, match="holds no documents: there is nothing to search"):
        Index(tmp_path / "c", prompted_model)
    with pytest.raises(FileNotFoundError, match=r"holds no manifest.json, so it is no corpus"):
        Index(tmp_path, prompted_model)


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_question_is_refused_unless_allowed(prompted_model, plain, empty):
    index = Index(plain, prompted_model)
    with pytest.raises(ValueError, match="Query 2 of 2 is empty"):
        index.search(["a cat", empty])
    assert len(index.search(["a cat", empty], 3, allow_empty=True)[1]) == 3


@pytest.mark.parametrize(
    ("queries", "error", "message"),
    [
        (["a cat", None], TypeError, "Query 2 of 2 is None; expected a text"),
        (None, TypeError, "got a NoneType"),
        ({"a cat": 1}, TypeError, r"got a dict .*; of a dict of texts, list\(texts\.values\(\)\)"),
    ],
)
def test_what_is_no_list_of_questions_is_refused(prompted_model, plain, queries, error, message):
    with pytest.raises(error, match=message):
        Index(plain, prompted_model).search(queries)


@pytest.mark.parametrize("arguments", [{"k": 0}, {"k": 2.5}, {"candidates": 0}, {"rescore": 0}])
def test_numbers_that_cannot_be_meant_are_refused(prompted_model, plain, arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name} is {value}; expected a whole number from 1 up"):
        Index(plain, prompted_model).search(QUERIES, **arguments)


def test_no_questions_give_an_empty_list(prompted_model, plain):
    assert Index(plain, prompted_model).search([]) == []


def test_nan_in_a_shard_is_refused_with_its_place(prompted_model, tmp_path):
    build(tmp_path / "c", sentences(), prompted_model, shard_documents=25)
    path = tmp_path / "c" / "shards" / "00001" / "vectors.npy"
    vectors = np.load(path)
    vectors[4, 2] = np.nan
    np.save(path, vectors)
    with pytest.raises(ValueError, match=r"Row 4 of shard .*00001 holds NaN, infinity"):
        Index(tmp_path / "c", prompted_model).search(QUERIES)


def test_the_model_that_the_manifest_names_is_opened(plain, prompted_model):
    hits = Index(plain).search(QUERIES, 2)
    assert [len(found) for found in hits] == [2, 2, 2]


def test_an_unfinished_corpus_is_searched_and_said_to_be_one(prompted_model, tmp_path, caplog):
    def breaking():
        yield from sentences()[:35]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "c", breaking(), prompted_model, shard_documents=10)
    assert 0 < len(Index(tmp_path / "c", prompted_model)) < 35
    assert "is not complete" in caplog.text


def test_one_text_has_one_list_of_hits_as_with_encode(prompted_model, plain):
    index = Index(plain, prompted_model)
    assert index.search(QUERIES[0], 3) == index.search(QUERIES[:1], 3)[0]
    with pytest.raises(ValueError, match="Query 1 of 1 is empty"):
        index.search(" ")


def test_one_text_in_place_of_several_is_not_its_characters(prompted_model, plain):
    index = Index(plain, prompted_model)
    for call in (
        lambda: index.search("a cat", ids="d9"),
        lambda: index.encode("a cat"),
        lambda: index.corpus.numbers("d9"),
        lambda: delete(plain, "d9"),
        lambda: read_documents("texts.txt"),
    ):
        with pytest.raises(TypeError, match=r"is one text, '.*'; expected a list of them"):
            call()
    assert len(Index(plain, prompted_model)) == len(index)


def test_queries_may_be_whatever_can_be_iterated(prompted_model, plain):
    index = Index(plain, prompted_model)
    expected = index.search(QUERIES, 2)
    assert index.search((query for query in QUERIES), 2) == expected
    assert index.search(np.array(QUERIES), 2) == expected


def test_ids_that_no_document_has_are_named(prompted_model, plain):
    index = Index(plain, prompted_model)
    with pytest.raises(TypeError, match="An id is 9; expected a text, as '9'"):
        index.search("a cat", ids=[9])
    with pytest.raises(TypeError, match="An id is b'd9'; expected a text"):
        delete(plain, [b"d9"])
    with pytest.raises(ValueError, match=r"1 of 1 ids are not in .*: '.udc80' is the first"):
        index.search("a cat", ids=["\udc80"])


def test_an_id_given_twice_counts_once(prompted_model, plain, caplog):
    hits = Index(plain, prompted_model).search("a cat", 2, ids=["d9", "d4", "d9"])
    assert {hit.id for hit in hits} == {"d9", "d4"}
    with pytest.raises(ValueError, match="1 of 2 ids are not in"):
        Index(plain, prompted_model).search("a cat", 2, ids=["d9", "nobody", "d9", "nobody"])
    assert not caplog.messages


WHERE = {"lang": ["de", None], "year": {">=": 1995, "<": 2020}}
GONE = ["d0", "d31", "d36"]


def meets(one):
    """Whether a document meets WHERE, by its definition, and was not deleted."""
    year = one.fields["year"]
    return one.fields["lang"] in ("de", None) and 1995 <= year < 2020 and one.id not in GONE


@pytest.fixture(scope="module", params=["float32", "float16", "int8", "binary"])
def corpus_with_fields(request, prompted_model, tmp_path_factory):
    """A corpus of three shards of documents with fields, some deleted."""
    folder = tmp_path_factory.mktemp(request.param) / "corpus"
    build(
        folder, with_fields(), prompted_model, fields=("lang", "year"), shard_documents=25,
        precision=request.param,
    )  # fmt: skip
    delete(folder, GONE)
    return folder


@pytest.mark.parametrize("k", [1, 5, 60])
def test_where_finds_the_nearest_that_meet_it(prompted_model, corpus_with_fields, k):
    index = Index(corpus_with_fields, prompted_model)
    known = {one.id: one for one in with_fields()}
    assert {gone for gone in GONE if meets(known[gone]._replace(id="x"))} == {"d31", "d36"}
    for hits, ranking in zip(
        index.search(QUERIES, k, where=WHERE), index.search(QUERIES, 60), strict=True
    ):
        expected = [hit for hit in ranking if meets(known[hit.id])]
        assert 5 < len(expected) < 30
        assert [(hit.id, hit.score) for hit in hits] == [
            (hit.id, hit.score) for hit in expected[:k]
        ]
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        assert all(hit.fields == known[hit.id].fields for hit in hits)
    vectors = index.encode(QUERIES)
    assert index.search_vectors(vectors, k, where=WHERE) == index.search(QUERIES, k, where=WHERE)


def test_where_finds_what_a_corpus_of_the_matching_does(tmp_path):
    model = SentenceTransformer(GELU, reproducible=True)  # the same bits beside other texts
    build(tmp_path / "all", with_fields(), model, fields=("lang", "year"), shard_documents=25)
    delete(tmp_path / "all", GONE)
    left = [one for one in with_fields() if meets(one)]
    build(tmp_path / "left", left, model, fields=("year", "lang"))
    found = Index(tmp_path / "all", model).search(QUERIES, 7, where=WHERE)
    assert found == Index(tmp_path / "left", model).search(QUERIES, 7)


@pytest.mark.parametrize("corpus_with_fields", ["float32"], indirect=True)
def test_where_and_ids_must_both_hold(prompted_model, corpus_with_fields):
    index, ids = (
        Index(corpus_with_fields, prompted_model),
        [f"d{number}" for number in range(3, 30)],
    )
    hits = index.search(QUERIES[0], 60, ids=ids, where=WHERE)
    assert {hit.id for hit in hits} == {one.id for one in with_fields()[3:30] if meets(one)}
    assert len(index.allowed(ids=ids, where=WHERE)) == len(hits) > 3
    assert index.allowed() is None
    with pytest.raises(ValueError, match="1 of 1 ids are not in"):
        index.search(QUERIES, ids=["d31"], where=WHERE)


@pytest.mark.parametrize("corpus_with_fields", ["float32", "binary"], indirect=True)
def test_where_may_be_met_by_no_document(prompted_model, corpus_with_fields, cross_encoder, caplog):
    index, where = Index(corpus_with_fields, prompted_model), {"year": {">": 3000}}
    assert index.search(QUERIES, where=where) == [[], [], []]
    assert index.search(QUERIES[0], where=where, rerank=cross_encoder) == []
    if corpus_with_fields.parent.name.startswith("binary"):
        assert index.search(QUERIES, where=where, rescore=2) == [[], [], []]
    told = f"There is no document with year>3000 in {corpus_with_fields}; none is returned."
    assert caplog.messages == [told]


@pytest.mark.parametrize("corpus_with_fields", ["float32"], indirect=True)
@pytest.mark.parametrize(
    ("limits", "told"),
    [
        ({"ids": ["d3"]}, "k is 9, and there is 1 document of `ids`; all are returned."),
        ({"ids": ["d3", "d4"]}, "k is 9, and there are 2 documents of `ids`; all are returned."),
        ({"ids": []}, "There is no document of `ids` in {folder}; none is returned."),
        (
            {"ids": ["d3"], "where": {"lang": ["x", None], "year": {"!=": 7.5, "<": 9}}},
            "There is no document of `ids` with lang=x, null and year!=7.5 and year<9 in {folder}; "
            "none is returned.",
        ),
    ],
)
def test_what_leaves_too_few_documents_is_told(
    prompted_model, corpus_with_fields, caplog, limits, told
):
    Index(corpus_with_fields, prompted_model).search(QUERIES, 9, **limits)
    assert caplog.messages == [told.format(folder=corpus_with_fields)]


@pytest.mark.parametrize("corpus_with_fields", ["binary"], indirect=True)
def test_a_first_pass_over_bits_takes_only_those_of_where(prompted_model, corpus_with_fields):
    index = Index(corpus_with_fields, prompted_model)
    expected = index.search(QUERIES, 4, where=WHERE)
    assert index.search(QUERIES, 4, where=WHERE, rescore=100) == expected


@pytest.mark.parametrize("corpus_with_fields", ["float32"], indirect=True)
def test_a_cross_encoder_ranks_only_those_of_where(
    prompted_model, corpus_with_fields, cross_encoder
):
    index = Index(corpus_with_fields, prompted_model)
    hits = index.search(QUERIES[0], 60, where=WHERE, rerank=cross_encoder)
    expected = index.search(QUERIES[0], 60, where=WHERE)
    assert {hit.id: hit.fields for hit in hits} == {hit.id: hit.fields for hit in expected}


def test_a_hit_has_fields_in_json_where_the_corpus_has(prompted_model, plain, corpus_with_fields):
    hit = Index(plain, prompted_model).search(QUERIES[0], 1)[0]
    assert hit.fields == {}
    assert hit.as_dict().keys() == {"rank", "id", "score", "text"}
    hit = Index(corpus_with_fields, prompted_model).search(QUERIES[0], 1)[0]
    assert hit.as_dict() == hit._asdict()
    assert hit.as_dict()["fields"].keys() == {"lang", "year"}
