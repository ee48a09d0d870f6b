"""`minibert eval`: the table, JSON, files, and what cannot be measured."""

import json
from functools import partial

import numpy as np
import pytest
from golden_files import GOLDEN

from minibert import SentenceTransformer
from minibert.commands import cli
from minibert.evaluation import (
    MEASURES,
    SAMPLE,
    means,
    measured,
    rankings,
    read_collection,
    read_run,
)

GELU = str(GOLDEN / "gelu")


@pytest.fixture
def run_eval(run):
    """Run `minibert eval`."""
    return partial(run, "eval", "--quiet")


@pytest.fixture(scope="module")
def sample_means():
    data = read_collection(SAMPLE)
    model = SentenceTransformer(GELU, on_long="ignore")
    return means(measured(rankings(model, data), data.qrels))


def test_eval_refuses_a_missing_run_that_judgements_follow(run_eval, tmp_path):
    (tmp_path / "qrels.tsv").write_text("q1\td1\t1\n")
    code, _, err = run_eval("nosuch.trec", tmp_path / "qrels.tsv")
    assert code == 66
    assert "is a file of judgements, for runs, and 'nosuch.trec' is no file" in err


def test_only_the_model_has_to_be_given(capsys):
    with pytest.raises(SystemExit, match="2"):
        cli.main(["eval"])
    assert capsys.readouterr().err.endswith("the following arguments are required: MODEL\n")


def test_eval_measures_on_the_sample_by_default(run_eval, sample_means):
    code, out, err = run_eval(GELU, "--json")
    assert (code, err) == (0, "")
    assert json.loads(out) == {
        **sample_means,
        "model": GELU,
        "metric": "cosine",
        "queries": 50,
        "documents": 152,
    }
    assert run_eval(GELU, SAMPLE, "--json") == run_eval(GELU, "--json", SAMPLE) == (code, out, err)


def test_the_table_has_a_row_a_measure(run_eval, sample_means):
    code, out, _ = run_eval(GELU)
    assert code == 0
    rows = [line.split() for line in out.splitlines()]
    assert rows[2:-1] == [[name, f"{sample_means[name]:.4f}"] for name in MEASURES]
    assert rows[-1] == ["queries", "50,", "documents", "152"]


def test_a_measure_from_outside_has_a_row_and_a_key(run_eval, monkeypatch):
    monkeypatch.setitem(MEASURES, "found@3", lambda found: float((found.ranks <= 3).any()))
    facts = json.loads(run_eval(GELU, "--json")[1])
    assert 0 < facts["found@3"] < 1
    rows = [line.split() for line in run_eval(GELU)[1].splitlines()]
    assert ["found@3", f"{facts['found@3']:.4f}"] in rows
    against = json.loads(run_eval(GELU, "--against", GELU, "--json")[1])
    assert (against["against"]["found@3"], against["p"]["found@3"]) == (facts["found@3"], 1)


def test_per_query_results_and_a_run_are_written(run_eval, tmp_path, sample_means):
    per_query, trec = tmp_path / "per.jsonl", tmp_path / "run.trec"
    assert run_eval(GELU, "--per-query", per_query, "--run", trec)[0] == 0
    rows = [json.loads(line) for line in per_query.read_text().splitlines()]
    assert [row["query"] for row in rows] == list(read_collection(SAMPLE).qrels)
    for name in MEASURES:
        assert np.mean([row[name] for row in rows]) == pytest.approx(sample_means[name])
    assert {len(ranking.ids) for ranking in read_run(trec).values()} == {152}
    # A run is measured like the model that wrote it, also with judgements alone.
    for dataset in (SAMPLE, SAMPLE / "qrels" / "test.tsv"):
        measured_again = json.loads(run_eval(trec, dataset, "--json")[1])
        assert {name: measured_again[name] for name in MEASURES} == sample_means
        assert measured_again["metric"] is None
    assert measured_again["documents"] is None


def test_against_another_shows_both_and_p(run_eval, tmp_path, minilm_folder, sample_means):
    trec = tmp_path / "run.trec"
    assert run_eval(GELU, "--run", trec)[0] == 0
    arguments = (minilm_folder, SAMPLE, "--against", trec)
    facts = json.loads(run_eval(*arguments, "--json")[1])
    assert {name: facts["against"][name] for name in MEASURES} == sample_means
    assert facts["against"]["model"] == str(trec)
    assert facts["ndcg@10"] > 0.8  # MiniLM finds most by meaning; words alone reach 0.24
    assert all(p < 1e-4 for p in facts["p"].values())
    table = [line.split() for line in run_eval(*arguments)[1].splitlines()]
    assert table[2] == ["(1)", "(2)", "(1)", "-", "(2)", "p"]
    difference = facts["ndcg@10"] - sample_means["ndcg@10"]
    assert table[4] == [
        "ndcg@10", f"{facts['ndcg@10']:.4f}", f"{sample_means['ndcg@10']:.4f}",
        f"{difference:+.4f}", f"{facts['p']['ndcg@10']:.5f}",
    ]  # fmt: skip


def test_other_judgements_and_top_k_are_followed(run_eval, tmp_path):
    (tmp_path / "qrels").write_text("q1 0 bread-1 1\n")
    facts = json.loads(
        run_eval(GELU, SAMPLE, "--qrels", tmp_path / "qrels", "--top-k", "5", "--json")[1]
    )
    assert (facts["queries"], facts["top_k"]) == (1, 5)
    trec = tmp_path / "run.trec"
    assert run_eval(GELU, "--top-k", "5", "--run", trec)[0] == 0
    assert {len(ranking.ids) for ranking in read_run(trec).values()} == {5}
    again = tmp_path / "again.trec"
    assert run_eval(GELU, "--candidates", trec, "--run", again)[0] == 0
    assert again.read_bytes() == trec.read_bytes()
    first = json.loads(run_eval(trec, "--top-k", "1", "--json")[1])
    assert first["recall@100"] < json.loads(run_eval(trec, "--json")[1])["recall@100"]


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
        ((GELU, "--top-k", "0"), 2, "no whole number from 1 up"),
    ],
)
def test_what_cannot_be_measured_is_refused(run_eval, arguments, code, message):
    found, out, err = run_eval(*arguments)
    assert (found, out) == (code, "")
    assert message in err


def test_two_results_are_not_written_to_one_file(run_eval, tmp_path):
    both = tmp_path / "both"
    code, _, err = run_eval(GELU, "--run", both, "--per-query", f"{tmp_path}/./both")
    assert (code, "--run and --per-query" in err) == (65, True)
    assert not both.exists()


def test_a_malformed_collection_leaves_no_files(run_eval, tmp_path):
    (tmp_path / "corpus.jsonl").write_text("{}\n")
    (tmp_path / "queries.jsonl").write_text("")
    (tmp_path / "qrels.tsv").write_text("")
    code, _, err = run_eval(GELU, tmp_path, "--run", tmp_path / "run.trec")
    assert code == 65
    assert "corpus.jsonl, line 1" in err
    assert not (tmp_path / "run.trec").exists()


def test_what_was_left_out_is_said_on_stderr(capsys, tmp_path):
    (tmp_path / "qrels").write_text("q1 0 bread-1 1\n")
    assert cli.main(["eval", GELU, str(SAMPLE), "--qrels", str(tmp_path / "qrels")]) == 0
    assert "minibert: 49 queries have no relevant document" in capsys.readouterr().err
