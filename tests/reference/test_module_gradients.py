"""Gradients of modules and activations beside torch's, through the reference's own modules."""

import numpy as np
import pytest
import torch
from sentence_transformers.models import Dense, LayerNorm, Normalize, Pooling

from minibert.kernels import cpu as kernels
from minibert.kernels import cpu_gradients
from minibert.kernels.activations import ACTIVATIONS, TORCH_CLASSES
from minibert.pooling import normalize
from minibert.pooling.dense import Projection
from minibert.pooling.layer_norm import RowNorm
from minibert.pooling.modes import POOLINGS
from minibert.pooling.pooling import pool_gradient

# Of the largest entry. Worst seen 7e-15 and 8e-7.
CLOSE = {np.float64: 1e-9, np.float32: 1e-4}
TYPES = {np.float64: torch.float64, np.float32: torch.float32}
LENGTHS = np.array([6, 3, 1, 4])

of_both_types = pytest.mark.parametrize("dtype", CLOSE)


def drawn(*shape, seed=0, dtype):
    return np.random.default_rng(seed).normal(0.2, 1.5, shape).astype(dtype)


def wanted(array):
    return torch.from_numpy(array.copy()).requires_grad_()


def assert_close(ours, theirs):
    theirs = theirs.numpy()
    assert (ours.shape, ours.dtype) == (theirs.shape, theirs.dtype)
    np.testing.assert_array_equal(np.isfinite(ours), np.isfinite(theirs))
    largest = np.abs(theirs).max()
    np.testing.assert_allclose(ours, theirs, rtol=0, atol=CLOSE[ours.dtype.type] * largest)


def assert_backward_is_theirs(module, reference, rows, given):
    """Our module and the reference's, which has the same tensors: gradients by all of them."""
    theirs = wanted(rows)
    reference({"sentence_embedding": theirs})["sentence_embedding"].backward(torch.tensor(given))
    found = {}
    ours = module.backward(rows.copy(), given.copy(), kernels, cpu_gradients, found.__setitem__)
    assert_close(ours, theirs.grad)
    parameters = dict(reference.named_parameters())
    assert found.keys() == parameters.keys()
    for name, parameter in parameters.items():
        assert_close(found[name], parameter.grad)


@of_both_types
@pytest.mark.parametrize("residual", [None, "same", "projected"])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("kind", TORCH_CLASSES)
def test_a_dense_has_the_reference_s_gradients(kind, bias, residual, dtype):
    torch.manual_seed(1)
    out = 7 if residual == "same" else 5
    reference = Dense(
        7, out, bias, getattr(torch.nn, kind)(), use_residual=residual is not None
    ).to(TYPES[dtype])
    tensors = {name: tensor.detach().numpy() for name, tensor in reference.named_parameters()}
    module = Projection(
        tensors["linear.weight"].T,
        tensors.get("linear.bias", np.zeros(out, dtype)),
        TORCH_CLASSES[kind],
        residual is not None,
        tensors["residual.weight"].T if residual == "projected" else None,
        bias,
    )
    rows, given = drawn(9, 7, dtype=dtype), drawn(9, out, seed=1, dtype=dtype)
    assert_backward_is_theirs(module, reference, rows, given)


@of_both_types
def test_a_layer_norm_has_the_reference_s_gradients(dtype):
    reference = LayerNorm(7).to(TYPES[dtype])
    weight, bias = drawn(2, 7, seed=2, dtype=dtype)
    with torch.no_grad():
        reference.norm.weight.copy_(torch.from_numpy(weight))
        reference.norm.bias.copy_(torch.from_numpy(bias))
    rows, given = drawn(9, 7, dtype=dtype), drawn(9, 7, seed=1, dtype=dtype)
    rows[::3] *= dtype(1e-3)  # where the epsilon counts
    assert_backward_is_theirs(RowNorm(weight, bias), reference, rows, given)


@of_both_types
@pytest.mark.parametrize("scale", [1, 1e-9, 1e-13, 0])
def test_a_normalize_has_the_reference_s_gradient(scale, dtype):
    rows, given = drawn(9, 7, dtype=dtype) * dtype(scale), drawn(9, 7, seed=1, dtype=dtype)
    assert_backward_is_theirs(normalize.Normalize(), Normalize(), rows, given)


@of_both_types
@pytest.mark.parametrize("prompt_length", [None, 0, 2, 3])
@pytest.mark.parametrize("modes", [*([mode] for mode in POOLINGS), list(POOLINGS)], ids=str)
def test_a_pooling_has_the_reference_s_gradient(modes, prompt_length, dtype):
    """Texts of 6, 3, 1 and 4 tokens, of which a prompt may leave none."""
    hidden = drawn(LENGTHS.sum(), 5, dtype=dtype)
    hidden[[1, 4]] = hidden[2] = 9  # level, and the largest of their text
    given = drawn(4, 5 * len(modes), seed=1, dtype=dtype)
    mask = np.arange(6) < LENGTHS[:, None]
    padded = np.full((4, 6, 5), 99, dtype)
    padded[mask] = hidden
    theirs = wanted(padded)
    features = {"token_embeddings": theirs, "attention_mask": torch.from_numpy(mask.astype(int))}
    features |= {} if prompt_length is None else {"prompt_length": prompt_length}
    reference = Pooling(5, modes, include_prompt=prompt_length is None)
    reference(features)["sentence_embedding"].backward(torch.tensor(given))
    ours = pool_gradient(modes, given, hidden, LENGTHS, prompt_length or 0, kernels)
    assert_close(ours, theirs.grad[torch.from_numpy(mask)])


FUNCTIONS = {
    "gelu": torch.nn.functional.gelu,
    "gelu_new": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "quick_gelu": lambda x: x * torch.sigmoid(1.702 * x),
    **{
        name: getattr(torch.nn, kind)()
        for kind, name in TORCH_CLASSES.items()
        if name not in ("gelu", "linear")
    },
}


@of_both_types
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_activation_has_torch_s_gradient_at_kinks_and_far_out(name, dtype):
    places = [0, 6, -1, 1, 1e-30, -1e-30, 20, -20, 90, -90, 300, -300, 1e4, -1e4]
    x = np.concatenate([places, np.linspace(-8, 8, 333)]).astype(dtype)[:, None]
    given = drawn(*x.shape, dtype=dtype)
    theirs = wanted(x)
    FUNCTIONS[name](theirs).backward(torch.tensor(given))
    ours = given.copy()
    ACTIVATIONS[name].gradient(cpu_gradients, x.copy(), ours)
    assert_close(ours, theirs.grad)
