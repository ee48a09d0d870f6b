"""Training on a GPU gives what it gives on the CPU: over the stand-in of cupy_stand_in.py.

The stand-in refuses a transfer that nobody asked for, and counts the others.
"""

import logging
import threading

import cupy_stand_in
import numpy as np
import pytest
from golden_files import GOLDEN, copy_of

from minibert import SentenceTransformer
from minibert.errors import DeviceError, TrainingError
from minibert.explain.neighbours import nearest_words
from minibert.kernels.devices import to_host
from minibert.models.room import ON_GPU, pack_tokens_of
from minibert.models.trainable import Trainable
from minibert.training import fit
from minibert.training.losses import (
    LOSSES,
    CosineSimilarityLoss,
    MarginMSELoss,
    MultipleNegativesRankingLoss,
)
from minibert.training.optimizers import AdamW, clip_

# Each family, each activation and kind of module; the other folders have BERTs like "gelu".
NAMES = [
    *("albert", "camembert", "distilbert", "electra", "gelu", "gelu_new", "large_epsilon"),
    *("modules", "mpnet", "poolings", "relu", "roberta", "silu", "xlm_roberta"),
]
TEXTS = [
    ["the cat sat in London", "", "a dog barks at the end", "zzz"],
    ["x", "the dog", "the cat sat at the end in London a dog barks", "in a cat"],
    ["at the end", "zzz x x", "a", "the cat barks"],
]
LABELS = np.linspace(-2, 3, 4)
RANKING, MARGINS = MultipleNegativesRankingLoss(None, scale=5.0), MarginMSELoss(None)
ROWS = [
    {"query": query or "at", "positive": positive, "negative": negative}
    for query, positive, negative in zip(*TEXTS, strict=True)
]


def opened(folder, device="cuda"):
    return SentenceTransformer(str(folder), on_long="ignore", device=device)


def trainable(name, device="cuda", **settings):
    return Trainable(opened(GOLDEN / name, device), **{"dropout": False} | settings)


def gradients_of(model, loss=RANKING, texts=TEXTS):
    value = model.add_gradients(texts, LABELS, loss, 3)
    return value, {key: to_host(gradient) for key, gradient in model.gradients.items()}


def near(found, expected, of_largest=1e-4):
    assert found[0] == pytest.approx(expected[0], rel=of_largest)
    assert found[1].keys() == expected[1].keys()
    # Some gradients are 0, as that by a key's bias: only rounding is left of those around them.
    least = 1e-2 * max(np.abs(gradient).max() for gradient in expected[1].values())
    for key, gradient in found[1].items():
        assert gradient.shape == expected[1][key].shape
        atol = of_largest * max(least, np.abs(expected[1][key]).max())
        np.testing.assert_allclose(gradient, expected[1][key], rtol=0, atol=atol, err_msg=key)


@pytest.mark.slow
@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_a_step_s_gradients_equal_the_cpus(cupy, name, dropout):
    found, expected = (
        gradients_of(trainable(name, device, dropout=dropout)) for device in ("cuda", "cpu")
    )
    near(found, expected)
    assert len(expected[1]) > 15


@pytest.mark.slow
@pytest.mark.parametrize("loss", [RANKING, MARGINS])
def test_gradients_of_several_packs_equal_the_cpus(cupy, loss):
    """Of whole examples, and in two passes, with packs kept and computed again."""
    expected = gradients_of(trainable("modules", "cpu", dropout=True, pack_tokens=20), loss)
    for kept_bytes in (0, 1 << 20):
        settings = {"dropout": True, "pack_tokens": 20, "kept_bytes": kept_bytes}
        near(gradients_of(trainable("modules", **settings), loss), expected)


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(LOSSES))
def test_every_loss_trains_on_a_gpu(cupy, name):
    loss = LOSSES[name](None)
    least, largest = loss.columns
    texts = TEXTS[: min(3, max(least, 2) if largest is None else largest)]
    labels = None if loss.label == "none" else np.array([1.0, 0, 1, 0])
    found = []
    for device in ("cuda", "cpu"):
        model = trainable("poolings", device)
        if loss.label == "vectors":
            labels = np.ones((4, model.model.dimension))
        value = model.add_gradients(texts, labels, loss, 3)
        found.append((value, {key: to_host(x) for key, x in model.gradients.items()}))
    near(*found)


def step(model, optimizer):
    """One whole step of training: -> what was transferred."""
    cupy_stand_in.COUNTS.clear()
    model.add_gradients(TEXTS, LABELS, RANKING, 3)
    gradients = model.gradients
    clip_(gradients, 1.0)
    optimizer.step(gradients, 1e-3)
    model.zero_gradients()
    model.refresh()
    return {name: cupy_stand_in.COUNTS[name] for name in ("up", "down", "wait")}


@pytest.mark.slow
def test_transfers_of_a_step_do_not_grow_with_the_layers(cupy, tmp_path, edit):
    """Vectors and squares come down, each with a wait; nothing else does."""
    found = []
    for layers in (1, 3):
        folder = copy_of("gelu", tmp_path / str(layers))
        edit(folder / "config.json", num_hidden_layers=layers)
        model = Trainable(opened(folder), dropout=True)
        optimizer = AdamW(model.values)
        found.append([step(model, optimizer) for _ in range(2)])
    assert found[0] == found[1]
    for counts in found[0]:
        assert counts["down"] == counts["wait"] == 2


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mpnet", "modules", "albert"])
def test_a_step_of_any_kind_of_tensors_waits_twice(cupy, name):
    model = trainable(name, dropout=True)
    counts = step(model, AdamW(model.values))
    assert counts["down"] == counts["wait"] == 2


def test_a_gpu_s_packs_are_computed_in_the_calling_thread(cupy):
    """CuPy makes cuBLAS's handles for each thread anew, and waits when the thread ends."""

    class Noting(MarginMSELoss):
        def __call__(self, vectors, labels):
            threads.add(threading.get_ident())
            return super().__call__(vectors, labels)

    threads, model = set(), trainable("poolings", pack_tokens=10)
    model.add_gradients(TEXTS, LABELS, Noting(None), 0)
    assert threads == {threading.get_ident()}


class Vectors:
    """An evaluator that looks at vectors, and may stop a run as Ctrl-C does."""

    def __init__(self, stop_at=None):
        self.calls, self.stop_at, self.seen = 0, stop_at, []

    def __call__(self, model, output_path=None, epoch=-1, steps=-1):
        self.calls += 1
        if self.calls == self.stop_at:
            raise KeyboardInterrupt
        self.seen.append(model.encode(TEXTS[1]))
        return float(np.abs(self.seen[-1]).sum())


def run(name, output, device="cuda", evaluator=None, **settings):
    """Four steps of two examples each."""
    model = opened(GOLDEN / name, device)
    numbers = {"lr": 1e-3, "epochs": 2, "batch_size": 2, "checkpoint_steps": 1}
    numbers |= {"evaluation_steps": 1 if evaluator else 0, "evaluator": evaluator}
    report = fit(model, ROWS, RANKING, output=output, **numbers | settings)
    return model, report


def content_of(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["adamw", "adamw_hf"])
@pytest.mark.parametrize("name", ["modules", "gelu"])
def test_a_run_equals_the_cpu_s(cupy, name, optimizer, tmp_path):
    looks = [Vectors(), Vectors()]
    (gpu, found), (cpu, expected) = (
        run(name, tmp_path / device, device, look, optimizer=optimizer)
        for device, look in zip(("cuda", "cpu"), looks, strict=True)
    )
    assert found.loss == pytest.approx(expected.loss, rel=1e-4)
    assert (found.steps, found.best_step) == (expected.steps, expected.best_step)
    # What the evaluator saw, of every step; the training moved it.
    np.testing.assert_allclose(looks[0].seen, looks[1].seen, rtol=0, atol=1e-4)
    assert np.abs(looks[0].seen[0] - looks[0].seen[-1]).max() > 1e-3
    vectors = cpu.encode(TEXTS[2])
    for model in (gpu, opened(tmp_path / "cuda", "cpu"), opened(tmp_path / "cuda")):
        np.testing.assert_allclose(model.encode(TEXTS[2]), vectors, rtol=0, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [2, 4])
def test_a_stopped_run_ends_with_the_same_bytes(cupy, stop_at, tmp_path):
    whole, _ = run("modules", tmp_path / "whole", evaluator=Vectors())
    with pytest.raises(KeyboardInterrupt):
        run("modules", tmp_path / "stopped", evaluator=Vectors(stop_at))
    again, _ = run("modules", tmp_path / "stopped", evaluator=Vectors())
    assert content_of(tmp_path / "stopped") == content_of(tmp_path / "whole")
    np.testing.assert_array_equal(again.encode(TEXTS[0]), whole.encode(TEXTS[0]))


@pytest.mark.slow
def test_a_run_goes_on_with_the_kind_of_device_it_began_on(cupy, tmp_path):
    for before, now in (("cpu", "cuda"), ("cuda", "cpu")):
        run("modules", tmp_path / before, before)
        message = f"device is '{now}', and was '{before}' when the run began"
        with pytest.raises(TrainingError, match=message):
            run("modules", tmp_path / before, now)
    _, report = run("modules", tmp_path / "cuda", "cuda:0")  # another name of it
    assert report.was_finished


@pytest.mark.slow
def test_a_trained_model_leaves_the_gpu_whole(cupy, tmp_path):
    """It moves, explains itself, is saved, and is trained again, wherever it is."""
    model, _ = run("modules", None)
    vectors, words = model.encode(TEXTS[0]), nearest_words(model, np.ones((1, 20)))
    model.save_pretrained(tmp_path / "saved")
    on_cpu = opened(tmp_path / "saved", "cpu")
    values = Trainable(model).values
    for key, value in Trainable(on_cpu).values.items():
        np.testing.assert_array_equal(to_host(values[key]), value)
    for device in ("cpu", "cuda", "cpu"):
        model.to(device)
        np.testing.assert_allclose(model.encode(TEXTS[0]), vectors, rtol=0, atol=1e-5)
        assert nearest_words(model, np.ones((1, 20))) == words
    np.testing.assert_array_equal(model.encode(TEXTS[0]), on_cpu.encode(TEXTS[0]))


@pytest.mark.slow
def test_a_trained_model_explains_a_score_on_the_gpu(cupy):
    model, _ = run("gelu", None, max_steps=1)
    gpu = model.explain("the cats sat", "a dog", metric="dot")
    cpu = model.to("cpu").explain("the cats sat", "a dog", metric="dot")
    np.testing.assert_allclose(gpu.contributions, cpu.contributions, rtol=0, atol=1e-5)


@pytest.mark.slow
def test_the_second_gpu_trains_alone(install):
    """The stand-in refuses an array of a GPU that is not the current one."""
    install(gpus=2)
    model = opened(GOLDEN / "modules", "cuda:1")
    fit(model, ROWS, RANKING, lr=1e-3, batch_size=2, max_steps=2)
    vectors = model.encode(TEXTS[0])
    trained = Trainable(model)
    assert {value.device.id for value in trained.values.values()} == {1}
    np.testing.assert_allclose(model.to("cuda:0").encode(TEXTS[0]), vectors, rtol=0, atol=1e-6)


def test_float16_is_refused_with_what_to_do(cupy):
    model = SentenceTransformer(str(GOLDEN / "gelu"), device="cuda", dtype="float16")
    with pytest.raises(ValueError, match=r"dtype is 'float16'.*dtype=\"float32\""):
        Trainable(model)
    Trainable(model.float())


@pytest.mark.slow
def test_memory_that_runs_out_says_what_to_do(cupy):
    model = trainable("modules", dropout=True)
    cupy_stand_in.MEMORY.room = 500
    with pytest.raises(
        DeviceError, match=r"no room .* packs of 16384 tokens .* smaller batch_size"
    ):
        model.add_gradients(TEXTS, LABELS, RANKING, 0)
    cupy_stand_in.MEMORY.room = None
    model.zero_gradients()
    near(gradients_of(model), gradients_of(trainable("modules", "cpu", dropout=True)))


def test_a_model_that_finds_no_room_is_refused(cupy):
    model = opened(GOLDEN / "gelu")
    cupy_stand_in.MEMORY.room = 500
    with pytest.raises(DeviceError, match="no room for this model"):
        Trainable(model)


def test_a_pack_s_arrays_take_2_gib_of_a_gpu_at_most():
    """BERT-base keeps 12 layers of 6 * 768 + 3072 numbers a token."""
    base = opened(GOLDEN / "gelu", "cpu").config._replace(
        hidden_size=768, intermediate_size=3072, num_hidden_layers=12
    )
    assert pack_tokens_of(base, ON_GPU) == (2 << 30) // (4 * 12 * 7680) == 5825
    assert pack_tokens_of(base._replace(num_hidden_layers=2), ON_GPU) == 16384


@pytest.mark.slow
def test_a_truncated_text_is_told_on_a_gpu_too(cupy, caplog):
    model = Trainable(SentenceTransformer(str(GOLDEN / "modules"), device="cuda"))
    with caplog.at_level(logging.WARNING):
        model.add_gradients([["cat " * 60], ["dog"]], LABELS[:1], CosineSimilarityLoss(None), 0)
    assert "lost their ends" in caplog.text or "lost its end" in caplog.text
