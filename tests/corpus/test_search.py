"""Questions to a corpus on disk, from Python and from the command line."""

import gzip
import io
import json
import shutil
import sys

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import CrossEncoder, SentenceTransformer
from minibert.commands import cli
from minibert.common.escapes import has_controls
from minibert.corpus.build import build, delete
from minibert.corpus.search import Hit, Index
from minibert.documents import Document, read_documents
from minibert.errors import CorpusError
from minibert.kernels import devices
from minibert.scoring.hamming import nearest_bits
from minibert.scoring.metrics import METRICS

GELU = GOLDEN / "gelu"
WORDS = [
    "the",
    "cat",
    "dog",
    "sat",
    "barks",
    "at",
    "on",
    "mat",
    "in",
    "London",
    "a",
    "big",
    "small",
    "river",
    "runs",
    "by",
    "old",
    "house",
]
QUERIES = ["the cat sat", "a dog barks in London", "the old house by the river"]


def documents(count=60):
    """Texts of a few words, some of them twice."""
    random = np.random.default_rng(0)
    texts = [" ".join(random.choice(WORDS, random.integers(3, 9))) for _ in range(count - 5)]
    return [Document(f"d{n}", text, "here") for n, text in enumerate(texts + texts[:5])]


@pytest.fixture(scope="module")
def model():
    return SentenceTransformer(GELU, prompts={"query": "a question: ", "document": "a text: "})


@pytest.fixture(scope="module", params=["float32", "float16", "int8", "binary"])
def folder(request, model, tmp_path_factory):
    """A corpus of three shards, some documents deleted."""
    folder = tmp_path_factory.mktemp(request.param) / "corpus"
    build(folder, documents(), model, precision=request.param, shard_documents=25)
    delete(folder, ["d3", "d30", "d59"])
    return folder


@pytest.fixture(scope="module")
def plain(model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain") / "corpus"
    build(folder, documents(), model)
    return folder


def expected_hits(model, folder, query, k, among=None):
    """A ranking of all vectors, as far as they are known, in float64."""
    precision, there = folder.parent.name, documents()
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
def test_the_hits_are_the_nearest_of_what_is_stored(model, folder, k):
    found = Index(folder, model).search(QUERIES, k)
    # A number of 16 bits is off by up to 2^-11, and a code may fall to the other side of a step.
    tolerance = {"float16": 1e-3, "int8": 2e-2}.get(folder.parent.name[:-1], 1e-6)
    for query, hits in zip(QUERIES, found, strict=True):
        expected = expected_hits(model, folder, query, k)
        assert [hit.rank for hit in hits] == list(range(1, k + 1))
        np.testing.assert_allclose(
            [hit.score for hit in hits], [score for _, score, _ in expected], atol=tolerance
        )
        if tolerance == 1e-6:
            assert [(hit.id, hit.text) for hit in hits] == [(id, t) for id, _, t in expected]


def test_only_the_ids_given_are_found(model, plain):
    among = ["d9", "d40", "d2"]
    hits = Index(plain, model).search(QUERIES[:1], 3, ids=among)[0]
    assert [hit.id for hit in hits] == [
        id for id, _, _ in expected_hits(model, plain, QUERIES[0], 3, among)
    ]
    with pytest.raises(ValueError, match=r"2 of 3 ids are not in .*'nobody' is the first"):
        Index(plain, model).search(QUERIES, ids=["d1", "nobody", "d999"])


def test_the_query_prompt_is_used_and_told(model, plain):
    index = Index(plain, model)
    assert index.prompt == "a question: "
    np.testing.assert_array_equal(
        index.encode(QUERIES), model.encode(QUERIES, prompt="a question: ")
    )
    plainly = SentenceTransformer(GELU, default_prompt_name="x", prompts={"x": "so: "})
    del plainly.prompts["query"]
    index = Index(plain, plainly)
    assert index.prompt == "so: "
    np.testing.assert_array_equal(index.encode(["a"]), model.encode(["a"], prompt="so: "))


def test_vectors_are_made_as_the_corpus_s_were(model, tmp_path):
    build(tmp_path / "c", documents(), model, truncate_dim=8, normalize=True)
    index = Index(tmp_path / "c", model)
    assert index.encode(QUERIES).shape == (3, 8)
    np.testing.assert_allclose(np.linalg.norm(index.encode(QUERIES), axis=1), 1, atol=1e-6)
    assert len(index.search(QUERIES, 2)[2]) == 2


@pytest.mark.parametrize("folder", ["binary"], indirect=True)
def test_a_first_pass_over_bits_finds_what_it_takes(model, folder):
    index = Index(folder, model)
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


@pytest.mark.parametrize("folder", ["binary"], indirect=True)
def test_a_first_pass_takes_so_many_times_k(model, folder, monkeypatch):
    taken = []

    def counting(queries, stack, k, **arguments):
        taken.append(k)
        return nearest_bits(queries, stack, k, **arguments)

    monkeypatch.setattr("minibert.corpus.search.nearest_bits", counting)
    Index(folder, model).search(QUERIES, 3, rescore=2)
    assert taken == [6]


def test_a_first_pass_needs_bits(model, plain):
    with pytest.raises(ValueError, match=r"rescore is 4, and .* is of float32"):
        Index(plain, model).search(QUERIES, rescore=4)


@pytest.fixture
def cross_encoder(one_label):
    return CrossEncoder(one_label)


def test_a_cross_encoder_ranks_the_first_again(model, plain, cross_encoder):
    index = Index(plain, model)
    first = index.search(QUERIES[:1], 12)[0]
    scores = cross_encoder.predict([(QUERIES[0], hit.text) for hit in first])
    order = np.argsort(-scores, kind="stable")[:4]
    hits = index.search(QUERIES[:1], 4, rerank=cross_encoder, candidates=12)[0]
    assert [hit.id for hit in hits] == [first[n].id for n in order]
    np.testing.assert_allclose([hit.score for hit in hits], scores[order], atol=1e-6)
    assert [hit.rank for hit in hits] == [1, 2, 3, 4]
    assert len(index.search(QUERIES[:1], 12, rerank=cross_encoder, candidates=3)[0]) == 12


def test_without_texts_there_are_hits_but_no_second_ranking(model, tmp_path, cross_encoder):
    build(tmp_path / "c", documents(), model, texts=False)
    index = Index(tmp_path / "c", model)
    assert [hit.text for hit in index.search(QUERIES[:1], 2)[0]] == [None, None]
    with pytest.raises(CorpusError, match="holds no texts"):
        index.search(QUERIES, rerank=cross_encoder)


def test_fewer_than_k_are_all_and_said_once(model, plain, caplog):
    index = Index(plain, model)
    for _ in range(2):
        assert {len(hits) for hits in index.search(QUERIES, 100)} == {60}
    assert [record.message for record in caplog.records] == [
        "k is 100, and there are 60 documents; all are returned."
    ]


def test_more_threads_than_cores_are_no_error_and_none_are(model, plain, monkeypatch):
    monkeypatch.setattr(devices, "TOLD", [])
    expected = Index(plain, model).search(["a dog"], 3)
    assert Index(plain, model, threads=1000).search(["a dog"], 3) == expected
    for threads in (0, -1, True, 2.0):
        with pytest.raises(ValueError, match=f"threads is {threads}; expected a whole number"):
            Index(plain, model, threads=threads)


def test_another_model_is_refused_with_both(plain):
    with pytest.raises(CorpusError, match=r"files_sha256 is '\w+' there and '\w+' here"):
        Index(plain, SentenceTransformer(GOLDEN / "relu"))


def test_another_metric_is_refused_with_both(plain):
    with pytest.raises(CorpusError, match=r"for the metric 'cosine'; this model has 'dot'"):
        Index(plain, SentenceTransformer(GELU, similarity_fn_name="dot"))


def test_a_model_that_is_not_given_gets_the_metric_of_the_corpus(tmp_path, capsys):
    model = SentenceTransformer(GELU, similarity_fn_name="dot")
    build(tmp_path / "c", documents(), model)
    expected = Index(tmp_path / "c", model).search(QUERIES[:1], 3)
    assert Index(tmp_path / "c").search(QUERIES[:1], 3) == expected
    for arguments in ([], ["--model", GELU]):
        assert run(tmp_path / "c", QUERIES[0], "-k", 3, "--json", *arguments) == 0
        hits = json.loads(capsys.readouterr().out)["hits"]
        assert [Hit(**hit) for hit in hits] == expected[0]


def test_a_model_that_is_not_given_is_of_the_revision_of_the_corpus(tmp_path, cache):
    snapshot = cache("someone/tiny", GELU)
    model = SentenceTransformer("someone/tiny", local_files_only=True)
    build(tmp_path / "c", documents(), model, model_name="someone/tiny")
    later = snapshot.with_name(snapshot.name[::-1])  # and the hub's main goes on
    shutil.copytree(GOLDEN / "relu", later)
    (snapshot.parents[1] / "refs" / "main").write_text(later.name)
    expected = Index(tmp_path / "c", model).search(QUERIES, 3)
    assert Index(tmp_path / "c").search(QUERIES, 3) == expected


def test_an_empty_corpus_is_refused(model, tmp_path):
    build(tmp_path / "c", documents(2 + 5), model)
    delete(tmp_path / "c", [one.id for one in documents(2 + 5)])
    with pytest.raises(CorpusError, match="holds no documents: there is nothing to search"):
        Index(tmp_path / "c", model)
    with pytest.raises(FileNotFoundError, match=r"holds no manifest.json, so it is no corpus"):
        Index(tmp_path, model)


@pytest.mark.parametrize("empty", ["", " \n"])
def test_an_empty_question_is_refused_unless_allowed(model, plain, empty):
    index = Index(plain, model)
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
def test_what_is_no_list_of_questions_is_refused(model, plain, queries, error, message):
    with pytest.raises(error, match=message):
        Index(plain, model).search(queries)


@pytest.mark.parametrize("arguments", [{"k": 0}, {"k": 2.5}, {"candidates": 0}, {"rescore": 0}])
def test_numbers_that_cannot_be_meant_are_refused(model, plain, arguments):
    ((name, value),) = arguments.items()
    with pytest.raises(ValueError, match=f"{name} is {value}; expected a whole number from 1 up"):
        Index(plain, model).search(QUERIES, **arguments)


def test_no_question_has_no_answer(model, plain):
    assert Index(plain, model).search([]) == []


def test_nan_in_a_shard_is_refused_with_its_place(model, tmp_path):
    build(tmp_path / "c", documents(), model, shard_documents=25)
    path = tmp_path / "c" / "shards" / "00001" / "vectors.npy"
    vectors = np.load(path)
    vectors[4, 2] = np.nan
    np.save(path, vectors)
    with pytest.raises(ValueError, match=r"Row 4 of shard .*00001 holds NaN, infinity"):
        Index(tmp_path / "c", model).search(QUERIES)


def test_the_model_that_the_manifest_names_is_opened(plain, model):
    hits = Index(plain).search(QUERIES, 2)
    assert [len(found) for found in hits] == [2, 2, 2]


def test_an_unfinished_corpus_is_searched_and_said_to_be_one(model, tmp_path, caplog):
    def breaking():
        yield from documents()[:35]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        build(tmp_path / "c", breaking(), model, shard_documents=10)
    assert 0 < len(Index(tmp_path / "c", model)) < 35
    assert "is not complete" in caplog.text


# The command line.


def run(*arguments, stdin=b"", monkeypatch=None):
    """What main() returns; results are captured by pytest."""
    if monkeypatch:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
    return cli.main(["search", *map(str, arguments)])


@pytest.fixture(scope="module")
def unprompted(tmp_path_factory):
    folder = tmp_path_factory.mktemp("plain-cli") / "corpus"
    build(folder, documents(), SentenceTransformer(GELU))
    return folder


def test_the_command_prints_a_table(unprompted, capsys):
    assert run(unprompted, QUERIES[0], "-k", 2) == 0
    hits = Index(unprompted).search(QUERIES[:1], 2)[0]
    assert capsys.readouterr().out.split("\n") == [
        QUERIES[0],
        *(f"{hit.rank:4} {hit.score:10.4f}  {hit.id}  {hit.text}" for hit in hits),
        "",
    ]


def test_each_typed_question_is_answered_before_the_next_is_read(unprompted, capsys, monkeypatch):
    seen = []

    class Typist(io.BytesIO):
        """Notes what has been printed whenever a line is read."""

        def isatty(self):
            return True

        def __next__(self):
            seen.append(capsys.readouterr().out)
            return super().__next__()

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Typist(b"a cat\na dog\n")))
    assert cli.main(["search", str(unprompted), "-k", "1"]) == 0
    assert [out.split("\n")[0] for out in seen] == ["", "a cat", "a dog"]


def test_only_a_k_that_was_asked_for_is_said_to_be_too_large(tmp_path, capsys):
    build(tmp_path / "c", documents()[:4], SentenceTransformer(GELU))
    (tmp_path / "ids").write_text("".join(f"{one.id}\n" for one in documents()[:2]))
    for more, lines, is_said in (([], 5, False), (["-k", 9], 5, True), (["-k", 4], 5, False)):
        assert run(tmp_path / "c", "a cat", *more) == 0
        out, err = capsys.readouterr()
        assert (len(out.splitlines()), "all are returned" in err) == (lines, is_said)
    assert run(tmp_path / "c", "a cat", "--ids", tmp_path / "ids") == 0
    assert capsys.readouterr().err == ""


def test_a_file_that_is_not_there_is_said_in_words(unprompted, tmp_path, capsys):
    assert run(unprompted, "a cat", "--ids", tmp_path / "no") == 66
    path = str(tmp_path / "no")
    assert capsys.readouterr().err == f"minibert: {path!r}: No such file or directory\n"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("a cat\n  sat", "a cat sat"),
        ("x" * 100, "x" * 100),
        ("x" * 101, "x" * 99 + "…"),
        ("word " * 40, "word " * 19 + "word…"),
    ],
)
def test_the_table_marks_where_a_text_is_cut(tmp_path, capsys, text, shown):
    build(tmp_path / "c", [Document("d", text, "list")], SentenceTransformer(GELU))
    assert run(tmp_path / "c", "a cat", "-k", 1) == 0
    assert capsys.readouterr().out.splitlines()[1].split("  d  ", 1)[1] == shown


def test_the_command_prints_an_object_a_question(unprompted, capsys, tmp_path, monkeypatch):
    expected = Index(unprompted).search(QUERIES[:2], 3)
    content = "".join(
        json.dumps({"_id": f"q{n}", "text": query}) + "\n" for n, query in enumerate(QUERIES[:2])
    )
    (tmp_path / "queries.jsonl").write_text(content)
    (tmp_path / "lines.txt").write_text("\n".join(QUERIES[:2]) + "\n")
    for arguments, stdin, ids in (
        (["--file", tmp_path / "queries.jsonl"], b"", ["q0", "q1"]),
        (["--file", tmp_path / "lines.txt"], b"", ["1", "2"]),
        (QUERIES[:2], b"", ["1", "2"]),
        ([], "\n".join(QUERIES[:2]).encode(), ["1", "2"]),
    ):
        code = run(unprompted, *arguments, "-k", 3, "--json", stdin=stdin, monkeypatch=monkeypatch)
        assert code == 0
        objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
        assert [one["id"] for one in objects] == ids
        assert [one["query"] for one in objects] == QUERIES[:2]
        assert [one["prompt"] for one in objects] == ["", ""]
        assert [[Hit(**hit) for hit in one["hits"]] for one in objects] == expected


def test_the_command_writes_a_run(unprompted, tmp_path, capsys):
    assert run(unprompted, *QUERIES[:2], "-k", 3, "--run", tmp_path / "run.trec") == 0
    assert capsys.readouterr().out == ""
    expected = [
        f"{n} Q0 {hit.id} {hit.rank} {hit.score:.9g} minibert"
        for n, hits in enumerate(Index(unprompted).search(QUERIES[:2], 3), start=1)
        for hit in hits
    ]
    assert (tmp_path / "run.trec").read_text().splitlines() == expected
    assert run(unprompted, *QUERIES[:2], "-k", 3, "--run", "-") == 0
    assert capsys.readouterr().out.splitlines() == expected


def test_a_run_has_no_place_for_blanks_and_is_not_begun(unprompted, tmp_path, capsys):
    (tmp_path / "q.jsonl").write_text('{"_id": "q 1", "text": "a cat"}\n')
    assert run(unprompted, "-f", tmp_path / "q.jsonl", "--run", tmp_path / "run") == 65
    assert "A run cannot hold the id 'q 1'" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_question_id_that_comes_twice_is_in_no_run(unprompted, tmp_path, capsys):
    one = tmp_path / "one.jsonl"
    one.write_text('{"_id": "q", "text": "a cat"}\n{"_id": "p", "text": "a dog"}\n')
    number = tmp_path / "number.jsonl"
    number.write_text('{"_id": "1", "text": "a cat"}\n')
    for queries in (["-f", one, "-f", one], ["typed", "-f", number]):
        assert run(unprompted, *queries, "--run", tmp_path / "run") == 65
        assert "cannot hold two rankings of one query" in capsys.readouterr().err
        assert not (tmp_path / "run").exists()
        assert run(unprompted, *queries, "--json") == 0  # where each answer has its text


@pytest.mark.parametrize("ending", ["jsonl", "jsonl.gz", "csv", "tsv"])
def test_questions_come_in_every_form_that_documents_do(unprompted, tmp_path, capsys, ending):
    divider = "," if ending == "csv" else "\t"
    table = "".join(f"q{divider.join([str(n), text])}\n" for n, text in enumerate(QUERIES))
    content = (
        "".join(f'{{"id": "q{n}", "text": "{text}"}}\n' for n, text in enumerate(QUERIES))
        if "jsonl" in ending
        else f"id{divider}text\n{table}"
    ).encode()
    path = tmp_path / f"questions.{ending}"
    path.write_bytes(gzip.compress(content) if ending.endswith("gz") else content)
    assert run(unprompted, "-f", path, "--json") == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["id"], one["query"]) for one in objects] == [
        (f"q{number}", text) for number, text in enumerate(QUERIES)
    ]


def test_ids_come_from_lines_each_once_and_from_no_records(unprompted, tmp_path, capsys):
    path = tmp_path / "ids.txt.gz"
    path.write_bytes(gzip.compress(b"d4\n\nd7\r\nd4\nd4"))
    assert run(unprompted, "a cat", "--ids", path, "--json") == 0
    captured = capsys.readouterr()
    assert {hit["id"] for hit in json.loads(captured.out)["hits"]} == {"d4", "d7"}
    assert captured.err == ""  # no word of a k above the two that there are
    (tmp_path / "ids.jsonl").write_text('{"_id": "d4"}\n')
    assert run(unprompted, "a cat", "--ids", tmp_path / "ids.jsonl") == 65
    assert "holds jsonl by its name; ids are read from a text file" in capsys.readouterr().err


def test_the_table_sends_no_control_character(tmp_path, capsys):
    texts = ["\x1b]0;title\x07the cat", "\x9b31m \u202etxt.exe\u2069"]
    build(
        tmp_path / "c",
        [Document(f"\x1bd{n}", t, "") for n, t in enumerate(texts)],
        SentenceTransformer(GELU),
    )
    for form in ([], ["--json"]):
        assert run(tmp_path / "c", "who\x9b", *form) == 0
        out = capsys.readouterr().out
        assert not has_controls(out.replace("\n", ""))
        assert form or r"\x1b]0;title\x07the cat" in out
    hits = json.loads(out)["hits"]
    assert sorted(hit["text"] for hit in hits) == sorted(texts)
    assert run(tmp_path / "c", "who", "--run", "-") == 65
    assert "control character" in capsys.readouterr().err


def test_one_text_has_one_list_of_hits_as_with_encode(model, plain):
    index = Index(plain, model)
    assert index.search(QUERIES[0], 3) == index.search(QUERIES[:1], 3)[0]
    with pytest.raises(ValueError, match="Query 1 of 1 is empty"):
        index.search(" ")


def test_one_text_in_place_of_several_is_not_its_characters(model, plain):
    index = Index(plain, model)
    for call in (
        lambda: index.search("a cat", ids="d9"),
        lambda: index.encode("a cat"),
        lambda: index.corpus.numbers("d9"),
        lambda: delete(plain, "d9"),
        lambda: read_documents("texts.txt"),
    ):
        with pytest.raises(TypeError, match=r"is one text, '.*'; expected a list of them"):
            call()
    assert len(Index(plain, model)) == len(index)


@pytest.mark.parametrize("questions", [[], ["--file", "-"]])
def test_questions_and_ids_in_one_stream_are_refused(questions, plain, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"d9\n")))
    assert run(plain, *questions, "--ids", "-") == 65
    assert "both read from standard input. Give a file" in capsys.readouterr().err


def test_queries_may_be_whatever_can_be_iterated(model, plain):
    index = Index(plain, model)
    expected = index.search(QUERIES, 2)
    assert index.search((query for query in QUERIES), 2) == expected
    assert index.search(np.array(QUERIES), 2) == expected


def test_ids_that_no_document_has_are_named(model, plain):
    index = Index(plain, model)
    with pytest.raises(TypeError, match="An id is 9; expected a text, as '9'"):
        index.search("a cat", ids=[9])
    with pytest.raises(TypeError, match="An id is b'd9'; expected a text"):
        delete(plain, [b"d9"])
    with pytest.raises(ValueError, match=r"1 of 1 ids are not in .*: '.udc80' is the first"):
        index.search("a cat", ids=["\udc80"])


def test_an_id_given_twice_counts_once(model, plain, caplog):
    hits = Index(plain, model).search("a cat", 2, ids=["d9", "d4", "d9"])
    assert {hit.id for hit in hits} == {"d9", "d4"}
    with pytest.raises(ValueError, match="1 of 2 ids are not in"):
        Index(plain, model).search("a cat", 2, ids=["d9", "nobody", "d9", "nobody"])
    assert not caplog.messages


def test_the_command_takes_ids_a_model_and_a_cross_encoder(unprompted, tmp_path, capsys, one_label):
    (tmp_path / "ids").write_text("d4\nd7\n\n")
    arguments = ["--ids", tmp_path / "ids", "--model", GELU, "--threads", 1, "-k", 10, "--json"]
    assert run(unprompted, "a cat", *arguments, "--rerank", one_label) == 0
    captured = capsys.readouterr()
    hits = json.loads(captured.out)["hits"]
    assert {hit["id"] for hit in hits} == {"d4", "d7"}
    assert "k is 10, and there are 2 documents" in captured.err
    pairs = [("a cat", hit["text"]) for hit in hits]
    scores = CrossEncoder(one_label).predict(pairs)
    np.testing.assert_allclose([hit["score"] for hit in hits], scores, atol=1e-6)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["{here}/none", "a cat"], 66, "holds no manifest.json"),
        (["{corpus}", ""], 65, "Query 1 of 1 is empty"),
        (["{corpus}", "a cat", "--model", str(GOLDEN / "relu")], 65, "files_sha256"),
        (["{corpus}", "a cat", "--file", "{here}/none"], 66, "none"),
        (["{corpus}", "a cat", "--ids", "{here}/none"], 66, "none"),
        (["{corpus}", "a cat", "--rescore", "3"], 65, "needs binary"),
        (["{corpus}", "a cat", "--run", "{here}/no/run"], 73, "cannot create"),
    ],
)
def test_the_command_ends_with_the_code_of_what_is_wrong(
    unprompted, tmp_path, capsys, arguments, code, message
):
    filled = [one.format(here=tmp_path, corpus=unprompted) for one in arguments]
    assert run(*filled) == code
    assert message in capsys.readouterr().err
