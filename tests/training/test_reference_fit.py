"""model.fit, as sentence-transformers has it: steps, evaluations, folders, and what is refused."""

import itertools
import json
import sys

import numpy as np
import pytest

from minibert import InputExample, SentenceTransformer, TrainingError, losses
from minibert.training import AdamW, DataLoader, TransformersAdamW, fit
from minibert.training.reference_fit import optimizer_named

TEXTS = ["the cat sat.", "Dogs, cats and London!", "Café 中文", "the dog barks", "a cat", "London"]
TRIPLES = [
    InputExample(texts=[TEXTS[n], TEXTS[(n + 1) % 6], TEXTS[(n + 3) % 6]], label=n - 2.0)
    for n in range(6)
]
PAIRS = [InputExample(texts=[TEXTS[n], TEXTS[(n + 2) % 6]]) for n in range(6)]
QUIET = {"show_progress_bar": False}
FAST = {"warmup_steps": 0, "optimizer_params": {"lr": 1e-2}, **QUIET}


@pytest.fixture
def own_model(folder):
    """A model that a test may train."""
    return SentenceTransformer(folder)


def margin(model, **loading):
    """An objective of three batches."""
    return DataLoader(TRIPLES, batch_size=2, **loading), losses.MarginMSELoss(model)


def ranking(model, size=3):
    """An objective of as many batches as six pairs have."""
    return DataLoader(PAIRS, batch_size=size), losses.MultipleNegativesRankingLoss(model)


class Recorder:
    """An evaluator with given scores, which records its calls and the model's vectors."""

    def __init__(self, *scores):
        self.scores, self.calls, self.vectors = list(scores), [], []

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        self.calls.append((output_path, epoch, steps))
        self.vectors.append(model.encode(TEXTS))
        return self.scores[len(self.calls) - 1]


class Recorded:
    """Batches that record when they are begun and taken."""

    def __init__(self, name, batches, log):
        self.name, self.batches, self.log = name, batches, log

    def __len__(self):
        return len(self.batches)

    def __iter__(self):
        self.log.append(f"{self.name} begins")
        for number, batch in enumerate(self.batches):
            self.log.append(f"{self.name}{number}")
            yield batch


def names_in(path):
    return sorted(one.name for one in path.iterdir())


def test_training_changes_the_vectors_that_encode_returns(own_model):
    before = own_model.encode(TEXTS)
    assert own_model.fit([margin(own_model)], **FAST) is None
    assert np.abs(own_model.encode(TEXTS) - before).max() > 1e-3


def test_every_call_gives_the_same_result(folder):
    vectors = []
    for _ in range(2):
        model = SentenceTransformer(folder)
        model.fit([margin(model, shuffle=True), ranking(model)], epochs=2, **FAST)
        vectors.append(model.encode(TEXTS))
    np.testing.assert_array_equal(*vectors)


def test_a_second_call_goes_on_from_the_first(own_model):
    own_model.fit([margin(own_model)], **FAST)
    before = own_model.encode(TEXTS)
    tiny = {**FAST, "optimizer_params": {"lr": 1e-30}}
    own_model.fit([margin(own_model)], weight_decay=0, **tiny)
    np.testing.assert_array_equal(own_model.encode(TEXTS), before)


def test_objectives_take_turns_and_are_read_again(own_model):
    log = []
    first = Recorded("a", [TRIPLES[:2], TRIPLES[2:4], TRIPLES[4:]], log)
    second = Recorded("b", [PAIRS[:3], PAIRS[3:]], log)
    losses_of = losses.MarginMSELoss(own_model), losses.MultipleNegativesRankingLoss(own_model)
    own_model.fit(list(zip([first, second], losses_of, strict=True)), epochs=2, **FAST)
    # Two steps an epoch: the shortest has two batches. The first goes on where it was.
    assert log == [
        *("a begins", "a0", "b begins", "b0", "a1", "b1"),
        *("a2", "b begins", "b0", "a begins", "a0", "b1"),
    ]


def test_steps_per_epoch_count_and_the_end_of_data_does_not(own_model):
    evaluator = Recorder(*range(9))
    own_model.fit(
        [margin(own_model)], evaluator, epochs=2, steps_per_epoch=5, evaluation_steps=2, **FAST
    )
    places = [(epoch, steps) for _, epoch, steps in evaluator.calls]
    assert places == [(0, 2), (0, 4), (0, -1), (1, 2), (1, 4), (1, -1)]


def test_a_callback_gets_score_epoch_and_steps(own_model):
    heard = []
    own_model.fit(
        [margin(own_model)],
        Recorder(0.5, 0.25),
        epochs=2,
        callback=lambda *a: heard.append(a),
        **FAST,
    )
    assert heard == [(0.5, 0, -1), (0.25, 1, -1)]


def test_the_best_model_is_kept(own_model, tmp_path):
    evaluator, out = Recorder(0.2, 0.9, 0.4), tmp_path / "deep" / "out"
    own_model.fit([margin(own_model)], evaluator, epochs=3, output_path=str(out), **FAST)
    assert evaluator.calls == [(str(out / "eval"), epoch, -1) for epoch in range(3)]
    assert (out / "eval").is_dir()
    saved = SentenceTransformer(out).encode(TEXTS)
    np.testing.assert_array_equal(saved, evaluator.vectors[1])
    np.testing.assert_array_equal(own_model.encode(TEXTS), evaluator.vectors[2])


def test_a_smaller_score_is_better_if_the_evaluator_says_so(own_model, tmp_path):
    evaluator = Recorder({"loss": 0.2}, {"loss": 0.9})
    evaluator.greater_is_better, evaluator.primary_metric = False, "loss"
    own_model.fit([margin(own_model)], evaluator, epochs=2, output_path=tmp_path / "out", **FAST)
    saved = SentenceTransformer(tmp_path / "out").encode(TEXTS)
    np.testing.assert_array_equal(saved, evaluator.vectors[0])


def test_no_best_model_is_kept_where_none_is_wanted(own_model, tmp_path):
    out = tmp_path / "out"
    own_model.fit([margin(own_model)], Recorder(1), output_path=out, save_best_model=False, **FAST)
    assert names_in(out) == ["eval"]


def test_without_an_evaluator_the_last_model_is_saved(own_model, tmp_path):
    own_model.fit([margin(own_model)], output_path=tmp_path / "out", **FAST)
    saved = SentenceTransformer(tmp_path / "out").encode(TEXTS)
    np.testing.assert_array_equal(saved, own_model.encode(TEXTS))
    assert not (tmp_path / "out" / "eval").exists()


def test_checkpoints_are_folders_named_by_step_and_few(own_model, tmp_path):
    (tmp_path / "other").mkdir()
    own_model.fit(
        [margin(own_model)], epochs=3, checkpoint_path=str(tmp_path), checkpoint_save_steps=2,
        checkpoint_save_total_limit=2, **FAST,
    )  # fmt: skip
    assert {"8", "9", "other"} <= set(names_in(tmp_path)) <= {"8", "9", "other", "gelu"}
    assert "model.safetensors" in names_in(tmp_path / "8")
    last = SentenceTransformer(tmp_path / "9").encode(TEXTS)
    np.testing.assert_array_equal(last, own_model.encode(TEXTS))
    assert np.abs(SentenceTransformer(tmp_path / "8").encode(TEXTS) - last).max() > 0


def test_all_checkpoints_stay_by_default(own_model, tmp_path):
    path = tmp_path / "checkpoints"
    own_model.fit([margin(own_model)], checkpoint_path=path, checkpoint_save_steps=1, **FAST)
    assert names_in(path) == ["1", "2", "3"]


@pytest.mark.parametrize("steps", [0, None, 500])
def test_the_last_step_always_has_a_checkpoint(own_model, tmp_path, steps):
    path = tmp_path / "checkpoints"
    own_model.fit([margin(own_model)], checkpoint_path=path, checkpoint_save_steps=steps, **FAST)
    assert names_in(path) == ["3"]


def test_ctrl_c_leaves_no_other_checkpoint(own_model, tmp_path):
    def stop(*_):
        raise KeyboardInterrupt

    arguments = {"checkpoint_path": tmp_path / "c", "checkpoint_save_steps": 2, **FAST}
    with pytest.raises(KeyboardInterrupt):
        own_model.fit([margin(own_model)], Recorder(1), callback=stop, **arguments)
    assert names_in(tmp_path / "c") == ["2"]


def test_batches_may_be_lists_of_tuples(folder):
    vectors = []
    tuples = [[(*one.texts, one.label) for one in TRIPLES[n : n + 2]] for n in (0, 2, 4)]
    for batches in (DataLoader(TRIPLES, batch_size=2), tuples):
        model = SentenceTransformer(folder)
        model.fit([(batches, losses.MarginMSELoss(model))], **FAST)
        vectors.append(model.encode(TEXTS))
    np.testing.assert_array_equal(*vectors)


def test_an_iterable_without_length_needs_steps_per_epoch(own_model):
    def batches():
        return (TRIPLES[:2] for _ in itertools.count())

    with pytest.raises(ValueError, match=r"a generator without a length\. Give steps_per_epoch"):
        own_model.fit([(batches(), losses.MarginMSELoss())], **FAST)
    own_model.fit([(batches(), losses.MarginMSELoss())], steps_per_epoch=2, **FAST)


def test_a_generator_that_ends_is_not_read_again(own_model):
    batches = (TRIPLES[:2] for _ in range(3))
    with pytest.raises(TrainingError, match="can be iterated again, as a list or a DataLoader"):
        own_model.fit([(batches, losses.MarginMSELoss())], steps_per_epoch=4, **FAST)


class AnAdamW:
    """An optimizer of another library."""


def of_library(module, name="AdamW"):
    return type(name, (), {"__module__": module})


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("AdamW", "adamw"),
        ("adamw", "adamw"),
        ("adamw_hf", "adamw_hf"),
        (AdamW, "adamw"),
        (TransformersAdamW, "adamw_hf"),
        (of_library("torch.optim.adamw"), "adamw"),
        (of_library("transformers.optimization"), "adamw_hf"),
        ("torch.optim.AdamW", "adamw"),
        ("transformers.AdamW", "adamw_hf"),
    ],
)
def test_an_optimizer_is_known_by_class_or_name(given, name):
    assert optimizer_named(given) == name
    assert "torch" not in sys.modules


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("SGD", "is SGD;"),
        (of_library("torch.optim.sgd", "SGD"), "is torch.optim.sgd.SGD;"),
        (of_library("elsewhere"), "is elsewhere.AdamW;"),
        (of_library("torchlike.optim"), "is torchlike.optim.AdamW;"),
        (None, "is NoneType;"),
    ],
)
def test_any_other_optimizer_is_refused_by_name(given, shown):
    with pytest.raises(ValueError, match=f"optimizer_class {shown}.*'AdamW'.*'adamw_hf'"):
        optimizer_named(given)


class TorchLoss:
    """A loss as torch has them."""

    def __call__(self, features, labels):
        return 0


TorchLoss.__module__ = "sentence_transformers.losses"


@pytest.mark.parametrize(
    ("arguments", "kind", "message"),
    [
        ({"use_amp": True}, ValueError, "use_amp computes in float16"),
        ({"resume_from_checkpoint": True}, ValueError, "minibert.training.fit .*go on"),
        ({"scheduler": "sometimes"}, ValueError, "schedule is 'sometimes'; expected one of"),
        ({"optimizer_class": "SGD"}, ValueError, "optimizer_class is SGD"),
        ({"optimizer_params": {}}, ValueError, "optimizer_params has no lr"),
        ({"optimizer_params": {"lr": 0}}, ValueError, "lr, the learning rate, is 0"),
        ({"optimizer_params": {"lr": 1, "amsgrad": True}}, ValueError, "has 'amsgrad'"),
        ({"optimizer_params": {"lr": 1, "weight_decay": 1}}, ValueError, "weight_decay, which is"),
        ({"optimizer_params": {"lr": 1, "correct_bias": True}}, ValueError, "'correct_bias'"),
        (
            {"optimizer_class": "adamw_hf", "optimizer_params": {"lr": 1, "correct_bias": False}},
            ValueError,
            "correct_bias is False",
        ),
        ({"epochs": 0}, ValueError, "epochs is 0; expected a whole number from 1 up"),
        ({"warmup_steps": -1}, ValueError, "warmup_steps is -1"),
        ({"max_grad_norm": 0}, ValueError, "max_grad_norm is 0"),
    ],
)
def test_arguments_that_cannot_be_followed_are_refused(own_model, arguments, kind, message):
    before = own_model.encode(TEXTS)
    with pytest.raises(kind, match=message):
        own_model.fit([margin(own_model)], **{**QUIET, **arguments})
    np.testing.assert_array_equal(own_model.encode(TEXTS), before)


BATCHES = [TRIPLES]


@pytest.mark.parametrize(
    ("objectives", "kind", "message"),
    [
        ([], ValueError, "train_objectives is empty"),
        ([BATCHES], TypeError, r"train_objectives\[0\] is .*expected a pair, \(batches, loss\)"),
        (
            [(BATCHES, losses.MarginMSELoss()), (7, losses.MarginMSELoss())],
            TypeError,
            r"train_objectives\[1\] has an int in the place of its batches",
        ),
        (
            [(BATCHES, TorchLoss())],
            TypeError,
            r"train_objectives\[0\] has a sentence_transformers.losses.TorchLoss as its loss; "
            "expected one of minibert.losses",
        ),
        (
            [(BATCHES, losses.MarginMSELoss)],
            TypeError,
            r"the class MarginMSELoss as its loss; .* as MarginMSELoss\(model\)",
        ),
        ([([], losses.MarginMSELoss())], TrainingError, "has no batch"),
        ([([["one text"]], losses.MarginMSELoss())], TrainingError, "batch 0"),
        ([([[TRIPLES[0], PAIRS[0]]], losses.MarginMSELoss())], TrainingError, "example 1"),
        ([([PAIRS], losses.MarginMSELoss())], ValueError, "examples have 2"),
    ],
)
def test_objectives_that_cannot_be_trained_are_refused(own_model, objectives, kind, message):
    before = own_model.encode(TEXTS)
    with pytest.raises(kind, match=message):
        own_model.fit(objectives, **FAST)
    np.testing.assert_array_equal(own_model.encode(TEXTS), before)
    assert own_model.card is None  # it was not trained


def test_our_fit_refuses_a_loss_of_torch_too(own_model):
    rows = [tuple(one.texts) for one in PAIRS]
    with pytest.raises(TypeError, match=r"fit\(\) has a sentence_transformers.losses.TorchLoss"):
        fit(own_model, rows, TorchLoss(), lr=1e-3)


def test_transformers_adamw_takes_correct_bias(own_model):
    params = {"lr": 1e-3, "correct_bias": True, "eps": 1e-5, "betas": (0.8, 0.9)}
    own_model.fit([margin(own_model)], optimizer_class="adamw_hf", optimizer_params=params, **QUIET)
    assert "'transformers" not in own_model.card


def test_the_card_has_the_call_of_fit(own_model, tmp_path):
    own_model.fit([margin(own_model), ranking(own_model)], epochs=2, warmup_steps=7, **QUIET)
    own_model.save(tmp_path / "out")
    card = (tmp_path / "out" / "README.md").read_text("utf-8")
    assert "`minibert.training.loader.DataLoader` of length 3 with parameters:" in card
    assert "`minibert.training.loader.DataLoader` of length 2 with parameters:" in card
    assert "losses.margin_mse.MarginMSELoss`" in card
    section = card.partition("Parameters of the fit()-Method:\n```\n")[2].partition("```")[0]
    assert json.loads(section) == {
        "epochs": 2,
        "evaluation_steps": 0,
        "evaluator": "NoneType",
        "max_grad_norm": 1,
        "optimizer_class": "<class 'minibert.training.optimizers.AdamW'>",
        "optimizer_params": {"lr": 2e-5},
        "scheduler": "WarmupLinear",
        "steps_per_epoch": None,
        "warmup_steps": 7,
        "weight_decay": 0.01,
    }
