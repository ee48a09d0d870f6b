"""model.fit beside sentence-transformers' old_fit: the call, the steps, the folders."""

import inspect
import json

import numpy as np
import pytest
import sentence_transformers
import torch
from golden_files import copy_of
from safetensors.numpy import load_file
from sentence_transformers.sentence_transformer import losses as their_losses
from sentence_transformers.sentence_transformer.deprecated_model_card_templates import (
    ModelCardTemplate,
)
from torch.utils.data import DataLoader as TorchDataLoader

import minibert
from minibert import losses as our_losses

TEXTS = ["the cat sat.", "Dogs, cats and London!", "Café 中文", "the dog barks", "a cat", "London"]
TRIPLES = [[TEXTS[n], TEXTS[n - 1], TEXTS[n - 3]] for n in range(6)]
MARGINS = [0.5, -2.0, 1.5, 3.0, 0.0, -1.0]
PAIRS = [[TEXTS[n], TEXTS[n - 2]] for n in range(6)]
LR = 1e-3
ARGUMENTS = {
    "epochs": 3,
    "warmup_steps": 2,
    "optimizer_params": {"lr": LR, "eps": 1e-6},
    "weight_decay": 0.05,
    "max_grad_norm": 0.5,
    "show_progress_bar": False,
}


@pytest.fixture
def undropped(tmp_path, edit):
    """A model without dropout."""
    folder = copy_of("gelu", tmp_path)
    rates = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
    edit(folder / "config.json", **rates)
    return folder


class Scores:
    """An evaluator with given scores, which records its calls and the model's vectors."""

    def __init__(self, *scores):
        self.scores, self.calls, self.vectors = scores, [], []

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        self.calls.append((output_path is not None, epoch, steps))
        self.vectors.append(np.asarray(model.encode(TEXTS)))
        return self.scores[len(self.calls) - 1]


def objectives(library, losses, model):
    """Three batches of triples, and two of pairs, which are read again."""
    triples = [
        library.InputExample(texts=texts, label=margin)
        for texts, margin in zip(TRIPLES, MARGINS, strict=True)
    ]
    pairs = [library.InputExample(texts=texts) for texts in PAIRS]
    return [
        (TorchDataLoader(triples, batch_size=2), losses.MarginMSELoss(model)),
        (TorchDataLoader(pairs, batch_size=3), losses.MultipleNegativesRankingLoss(model)),
    ]


def trained(library, losses, fit, folder, **arguments):
    model = library.SentenceTransformer(str(folder))
    getattr(model, fit)(objectives(library, losses, model), **{**ARGUMENTS, **arguments})
    return model


def both(folder, **arguments):
    theirs = {name: f(0) if callable(f) else f for name, f in arguments.items()}
    ours = {name: f(1) if callable(f) else f for name, f in arguments.items()}
    return (
        trained(sentence_transformers, their_losses, "old_fit", folder, **theirs),
        trained(minibert, our_losses, "fit", folder, **ours),
    )


def test_the_parameters_are_the_reference_s_in_its_order():
    theirs = inspect.signature(sentence_transformers.SentenceTransformer.fit).parameters
    ours = inspect.signature(minibert.SentenceTransformer.fit).parameters
    assert list(ours) == list(theirs)
    for name, parameter in theirs.items():
        if name != "optimizer_class":
            assert ours[name].default == parameter.default, name
    old = inspect.signature(sentence_transformers.SentenceTransformer.old_fit).parameters
    assert list(ours)[: len(old)] == list(old)
    assert ours["optimizer_class"].default == theirs["optimizer_class"].default.__name__


def test_two_objectives_end_with_the_reference_s_weights(undropped, tmp_path):
    paths = [tmp_path / "theirs", tmp_path / "ours"]
    both(
        undropped,
        output_path=lambda which: str(paths[which]),
        optimizer_class=lambda which: torch.optim.AdamW,
    )
    theirs, ours = (load_file(path / "model.safetensors") for path in paths)
    start = load_file(undropped / "model.safetensors")
    assert ours.keys() == theirs.keys()
    moved = 0
    for name, expected in theirs.items():
        way = np.linalg.norm(expected - start[name])
        if not name.endswith("key.bias"):  # its gradient is 0, of which Adam sees the rounding
            assert np.linalg.norm(ours[name] - expected) <= 0.02 * way, name
            moved += way > 0
    assert moved > 30


def test_evaluations_and_callbacks_come_at_the_same_moments(undropped, tmp_path):
    evaluators, heard = [Scores(*range(9)), Scores(*range(9))], ([], [])
    both(
        undropped,
        evaluator=lambda which: evaluators[which],
        callback=lambda which: lambda *given: heard[which].append(given),
        steps_per_epoch=5,
        evaluation_steps=2,
        output_path=lambda which: str(tmp_path / str(which)),
    )
    assert evaluators[0].calls == evaluators[1].calls
    assert heard[0] == heard[1]
    assert len(heard[0]) == 9
    for theirs, ours in zip(*(one.vectors for one in evaluators), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=2e-4)  # seen: 2e-5


def test_the_same_model_is_kept_as_the_best(undropped, tmp_path):
    evaluators = [Scores(1, 3, 2), Scores(1, 3, 2)]
    both(
        undropped,
        evaluator=lambda which: evaluators[which],
        output_path=lambda which: str(tmp_path / str(which)),
    )
    kept = [sentence_transformers.SentenceTransformer(str(tmp_path / n)) for n in "01"]
    vectors = [model.encode(TEXTS) for model in kept]
    np.testing.assert_allclose(vectors[1], vectors[0], atol=2e-4)
    for which in (0, 1):
        np.testing.assert_allclose(vectors[which], evaluators[which].vectors[1], atol=1e-5)


@pytest.mark.parametrize(("steps", "limit"), [(2, 2), (500, 0)])
def test_checkpoints_have_the_same_names(undropped, tmp_path, steps, limit):
    both(
        undropped,
        checkpoint_path=lambda which: str(tmp_path / str(which)),
        checkpoint_save_steps=steps,
        checkpoint_save_total_limit=limit,
    )
    names = [sorted(one.name for one in (tmp_path / n).iterdir()) for n in "01"]
    assert names[0] == names[1]


def test_a_checkpoint_opens_in_the_reference(undropped, tmp_path):
    _, model = both(undropped, checkpoint_path=lambda which: str(tmp_path / str(which)))
    opened = sentence_transformers.SentenceTransformer(str(tmp_path / "1" / "6"))
    np.testing.assert_allclose(opened.encode(TEXTS), model.encode(TEXTS), atol=1e-5)


def test_the_card_s_section_is_that_of_the_reference_s_template(undropped):
    model = minibert.SentenceTransformer(str(undropped))
    given = objectives(minibert, our_losses, model)
    model.fit(given, **ARGUMENTS)
    told = [text for pair in given for text in ModelCardTemplate.get_train_objective_info(*pair)]
    numbers = {
        "epochs": 3,
        "evaluation_steps": 0,
        "evaluator": "NoneType",
        "max_grad_norm": 0.5,
        "optimizer_class": "<class 'minibert.training.optimizers.AdamW'>",
        "optimizer_params": ARGUMENTS["optimizer_params"],
        "scheduler": "WarmupLinear",
        "steps_per_epoch": None,
        "warmup_steps": 2,
        "weight_decay": 0.05,
    }
    section = ModelCardTemplate.__TRAINING_SECTION__.replace("{LOSS_FUNCTIONS}", "\n\n".join(told))
    section = section.replace("{FIT_PARAMETERS}", json.dumps(numbers, indent=4, sort_keys=True))
    assert section in model.card
