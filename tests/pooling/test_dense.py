"""Dense against the textbook, and its gradients; what its settings and its tensors may be."""

import numpy as np
import pytest
from differences import derivatives, relative
from module_folders import DENSE, POOLING, WEIGHT, refused, with_modules
from safetensors.numpy import save_file

from minibert import SentenceTransformer
from minibert.common.safetensors_files import Tensors
from minibert.common.tensors_in_memory import TensorsInMemory
from minibert.kernels import cpu as kernels
from minibert.kernels import cpu_gradients
from minibert.kernels.activations import TORCH_CLASSES
from minibert.pooling.dense import Dense, Projection, load_dense


@pytest.mark.parametrize("residual", [None, "same", "projected"])
def test_a_projection_agrees_with_the_textbook(residual):
    random = np.random.default_rng(1)
    out = 5 if residual == "same" else 3
    rows = random.normal(-1, 2, (11, 5)).astype(np.float32)
    weight, bias = random.normal(size=(5, out)), random.normal(size=out)
    other = random.normal(size=(5, out)) if residual == "projected" else None
    module = Projection(
        weight.astype(np.float32),
        bias.astype(np.float32),
        "tanh",
        residual is not None,
        None if other is None else other.astype(np.float32),
    )
    expected = np.tanh(rows.astype(float) @ weight + bias)
    expected += {None: 0, "same": rows, "projected": 0 if other is None else rows @ other}[residual]
    before = rows.copy()
    np.testing.assert_allclose(module(rows, kernels), expected, rtol=0, atol=1e-5)
    np.testing.assert_array_equal(rows, before)


def test_a_dense_with_tensors_beyond_its_settings_is_refused(folder):
    with_modules(folder, POOLING, ("Dense", "2", {**DENSE, "bias": False}))
    save_file(WEIGHT, folder / "2" / "model.safetensors")
    refused(folder, r"config\.json does not mention the tensor 'linear\.bias'")


@pytest.mark.parametrize("lost", ["linear.bias", "linear.weight"])
def test_a_tensor_that_a_dense_lacks_is_named_with_its_file(folder, lost):
    with_modules(folder, POOLING, ("Dense", "2", DENSE))
    tensors = {name: tensor for name, tensor in WEIGHT.items() if name != lost}
    save_file(tensors, folder / "2" / "model.safetensors")
    refused(folder, rf"2/model\.safetensors has no tensor '{lost}'")


def test_a_missing_activation_is_tanh(folder):
    with_modules(folder, POOLING, ("Dense", "2", DENSE))
    save_file(WEIGHT, folder / "2" / "model.safetensors")
    vectors = SentenceTransformer(folder).encode(["a", "the cat"])
    assert vectors.shape == (2, 3)
    assert (np.abs(vectors) <= 1).all()


@pytest.mark.parametrize("residual", [None, "same", "projected"])
@pytest.mark.parametrize("activation", TORCH_CLASSES.values())
def test_gradients_agree_with_differences(activation, residual):
    random = np.random.default_rng(2)
    out = 4 if residual == "same" else 3
    rows, weight, bias, other, given = (
        random.normal(0.2, 1.5, shape) for shape in [(7, 4), (4, out), out, (4, out), (7, out)]
    )
    module = Projection(
        weight, bias, activation, residual is not None, other if residual == "projected" else None
    )
    found = {}
    by_rows = module.backward(rows.copy(), given.copy(), kernels, cpu_gradients, found.__setitem__)

    def loss():
        return (module(rows, kernels) * given).sum()

    # Worst seen 9e-8. Steps are too short to reach a kink.
    assert relative(derivatives(loss, rows), by_rows) < 1e-6
    tensors = {"linear.weight": weight, "linear.bias": bias}
    tensors |= {"residual.weight": other} if residual == "projected" else {}
    assert found.keys() == tensors.keys()
    for name, tensor in tensors.items():
        assert relative(derivatives(loss, tensor), found[name].T) < 1e-6, name


def test_a_bias_that_is_no_tensor_has_no_gradient():
    module = Projection(np.eye(4), np.zeros(4), "tanh", has_bias=False)
    found = {}
    module.backward(np.ones((2, 4)), np.ones((2, 4)), kernels, cpu_gradients, found.__setitem__)
    assert found.keys() == {"linear.weight"}


def test_a_dense_without_bias_has_zeros_of_its_tensors_type(tmp_path):
    save_file({"linear.weight": WEIGHT["linear.weight"]}, tmp_path / "model.safetensors")
    settings = Dense(tmp_path, 20, 3, "linear", bias=False)
    for dtype in (np.float32, np.float64):
        tensors = TensorsInMemory(Tensors((tmp_path / "model.safetensors",)), dtype)
        module, _ = load_dense(settings, tensors, 20)
        assert {module.weight.dtype, module.bias.dtype} == {np.dtype(dtype)}
