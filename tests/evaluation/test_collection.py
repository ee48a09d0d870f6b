"""Collections, judgements and runs: what is read, in which forms, and what is refused where."""

import gzip
import io
import json

import numpy as np
import pytest

from minibert.evaluation.collection import (
    SAMPLE,
    Ranking,
    read_collection,
    read_qrels,
    read_run,
    write_run,
)

CORPUS = [
    {"_id": "a", "title": "Tides", "text": "The moon pulls."},
    {"_id": 7, "text": " A dog barks. "},
    {"_id": "c", "title": None, "text": ""},
]
QUERIES = [{"_id": "q1", "text": "ebb"}, {"_id": 2, "text": "noise"}]
QRELS = "query-id\tcorpus-id\tscore\nq1\ta\t2\nq1\tc\t0\n2\t7\t1\n"


def lines(objects):
    return "".join(f"{json.dumps(line)}\n" for line in objects)


@pytest.fixture
def dataset(tmp_path):
    (tmp_path / "corpus.jsonl").write_text(lines(CORPUS))
    (tmp_path / "queries.jsonl").write_text(lines(QUERIES))
    (tmp_path / "qrels.tsv").write_text(QRELS)
    return tmp_path


@pytest.fixture
def file(tmp_path):
    """A file of what a test wants to have read."""

    def write(content):
        path = tmp_path / "file"
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path

    return write


def test_a_folder_in_beir_s_layout_is_read(dataset, caplog):
    documents, queries, qrels = read_collection(dataset)
    assert documents == {"a": "Tides The moon pulls.", "7": "A dog barks.", "c": ""}
    assert queries == {"q1": "ebb", "2": "noise"}
    assert qrels == {"q1": {"a": 2, "c": 0}, "2": {"7": 1}}
    assert not caplog.messages


def test_judgements_are_read_from_a_qrels_folder_or_a_given_file(dataset, file):
    (dataset / "qrels").mkdir()
    (dataset / "qrels.tsv").rename(dataset / "qrels" / "test.tsv")
    assert read_collection(dataset).qrels == {"q1": {"a": 2, "c": 0}, "2": {"7": 1}}
    assert read_collection(dataset, file("q1 0 c 1")).qrels == {"q1": {"c": 1}}
    packed = gzip.compress((dataset / "qrels" / "test.tsv").read_bytes())
    (dataset / "qrels" / "test.tsv").unlink()
    (dataset / "qrels" / "test.tsv.gz").write_bytes(packed)
    assert read_collection(dataset).qrels == {"q1": {"a": 2, "c": 0}, "2": {"7": 1}}
    (dataset / "qrels" / "test.tsv.gz").unlink()
    with pytest.raises(FileNotFoundError, match=r"no qrels.tsv, and no qrels/test.tsv"):
        read_collection(dataset)


def test_what_does_not_fit_together_is_said_and_left_out(dataset, caplog):
    more = [{"_id": "q3", "text": "unjudged"}, {"_id": "q4", "text": "nothing relevant"}]
    (dataset / "queries.jsonl").write_text(lines([*QUERIES, *more]))
    (dataset / "qrels.tsv").write_text(f"{QRELS}q1\tgone\t1\nq1\tfar\t0\nq4\ta\t0\nq5\ta\t1\n")
    _, queries, qrels = read_collection(dataset)
    assert queries == {"q1": "ebb", "2": "noise"}
    assert qrels == {"q1": {"a": 2, "c": 0, "gone": 1, "far": 0}, "2": {"7": 1}}
    assert caplog.messages == [
        "2 queries have no relevant document: left out ('q3', for one).",
        "1 judged queries have no text: left out ('q5', for one).",
        "1 relevant documents are not in the corpus: counted as missed ('gone', for one).",
    ]


def test_a_corpus_without_ids_is_refused_and_a_packed_one_read(dataset):
    packed = gzip.compress((dataset / "corpus.jsonl").read_bytes())
    (dataset / "corpus.jsonl").write_text('{"text": "no id"}')
    with pytest.raises(ValueError, match='line 1 has no "_id"'):
        read_collection(dataset)
    (dataset / "corpus.jsonl").unlink()
    (dataset / "corpus.jsonl.gz").write_bytes(packed)
    assert list(read_collection(dataset).documents) == ["a", "7", "c"]


@pytest.mark.parametrize("name", ["corpus.jsonl", "queries.jsonl"])
def test_a_missing_file_is_named(dataset, name):
    (dataset / name).unlink()
    with pytest.raises(FileNotFoundError, match=name):
        read_collection(dataset)


@pytest.mark.parametrize(
    ("name", "content"), [("corpus.jsonl", ""), ("queries.jsonl", ""), ("qrels.tsv", "q1 a 0")]
)
def test_a_collection_without_anything_to_measure_is_refused(dataset, name, content):
    (dataset / name).write_text(content)
    with pytest.raises(ValueError, match=r"nothing to measure"):
        read_collection(dataset)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "JSON"),
        ("[1]", "list"),
        ('{"text": "no id"}', "_id"),
        ('{"_id": "", "text": ""}', "_id is ''"),
        ('{"_id": true, "text": ""}', "_id is True"),
        ('{"_id": "b"}', "text"),
        ('{"_id": "b", "text": 5}', "text is 5"),
        ('{"_id": "b", "title": [], "text": ""}', r"title is \[\]"),
        ('{"_id": "7", "text": ""}', "'7' was there before"),
        (b"\xff", "UTF-8"),
    ],
)
def test_a_malformed_line_of_a_corpus_is_named_with_its_place(dataset, line, message):
    line = line if isinstance(line, bytes) else line.encode()
    (dataset / "corpus.jsonl").write_bytes(f"{lines(CORPUS)}\n".encode() + line)
    with pytest.raises(ValueError, match=f"corpus.jsonl, line 5.*{message}"):
        read_collection(dataset)


@pytest.mark.parametrize(
    "content",
    [
        QRELS,
        QRELS.partition("\n")[2],
        "\ufeff" + QRELS,
        QRELS.replace("\n", "\r\n"),
        "q1 0 a 2\nq1 Q0 c 0\n \n2\t0\t7\t1.0\n",
        f"{QRELS}q1\ta\t2\n",
    ],
)
def test_judgements_have_three_or_four_columns_perhaps_a_header(content, file):
    assert read_qrels(file(content)) == {"q1": {"a": 2, "c": 0}, "2": {"7": 1}}


def test_an_id_between_tabs_may_have_a_space(file):
    assert read_qrels(file("q 1\ta b\t1\n")) == {"q 1": {"a b": 1}}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q1 a", "2 columns"),
        ("q1 0 a 1 x", "5 columns"),
        ("q1 a high", "grade is 'high'"),
        ("query-id corpus-id score", "grade is 'score'"),
        ("q1 a 0,5", "grade is '0,5'"),
        ("q1 a nan", "grade is 'nan'"),
        ("q1 a 1", "grade of 'a' for 'q1' is 1, and was 2"),
        ("\ta\t1", "an id is empty"),
        ("q1\t \t1", "an id is empty"),
        ("q1\ta\t1\rq1\tb\t1", "5 columns"),
    ],
)
def test_a_malformed_judgement_is_named_with_its_line(line, message, file):
    with pytest.raises(ValueError, match=f"file, line 5: .*{message}"):
        read_qrels(file(f"{QRELS}{line}\n"))


def test_a_run_is_ordered_by_its_scores_and_then_by_ids(file):
    path = file("q Q0 c 1 0.5 t\nq Q0 b 2 0.5 t\nq Q0 a 3 0.25 t\nq Q0 z 4 1e1 t\np Q0 a 1 -1 t\n")
    run = read_run(path)
    assert {query: ranking.ids for query, ranking in run.items()} == {
        "q": ["z", "b", "c", "a"],
        "p": ["a"],
    }
    np.testing.assert_array_equal(run["q"].scores, [10, 0.5, 0.5, 0.25])


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("q Q0 b 2 0.5", "5 columns"),
        ("q Q0 b 2 high t", "score is 'high'"),
        ("q Q0 b 2 inf t", "score is 'inf'"),
        ("q Q0 a 2 0.5 t", "'a' was found for 'q' before"),
    ],
)
def test_a_malformed_line_of_a_run_is_named(line, message, file):
    with pytest.raises(ValueError, match=f"file, line 2: .*{message}"):
        read_run(file(f"q Q0 a 1 0.5 t\n{line}\n"))


def test_a_run_is_written_as_it_passes_and_read_back_to_the_bit(file):
    scores = np.random.default_rng(0).normal(size=50).astype(np.float32)
    rankings = [
        ("q1", Ranking([f"d{number:02}" for number in range(50)], -np.sort(-scores))),
        ("q2", Ranking(["a", "b"], np.array([0.5, 0.5], dtype=np.float32))),
    ]
    stream = io.BytesIO()
    assert list(write_run(rankings, stream)) == rankings
    first, *_, last = stream.getvalue().decode().splitlines()
    assert first == f"q1 Q0 d00 1 {scores.max():.9g} minibert"
    assert last == "q2 Q0 b 2 0.5 minibert"
    for query, ranking in read_run(file(stream.getvalue())).items():
        expected = dict(rankings)[query]
        assert ranking.ids == expected.ids
        np.testing.assert_array_equal(ranking.scores.astype(np.float32), expected.scores)


@pytest.mark.parametrize(
    ("query", "id"), [("q", "a b"), ("q 1", "a"), ("q", "a\u2003b"), ("q", "")]
)
def test_a_run_holds_no_white_space_in_ids(query, id):
    with pytest.raises(ValueError, match="white space"):
        list(write_run([(query, Ranking([id], np.ones(1)))], io.BytesIO()))


@pytest.mark.parametrize(
    ("rankings", "message"),
    [
        ([("q", ["a"], [1]), ("p", ["a"], [1]), ("q", ["b"], [1])], "two rankings of .* 'q' has"),
        ([("q", ["a", "b", "a"], [3, 2, 1])], "a document twice: 'a' for 'q'"),
        ([("q", ["a", "b"], [np.inf, 2])], "not finite, and 'q' has one"),
        ([("q", ["a\x1b[2J"], [1])], r"the id 'a\\x1b\[2J'"),
        ([("q\u202e", ["a"], [1])], r"the id 'q\\u202e'"),
    ],
)
def test_a_run_that_nobody_could_read_is_not_written(rankings, message):
    given = [(query, Ranking(ids, np.array(scores))) for query, ids, scores in rankings]
    stream = io.BytesIO()
    with pytest.raises(ValueError, match=f"A run cannot hold .*{message}"):
        list(write_run(given, stream))
    assert stream.getvalue().count(b"\n") == len(rankings) - 1  # of those before


def test_gzipped_runs_and_judgements_are_read(tmp_path):
    path = tmp_path / "run.trec.gz"
    path.write_bytes(gzip.compress(b"q Q0 a 1 0.5 t\n"))
    assert read_run(path)["q"].ids == ["a"]
    path.write_bytes(gzip.compress(QRELS.encode()))
    assert read_qrels(path) == {"q1": {"a": 2, "c": 0}, "2": {"7": 1}}


def test_the_sample_is_small_and_judges_only_what_it_has(caplog):
    documents, queries, qrels = read_collection(SAMPLE)
    assert not caplog.messages
    assert (len(documents), len(queries)) == (152, 50)
    assert {grade for grades in qrels.values() for grade in grades.values()} == {0, 1, 2}
    assert {id for grades in qrels.values() for id in grades} <= documents.keys()
    assert sum(path.stat().st_size for path in SAMPLE.rglob("*") if path.is_file()) < 150_000


def test_a_grade_that_is_a_fraction_is_read_as_one(tmp_path):
    path = tmp_path / "qrels.tsv"
    path.write_text("q1\ta\t0.5\nq1\tb\t2.0\nq1\tc\t-0.25\n", encoding="utf-8")
    qrels = read_qrels(path)
    assert qrels == {"q1": {"a": 0.5, "b": 2, "c": -0.25}}
    assert isinstance(qrels["q1"]["b"], int)  # as trec_eval takes it
