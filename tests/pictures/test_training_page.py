"""The page of a training run has its numbers, while it runs and after it."""

import json
import math
import re
from datetime import datetime, timedelta, timezone

import pytest
from bag_of_words import BagOfWords
from drawn import HOSTILE, Elements
from run_folders import evaluation, going, step, write_run

from minibert.errors import TrainingError
from minibert.pictures.training_page import (
    Moment,
    duration,
    page_before_training,
    running_mean,
    training_page,
)
from minibert.training import fit
from minibert.training.losses import MarginMSELoss

TIME = datetime(2026, 11, 28, 23, 41, 5, 678_901, timezone(timedelta(hours=-3)))


@pytest.fixture
def run_path(tmp_path):
    return tmp_path / "run"


def shown(content):
    """The text of a page, without styles, pictures and data."""
    content = re.sub(r"<(style|script|svg)\b.*?</\1>", " ", content, flags=re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", content).split())


def charts(content):
    """The charts by their title: each line's name, steps and values, as the script reads them."""
    titles = re.findall(r'<svg [^>]*aria-label="([^"]*)"', content)
    return {
        title: {line["name"]: (line["x"], line["y"]) for line in drawn["lines"]}
        for title, drawn in zip(titles, Elements(content).data()["charts"], strict=True)
    }


def test_a_run_that_goes_on_says_where_it_is(run_path):
    page = training_page(write_run(run_path, going()))
    assert "<title>Step 50 of 120: a-model</title>" in page
    assert "Step 50 of 120, in epoch 1 of 2. The run is not finished." in shown(page)
    assert '<progress max="120" value="50"' in page
    assert "best ndcg@10, of step 50 0.5000" in shown(page)
    assert "ndcg@10 before training 0.2500" in shown(page)
    mean = sum(1 / n for n in range(46, 51)) / 5
    assert f"loss, mean of the last 5 steps {mean:.4g}" in shown(page)
    assert Elements(page).data()["finished"] is False


def test_a_finished_run_says_so(run_path):
    page = training_page(write_run(run_path, going(120), finished=True))
    assert "The run is finished, after 120 steps." in shown(page)
    assert Elements(page).data()["finished"] is True


def test_a_finished_run_names_the_step_of_its_model(run_path):
    records = [*going(), *map(step, range(51, 121)), evaluation(120, 0.375)]
    text = shown(training_page(write_run(run_path, records, finished=True)))
    assert f"after 120 steps. The model of step 50 is in {run_path}." in text
    assert "best ndcg@10, of step 50 0.5000" in text
    assert "latest ndcg@10, of step 120 0.3750" in text
    path = run_path / "training.json"
    path.write_text(path.read_text().replace('"save_best_model": true', '"save_best_model": false'))
    assert f"The model of step 120 is in {run_path}." in shown(training_page(run_path))


def test_there_is_no_latest_measure_before_training_alone(run_path):
    text = shown(training_page(write_run(run_path, [evaluation(0, 0.25), step(1)])))
    assert "ndcg@10 before training 0.2500" in text
    assert "latest ndcg@10" not in text


def test_the_time_the_pace_and_the_time_left_are_shown(run_path):
    write_run(run_path, going())
    text = shown(training_page(run_path, Moment(TIME, pace=3.5)))
    assert "Written 2026-11-28 23:41:05-03:00 . 3.5 steps a minute; about 20 minutes left." in text
    text = shown(training_page(run_path, Moment(TIME, pace=1234.5)))
    assert " . 1,234 steps a minute; less than a minute left." in text
    for moment in (Moment(TIME), Moment(TIME, 3.5, is_stopped=True)):
        page = training_page(run_path, moment)
        assert "Written 2026-11-28 23:41:05-03:00 ." in shown(page)
        assert "a minute" not in shown(page)
    write_run(run_path, going(120), finished=True)
    assert "steps a minute" not in shown(training_page(run_path, Moment(TIME, pace=3.5)))
    assert "Written 2026-11-28" in shown(page_before_training("a-model", Moment(TIME)))
    # Without the time, the same run has the same page.
    assert "Written" not in training_page(run_path)


@pytest.mark.parametrize(
    ("minutes", "text"),
    [
        (0.9, "less than a minute"),
        (1.2, "about 1 minute"),
        (59.7, "about 1 hour"),
        (135, "about 2 hours 15 minutes"),
    ],
)
def test_a_time_left_is_told_to_the_minute(minutes, text):
    assert duration(minutes) == text


def test_a_stopped_run_says_how_it_goes_on(run_path):
    stopped = Moment(TIME, is_stopped=True)
    text = shown(training_page(write_run(run_path, going()), stopped))
    assert "in epoch 1 of 2. The run was stopped; the same command goes on." in text
    assert "not finished" not in text
    text = shown(page_before_training("a-model", stopped))
    assert "a-model The run was stopped; the same command goes on." in text
    text = shown(training_page(write_run(run_path, going(120), finished=True), stopped))
    assert "The run is finished" in text
    assert "was stopped" not in text


def test_the_page_of_a_run_by_fit_has_its_log(run_path):
    rows = [(f"q{n} who", f"q{n} p it", f"other {n % 3}", n % 4) for n in range(5)]
    given = {"lr": 0.1, "batch_size": 2, "evaluate_first": True, "output": run_path}
    fit(BagOfWords(), rows, MarginMSELoss(), evaluator=lambda *_, steps, **__: 0.5, **given)
    lines = (run_path / "training.jsonl").read_text().splitlines()
    steps = [record for record in map(json.loads, lines) if "loss" in record]
    found = charts(training_page(run_path))
    for title, key in (("loss", "loss"), ("learning rate", "lr"), ("norm of the gradients", None)):
        ((xs, ys),) = found[title].values()
        assert xs == [1, 2, 3]
        assert ys == pytest.approx([one[key or "grad_norm"] for one in steps], rel=1e-4)
    assert found["score"] == {"score": ([0, 3], [0.5, 0.5])}
    text = shown(training_page(run_path))
    assert "data 5 examples, 3 batches an epoch" in text
    assert "loss MarginMSELoss, similarity_fct pairwise_dot_score" in text
    assert "steps 3, 3 an epoch" in text


def test_each_step_and_the_mean_are_drawn_for_each_objective(run_path):
    records = [step(n, loss=n + m, objective=m) for n in range(1, 5) for m in range(2)]
    found = charts(training_page(write_run(run_path, records, losses=2)))
    assert found["loss"] == {
        "loss 1, Loss0, each step": ([1, 2, 3, 4], [1, 2, 3, 4]),
        "loss 1, Loss0, mean of 5": ([1, 2, 3, 4], [1, 1.5, 2, 2.5]),
        "loss 2, Loss1, each step": ([1, 2, 3, 4], [2, 3, 4, 5]),
        "loss 2, Loss1, mean of 5": ([1, 2, 3, 4], [2, 2.5, 3, 3.5]),
    }
    assert list(found["learning rate"]) == ["learning rate"]
    assert len(found["norm of the gradients"]) == 4


@pytest.mark.parametrize(
    ("total", "mean"), [(19, ""), (20, "mean of 5"), (690, "mean of 14"), (99_999, "mean of 200")]
)
def test_the_mean_has_a_fiftieth_of_the_steps(run_path, total, mean):
    page = training_page(write_run(run_path, [step(1), step(2)], total=total))
    assert list(charts(page)["loss"])[-1] == (f"loss, {mean}" if mean else "loss")


def test_a_running_mean_is_of_a_number_and_those_before():
    values = [3.0, 1.0, 2.0, math.nan, 4.0, 6.0, 8.0]
    found = running_mean(values, 2).tolist()
    assert found[:3] == [3.0, 2.0, 1.5]
    assert math.isnan(found[3])
    assert math.isnan(found[4])
    assert found[5:] == [5.0, 7.0]


@pytest.mark.parametrize(
    ("norm", "share", "has_line"), [(0.4, 0, False), (0.6, 0, True), (1.5, 50, True)]
)
def test_clipping_is_told_and_drawn_where_it_is_near(run_path, norm, share, has_line):
    records = [step(n, grad_norm=norm if n % 2 else 0.1) for n in range(1, 5)]
    page = training_page(write_run(run_path, records))
    assert f"Norms before clipping to 1: {share}% were clipped." in shown(page)
    assert ("clipped to 1</text>" in page) == has_line


def test_the_table_has_every_evaluation_and_marks_the_best_one(run_path):
    records = [evaluation(0, 0.25), evaluation(60, 0.5, True), evaluation(120, None)]
    page = training_page(write_run(run_path, records))
    rows = [
        [shown(cell) for cell in re.findall(r"<t[hd]\b.*?</t[hd]>", row)]
        for row in re.findall(r"<tr.*?</tr>", page)
    ]
    assert rows == [
        ["step", "epoch", "ndcg@10", "mrr@10"],
        ["before training", "", "0.2500", "0.1250"],
        ["60 (best)", "1", "0.5000", "0.2500"],
        ["120", "2", "no number", "no number"],
    ]
    drawn = charts(page)
    # The measure of the best model comes first; a score that is no number interrupts the curve.
    assert list(drawn) == ["ndcg@10", "mrr@10"]
    assert drawn["ndcg@10"] == {"ndcg@10": ([0, 60, 120], [0.25, 0.5, None])}
    assert page.count(">before training</text>") == 2


def test_of_very_many_evaluations_the_last_are_in_the_table(run_path):
    records = [evaluation(n, 0.5) for n in range(1, 521)]
    page = training_page(write_run(run_path, records))
    assert page.count("<tr>") == 501
    assert "20 earlier ones are left out." in shown(page)


@pytest.mark.parametrize("torn", ['{"step": 51, "epo', '{"step": 51}', "[51]\n", "nonsense\n{}\n"])
def test_a_log_is_read_up_to_its_last_whole_line(run_path, torn):
    whole = training_page(write_run(run_path, going()))
    assert training_page(write_run(run_path, going(), torn=torn)) == whole


def test_a_run_before_its_first_step_is_shown(run_path):
    page = training_page(write_run(run_path, []))
    assert "The run has not taken its first step yet." in shown(page)
    assert charts(page) == {}
    assert "lr 2e-5" in shown(page)
    (run_path / "training.jsonl").unlink()
    assert training_page(run_path) == page
    before = page_before_training("a-model")
    assert "<title>Training: a-model</title>" in before
    assert "The run has not taken its first step yet." in shown(before)


def test_settings_are_told_without_digests(run_path):
    text = shown(training_page(write_run(run_path, going())))
    assert (
        f"folder {run_path} data 3,840 examples, 60 batches an epoch loss Loss0, scale 20 " in text
    )
    assert "evaluator RetrievalEvaluator, measure ndcg@10 steps 120, 60 an epoch" in text
    assert "lr 2e-5 epochs 2 betas 0.9, 0.999 eps none" in text
    assert "dropout yes" in text
    assert not re.search("[0-2]{64}", text)


def test_a_run_without_facts_for_people_is_shown(run_path):
    path = write_run(run_path, going()) / "training.json"
    content = json.loads(path.read_text())
    del content["facts"]
    path.write_text(json.dumps(content))
    assert "Step 50 of 50, in epoch 1 of 2." in shown(training_page(run_path))


@pytest.mark.parametrize("content", [None, "{}", '{"settings": [1]}'])
def test_a_folder_that_is_no_run_is_refused(run_path, content):
    with pytest.raises(FileNotFoundError, match="There is no folder"):
        training_page(run_path)
    run_path.mkdir()
    if content is not None:
        (run_path / "training.json").write_text(content)
    with pytest.raises(TrainingError, match="holds no training run"):
        training_page(run_path)


def test_a_page_of_thousands_of_steps_stays_small(run_path):
    records = [step(n, loss=n % 7 + 1 / n) for n in range(1, 20_001)]
    page = training_page(write_run(run_path, records, total=20_000))
    assert len(page) < 400_000
    assert len(charts(page)["loss"]["loss, each step"][0]) < 4 * 440


def test_texts_are_text_and_never_markup(run_path):
    records = [
        *(step(1), step(2)),
        {"step": 2, "epoch": 0, "evaluation": {HOSTILE: 0.5}, "is_best": True},
    ]
    page = training_page(write_run(run_path, records, model=HOSTILE))
    elements = Elements(page)
    tags = [tag for tag, _ in elements.found]
    assert tags.count("script") == 2  # the data and the program
    assert not {"img", "iframe", "link", "object", "base"} & set(tags)
    assert not [name for _, has in elements.found for name in has if name.startswith("on")]
    assert "\x00" not in page
    for tag, attributes in elements.found:
        assert not {"src", "href", "srcset", "action", "background"} & set(attributes), tag
    assert not [has for _, has in elements.found if has.get("http-equiv") == "refresh"]
