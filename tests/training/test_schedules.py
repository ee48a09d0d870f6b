"""Learning rates by hand, names of schedules, lengths of warm-ups, and what is refused."""

import json
import math

import numpy as np
import pytest
from bag_of_words import BagOfWords

from minibert.training import fit
from minibert.training.losses import CosineSimilarityLoss
from minibert.training.schedules import (
    REFERENCE_NAMES,
    SCHEDULES,
    check_learning_rate,
    find_schedule,
    warmup_count,
)


def rates(name, warmup, total, lr=1e-3):
    return [find_schedule(name)(lr, step, warmup, total) for step in range(total)]


def test_a_line_rises_from_0_and_falls_to_0():
    assert rates("warmup-linear", 2, 6) == [0, 5e-4, 1e-3, 7.5e-4, 5e-4, 2.5e-4]
    assert find_schedule("warmup-linear")(1e-3, 6, 2, 6) == 0
    assert find_schedule("warmup-linear")(1e-3, 7, 2, 6) == 0


def test_a_constant_has_a_warm_up_only_by_name():
    assert rates("constant", 2, 4) == [1e-3] * 4
    assert rates("warmup-constant", 2, 4) == [0, 5e-4, 1e-3, 1e-3]


@pytest.mark.parametrize("name", ["warmup-cosine", "warmup-cosine-hard-restarts"])
def test_a_cosine_falls_from_the_rate_to_0(name):
    expected = [0, 5e-4, *(1e-3 * (1 + math.cos(math.pi * k / 4)) / 2 for k in range(4))]
    np.testing.assert_allclose(rates(name, 2, 6), expected, rtol=1e-15)


def test_after_the_last_step_only_hard_restarts_stay_at_0():
    assert find_schedule("warmup-cosine")(1e-3, 8, 2, 6) == pytest.approx(5e-4)
    assert find_schedule("warmup-cosine-hard-restarts")(1e-3, 8, 2, 6) == 0


@pytest.mark.parametrize("name", SCHEDULES)
def test_without_a_warm_up_the_first_rate_is_the_full_one(name):
    assert rates(name, 0, 1) == [1e-3]


@pytest.mark.parametrize("name", SCHEDULES.keys() - {"constant"})
def test_a_warm_up_as_long_as_the_training_only_rises(name):
    assert rates(name, 4, 4) == [0, 2.5e-4, 5e-4, 7.5e-4]
    assert find_schedule(name)(1e-3, 4, 4, 4) in (0, 1e-3)  # after the end


@pytest.mark.parametrize(("theirs", "ours"), REFERENCE_NAMES.items())
def test_names_of_the_reference_are_taken_in_any_case(theirs, ours):
    assert find_schedule(theirs) is find_schedule(theirs.lower()) is SCHEDULES[ours]


def test_a_schedule_from_outside_gives_each_step_its_rate(monkeypatch, tmp_path):
    def halving(lr, step, warmup_steps, total_steps):
        return (lr + warmup_steps + total_steps) / 2**step

    monkeypatch.setitem(SCHEDULES, "halving", halving)
    rows = [("a", "b", 0.5)] * 3
    given = {"lr": 3.0, "batch_size": 1, "warmup_steps": 2, "show_progress_bar": False}
    loss, out = CosineSimilarityLoss(), tmp_path / "out"
    fit(BagOfWords(), rows, loss, schedule="halving", output=out, **given)
    lines = (out / "training.jsonl").read_text().splitlines()
    assert [json.loads(line)["lr"] for line in lines] == [8, 4, 2]


@pytest.mark.parametrize("name", ["linear", None, ["warmup-linear"]])
def test_an_unknown_schedule_lists_the_known_ones(name):
    with pytest.raises(ValueError, match=r"schedule is .*'warmup-linear'.*'WarmupCosine'"):
        find_schedule(name)


@pytest.mark.parametrize(
    ("given", "steps"),
    [(0, 0), (0.0, 0), (0.1, 7), (0.999, 69), (1, 1), (10.0, 10), (np.int64(3), 3), (200, 200)],
)
def test_a_warm_up_is_steps_or_a_share_rounded_up(given, steps):
    found = warmup_count(given, 69)
    assert (found, type(found)) == (steps, int)


@pytest.mark.parametrize("given", [-1, -0.1, 1.5, math.nan, math.inf, None, True, "10"])
def test_a_warm_up_that_is_no_number_of_steps_is_refused(given):
    with pytest.raises(ValueError, match=r"warmup_steps is .*expected a whole number of steps"):
        warmup_count(given, 69)


def test_a_learning_rate_becomes_a_float():
    found = check_learning_rate(np.float32(0.5))
    assert (found, type(found)) == (0.5, float)


@pytest.mark.parametrize("lr", [0, -1e-5, math.nan, math.inf, "1e-5", True])
def test_a_learning_rate_that_is_not_positive_is_refused(lr):
    with pytest.raises(ValueError, match=f"the learning rate, is {lr!r}; expected a positive"):
        check_learning_rate(lr)


def test_a_learning_rate_that_is_not_given_is_asked_for():
    with pytest.raises(ValueError, match=r"No learning rate is given; .* such as lr=2e-5"):
        check_learning_rate(None)
