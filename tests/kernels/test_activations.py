"""Names of activations: as config.json has them, and as torch's classes."""

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from minibert import SentenceTransformer
from minibert.errors import CheckpointError
from minibert.kernels import cpu as kernels
from minibert.kernels.activations import ACTIVATIONS, TORCH_CLASSES, Activation, torch_activation


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("torch.nn.modules.activation.Tanh", "tanh"),
        ("torch.nn.Tanh", "tanh"),
        ("torch.nn.modules.linear.Identity", "linear"),
        ("torch.nn.functional.relu", None),
        ("torch.nn.Softmax", None),
        ("mylibrary.Tanh", None),
        ("torch.tanh", None),
        ("Tanh", None),
    ],
)
def test_a_class_is_known_by_its_full_name(name, expected):
    assert torch_activation(name) == expected


def test_every_class_of_torch_has_an_activation():
    assert set(TORCH_CLASSES.values()) <= ACTIVATIONS.keys()


# Names, and what they make of 3 and of -3.
VALUES = [
    (["gelu", "gelu_python"], 2.9959507, -0.0040496),
    (["gelu_new", "gelu_accurate", "gelu_fast", "gelu_python_tanh", "gelu_pytorch_tanh"],
     2.9963627, -0.0036373),
    (["quick_gelu"], 2.9819474, -0.0180742),
    (["silu", "swish"], 2.8577224, -0.1422776),
    (["linear"], 3, -3),
    (["relu"], 3, 0),
    (["leaky_relu"], 3, -0.03),
    (["elu"], 3, -0.9502129),
    (["softplus"], 3.0485873, 0.0485874),
    (["mish"], 2.9865350, -0.1456473),
    (["relu6"], 3, 0),
    (["hardtanh"], 1, -1),
    (["sigmoid"], 0.9525741, 0.0474259),
    (["tanh"], 0.9950548, -0.9950548),
]  # fmt: skip


@pytest.mark.parametrize(("names", "at_3", "at_minus_3"), VALUES)
def test_every_name_computes_what_it_says(names, at_3, at_minus_3):
    for name in names:
        x = np.array([[3.0, -3.0]], dtype=np.float32)
        ACTIVATIONS[name](kernels, x)
        np.testing.assert_allclose(x, [[at_3, at_minus_3]], rtol=0, atol=1e-4, err_msg=name)


def test_the_table_above_has_every_name():
    assert ACTIVATIONS.keys() == {name for names, *_ in VALUES for name in names}


def half(kernels, x, bias):
    kernels.add_(x, bias)
    x *= 0.5


def half_gradient(kernels, x, gradient):
    x *= 0.5
    gradient *= 0.5


def test_an_activation_from_outside_is_one_row(folder, edit, monkeypatch, texts):
    """Half of each number is the same as half of the weights that take it, to the last bit."""
    edit(folder / "config.json", hidden_act="linear")
    tensors = load_file(folder / "model.safetensors")
    halved = {
        name: tensor * np.float32(0.5 if name.endswith(".output.dense.weight") and
                                  "attention" not in name else 1)
        for name, tensor in tensors.items()
    }  # fmt: skip
    save_file(halved, folder / "model.safetensors")
    expected = SentenceTransformer(folder, on_long="ignore").encode(texts)
    save_file(tensors, folder / "model.safetensors")
    edit(folder / "config.json", hidden_act="half")
    with pytest.raises(CheckpointError, match="hidden_act is 'half'; minibert computes gelu"):
        SentenceTransformer(folder)
    monkeypatch.setitem(ACTIVATIONS, "half", Activation(half, half_gradient))
    found = SentenceTransformer(folder, on_long="ignore").encode(texts)
    np.testing.assert_array_equal(found, expected)
