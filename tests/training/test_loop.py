"""The loop: which steps it makes, what it tells, and what it refuses."""

import json
import logging
import math
import re
import signal
import sys

import numpy as np
import pytest
from bag_of_words import DENSE, EMBEDDING, BagOfWords
from killing import tree
from safetensors.numpy import load_file

from minibert.errors import TrainingError
from minibert.training.batches import Objective, OrderedBatches, StreamedBatches
from minibert.training.examples import read_examples
from minibert.training.loader import DataLoader, InputExample
from minibert.training.loop import fit, train
from minibert.training.losses import (
    ContrastiveLoss,
    CosineSimilarityLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
)
from minibert.training.optimizers import AdamW, clip_
from minibert.training.order import Order
from minibert.training.recipe import Recipe
from minibert.training.schedules import warmup_linear

ROWS = [
    {
        "query": f"q{n} who {n % 4}",
        "positive": f"q{n} p{n % 5} it",
        "negative": f"other {n % 3}",
        "label": float(n % 4),
    }
    for n in range(11)
]
LOSS = MarginMSELoss(None)
GIVEN = {"lr": 1e-2, "batch_size": 4, "epochs": 2, "show_progress_bar": False}


def trained(model, **changes):
    """The report of fit on ROWS, with a change of what is given."""
    return fit(model, ROWS, LOSS, **{**GIVEN, **changes})


def steps_by_hand(numbers, steps, total, **of_optimizer):
    """Tensors after the steps of batches: numbers(step) gives those of one step."""
    model = BagOfWords().trainable(seed=42, dropout=True)
    optimizer = AdamW(model.values, **of_optimizer)
    with read_examples(ROWS) as examples:
        order = Order(len(ROWS), 4, seed=42)
        for step in range(steps):
            for number in numbers(step):
                texts, labels, _ = examples.batch(order.batch(number))
                scale = 1 / len(numbers(step))
                model.add_gradients(texts, labels, LOSS, number, scale=scale)
            gradients = model.gradients
            clip_(gradients, 1.0)
            optimizer.step(gradients, warmup_linear(1e-2, step, 2, total))
            model.zero_gradients()
            model.refresh()
    return model.values


def assert_equal(values, expected):
    """Every tensor has the same bits."""
    assert values.keys() == expected.keys()
    for key, value in values.items():
        assert np.array_equal(value, expected[key]), key


def records(folder):
    """The lines of a run's log."""
    return [json.loads(line) for line in (folder / "training.jsonl").read_text().splitlines()]


def checkpoints(folder):
    """Names of the folder's checkpoints and best models."""
    return sorted(path.name for path in (folder / "checkpoints").glob("*-*"))


# Steps.


def test_steps_clip_then_change_the_tensors_then_go_on():
    model = BagOfWords()
    report = trained(model, warmup_steps=2, decay_all=False)
    assert_equal(model.values, steps_by_hand(lambda step: [step], 6, 6))
    assert (report.steps, report.best_step, report.was_finished) == (6, 0, False)


def test_accumulated_batches_make_a_step_and_end_with_the_epoch():
    model = BagOfWords()
    assert trained(model, warmup_steps=2, accumulation_steps=2).steps == 4
    groups = [[0, 1], [2], [3, 4], [5]]
    assert_equal(model.values, steps_by_hand(lambda step: groups[step], 4, 4))


def test_max_steps_end_the_run_and_the_schedule():
    model = BagOfWords()
    assert trained(model, warmup_steps=2, max_steps=5).steps == 5
    assert_equal(model.values, steps_by_hand(lambda step: [step], 5, 5))


def test_settings_of_the_optimizer_reach_it():
    model = BagOfWords()
    own = {"weight_decay": 0.3, "betas": (0.5, 0.7), "eps": 1e-3}
    trained(model, warmup_steps=2, decay_all=True, **own)
    expected = steps_by_hand(lambda step: [step], 6, 6, decays=lambda key, _: True, **own)
    assert_equal(model.values, expected)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({"warmup_steps": 10000}, ["has 10000 steps, and the run has 6: the learning rate never "]),
        ({"warmup_steps": 7, "schedule": "warmup-cosine"}, ["has 7 steps, and the run has 6: "]),
        ({"warmup_steps": 6}, []),
        ({"warmup_steps": 0.9}, []),
        ({"warmup_steps": 10000, "schedule": "constant"}, []),
    ],
)
def test_a_warm_up_longer_than_the_run_is_told_with_its_rate(caplog, tmp_path, given, told):
    trained(BagOfWords(), output=tmp_path / "out", **given)
    assert len(caplog.messages) == len(told)
    for part, message in zip(told, caplog.messages, strict=True):
        highest = max(record["lr"] for record in records(tmp_path / "out"))
        assert part in message
        assert f"never exceeds {highest:.3g}. Lower warmup_steps" in message


def test_the_model_computes_with_the_tensors_of_the_last_step():
    model = BagOfWords()
    trained(model)
    expected = model.counts(["who it"], None) @ model.values[EMBEDDING] + model.values["word.bias"]
    assert np.allclose(model.encode(["who it"]), expected @ model.values[DENSE].T, atol=1e-5)


def test_the_log_has_each_step_and_no_time(tmp_path):
    trained(BagOfWords(), output=tmp_path / "out", warmup_steps=2)
    lines = records(tmp_path / "out")
    assert [list(line) for line in lines] == [["step", "epoch", "loss", "lr", "grad_norm"]] * 6
    assert [line["step"] for line in lines] == [1, 2, 3, 4, 5, 6]
    assert [line["epoch"] for line in lines] == [0, 0, 0, 1, 1, 1]
    assert [line["lr"] for line in lines] == [warmup_linear(1e-2, s, 2, 6) for s in range(6)]
    model = BagOfWords().trainable(seed=42, dropout=True)
    with read_examples(ROWS) as examples:
        texts, labels, _ = examples.batch(Order(len(ROWS), 4, seed=42).batch(0))
    loss = model.add_gradients(texts, labels, LOSS, 0)
    norm = math.sqrt(sum(float((g.astype(float) ** 2).sum()) for g in model.gradients.values()))
    assert lines[0]["loss"] == loss
    assert lines[0]["grad_norm"] == pytest.approx(norm, rel=1e-12)


def test_the_records_of_the_log_are_shown_once_they_are_in_it(tmp_path):
    shown, found = [], []

    def watch(record):
        found.append(records(tmp_path / "out")[-1])
        shown.append(record)

    given = {"evaluation_steps": 2, "checkpoint_steps": 1, "evaluate_first": True}
    trained(
        BagOfWords(), output=tmp_path / "out", watch=watch, evaluator=Evaluator(1, 0, 3), **given
    )
    assert shown == found == records(tmp_path / "out")
    assert [record["step"] for record in shown] == [0, 1, 2, 2, 3, 3, 4, 5, 5, 6, 6]
    unwritten = []
    evaluator = Evaluator(1, 0, 3)
    trained(BagOfWords(), watch=unwritten.append, evaluator=evaluator, **given)
    assert unwritten == shown


@pytest.mark.parametrize("error", [ValueError("mine"), KeyboardInterrupt()])
def test_an_error_of_watch_keeps_the_step_it_was_shown(tmp_path, error):
    def watch(record):
        if record["step"] == 4:
            raise error

    with pytest.raises(type(error)):
        trained(BagOfWords(), output=tmp_path / "out", watch=watch)
    assert checkpoints(tmp_path / "out") == ["stopped-4"]
    trained(BagOfWords(), output=tmp_path / "out")
    trained(BagOfWords(), output=tmp_path / "whole")
    assert tree(tmp_path / "out") == tree(tmp_path / "whole")


def test_progress_tells_loss_rate_and_time_left(capsys):
    trained(BagOfWords(), show_progress_bar=True, max_steps=2, batch_size=1)
    last = capsys.readouterr().err.split("\r")[-1]
    assert "2/2" in last
    assert "step/s, loss " in last or "s/step, loss " in last
    assert ", lr 0.005]" in last


def test_several_objectives_have_an_update_and_an_optimizer_each(tmp_path):
    pairs = [{"sentence1": f"a{n}", "sentence2": f"b {n}", "score": n / 5} for n in range(5)]
    recipe = Recipe(lr=1e-2, epochs=2, schedule="constant", max_grad_norm=None, checkpoint_steps=1)
    other = CosineSimilarityLoss(None)
    with read_examples(ROWS) as first, read_examples(pairs) as second:
        objectives = [
            Objective(OrderedBatches(first, Order(len(ROWS), 4)), LOSS),
            Objective(OrderedBatches(second, Order(len(pairs), 3)), other),
        ]
        model = BagOfWords(dropout=0.25)
        report = train(model, model, objectives, recipe, output=tmp_path / "out")
        assert report.steps == 4  # the shorter data is read twice
        lines = records(tmp_path / "out")
        assert [(line["step"], line["objective"]) for line in lines] == [
            (step, number) for step in (1, 2, 3, 4) for number in (0, 1)
        ]
        again = BagOfWords(dropout=0.25)
        optimizers = [AdamW(again.values), AdamW(again.values)]
        for step in range(4):
            for number, (batches, loss) in enumerate(objectives):
                texts, labels, _ = batches.batch(step)
                again.add_gradients(texts, labels, loss, 2 * step + number)
                optimizers[number].step(again.gradients, 1e-2)
                again.zero_gradients()
                again.refresh()
        assert_equal(model.values, again.values)
        stored = load_file(tmp_path / "out" / "checkpoints" / "step-4" / "optimizer.safetensors")
        for number, optimizer in enumerate(optimizers):
            for name, tensor in optimizer.state.items():
                assert np.array_equal(stored[f"{number}.{name}"], tensor)


def test_batches_of_a_loader_are_read_epoch_after_epoch():
    texts = ("query", "positive", "negative")
    examples = [InputExample(texts=[r[t] for t in texts], label=r["label"]) for r in ROWS]
    loader = DataLoader(examples, batch_size=4, shuffle=True, seed=42)
    model = BagOfWords(seed=42, dropout=0.25)
    model.values = BagOfWords().values
    model.refresh()
    recipe = Recipe(lr=1e-2, epochs=2, warmup_steps=2)
    train(model, model, [Objective(StreamedBatches(loader), LOSS)], recipe)
    assert_equal(model.values, steps_by_hand(lambda step: [step], 6, 6))


def test_batches_that_cannot_be_read_twice_are_refused():
    class Once:
        def __init__(self, batches):
            self.rest = iter(batches)

        def __iter__(self):
            return self.rest

        def __len__(self):
            return 2

    batches = StreamedBatches(Once([[("a", "b", "c", 1.0)], [("d", "e", "f", 2.0)]]))
    with pytest.raises(TrainingError, match="epoch 1, counted from 0, are none"):
        train(None, BagOfWords(), [Objective(batches, LOSS)], Recipe(lr=1e-2, epochs=2))


# Evaluations.


def interrupted_after(step):
    """A function for `watch` that is interrupted after a step."""

    def watch(record):
        if record["step"] == step:
            raise KeyboardInterrupt

    return watch


class Evaluator:
    """Scores given one after another; what it was called with."""

    def __init__(self, *scores, **attributes):
        self.scores, self.calls = list(scores), []
        vars(self).update(attributes)

    def __call__(self, model, output_path, epoch, steps):
        self.calls.append((epoch, steps))
        self.output_path, self.model = output_path, model
        return self.scores.pop(0) if self.scores else 0.0


def test_evaluations_come_at_intervals_and_after_each_epoch(tmp_path):
    evaluator, called = Evaluator(), []
    model = BagOfWords()
    trained(
        model, batch_size=2, evaluator=evaluator, evaluation_steps=3, output=tmp_path / "out",
        callback=lambda *given: called.append(given),
    )  # fmt: skip
    # Six steps an epoch: at its end there is one evaluation, not two.
    assert evaluator.calls == [(0, 3), (0, -1), (1, 3), (1, -1)]
    assert called == [(0.0, *call) for call in evaluator.calls]
    assert evaluator.output_path == str(tmp_path / "out" / "eval")
    assert evaluator.model is model


def test_a_run_that_ends_within_an_epoch_is_evaluated_at_its_end():
    evaluator = Evaluator()
    trained(BagOfWords(), evaluator=evaluator, max_steps=4)
    assert evaluator.calls == [(0, -1), (1, -1)]
    assert evaluator.output_path is None


def tensors_of(folder):
    """The tensors of a saved bag of words, by the keys of its values."""
    dense = load_file(folder / "2_Dense" / "model.safetensors")["linear.weight"]
    return {**load_file(folder / "model.safetensors"), DENSE: dense}


@pytest.mark.parametrize(
    ("scores", "attributes", "best_step"),
    [
        ([0.1, 0.5, 0.5, 0.2], {}, 2),
        ([0.1, 0.5, 0.5, 0.2], {"greater_is_better": False}, 1),
        ([math.nan, 0.5, math.nan, 0.2], {}, 2),
        ([{"a": n, "b": -n} for n in (1, 2, 4, 3)], {"primary_metric": "a"}, 3),
        ([{"a": n, "b": -n} for n in (1, 2, 4, 3)], {"primary_metric": "b"}, 1),
        ([{"a": n} for n in (1, 2, 3, 4)], {}, 4),
    ],
)
def test_the_model_of_the_best_score_is_kept(tmp_path, scores, attributes, best_step):
    model, expected, out = BagOfWords(), BagOfWords(), tmp_path / "out"
    given = {"evaluation_steps": 1, "epochs": 1, "batch_size": 3, "schedule": "constant"}
    evaluator = Evaluator(*scores, **attributes)
    report = trained(model, output=out, evaluator=evaluator, **given)
    assert (report.steps, report.best_step) == (4, best_step)
    trained(expected, max_steps=best_step, **given)
    kept = tensors_of(out)
    assert np.array_equal(kept.pop("pooler"), model.pooler)
    assert_equal(kept, expected.values)
    assert_equal(model.values, expected.values)
    assert np.array_equal(model.encode(["who"]), expected.encode(["who"]))
    assert checkpoints(out) == []
    evaluated = [line["evaluation"] for line in records(out) if "evaluation" in line]
    told = [score if isinstance(score, dict) else {"score": score} for score in scores]
    assert evaluated == [
        {name: None if math.isnan(value) else value for name, value in one.items()} for one in told
    ]


def test_without_save_best_model_the_last_one_is_kept(tmp_path):
    model, expected = BagOfWords(), BagOfWords()
    evaluator = Evaluator(2.0, 1.0)
    report = trained(model, output=tmp_path / "out", evaluator=evaluator, save_best_model=False)
    trained(expected)
    assert_equal(model.values, expected.values)
    assert_equal({key: tensors_of(tmp_path / "out")[key] for key in model.values}, expected.values)
    assert (report.best_step, report.best_score) == (3, 2.0)


@pytest.mark.parametrize("save_best_model", [True, False])
@pytest.mark.parametrize("evaluation_steps", [0, 2])
def test_the_model_before_training_is_never_the_result(tmp_path, evaluation_steps, save_best_model):
    evaluator = Evaluator(9.0, 1.0, 2.0, 3.0, 0.5)
    given = {"evaluate_first": True, "evaluation_steps": evaluation_steps}
    given |= {"save_best_model": save_best_model, "output": tmp_path / "out"}
    report = trained(BagOfWords(), evaluator=evaluator, **given)
    assert evaluator.calls[0] == (-1, -1)  # as an evaluator is called outside of a training
    first, *others = [line for line in records(tmp_path / "out") if "evaluation" in line]
    assert first == {"step": 0, "epoch": -1, "evaluation": {"score": 9.0}, "is_best": False}
    best = max(others, key=lambda line: line["evaluation"]["score"])
    assert (report.best_step, report.best_score) == (best["step"], best["evaluation"]["score"])
    assert report.first_score == 9.0
    assert [line["is_best"] for line in others] == ([True] * 3 + [False])[: len(others)]


@pytest.mark.parametrize(
    ("scores", "changes", "told"),
    [
        ((0.5, 0.25, 0.125), {}, "0.5000 before training, and the result has 0.2500"),
        ((0.5, 0.75, 0.125), {}, ""),
        ((0.5, 0.5, 0.125), {}, ""),
        ((0.5, 0.75, 0.125), {"save_best_model": False}, "the result has 0.1250"),
        ((0.5, 0.75, 0.125), {"output": None}, "the result has 0.1250"),
        ((0.5, math.nan, math.nan), {}, "the result has none"),
        ((math.nan, 0.75, 0.125), {}, ""),
        ((-0.5, -0.25, -0.125), {"greater_is_better": False}, "the result has -0.2500"),
    ],
)
def test_a_result_worse_than_the_start_is_told(tmp_path, caplog, scores, changes, told):
    attributes = {"greater_is_better": changes.pop("greater_is_better", True)}
    given = {"output": tmp_path / "out", "evaluate_first": True, **changes}
    trained(BagOfWords(), evaluator=Evaluator(*scores, **attributes), **given)
    found = [message for message in caplog.messages if "before training" in message]
    assert len(found) == bool(told)
    assert told in "".join(found)


def test_the_first_evaluation_is_not_repeated_on_going_on(tmp_path, caplog):
    given = {"evaluate_first": True, "output": tmp_path / "out", "checkpoint_steps": 1}
    with pytest.raises(KeyboardInterrupt):
        trained(BagOfWords(), watch=interrupted_after(2), evaluator=Evaluator(0.5), **given)
    evaluator = Evaluator(0.25, 0.125)
    trained(BagOfWords(), evaluator=evaluator, **given)
    assert evaluator.calls == [(0, -1), (1, -1)]
    assert [line["step"] for line in records(tmp_path / "out") if "evaluation" in line] == [0, 3, 6]
    assert "0.5000 before training, and the result has 0.2500" in caplog.text


def test_measures_without_a_known_score_are_refused():
    evaluator = Evaluator({"a": 1, "b": 2})
    with pytest.raises(TrainingError, match=r"returned 'a', 'b', .* primary_metric is None"):
        trained(BagOfWords(), evaluator=evaluator)


@pytest.mark.parametrize("given", ["cranfield", 0.5, ["a"]])
def test_an_evaluator_that_cannot_be_called_is_refused(tmp_path, given):
    told = rf"evaluator is an? \w+, {re.escape(repr(given))}; expected a function"
    with pytest.raises(TypeError, match=told):
        trained(BagOfWords(), evaluator=given, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("result", "told"),
    [
        (None, "returned None; "),
        ("0.5", "returned '0.5'; "),
        ({"a": None, "b": 2}, "returned 'a': None; "),
        ({"a": [1, 2]}, r"returned 'a': \[1, 2\]; "),
    ],
)
def test_a_score_that_is_no_number_is_refused(result, told):
    evaluator = Evaluator(result, primary_metric="a")
    with pytest.raises(TrainingError, match=f"The evaluator Evaluator {told}expected a number or"):
        trained(BagOfWords(), evaluator=evaluator)


def test_another_measure_that_is_no_number_is_logged_as_none(tmp_path):
    evaluator = Evaluator({"a": 1, "b": "x"}, primary_metric="a")
    trained(BagOfWords(), evaluator=evaluator, epochs=1, output=tmp_path / "out")
    assert records(tmp_path / "out")[-1]["evaluation"] == {"a": 1.0, "b": None}


def test_a_score_that_is_not_finite_is_told_with_its_step(caplog):
    trained(BagOfWords(), evaluator=Evaluator(0.5, math.nan), save_best_model=False)
    (told,) = caplog.messages
    assert told.startswith("Step 6: the score of the evaluator is not finite")


# Bad numbers and data.


class Broken(MarginMSELoss):
    """A loss that is NaN where a label is 3."""

    def __call__(self, vectors, labels):
        loss, gradients = super().__call__(vectors, labels)
        return (math.nan if (labels == 3.0).any() else loss), gradients


class BrokenTogether(Broken):
    """The same for a loss that is no mean."""

    is_mean = False


def place_of_the_first_three():
    """The step and the example with the first label 3: (from 1, number of the row)."""
    order = Order(len(ROWS), 4, seed=42)
    for step in range(3):
        for number in order.batch(step).tolist():
            if ROWS[number]["label"] == 3.0:
                return step + 1, number, order.batch(step).tolist()
    return None


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_loss_that_is_no_number_stops_at_step_and_example(tmp_path, value):
    class Wrong(Broken):
        def __call__(self, vectors, labels):
            loss, gradients = super().__call__(vectors, labels)
            return (value if math.isnan(loss) else loss), gradients

    step, number, _ = place_of_the_first_three()
    model, out = BagOfWords(), tmp_path / "out"
    given = {**GIVEN, "schedule": "constant"}
    with pytest.raises(TrainingError) as raised:
        fit(model, ROWS, Wrong(None), **given, output=out, checkpoint_steps=1)
    told = f"Step {step}: the loss is {value}, of data[{number}]. Nothing was changed by this step."
    assert told in str(raised.value)
    expected = BagOfWords()
    if step > 1:
        fit(expected, ROWS, LOSS, **given, max_steps=step - 1)
    assert_equal(model.values, expected.values)
    assert len(records(out)) == step - 1
    assert [path.name for path in (out / "checkpoints").glob("s*")] == [f"step-{step - 1}"] * (
        step > 1
    )
    assert not (out / "config.json").exists()


def test_a_second_objective_s_loss_tells_of_the_first_s_update():
    recipe = Recipe(lr=1e-2, schedule="constant")
    with read_examples(ROWS) as examples:
        batches = OrderedBatches(examples, Order(len(ROWS), 11))
        objectives = [Objective(batches, LOSS), Objective(batches, Broken(None))]
        model = BagOfWords()
        with pytest.raises(TrainingError, match=r"Step 1: the loss is nan, .* have had their upda"):
            train(model, model, objectives, recipe)
    assert not np.array_equal(model.values[EMBEDDING], BagOfWords().values[EMBEDDING])


def test_a_label_that_a_loss_refuses_is_told_by_its_batch():
    rows = [{"sentence1": f"a{n}", "sentence2": "b", "label": n != 10} for n in range(11)]
    rows[10]["label"] = 0.5
    numbers = [Order(11, 4, seed=42).batch(step).tolist() for step in range(3)]
    (step,) = (step for step in range(3) if 10 in numbers[step])
    assert step > 0  # else it is found before the first step
    with pytest.raises(TrainingError) as raised:
        fit(BagOfWords(), rows, ContrastiveLoss(None), **GIVEN)
    places = "; ".join(f"data[{number}]" for number in numbers[step])
    place = numbers[step].index(10)
    told = f"Step {step + 1}, the examples {places}: The label of example {place} of the batch, "
    assert str(raised.value).startswith(told)


def test_a_loss_without_labels_does_not_read_them():
    rows = [{"query": f"a{n}", "positive": f"b{n}"} for n in range(8)]
    models = [BagOfWords(), BagOfWords()]
    for model, label in zip(models, ({}, {"label": "yes"}), strict=True):
        fit(model, [row | label for row in rows], MultipleNegativesRankingLoss(None), **GIVEN)
    first, second = (model.values[EMBEDDING] for model in models)
    assert np.array_equal(first, second)
    assert not np.array_equal(first, BagOfWords().values[EMBEDDING])
    with pytest.raises(TrainingError, match="label is 'yes'; expected a number"):
        fit(models[0], [row | label for row in rows], CosineSimilarityLoss(None), **GIVEN)


def test_columns_that_do_not_fit_a_loss_are_named():
    rows = {"query;positive": ["a;b", "c;d"]}
    message = r"takes at least 2 .* have 1\. .* The columns of texts are: query;positive\.$"
    with pytest.raises(ValueError, match=message):
        fit(BagOfWords(), rows, MultipleNegativesRankingLoss(None), **GIVEN)


def test_a_loss_over_a_whole_batch_names_the_batch():
    step, _, numbers = place_of_the_first_three()
    with pytest.raises(TrainingError) as raised:
        fit(BagOfWords(), ROWS, BrokenTogether(None), **GIVEN)
    places = "; ".join(f"data[{number}]" for number in numbers)
    assert f"Step {step}: the loss is nan, of the examples {places}. " in str(raised.value)


def test_a_gradient_that_is_no_number_changes_nothing():
    class Wrong(MarginMSELoss):
        def __call__(self, vectors, labels):
            loss, (first, *others) = super().__call__(vectors, labels)
            first[0] = np.inf
            return loss, [first, *others]

    model = BagOfWords()
    with np.errstate(invalid="ignore"), pytest.raises(TrainingError, match="Step 1: NaN or inf"):
        fit(model, ROWS, Wrong(None), **GIVEN)
    assert_equal(model.values, BagOfWords().values)


def test_a_last_batch_too_small_for_the_loss_is_told_at_once(tmp_path):
    pairs = [{"query": f"q{n}", "positive": f"p{n}"} for n in range(5)]
    loss = MultipleNegativesRankingLoss(None)
    model = BagOfWords()
    with pytest.raises(ValueError, match="batch"):
        fit(model, pairs, loss, lr=1e-2, batch_size=4, output=tmp_path / "out")
    assert not (tmp_path / "out").exists()
    assert fit(model, pairs, loss, lr=1e-2, batch_size=4, drop_last=True).steps == 1


def test_a_loss_that_does_not_fit_the_columns_is_told_at_once():
    with pytest.raises(ValueError, match="columns of texts"):
        fit(BagOfWords(), ROWS, CosineSimilarityLoss(None), **GIVEN)


def repeats_told(caplog, loss, rows, **changes):
    """The warnings of a run about texts that a batch has twice."""
    caplog.clear()
    with caplog.at_level(logging.WARNING, "minibert"):
        fit(BagOfWords(), rows, loss, **{**GIVEN, **changes})
    return [message for message in caplog.messages if "the same text" in message]


def test_a_text_twice_among_in_batch_negatives_is_told_once(caplog):
    ranking = MultipleNegativesRankingLoss(None)
    rows = [{"query": f"q{n}", "positive": f"p{n}"} for n in range(8)]
    assert repeats_told(caplog, ranking, rows) == []
    rows[6] = {"query": "q1", "positive": "p6"}
    (told,) = repeats_told(caplog, ranking, rows, batch_size=8, epochs=3)
    assert re.match(r"data\[(1|6)\] and data\[(1|6)\] have the same text 'q1' in one batch", told)
    rows[6] = {"query": "q1", "positive": "p6" * 40}
    rows[5] = {"query": "q5", "positive": "p6" * 40}
    rows[1] = {"query": "q8", "positive": "p1"}
    (told,) = repeats_told(caplog, ranking, rows, batch_size=8)
    assert f"have the same text '{'p6' * 30}...' in one batch" in told
    pairs = [row | {"label": 1.0} for row in rows]
    assert repeats_told(caplog, CosineSimilarityLoss(None), pairs, batch_size=8) == []


def test_data_without_a_whole_batch_is_refused():
    with pytest.raises(TrainingError, match="no batch"):
        trained(BagOfWords(), batch_size=12, drop_last=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("lr", 0.0),
        ("lr", None),
        ("epochs", 0),
        ("batch_size", 0),
        ("optimizer", "sgd"),
        ("schedule", "none"),
        ("warmup_steps", -1),
        ("max_grad_norm", 0.0),
        ("max_grad_norm", math.nan),
        ("seed", -1),
        ("seed", 1.5),
        ("seed", 2**64),
        ("accumulation_steps", 0),
        ("max_steps", 0),
        ("evaluation_steps", -1),
        ("checkpoint_steps", 0),
        ("checkpoint_limit", 0),
        ("betas", (1.0, 0.9)),
        ("weight_decay", -0.1),
        ("eps", 0.0),
    ],
)
def test_a_number_out_of_its_range_is_refused_by_name(name, value):
    told = {"lr": "learning rate", "betas": "betas"}.get(name, name)
    with pytest.raises(ValueError, match=told):
        trained(BagOfWords(), **{name: value})


# Interruptions.


def interrupted_at(step):
    """An evaluator that is stopped by Ctrl-C after a step."""

    def evaluator(model, output_path, epoch, steps):
        if steps == step:
            raise KeyboardInterrupt
        return 0.0

    return evaluator


def test_ctrl_c_writes_a_checkpoint_that_an_unbroken_run_has_not(tmp_path):
    given = {"batch_size": 2, "epochs": 1, "evaluation_steps": 1, "checkpoint_steps": 3}
    with pytest.raises(KeyboardInterrupt):
        trained(BagOfWords(), output=tmp_path / "a", evaluator=interrupted_at(4), **given)
    # Before the evaluation of step 4, which comes first when the run goes on.
    assert checkpoints(tmp_path / "a") == ["best-1", "step-3", "stopped-4"]
    state = json.loads((tmp_path / "a" / "checkpoints" / "stopped-4" / "training.json").read_text())
    assert (state["step"], state["evaluated"]) == (4, 3)
    trained(BagOfWords(), output=tmp_path / "a", evaluator=interrupted_at(None), **given)
    trained(BagOfWords(), output=tmp_path / "b", evaluator=interrupted_at(None), **given)
    assert checkpoints(tmp_path / "a") == checkpoints(tmp_path / "b") == ["step-6"]
    assert records(tmp_path / "a") == records(tmp_path / "b")


@pytest.mark.parametrize("raises", ["evaluator", "callback"])
def test_an_evaluation_that_fails_writes_a_checkpoint(tmp_path, raises):
    given = {"batch_size": 2, "epochs": 1, "evaluation_steps": 1, "checkpoint_steps": 3}

    def evaluator(model, output_path, epoch, steps):
        return call("evaluator", steps)

    def callback(result, epoch, steps):
        call("callback", steps)

    def call(name, steps):
        if (name, steps) == (failing, 4):
            raise LookupError("no such query")
        return 0.0

    failing = raises
    given |= {"evaluator": evaluator, "callback": callback}
    with pytest.raises(LookupError, match="no such query"):
        trained(BagOfWords(), output=tmp_path / "a", **given)
    assert checkpoints(tmp_path / "a") == ["best-1", "step-3", "stopped-4"]
    failing = None
    trained(BagOfWords(), output=tmp_path / "a", **given)
    trained(BagOfWords(), output=tmp_path / "b", **given)
    assert tree(tmp_path / "a") == tree(tmp_path / "b")


class Interrupted(BagOfWords):
    """It is stopped while the tensors of a step are changed."""

    at = 5

    def refresh(self):
        super().refresh()
        self.at -= 1
        if self.at == 0:
            raise KeyboardInterrupt


def test_ctrl_c_within_a_change_keeps_the_checkpoint_before(tmp_path):
    given = {"batch_size": 2, "epochs": 1, "checkpoint_steps": 2, "output": tmp_path / "out"}
    with pytest.raises(KeyboardInterrupt):
        trained(Interrupted(), **given)  # at the fourth step: one refresh is that of its making
    assert checkpoints(tmp_path / "out") == ["step-2"]


def test_a_full_disk_at_ctrl_c_is_told_and_ctrl_c_passes(tmp_path, caplog):
    class Full(BagOfWords):
        def save(self, folder):
            raise OSError(28, "No space left on device")

    given = {"batch_size": 2, "evaluator": interrupted_at(2), "evaluation_steps": 1}
    with pytest.raises(KeyboardInterrupt):
        trained(Full(), output=tmp_path / "out", save_best_model=False, **given)
    assert "step 2 was not saved: [Errno 28] No space left" in caplog.text


def test_a_run_without_a_folder_writes_nothing(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    trained(BagOfWords(), evaluator=Evaluator(1.0, 2.0))
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        trained(BagOfWords(), evaluator=interrupted_at(-1))
    assert list(tmp_path.iterdir()) == []


def test_without_a_folder_the_model_is_the_last_and_that_is_told(caplog):
    model, last = BagOfWords(), BagOfWords()
    trained(model, evaluator=Evaluator(2.0, 1.0), save_best_model=False)
    trained(last)
    assert_equal(model.values, last.values)
    assert "the best model is not kept" not in caplog.text
    again = BagOfWords()
    trained(again, evaluator=Evaluator(2.0, 1.0))
    assert_equal(again.values, last.values)
    assert caplog.text.count("No output is given, so the best model is not kept") == 1


# Running again.


def test_a_finished_run_says_so_and_changes_no_file(tmp_path, caplog):
    first, again, out = BagOfWords(), BagOfWords(), tmp_path / "out"
    evaluator = Evaluator(1.0, 0.5)
    report = trained(first, output=out, evaluator=evaluator)
    before = {path: (path.stat().st_mtime_ns, path.stat().st_ino) for path in out.rglob("*.json*")}
    caplog.set_level(logging.WARNING)
    second = trained(again, output=out, evaluator=evaluator)
    assert "holds the finished run of this call, so nothing was changed" in caplog.text
    assert second == report._replace(was_finished=True)
    assert before == {p: (p.stat().st_mtime_ns, p.stat().st_ino) for p in out.rglob("*.json*")}
    assert len(evaluator.calls) == 2
    assert_equal(again.values, first.values)
    assert np.array_equal(again.encode(["who"]), first.encode(["who"]))
    (out / "training.jsonl").unlink()
    assert trained(again, output=out, evaluator=evaluator).loss is None


def test_sigterm_in_a_command_writes_a_checkpoint_too(tmp_path):
    before = signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))

    def evaluator(model, output_path, epoch, steps):
        if steps == 2:
            signal.raise_signal(signal.SIGTERM)
        return 0.0

    try:
        with pytest.raises(SystemExit):
            trained(BagOfWords(), output=tmp_path / "out", evaluator=evaluator, evaluation_steps=1)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert checkpoints(tmp_path / "out") == ["best-1", "stopped-2"]
