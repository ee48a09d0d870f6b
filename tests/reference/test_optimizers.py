"""Optimizers, clipping and learning rates against torch's and sentence-transformers' own."""

from types import SimpleNamespace

import numpy as np
import pytest

from minibert.training.optimizers import AdamW, clip_, decays, decays_all
from minibert.training.schedules import REFERENCE_NAMES, SCHEDULES, find_schedule, warmup_count

torch = pytest.importorskip("torch")
SHAPES = {"dense.weight": (7, 3), "dense.bias": (7,), "LayerNorm.weight": (3,), "scale": ()}


def drawn(seed, dtype):
    random = np.random.default_rng(seed)
    return {
        key: np.asarray(random.normal(size=shape) * 10.0 ** random.integers(-6, 1, size=shape),
                        dtype=dtype)
        for key, shape in SHAPES.items()
    }  # fmt: skip


def tensors_of(arrays):
    return {key: torch.nn.Parameter(torch.from_numpy(x.copy())) for key, x in arrays.items()}


@pytest.mark.parametrize("decaying", [decays, decays_all])
def test_twenty_steps_of_adamw_equal_torch_s(decaying):
    ours = drawn(0, np.float64)
    theirs = tensors_of(ours)
    groups = [
        {"params": [x for key, x in theirs.items() if decaying(key, ours[key]) == decayed],
         "weight_decay": 0.3 if decayed else 0.0}
        for decayed in (True, False)
    ]  # fmt: skip
    reference = torch.optim.AdamW([group for group in groups if group["params"]], lr=1.0)
    optimizer = AdamW(ours, weight_decay=0.3, decays=decaying)
    for step in range(20):
        lr = 1e-2 * step / 20
        gradients = drawn(1 + step, np.float64)
        if step == 7:
            gradients.pop("dense.weight")  # which then has a step less
        for group in reference.param_groups:
            group["lr"] = lr
        for key, tensor in theirs.items():
            tensor.grad = torch.from_numpy(gradients[key]) if key in gradients else None
        optimizer.step(gradients, lr)
        reference.step()
    for key, tensor in theirs.items():
        np.testing.assert_allclose(ours[key], tensor.detach().numpy(), rtol=0, atol=1e-12)
        for name, array in reference.state[tensor].items():
            np.testing.assert_allclose(
                optimizer.state[f"{name}.{key}"], array.numpy(), rtol=1e-12, atol=0
            )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("max_norm", [0.1, 1.0, 100.0])
def test_clipping_equals_torch_s(max_norm, dtype):
    ours = drawn(3, dtype)
    theirs = tensors_of(ours)
    for key, tensor in theirs.items():
        tensor.grad = torch.from_numpy(ours[key].copy())
    tolerance = 1e-6 if dtype is np.float32 else 1e-14
    expected = float(torch.nn.utils.clip_grad_norm_(theirs.values(), max_norm))
    assert clip_(ours, max_norm) == pytest.approx(expected, rel=tolerance)
    assert 0.1 < expected < 100  # so that one limit clips, and another does not
    for key, tensor in theirs.items():
        np.testing.assert_allclose(ours[key], tensor.grad.numpy(), rtol=tolerance, atol=0)


@pytest.mark.parametrize(("warmup", "total"), [(0, 5), (3, 17), (10, 69), (5, 5), (30, 20)])
@pytest.mark.parametrize("name", REFERENCE_NAMES)
def test_learning_rates_are_those_of_the_old_fit(name, warmup, total):
    fit = pytest.importorskip("sentence_transformers").SentenceTransformer
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=2e-5)
    schedule = fit._get_scheduler(optimizer, name, warmup, total)
    expected = []
    for _ in range(total):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    rates = [find_schedule(name)(2e-5, step, warmup, total) for step in range(total)]
    assert rates == expected
    assert (rates[0] == 0) == (warmup > 0 and name != "ConstantLR")


def test_every_schedule_has_a_name_of_the_reference():
    assert set(REFERENCE_NAMES.values()) == set(SCHEDULES)


@pytest.mark.parametrize("warmup", [0, 0.1, 0.25, 0.99, 1, 10])
def test_a_share_of_warm_up_steps_is_the_trainer_s(warmup):
    # Its class asks for another library as soon as one is made; the method reads this one number.
    theirs = pytest.importorskip("transformers").TrainingArguments.get_warmup_steps
    for total in (1, 69, 207, 235740):
        assert warmup_count(warmup, total) == theirs(SimpleNamespace(warmup_steps=warmup), total)
