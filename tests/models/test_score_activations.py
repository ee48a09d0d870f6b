"""Activations that make scores of logits: names, torch's classes and functions, and functions."""

import pickle
from functools import partial

import numpy as np
import pytest
from golden_files import GOLDEN, PAIRS

from minibert import CrossEncoder


def of_torch(name, *, parent=None, instance=True, **settings):
    """What torch would make, as far as it is looked at: torch itself is not installed here."""
    module, _, kind = name.rpartition(".")
    base = type("Module", (), {"__module__": "torch.nn.modules.module"})
    made = type(kind, (parent or base,), {"__module__": module, "__call__": not_called})
    return type(kind, (made,), {"__module__": module, **settings})() if instance else made


def not_called(*arguments):
    raise AssertionError("torch was called")


def function_of_torch(name):
    """A function that says it is torch's."""
    module, _, name = name.rpartition(".")
    made = lambda logits: not_called()  # noqa: E731
    made.__module__, made.__name__ = module, name
    return made


NN = "torch.nn.modules.activation."


@pytest.mark.parametrize(
    ("given", "name"),
    [
        (of_torch(NN + "Sigmoid"), "sigmoid"),
        (of_torch(NN + "Sigmoid", instance=False), "sigmoid"),
        (of_torch("torch.nn.modules.linear.Identity"), "linear"),
        (of_torch(NN + "Tanh"), "tanh"),
        (of_torch(NN + "Softmax", dim=-1), "softmax"),
        (of_torch(NN + "Softmax", dim=1), "softmax"),
        (of_torch(NN + "Softmax", dim=None), "softmax"),
        (of_torch(NN + "Softmax", instance=False), "softmax"),
        (of_torch(NN + "GELU", approximate="none"), "gelu"),
        (of_torch(NN + "LeakyReLU", negative_slope=0.01), "leaky_relu"),
        (of_torch(NN + "ELU", alpha=1), "elu"),
        (of_torch(NN + "Softplus", beta=1.0, threshold=20.0), "softplus"),
        (function_of_torch("torch.nn.functional.mish"), "mish"),
        (function_of_torch("torch.sigmoid"), "sigmoid"),
        (function_of_torch("torch.nn.functional.relu"), "relu"),
        ("torch.nn.modules.activation.Softmax", "softmax"),
        ("softmax", "softmax"),
    ],
)
def test_an_activation_of_torch_is_known_by_its_name(given, name):
    folder = GOLDEN / "cross_encoder"
    expected = CrossEncoder(folder, activation_fn=name).predict(PAIRS)
    model = CrossEncoder(folder, activation_fn=given)
    np.testing.assert_array_equal(model.predict(PAIRS), expected)
    assert isinstance(model.activation_fn, str)  # so no copy needs torch
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(model)).predict(PAIRS), expected)
    plain = CrossEncoder(folder)
    np.testing.assert_array_equal(plain.predict(PAIRS, activation_fn=given), expected)
    plain.activation_fn = given
    np.testing.assert_array_equal(plain.predict(PAIRS), expected)


def test_softmax_takes_the_labels_of_each_pair():
    model = CrossEncoder(GOLDEN / "cross_encoder")
    shares = model.predict(PAIRS, activation_fn="softmax")
    np.testing.assert_array_equal(shares, model.predict(PAIRS, apply_softmax=True))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (of_torch(NN + "Softmax", dim=0), "Softmax with dim=1, over the labels"),
        (of_torch(NN + "GELU", approximate="tanh"), "GELU with approximate='none'"),
        (of_torch(NN + "Hardtanh", min_val=0.0, max_val=1.0), "min_val=-1.0 and max_val=1.0"),
        (of_torch(NN + "LeakyReLU", negative_slope=0.3), "negative_slope=0.01"),
        (of_torch(NN + "ELU", alpha=0.5), "ELU with alpha=1.0"),
        (of_torch(NN + "Softplus", beta=2.0, threshold=20.0), "beta=1.0 and threshold=20.0"),
        (of_torch(NN + "CELU"), "expected a function or one of"),
        (of_torch("mine.Scaled"), "expected a function or one of"),  # derived from torch's Module
        (of_torch("torch.nn.modules.container.Sequential"), "expected a function or one of"),
        (of_torch("mine.Sigmoid"), "expected a function or one of"),
        (function_of_torch("torch.celu"), "expected a function or one of"),
        (partial(function_of_torch("torch.softmax"), dim=1), "expected a function or one of"),
        ("", "expected a function or one of"),
        ("torch.nn.modules.activation.CELU", "expected a function or one of"),
    ],
)
def test_activations_of_torch_not_computed_here_are_refused(given, message, one):
    def refused(call, *arguments):
        with pytest.raises(ValueError, match=r"^activation_fn is ") as caught:
            call(*arguments, activation_fn=given)
        assert message in str(caught.value)

    refused(CrossEncoder, "no-such-folder")  # before anything is looked for
    model = CrossEncoder(one)
    model.transformer = None  # nor is anything computed
    refused(model.predict, PAIRS)
    refused(model.rank, "a", ["b"])
    with pytest.raises(ValueError, match=r"^activation_fn is "):
        model.activation_fn = given


@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        (lambda x: None, TypeError, r"gave a NoneType \(None\); expected an array of numbers"),
        (lambda x: x + 1j, TypeError, r"gave an ndarray (.|\n)* expected an array of numbers"),
        (lambda x: 1.0, ValueError, r"gave the shape \(\) for 4 pairs; expected a row"),
        (lambda x: x[:3], ValueError, r"gave the shape \(3, 1\) for 4 pairs"),
        (lambda x: x[..., None], ValueError, r"gave the shape \(4, 1, 1\) for 4 pairs"),
        (
            lambda x: np.where(np.arange(4)[:, None] > 1, np.nan, x),
            ValueError,
            "gave NaN for pair 2 of",
        ),
        (lambda x: x.sigmoid(), TypeError, "failed: .* It is given a NumPy array, a row of logits"),
    ],
)
def test_what_an_activation_gives_is_checked(one, given, error, message):
    with pytest.raises(error, match=f"^activation_fn {message}"):
        CrossEncoder(one, activation_fn=given).predict(PAIRS)


def test_what_is_no_activation_at_all_is_refused():
    with pytest.raises(TypeError, match="activation_fn is 3; expected a name or a function"):
        CrossEncoder("no-such-folder", activation_fn=3)
