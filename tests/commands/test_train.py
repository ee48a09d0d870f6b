"""`minibert train`: what it writes and says, what it goes on with, and what it refuses."""

import errno
import json
import os
import re
import shutil
from datetime import datetime, timedelta

import numpy as np
import pytest
from command_line import GELU, TEXTS
from golden_files import GOLDEN
from run_folders import going, write_run

from minibert import SentenceTransformer
from minibert.commands.train_report import TrainingReport
from minibert.evaluation import MEASURES, RetrievalEvaluator, read_collection
from minibert.losses import CoSENTLoss, MarginMSELoss, MatryoshkaLoss
from minibert.pictures.training_page import page_before_training, training_page
from minibert.training import LOSSES, Report, fit

WORDS = ["the cat", "dogs bark", "Café 中文", "a dog", "London", "the cat sat"]
ROWS = [
    {"query": WORDS[n], "positive": WORDS[n - 1], "negative": WORDS[n - 3], "label": n - 2.5}
    for n in range(6)
]


@pytest.fixture
def triples(tmp_path):
    """A file of six triples with margins."""
    path = tmp_path / "triples.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS), "utf-8")
    return path


@pytest.fixture
def small_collection(tmp_path):
    """A BEIR folder of six documents and two queries."""
    folder = tmp_path / "collection"
    folder.mkdir()
    for name, texts in (("corpus", WORDS), ("queries", WORDS[:2])):
        lines = [json.dumps({"_id": str(n), "text": text}) for n, text in enumerate(texts)]
        (folder / f"{name}.jsonl").write_text("\n".join(lines) + "\n", "utf-8")
    (folder / "qrels.tsv").write_text("0\t3\t1\n0\t4\t1\n1\t2\t1\n")
    return folder


@pytest.fixture
def run_train(run, triples, tmp_path):
    """Run `minibert train` into tmp_path / "out": three steps an epoch."""

    def train(*options, data=triples, loss="margin-mse"):
        into = ("--output", tmp_path / "out", "--loss", loss, "--lr", "0.01", "--batch-size", "2")
        return run("train", GELU, data, *into, *options)

    return train


def vectors_of(folder):
    return SentenceTransformer(folder).encode(TEXTS)


def content_of(folder):
    """Every file of a folder but the lock, with its bytes."""
    files = [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@pytest.mark.slow
def test_a_trained_model_is_written_and_said(run_train, triples, tmp_path):
    code, out, err = run_train("--epochs", "2")
    assert (code, err) == (0, "")
    log = (tmp_path / "out" / "training.jsonl").read_text().splitlines()
    assert out == f"{tmp_path / 'out'}: 6 steps, loss {json.loads(log[-1])['loss']:.4g}\n"
    model = SentenceTransformer(GELU)
    fit(model, triples, MarginMSELoss(), lr=0.01, batch_size=2, epochs=2)
    np.testing.assert_array_equal(vectors_of(tmp_path / "out"), model.encode(TEXTS))
    assert np.abs(model.encode(TEXTS) - vectors_of(GELU)).max() > 1e-3


def test_a_small_loss_is_said_with_its_digits(run_train, monkeypatch):
    report = Report(6, 2.23451e-5, 0, None, False, None)
    monkeypatch.setattr("minibert.training.fit", lambda *_, **__: report)
    assert run_train().out.endswith("out: 6 steps, loss 2.235e-05\n")


def test_one_step_is_said_as_one(run_train):
    assert ": 1 step, loss " in run_train("--max-steps", "1").out


def test_json_has_the_facts_of_the_run(run_train, small_collection, tmp_path):
    code, out, _ = run_train(
        "--json", "--evaluate", small_collection, "--measure", "map", "--quiet"
    )
    facts = json.loads(out)
    *_, trained, evaluated = map(
        json.loads, (tmp_path / "out" / "training.jsonl").read_text().splitlines()
    )
    assert code == 0
    assert facts == {
        "output": str(tmp_path / "out"),
        "steps": 3,
        "loss": trained["loss"],
        "best_step": 3,
        "best_score": evaluated["evaluation"]["map"],
        "was_finished": False,
        "first_score": None,
        "measure": "map",
    }


def test_every_option_reaches_the_run(run_train, small_collection, tmp_path):
    options = (
        "--optimizer adamw_hf --eps 1e-5 --schedule warmup-cosine --warmup-steps 0.5 "
        "--weight-decay 0.1 --decay-all --max-grad-norm 0 --epochs 3 --max-steps 2 --batch-size 4 "
        "--accumulation 2 --drop-last --no-dropout --seed 7 --evaluation-steps 1 --evaluate-first "
        "--checkpoint-steps 1 --checkpoint-limit 2 --quiet --matryoshka 20,5 --threads 1"
    )
    assert run_train(*options.split(), "--evaluate", small_collection).code == 0
    settings = json.loads((tmp_path / "out" / "training.json").read_text())["settings"]
    assert settings["arguments"] == {
        "lr": 0.01,
        "epochs": 3,
        "batch_size": 4,
        "drop_last": True,
        "optimizer": "adamw_hf",
        "betas": [0.9, 0.999],
        "eps": 1e-5,
        "weight_decay": 0.1,
        "decay_all": True,
        "schedule": "warmup-cosine",
        "warmup_steps": 0.5,
        "max_grad_norm": None,
        "accumulation_steps": 2,
        "seed": 7,
        "dropout": False,
        "max_steps": 2,
        "steps_per_epoch": None,
        "evaluation_steps": 1,
        "evaluate_first": True,
        "save_best_model": True,
    }
    kept = (tmp_path / "out" / "checkpoints").glob("step-*")
    assert sorted(path.name for path in kept) == ["step-1", "step-2"]
    loss = MatryoshkaLoss(None, MarginMSELoss(), [20, 5])
    assert settings["loss"]["name"] == "MatryoshkaLoss"
    assert settings["loss"]["matryoshka_dims"] == list(loss.get_config_dict()["matryoshka_dims"])
    evaluator = RetrievalEvaluator(read_collection(small_collection))
    assert settings["evaluator"] == {"name": "RetrievalEvaluator", **evaluator.get_config_dict()}


@pytest.mark.slow
def test_a_gpu_trains_to_the_cpu_s_model(run_train, cupy, tmp_path):
    result = run_train("--device", "cuda", "--max-steps", "2")
    assert (result.code, result.err) == (0, "")
    settings = json.loads((tmp_path / "out" / "training.json").read_text())["settings"]
    assert settings["device"] == "cuda"
    gpu = vectors_of(tmp_path / "out")
    assert run_train("--max-steps", "2", "--restart").code == 0
    np.testing.assert_allclose(gpu, vectors_of(tmp_path / "out"), rtol=0, atol=1e-4)
    result = run_train("--max-steps", "2", "--device", "cuda")
    assert result.code == 65
    assert "device is 'cuda', and was 'cpu' when the run began" in result.err


class Distance:
    """Mean squared distance of two texts."""

    description = "pairs of texts, which come close"
    columns = (2, 2)
    label = "none"
    is_mean = True
    in_batch_negatives = False

    def check(self, columns, labels, examples):
        assert columns == 2

    def __call__(self, vectors, labels):
        difference = vectors[0] - vectors[1]
        loss = float(np.square(difference).sum() / len(difference))
        gradient = difference * np.float32(2 / len(difference))
        return loss, [gradient, -gradient]

    def get_config_dict(self):
        return {}


def test_a_loss_from_outside_is_trained_and_has_help(
    run, run_train, triples, tmp_path, monkeypatch
):
    monkeypatch.setitem(LOSSES, "distance", Distance)
    help_text = " ".join(run("train", "--help").out.split())
    assert "distance: pairs of texts, which come close." in help_text
    pairs = [
        {"sentence1": one, "sentence2": two} for one, two in zip(WORDS, WORDS[::-1], strict=True)
    ]
    triples.write_text("".join(json.dumps(row) + "\n" for row in pairs))
    options = ("--no-dropout", "--batch-size", "6", "--epochs", "4")
    assert run_train(*options, loss="distance").code == 0
    log = (tmp_path / "out" / "training.jsonl").read_text().splitlines()
    losses = [json.loads(line)["loss"] for line in log]
    vectors = SentenceTransformer(GELU).encode(WORDS)
    distance = np.square(vectors - vectors[::-1]).sum() / len(WORDS)
    assert losses[0] == pytest.approx(distance, rel=1e-4)
    assert losses[3] < losses[0] / 2


def test_the_card_names_data_loss_and_numbers(run_train, tmp_path):
    run_train("--epochs", "2")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "`minibert.training.examples.Examples` of length 3 with parameters:\n" in card
    assert "`minibert.training.losses.margin_mse.MarginMSELoss`" in card
    assert '    "batch_size": 2,\n' in card
    assert str(tmp_path) not in card


def test_a_shorter_maximum_length_stays_with_the_model(run_train, tmp_path):
    assert run_train("--max-seq-length", "7").code == 0
    assert SentenceTransformer(tmp_path / "out").max_seq_length == 7


def test_a_file_of_any_name_is_read_by_the_form_given(run_train, tmp_path):
    path = tmp_path / "pairs.data"
    path.write_text("sentence1,sentence2,score\nthe cat,a dog,0.5\nLondon,a cat,0\n")
    assert run_train(data=path, loss="cosent").code == 65
    assert run_train("--input-format", "csv", data=path, loss="cosent").code == 0
    model = SentenceTransformer(GELU)
    rows = [("the cat", "a dog", 0.5), ("London", "a cat", 0)]
    fit(model, rows, CoSENTLoss(), lr=0.01, batch_size=2)
    np.testing.assert_array_equal(vectors_of(tmp_path / "out"), model.encode(TEXTS))


def test_examples_may_come_from_standard_input(run, triples, tmp_path):
    options = ("--output", tmp_path / "out", "--loss", "margin-mse", "--lr", "1e-3")
    given = {"stdin": triples.read_bytes()}
    refused = run("train", GELU, "-", *options, **given)
    assert (refused.code, "jsonl" in refused.err) == (65, True)
    assert run("train", GELU, "-", *options, "--input-format", "jsonl", **given).code == 0


@pytest.mark.slow
def test_the_best_model_by_the_measure_is_kept(run_train, small_collection, tmp_path):
    code, out, _ = run_train("--epochs", "3", "--evaluate", small_collection, "--quiet")
    log = (tmp_path / "out" / "training.jsonl").read_text().splitlines()
    scores = {
        record["step"]: record["evaluation"]["ndcg@10"]
        for record in map(json.loads, log)
        if "evaluation" in record
    }
    assert (code, list(scores)) == (0, [3, 6, 9])
    best = max(scores, key=scores.__getitem__)
    assert out.endswith(f"; the model of step {best}, ndcg@10 {scores[best]:.4f}\n")
    evaluator = RetrievalEvaluator(read_collection(small_collection))
    model = SentenceTransformer(tmp_path / "out", on_long="ignore")
    assert evaluator(model)["ndcg@10"] == scores[best]


def test_other_judgements_measure_the_model_before_and_after(run_train, small_collection, tmp_path):
    qrels = tmp_path / "others.tsv"
    qrels.write_text("0\t1\t1\n1\t5\t1\n")
    options = ("--evaluate", small_collection, "--qrels", qrels, "--measure", "mrr@10")
    code, out, _ = run_train(*options, "--evaluate-first", "--quiet")
    assert code == 0
    log = (tmp_path / "out" / "training.jsonl").read_text().splitlines()
    first, *_, last = [record for record in map(json.loads, log) if "evaluation" in record]
    assert (first["step"], last["step"]) == (0, 3)
    before, after = (record["evaluation"]["mrr@10"] for record in (first, last))
    assert out.endswith(f"step 3, mrr@10 {after:.4f} ({before:.4f} before training)\n")
    assert run_train(*options, "--evaluate-first", "--quiet").out.endswith(out.partition(";")[2])
    evaluator = RetrievalEvaluator(read_collection(small_collection, qrels), "mrr@10")
    for record, folder in ((first, GELU), (last, tmp_path / "out")):
        assert evaluator(SentenceTransformer(folder, on_long="ignore")) == record["evaluation"]
    assert (
        evaluator.get_config_dict()
        != RetrievalEvaluator(read_collection(small_collection), "mrr@10").get_config_dict()
    )


def test_a_finished_run_is_said_and_left_alone(run_train, tmp_path):
    run_train()
    before = content_of(tmp_path / "out")
    code, out, err = run_train()
    assert (code, out) == (
        0, f"{tmp_path / 'out'}: 3 steps (finished before, nothing was changed)\n"
    )  # fmt: skip
    assert "--restart" in err
    assert content_of(tmp_path / "out") == before
    assert ": 3 steps, loss " in run_train("--restart").out
    assert content_of(tmp_path / "out") == before


def shown_text(path):
    """What a page says, without its styles and its script."""
    content = path.read_text("utf-8")
    return " ".join(re.sub(r"<style>.*?</style>|<script.*|<[^>]+>", " ", content).split())


def test_a_report_is_the_page_of_the_run_which_keeps_its_bytes(
    run_train, small_collection, tmp_path
):
    options = ("--evaluate", small_collection, "--evaluate-first", "--quiet")
    assert run_train(*options).code == 0
    expected = content_of(tmp_path / "out")
    report = tmp_path / "report.html"
    assert run_train(*options, "--restart", "--report", report).code == 0
    assert content_of(tmp_path / "out") == expected
    written = r'<p id="written".*'
    pages = report.read_text("utf-8"), training_page(tmp_path / "out")
    assert re.sub(written, "", pages[0]) == pages[1]
    time = re.search(r"Written <time[^>]*>([^<]*)<", pages[0])[1]
    assert datetime.now().astimezone() - datetime.fromisoformat(time) < timedelta(minutes=10)
    assert "The run is finished, after 3 steps." in shown_text(report)
    assert [path.name for path in tmp_path.glob("report*")] == ["report.html"]
    again = tmp_path / "again.html"
    assert run_train(*options, "--report", again).code == 0
    assert re.sub(written, "", again.read_text("utf-8")) == pages[1]


def test_a_report_is_written_at_the_start_and_when_stopped(
    run_train, small_collection, tmp_path, monkeypatch
):
    report, log, seen = tmp_path / "report.html", tmp_path / "out" / "training.jsonl", []

    def measure(found):
        seen.append(shown_text(report))
        if '"step": 2' in log.read_text():
            raise KeyboardInterrupt
        return 0.5

    monkeypatch.setitem(MEASURES, "odd", measure)
    options = ("--evaluate", small_collection, "--evaluate-first", "--evaluation-steps", "1")
    options += ("--measure", "odd", "--report", report)
    stopped = "Step 2 of 3, in epoch 1 of 1. The run was stopped; the same command goes on."
    for more in ((), ("--restart",)):  # a run that will be removed is not shown
        seen.clear()
        assert run_train(*options, *more).code == 130
        assert "minibert trains a model gelu The run has not taken its first step" in seen[0]
        assert stopped in shown_text(report)
        assert "best odd, of step 1 0.5000" in shown_text(report)


def test_a_report_is_told_of_each_record(run_train, tmp_path, monkeypatch):
    seen = []
    monkeypatch.setattr(TrainingReport, "watch", lambda self, record: seen.append(record))
    run_train("--report", tmp_path / "report.html")
    lines = (tmp_path / "out" / "training.jsonl").read_text().splitlines()
    assert seen == [json.loads(line) for line in lines]


def test_a_report_that_fails_in_a_run_is_told_and_no_more(
    run_train, small_collection, tmp_path, monkeypatch
):
    folder = tmp_path / "reports"
    folder.mkdir()

    def measure(found):
        shutil.rmtree(folder, ignore_errors=True)
        return 0.5

    monkeypatch.setitem(MEASURES, "odd", measure)
    options = ("--evaluate", small_collection, "--measure", "odd", "--epochs", "2")
    code, out, err = run_train(*options, "--report", folder / "report.html")
    assert code == 0
    assert ": 6 steps, loss " in out
    assert err.count(f"The report {folder / 'report.html'} was not written: cannot create") == 1
    run_train(*options, "--restart")
    assert not folder.exists()


@pytest.mark.parametrize(
    ("place", "code", "message"),
    [
        ("out/report.html", 65, "lies in the folder of the run"),
        ("out", 65, "lies in the folder of the run"),
        ("nowhere/report.html", 73, "cannot create"),
        (".", 73, "cannot create"),
        ("-", 65, "give the name of a file"),
    ],
)
def test_a_report_that_cannot_be_written_ends_it_before(
    run_train, tmp_path, monkeypatch, place, code, message
):
    monkeypatch.chdir(tmp_path)
    result = run_train("--report", place)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("content", ["the data", '<!doctype html>\n<html lang="en">\nmine', ""])
def test_a_report_replaces_no_file_but_a_page_of_a_run(run_train, triples, tmp_path, content):
    before = triples.read_bytes()
    report = tmp_path / "report.html"
    report.write_text(content)
    for file in (triples, report):
        found = run_train("--report", file, "--max-steps", "1")
        assert (found.code, found.out) == (73, "")
        assert "exists and is no page of a training, so it stays as it is" in found.err
    assert (triples.read_bytes(), report.read_text()) == (before, content)
    assert not (tmp_path / "out").exists()
    report.write_text(page_before_training("another model"))
    assert run_train("--report", report, "--max-steps", "1").code == 0
    assert "finished, after 1 step." in shown_text(report)


@pytest.mark.parametrize(
    ("seconds", "after_a_step", "after_an_evaluation"),
    [(0.001, 2.0, 0.1), (0.01, 2.0, 1.0), (0.5, 50.0, 50.0)],
)
def test_pages_take_a_hundredth_of_a_run_at_most(
    tmp_path, seconds, after_a_step, after_an_evaluation
):
    write_run(tmp_path / "run", going())
    measured = {"step": 1, "evaluation": {}}
    for record, wait in (({"step": 1}, after_a_step), (measured, after_an_evaluation)):
        times = iter([0.0, seconds, seconds + wait * 0.99, seconds + wait * 1.01, 99.0, 100.0])
        file = tmp_path / "report.html"
        with TrainingReport(str(file), str(tmp_path / "run"), "m", clock=times.__next__) as report:
            file.unlink()
            report.watch(record)
            assert not file.exists()
            report.watch(record)
            assert file.exists()
            times = iter([0.0, 0.0])
            report.clock = times.__next__


def test_the_pace_is_that_of_the_steps_in_this_call(tmp_path):
    folder, file = tmp_path / "run", tmp_path / "report.html"
    write_run(folder, going(100))
    # A page reads the clock before and after it was written, a record when it comes.
    times = iter([0, 0, 100, 100, 100, 101, 103, 103, 103, 200, 200])
    with TrainingReport(str(file), str(folder), "m", clock=times.__next__) as report:
        for step in (98, 98, 100):
            report.watch({"step": step})
        assert "40 steps a minute; less than a minute left." in shown_text(file)
    assert "steps a minute" not in shown_text(file)


def test_a_call_stopped_before_its_run_is_told(run_train, tmp_path, monkeypatch):
    report = tmp_path / "report.html"

    def stop(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr("minibert.training.fit", stop)
    assert run_train("--report", report).code == 130
    assert "The run was stopped; the same command goes on." in shown_text(report)


def raising(error):
    def measure(found):
        raise error

    return measure


@pytest.mark.slow
@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt(), 130), (OSError(errno.ENOSPC, "full"), 74)]
)
def test_a_stopped_run_says_so_and_goes_on(
    run_train, small_collection, tmp_path, monkeypatch, error, code
):
    evaluating = ("--evaluate", small_collection, "--evaluation-steps", "2")
    evaluating += ("--measure", "odd", "--checkpoint-steps", "1")
    monkeypatch.setitem(MEASURES, "odd", lambda found: 0.5)
    assert run_train(*evaluating, "--quiet").code == 0
    expected = content_of(tmp_path / "out")
    run_train(*evaluating, "--restart", "--quiet")
    monkeypatch.setitem(MEASURES, "odd", raising(error))
    found = run_train(*evaluating, "--restart")
    assert (found.code, found.out) == (code, "")
    advice = f"the same command goes on from the last checkpoint in {tmp_path / 'out'}"
    assert f"minibert: stopped; {advice}\n" in found.err
    assert len(os.listdir(tmp_path / "out" / "checkpoints")) > 1
    monkeypatch.setitem(MEASURES, "odd", lambda found: 0.5)
    assert run_train(*evaluating, "--quiet").code == 0
    assert content_of(tmp_path / "out") == expected


def test_quiet_says_nothing_of_going_on(run_train, small_collection, monkeypatch):
    monkeypatch.setitem(MEASURES, "odd", raising(KeyboardInterrupt()))
    result = run_train("--evaluate", small_collection, "--measure", "odd", "--quiet")
    assert result == (130, "", "")


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (("--loss", "mine"), 2, "invalid choice: 'mine'"),
        (("--lr", "0"), 2, "argument --lr: '0' is no number above 0"),
        (("--lr", "nan"), 2, "argument --lr: 'nan' is no number from 0 up"),
        (("--lr", "fast"), 2, "argument --lr: 'fast' is no number from 0 up"),
        (("--eps", "-1"), 2, "argument --eps: '-1' is no number from 0 up"),
        (("--warmup-steps", "inf"), 2, "'inf' is no number from 0 up"),
        (("--warmup-steps", "1.5"), 65, "warmup_steps is 1.5"),
        (("--epochs", "0"), 2, "'0' is no whole number from 1 up"),
        (("--seed", "-1"), 2, "'-1' is no whole number from 0 up"),
        (("--matryoshka", "20,,5"), 2, "'' is no whole number from 1 up"),
        (("--matryoshka", "20,21"), 65, "--matryoshka has 21 dimensions; the model has 20"),
        (("--optimizer", "sgd"), 2, "invalid choice: 'sgd'"),
        (("--measure", "f1"), 2, "invalid choice: 'f1'"),
        (("--evaluation-steps", "2"), 65, "--evaluation-steps needs --evaluate FOLDER"),
        (("--evaluate-first",), 65, "--evaluate-first needs --evaluate FOLDER"),
        (("--qrels", "qrels.tsv"), 65, "--qrels needs --evaluate FOLDER"),
        (("--evaluate", "nowhere"), 66, "nowhere"),
        (("--input-format", "text"), 2, "invalid choice: 'text'"),
        (("--max-seq-length", "99"), 65, "max_seq_length is 99"),
        (("--loss", "cosent"), 65, "CoSENTLoss takes 2 columns of texts"),
    ],
)  # fmt: skip
def test_options_that_cannot_be_followed_are_refused(run_train, tmp_path, options, code, message):
    result = run_train(*options)
    assert (result.code, result.out) == (code, "")
    assert message in result.err
    assert not (tmp_path / "out").exists()


def test_a_batch_that_is_too_small_names_the_option(run_train, tmp_path):
    pairs = tmp_path / "pairs.csv"
    pairs.write_text("query,positive\nthe cat,a dog\nLondon,a cat\n")
    options = {"data": pairs, "loss": "multiple-negatives-ranking"}
    assert "(drop_last=True, --drop-last)" in run_train("--batch-size", "1", **options).err
    assert (
        "a smaller batch_size (--batch-size)" in run_train("--drop-last", "--batch-size", "7").err
    )


def test_no_learning_rate_is_refused(run, triples, tmp_path):
    result = run("train", GELU, triples, "--output", tmp_path / "out", "--loss", "margin-mse")
    assert result.code == 2
    assert "the following arguments are required: --lr" in result.err


def test_bad_data_is_refused_with_its_line(run_train, triples, tmp_path):
    triples.write_text(triples.read_text("utf-8").replace('"London"', '""', 1), "utf-8")
    result = run_train()
    assert (result.code, result.out) == (65, "")
    assert "triples.jsonl, line " in result.err
    assert "is empty" in result.err
    assert run_train(data=tmp_path / "nowhere.jsonl").code == 66
    assert not (tmp_path / "out").exists()


def test_another_model_on_going_on_is_refused(run, run_train, triples, tmp_path):
    run_train()
    before = content_of(tmp_path / "out")
    options = ("--loss", "margin-mse", "--lr", "0.01", "--batch-size", "2")
    result = run("train", GOLDEN / "relu", triples, "--output", tmp_path / "out", *options)
    assert result.code == 65
    assert "holds another training run: the model differs: " in result.err
    assert content_of(tmp_path / "out") == before


def test_a_folder_with_other_files_is_refused(run_train, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("mine")
    result = run_train()
    assert result.code == 73
    assert "thesis.tex" in result.err
    assert "goes on" not in result.err
    assert os.listdir(tmp_path / "out") == ["thesis.tex"]


def test_a_family_that_cannot_be_trained_is_refused(run, triples, tmp_path):
    options = ("--output", tmp_path / "out", "--loss", "margin-mse", "--lr", "1")
    result = run("train", GOLDEN / "modernbert", triples, *options)
    assert result.code == 65
    assert "model_type is 'modernbert'" in result.err
    assert not (tmp_path / "out").exists()


def test_the_model_may_be_the_environment_s(run, triples, tmp_path, monkeypatch):
    monkeypatch.setenv("MINIBERT_MODEL", GELU)
    options = ("--output", tmp_path / "out", "--loss", "margin-mse", "--lr", "1e-3")
    assert run("train", triples, *options).code == 0
