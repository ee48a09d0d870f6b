"""From a model to measures: rankings of all documents, ties, blocks; and `minibert eval`."""

import json

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.commands import cli
from minibert.evaluation import rankings as evaluation
from minibert.evaluation.collection import read_run
from minibert.evaluation.rankings import (
    MEASURES,
    SAMPLE,
    Collection,
    Ranking,
    means,
    measured,
    rankings,
    read_collection,
)
from minibert.scoring.metrics import METRICS

GELU = str(GOLDEN / "gelu")
PER_QUERY = {"b": {"d": 1}, "a": {"d": 1, "c": 0}, "unjudged": {"d": 0}}


class Numbers:
    """A model that reads a text's numbers as its vector."""

    def __init__(self, metric="dot"):
        self.similarity_fn_name = metric

    def encode(self, texts, **arguments):
        return np.array([[float(part) for part in text.split()] for text in texts], np.float32)

    encode_query = encode_document = encode


def numbers(rows, width=3, seed=0):
    """Texts of small whole numbers, so that there are many ties and no rounding."""
    made = np.random.default_rng(seed).integers(-2, 3, size=(rows, width))
    return [" ".join(map(str, row)) for row in made.tolist()]


def collection(documents, queries):
    return Collection(
        {f"d{number}": text for number, text in enumerate(documents)},
        {f"q{number}": text for number, text in enumerate(queries)},
        {},
    )


@pytest.mark.parametrize("metric", ["dot", "manhattan"])
def test_all_documents_are_ranked_and_ties_are_in_the_order_of_their_ids(metric):
    data = collection(numbers(120), numbers(7, seed=1))
    model = Numbers(metric)
    found = dict(rankings(model, data))
    assert list(found) == list(data.queries)
    for query, text in data.queries.items():
        scores = METRICS[metric].all_pairs(
            model.encode([text]), model.encode(data.documents.values())
        )
        of = dict(zip(data.documents, scores[0].tolist(), strict=True))
        assert found[query].ids == sorted(of, key=lambda id: (-of[id], id))  # d10 before d2
        assert found[query].scores.tolist() == sorted(of.values(), reverse=True)


@pytest.mark.parametrize("depth", [1, 10, 119, 120, 1000])
def test_a_depth_keeps_the_first_of_the_whole_ranking(depth):
    data = collection(numbers(120), numbers(7, seed=1))
    whole, some = dict(rankings(Numbers(), data)), dict(rankings(Numbers(), data, depth))
    for query, ranking in whole.items():
        assert some[query].ids == ranking.ids[:depth]


def test_candidates_are_all_that_is_ranked():
    data = collection(numbers(120), numbers(3, seed=1))
    candidates = {"q0": ["d7", "d11", "unknown", "d0", "zzz", "d11"], "q2": []}
    found = dict(rankings(Numbers(), data, candidates=candidates))
    whole = dict(rankings(Numbers(), data))["q0"]
    assert found["q0"].ids == [id for id in whole.ids if id in candidates["q0"]]
    assert found["q0"].scores.tolist() == [
        score for id, score in zip(*whole, strict=True) if id in candidates["q0"]
    ]
    assert found["q1"].ids == found["q2"].ids == []


def test_where_there_is_no_document_none_is_ranked():
    found = dict(rankings(Nothing(), collection([], ["1 2 3"])))
    assert found["q0"].ids == []
    assert found["q0"].scores.tolist() == []


class Nothing(Numbers):
    """A model that was given no document."""

    def encode_document(self, texts, **arguments):
        assert list(texts) == []
        return np.empty((0, 3), np.float32)


def test_the_order_of_the_corpus_and_blocks_change_no_ranking(monkeypatch):
    data = collection(numbers(120), numbers(7, seed=1))
    whole = {query: ranking.ids for query, ranking in rankings(Numbers(), data)}
    monkeypatch.setattr(evaluation, "BLOCK_FLOATS", 250)  # two queries
    monkeypatch.setattr("minibert.scoring.similarity.BLOCK_FLOATS", 150)  # fifty documents
    turned = data._replace(documents=dict(reversed(data.documents.items())))
    assert {query: ranking.ids for query, ranking in rankings(Numbers(), turned)} == whole


def test_no_more_scores_are_held_than_fit(monkeypatch):
    held = []
    inner = evaluation.scores_of_all
    monkeypatch.setattr(
        evaluation, "scores_of_all", lambda *given: held.append(inner(*given)) or held[-1]
    )
    monkeypatch.setattr(evaluation, "BLOCK_FLOATS", 250)
    for _ in rankings(Numbers(), collection(numbers(120), numbers(7))):
        pass
    assert [len(scores) for scores in held] == [2, 2, 2, 1]


def test_queries_and_documents_get_the_model_s_prompts_and_metric(folder, edit):
    prompts = {"query": "the cat ", "document": "the dog barks "}
    edit(
        folder / "config_sentence_transformers.json",
        prompts=prompts,
        similarity_fn_name="euclidean",
    )
    model = SentenceTransformer(folder)
    data = collection(["a cat", "a dog"], ["who"])
    ((_, ranking),) = rankings(model, data)
    plain = SentenceTransformer(GELU)
    query = plain.encode("the cat who")
    scores = [
        -np.linalg.norm(query - plain.encode(f"the dog barks {text}"))
        for text in data.documents.values()
    ]
    np.testing.assert_allclose(ranking.scores, sorted(scores, reverse=True), atol=1e-4)


def test_only_queries_with_a_relevant_document_are_measured_and_one_without_ranking_is_0(caplog):
    ranking = Ranking(["c", "d"], np.array([2.0, 1.0]))
    found = measured([("a", ranking), ("unjudged", ranking), ("unknown", ranking)], PER_QUERY)
    assert list(found) == ["b", "a"]
    assert found["a"]["mrr@10"] == 1 / 2
    assert found["b"] == dict.fromkeys(MEASURES, 0)
    assert means(found)["mrr@10"] == 1 / 4
    assert caplog.messages == ["1 judged queries have no ranking: counted as 0 ('b', for one)."]


def test_rankings_of_other_queries_are_refused():
    with pytest.raises(ValueError, match="None of the 2 queries"):
        measured([("unknown", Ranking(["d"], np.ones(1)))], PER_QUERY)


# The command.


@pytest.fixture
def run(capsys):
    """Run `minibert eval`: its exit code, output and errors."""

    def command(*arguments):
        code = cli.main(["eval", "--quiet", *map(str, arguments)])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return command


@pytest.fixture(scope="module")
def sample_means():
    data = read_collection(SAMPLE)
    model = SentenceTransformer(GELU, on_long="ignore")
    return means(measured(rankings(model, data), data.qrels))


def test_a_run_that_is_not_there_is_no_model_either(run, tmp_path):
    (tmp_path / "qrels.tsv").write_text("q1\td1\t1\n")
    code, _, err = run("nosuch.trec", tmp_path / "qrels.tsv")
    assert code == 66
    assert "is a file of judgements, for runs, and 'nosuch.trec' is no file" in err


def test_only_the_model_has_to_be_given(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["eval"])
    assert capsys.readouterr().err.endswith("the following arguments are required: MODEL\n")


def test_the_command_measures_on_the_sample_unless_told_otherwise(run, sample_means):
    code, out, err = run(GELU, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        **sample_means,
        "model": GELU,
        "metric": "cosine",
        "queries": 50,
        "documents": 152,
    }
    assert run(GELU, SAMPLE, "--json") == run(GELU, "--json", SAMPLE) == (code, out, err)


def test_the_table_has_a_row_a_measure(run, sample_means):
    code, out, _ = run(GELU)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[2:-1] == [[name, f"{sample_means[name]:.4f}"] for name in MEASURES]
    assert rows[-1] == ["queries", "50,", "documents", "152"]


def test_per_query_results_and_a_run_are_written(run, tmp_path, sample_means):
    per_query, trec = tmp_path / "per.jsonl", tmp_path / "run.trec"
    assert run(GELU, "--per-query", per_query, "--run", trec)[0] == 0
    rows = [json.loads(line) for line in per_query.read_text().splitlines()]
    assert [row["query"] for row in rows] == list(read_collection(SAMPLE).qrels)
    for name in MEASURES:
        assert np.mean([row[name] for row in rows]) == pytest.approx(sample_means[name])
    assert {len(ranking.ids) for ranking in read_run(trec).values()} == {152}
    # A run is measured like the model that wrote it, also with judgements alone.
    for dataset in (SAMPLE, SAMPLE / "qrels" / "test.tsv"):
        measured_again = json.loads(run(trec, dataset, "--json")[1])
        assert {name: measured_again[name] for name in MEASURES} == sample_means
        assert measured_again["metric"] is None
    assert measured_again["documents"] is None


def test_against_another_shows_both_and_p(run, tmp_path, minilm_folder, sample_means):
    trec = tmp_path / "run.trec"
    assert run(GELU, "--run", trec)[0] == 0
    arguments = (minilm_folder, SAMPLE, "--against", trec)
    facts = json.loads(run(*arguments, "--json")[1])
    assert {name: facts["against"][name] for name in MEASURES} == sample_means
    assert facts["against"]["model"] == str(trec)
    assert facts["ndcg@10"] > 0.8  # MiniLM finds most by meaning; words alone reach 0.24
    assert all(p < 1e-4 for p in facts["p"].values())
    table = [line.split() for line in run(*arguments)[1].splitlines()]
    assert table[2] == ["(1)", "(2)", "(1)", "-", "(2)", "p"]
    difference = facts["ndcg@10"] - sample_means["ndcg@10"]
    assert table[4] == [
        "ndcg@10", f"{facts['ndcg@10']:.4f}", f"{sample_means['ndcg@10']:.4f}",
        f"{difference:+.4f}", f"{facts['p']['ndcg@10']:.5f}",
    ]  # fmt: skip


def test_other_judgements_and_a_depth_are_followed(run, tmp_path):
    (tmp_path / "qrels").write_text("q1 0 bread-1 1\n")
    facts = json.loads(
        run(GELU, SAMPLE, "--qrels", tmp_path / "qrels", "--depth", "5", "--json")[1]
    )
    assert (facts["queries"], facts["depth"]) == (1, 5)
    trec = tmp_path / "run.trec"
    assert run(GELU, "--depth", "5", "--run", trec)[0] == 0
    assert {len(ranking.ids) for ranking in read_run(trec).values()} == {5}
    again = tmp_path / "again.trec"
    assert run(GELU, "--candidates", trec, "--run", again)[0] == 0
    assert again.read_bytes() == trec.read_bytes()
    cut = json.loads(run(trec, "--depth", "1", "--json")[1])
    assert cut["recall@100"] < json.loads(run(trec, "--json")[1])["recall@100"]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        ((GELU, "nowhere"), 66, "nowhere"),
        (("./no-such-model",), 66, "no-such-model"),
        ((GELU, SAMPLE, "--qrels", "nowhere"), 66, "nowhere"),
        ((GELU, SAMPLE / "qrels" / "test.tsv"), 65, "needs a folder with texts"),
        ((GELU, SAMPLE / "qrels" / "test.tsv", "--qrels", "x"), 65, "leave out --qrels"),
        ((SAMPLE / "corpus.jsonl",), 65, "corpus.jsonl, line 1: "),
        ((SAMPLE,), 65, "is a collection, no model. Name the model before it"),
        ((GELU, SAMPLE, "--against", SAMPLE), 65, "is a collection, no model"),
        ((GELU, SAMPLE, SAMPLE), 65, "give one at a time"),
        ((GELU, "--run", "no/folder/run"), 73, "no/folder/run"),
        ((GELU, "--depth", "0"), 2, "no whole number from 1 up"),
    ],
)
def test_what_cannot_be_measured_is_refused(run, capsys, arguments, code, message):
    try:
        found, out, err = run(*arguments)
    except SystemExit as error:
        found, out, err = error.code, "", capsys.readouterr().err
    assert (found, out) == (code, "")
    assert message in err


def test_two_results_are_not_written_to_one_file(run, tmp_path):
    both = tmp_path / "both"
    code, _, err = run(GELU, "--run", both, "--per-query", f"{tmp_path}/./both")
    assert (code, "--run and --per-query" in err) == (65, True)
    assert not both.exists()


def test_a_malformed_collection_leaves_no_files(run, tmp_path):
    (tmp_path / "corpus.jsonl").write_text("{}\n")
    (tmp_path / "queries.jsonl").write_text("")
    (tmp_path / "qrels.tsv").write_text("")
    code, _, err = run(GELU, tmp_path, "--run", tmp_path / "run.trec")
    assert code == 65
    assert "corpus.jsonl, line 1" in err
    assert not (tmp_path / "run.trec").exists()


def test_what_was_left_out_is_said_on_stderr(capsys, tmp_path):
    (tmp_path / "qrels").write_text("q1 0 bread-1 1\n")
    assert cli.main(["eval", GELU, str(SAMPLE), "--qrels", str(tmp_path / "qrels")]) == 0
    assert "minibert: 49 queries have no relevant document" in capsys.readouterr().err
