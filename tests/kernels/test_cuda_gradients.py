"""Gradients of the kernels on a GPU beside those of NumPy, over the strict stand-in for CuPy."""

import inspect

import numpy as np
import pytest
from golden_files import GOLDEN
from random_numbers import numbers

from minibert.bert import backward
from minibert.bert.dropout import Draws, Dropout, Rates
from minibert.bert.families import positions_of
from minibert.bert.forward import hidden_states
from minibert.bert.hook import ForGradients
from minibert.bert.load import load_checkpoint
from minibert.bert.packs import packs
from minibert.bert.placement import pack_to_device, parameters_to_device
from minibert.kernels import cpu, cpu_gradients
from minibert.kernels.activations import ACTIVATIONS
from minibert.kernels.devices import find_device
from minibert.kernels.protocol import GradientKernels, NormRows
from minibert.kernels.segments import equal_buckets

MODULES = ["cpu", "cuda"]
NAMES = [
    name
    for name, _ in inspect.getmembers(GradientKernels, inspect.isfunction)
    if not name.startswith("_")
]
HEADS = 3


@pytest.fixture
def modules(cuda):
    """Gradients of both devices' kernels."""
    return {"cpu": cpu_gradients, "cuda": cuda.gradient_kernels()}


@pytest.mark.parametrize("device", MODULES)
def test_each_module_has_the_kernels_of_the_protocol(modules, device):
    assert sorted(modules[device].__all__) == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("device", MODULES)
def test_a_gradient_takes_the_protocol_s_arguments(modules, device, name):
    expected = inspect.signature(getattr(GradientKernels, name)).parameters
    found = inspect.signature(getattr(modules[device], name)).parameters
    assert list(found.values()) == list(expected.values())[1:]  # without self


def check(cuda, compute, *given, rtol=0.0):
    """Compare what a function of kernels returns, and what it leaves in its arrays, on both."""
    results = []
    for gradients in (cuda.gradient_kernels(), cpu_gradients):  # the GPU has copies
        on_gpu = gradients is not cpu_gradients
        arrays = [cuda.to_device(array) if on_gpu else array for array in given]
        returned = compute(gradients, *arrays)
        returned = returned if isinstance(returned, tuple) else (returned,)
        found = [*(array for array in returned if array is not None), *arrays]
        results.append([cuda.to_host(array) if on_gpu else array for array in found])
    for gpu, host in zip(*results, strict=True):
        assert gpu.dtype == host.dtype == np.float32
        assert gpu.shape == host.shape
        scale = max(1.0, np.abs(host).max(initial=0.0))
        np.testing.assert_allclose(gpu, host, rtol=rtol, atol=1e-5 * (1 if rtol else scale))


@pytest.mark.parametrize(("rows", "dimension", "out"), [(1, 1, 1), (7, 3, 5), (64, 37, 90)])
def test_gradients_by_weight_and_bias_agree(cuda, rows, dimension, out):
    given = numbers((rows, out), 1)
    check(cuda, lambda g, *arrays: g.weight_gradient(*arrays), numbers((rows, dimension)), given)
    check(cuda, lambda g, x: g.column_sums(x), given)


@pytest.mark.parametrize("epsilon", [1e-12, 0.5])
@pytest.mark.parametrize("shape", [(1, 2), (0, 5), (31, 70)])
def test_a_layer_norm_s_gradients_agree(cuda, shape, epsilon):
    rows, weight, bias = numbers(shape), numbers(shape[1], 1), numbers(shape[1], 2)
    kept = NormRows(np.empty_like(rows), np.empty_like(rows[:, 0]))
    cpu.add_and_normalise_(rows, None, None, weight, bias, epsilon, kept)

    def compute(gradients, gradient, normalised, deviation, weight):
        return gradients.layer_norm_gradient_(gradient, NormRows(normalised, deviation), weight)

    check(cuda, compute, numbers(shape, 3), kept.normalised, kept.deviation, weight)


@pytest.mark.parametrize("dropout", [False, True])
@pytest.mark.parametrize("has_bias", [False, True])
@pytest.mark.parametrize("lengths", [[1], [9, 9, 9], [12, 9, 9, 4, 1, 1]])
def test_attention_s_gradients_agree(cuda, lengths, has_bias, dropout):
    total, buckets = sum(lengths), list(equal_buckets(np.array(lengths)))
    # Side by side, as in the model; the bias goes on beyond the longest text.
    qkv, given = numbers((total, 36), 0, 1, 0), numbers((total, 12), 1)
    bias = [numbers((HEADS, 16, 16), 2, 1, 0), numbers((HEADS, 16, 16), 3)] if has_bias else []
    factors = [
        (numbers((bucket.texts.stop - bucket.texts.start, HEADS, *[bucket.longest] * 2), 4) > 0)
        * np.float32(1.25)
        for bucket in buckets
    ]

    def compute(gradients, qkv, given, *rest):
        bias, factors = (rest[:2], rest[2:]) if has_bias else ((None, None), rest)
        of_bucket = {b.texts.start: f for b, f in zip(buckets, factors, strict=True)}
        drop = (lambda bucket: of_bucket[bucket.texts.start]) if dropout else None
        kernels = cpu if gradients is cpu_gradients else cuda.kernels
        q, k, v = (qkv[:, at : at + 12] for at in (0, 12, 24))
        context = kernels.attend(q, k, v, buckets, HEADS, bias[0], dropout=drop)
        return gradients.attend_gradient(q, k, v, context, given, buckets, HEADS, *bias, drop)

    check(cuda, compute, qkv, given, *bias, *factors)


def test_padded_texts_of_a_bucket_have_their_own_gradients(cuda):
    lengths = np.array([12, 11, 9, 4, 1])
    q, k, v, context, given = (numbers((37, 12), seed, 1, 0) for seed in range(5))

    def compute(gradients, *arrays):
        kernels = cpu if gradients is cpu_gradients else cuda.kernels
        return gradients.attend_gradient(*arrays, kernels.buckets(lengths), HEADS)

    assert len(cuda.kernels.buckets(lengths)) < len(lengths)
    check(cuda, compute, q, k, v, context, given)


@pytest.mark.parametrize("index", [[2], [4, 0, 4, 2, 4, 0], [0, 1, 2]])
def test_rows_are_added_where_their_index_says(cuda, index):
    rows = numbers((len(index), 3), 1)
    check(cuda, lambda g, *a: g.add_at_(a[0], np.array(index), a[1]), numbers((6, 3)), rows)


def test_gradients_through_unit_length_agree_near_zero(cuda):
    x, gradient = numbers((6, 5)), numbers((6, 5), 1)
    x[1], x[2], x[3], x[4] = 0, 1e-14, 1e-12, 1e15
    check(cuda, lambda g, *arrays: g.normalize_gradient_(*arrays), x, gradient, rtol=1e-5)


@pytest.mark.parametrize("shape", [(1, 1), (0, 5), (37, 301)])
@pytest.mark.parametrize("name", sorted(ACTIVATIONS))
def test_gradients_of_activations_agree(cuda, name, shape):
    x = numbers(shape, shift=0)
    edges = [0, -0.0, 6, 1, -1, 1e-40, 20, -20, 300, -300, 3e18, -3e18, 1e30, -1e30]
    x.reshape(-1)[: len(edges)] = np.array(edges, np.float32)[: x.size]
    gradient = numbers(shape, 1, 1, 0)
    check(cuda, ACTIVATIONS[name].gradient, x, gradient, rtol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["gelu", "mpnet"])
def test_the_backward_pass_of_a_model_agrees(cuda, name):
    checkpoint = load_checkpoint(GOLDEN / name)
    config, ids = checkpoint.config, [np.arange(5, 5 + tokens) for tokens in (9, 9, 4, 1)]
    (pack,) = packs(ids, 100, positions=[positions_of(row, config) for row in ids])
    dropout = Dropout(Draws(3, 5), Rates(0.3, 0.2), pack.order, pack.lengths)
    states = numbers((23, config.hidden_size), 1, 1, 0)
    results = []
    for device in (cuda, find_device("cpu")):
        own = dropout.on(device.draw_kernels())
        parameters, kept, found = parameters_to_device(checkpoint.parameters, device), {}, {}

        def keep(name, array, kept=kept):
            if name.rpartition(".")[2] in backward.KEPT:
                kept[name] = array

        def give(name, gradient, index=None, found=found, device=device):
            found[name] = device.to_host(gradient)

        hook = ForGradients(keep, own)
        moved = pack_to_device(pack, device)
        hidden_states(moved, parameters, config, device.kernels, hook)
        backward.hidden_states(
            device.to_device(states.copy()), pack, parameters, config, device.kernels,
            device.gradient_kernels(), kept, own, give,
        )  # fmt: skip
        results.append(found)
    gpu, host = results
    assert gpu.keys() == host.keys()
    for name, gradient in gpu.items():
        scale = np.abs(host[name]).max()
        # Worst seen 1.1e-5: these weights are ten times a real model's.
        np.testing.assert_allclose(gradient, host[name], rtol=0, atol=1e-4 * scale, err_msg=name)
