"""Activations by their names in config.json and in modules of torch, each with its gradient.

Each works in place on rows of a device's array, through that device's kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from minibert.common.arrays import Array
from minibert.kernels.protocol import GradientKernels, Kernels

__all__ = [
    "ACTIVATIONS",
    "TORCH_CLASSES",
    "TORCH_SETTINGS",
    "Activation",
    "name_in_torch",
    "torch_activation",
]


class Activation(NamedTuple):
    """A row of ACTIVATIONS: a function of one number, and its derivative."""

    # Kernels, rows (N, F), a bias (F,) or None: adds the bias, then works on the rows in place.
    compute: Callable[[Kernels, Array, Array | None], None]
    # Kernels, x (N, F), a gradient by the result (N, F): in place, x becomes the result, and the
    # gradient that by x.
    gradient: Callable[[GradientKernels, Array, Array], None]

    def __call__(self, kernels: Kernels, x: Array, bias: Array | None = None) -> None:
        """Compute the function on rows (N, F) in place; a bias (F,) is added first."""
        self.compute(kernels, x, bias)


def silu(slope: float) -> Activation:
    """Return the row of x * sigmoid(slope * x)."""
    return Activation(
        lambda kernels, x, bias: kernels.silu_(x, slope, bias),
        lambda kernels, x, gradient: kernels.silu_gradient_(x, slope, gradient),
    )


def clip(low: float, high: float) -> Activation:
    """Return the row of the function that limits numbers to `low` ... `high`."""
    return Activation(
        lambda kernels, x, bias: kernels.clip_(x, low, high, bias),
        lambda kernels, x, gradient: kernels.clip_gradient_(x, low, high, gradient),
    )


GELU = Activation(
    lambda kernels, x, bias: kernels.gelu_(x, bias),
    lambda kernels, x, gradient: kernels.gelu_gradient_(x, gradient),
)
GELU_TANH = Activation(
    lambda kernels, x, bias: kernels.gelu_tanh_(x, bias),
    lambda kernels, x, gradient: kernels.gelu_tanh_gradient_(x, gradient),
)

# hidden_act in config.json -> the kernels that compute it and its gradient, in place.
ACTIVATIONS: dict[str, Activation] = {
    "gelu": GELU,
    "gelu_python": GELU,
    # Five names of one formula; they differ by 1e-12.
    "gelu_new": GELU_TANH,
    "gelu_accurate": GELU_TANH,
    "gelu_fast": GELU_TANH,
    "gelu_python_tanh": GELU_TANH,
    "gelu_pytorch_tanh": GELU_TANH,
    "quick_gelu": silu(1.702),
    "linear": Activation(
        lambda kernels, x, bias: kernels.add_(x, bias), lambda kernels, x, gradient: None
    ),
    "relu": Activation(
        lambda kernels, x, bias: kernels.relu_(x, bias),
        lambda kernels, x, gradient: kernels.relu_gradient_(x, gradient),
    ),
    "sigmoid": Activation(
        lambda kernels, x, bias: kernels.sigmoid_(x, bias),
        lambda kernels, x, gradient: kernels.sigmoid_gradient_(x, gradient),
    ),
    "silu": silu(1.0),
    "swish": silu(1.0),
    "tanh": Activation(
        lambda kernels, x, bias: kernels.tanh_(x, bias),
        lambda kernels, x, gradient: kernels.tanh_gradient_(x, gradient),
    ),
    "leaky_relu": Activation(
        lambda kernels, x, bias: kernels.leaky_relu_(x, 0.01, bias),
        lambda kernels, x, gradient: kernels.leaky_relu_gradient_(x, 0.01, gradient),
    ),
    "elu": Activation(
        lambda kernels, x, bias: kernels.elu_(x, bias),
        lambda kernels, x, gradient: kernels.elu_gradient_(x, gradient),
    ),
    "softplus": Activation(
        lambda kernels, x, bias: kernels.softplus_(x, bias),
        lambda kernels, x, gradient: kernels.softplus_gradient_(x, gradient),
    ),
    "mish": Activation(
        lambda kernels, x, bias: kernels.mish_(x, bias),
        lambda kernels, x, gradient: kernels.mish_gradient_(x, gradient),
    ),
    "relu6": clip(0.0, 6.0),
    "hardtanh": clip(-1.0, 1.0),
}

# The last part of the name of a class of torch, made without arguments -> our name for it.
TORCH_CLASSES = {
    "ELU": "elu",
    "GELU": "gelu",
    "Hardtanh": "hardtanh",
    "Identity": "linear",
    "LeakyReLU": "leaky_relu",
    "Mish": "mish",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Softplus": "softplus",
    "Tanh": "tanh",
}


# The settings that change what a class of torch computes -> their values in torch's default.
TORCH_SETTINGS: dict[str, dict[str, object]] = {
    "ELU": {"alpha": 1.0},
    "GELU": {"approximate": "none"},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
    "LeakyReLU": {"negative_slope": 0.01},
    "Softplus": {"beta": 1.0, "threshold": 20.0},
}


def name_in_torch(given: object) -> str | None:
    """Return the full name of torch's class, function or object; None for everything else.

    A class that a program derives from torch's Module counts as torch's. Imports no torch.
    """
    kind = given if isinstance(given, type) else type(given)
    is_module = any(
        base.__name__ == "Module" and base.__module__ == "torch.nn.modules.module"
        for base in kind.__mro__
    )
    if is_module or is_torch_s(kind.__module__):
        return f"{kind.__module__}.{kind.__qualname__}"
    if isinstance(given, partial):
        return name_in_torch(given.func) and "functools.partial"
    owner = getattr(given, "__objclass__", given)  # of a method of Tensor's
    module = getattr(owner, "__module__", None)
    return f"{module}.{getattr(given, '__name__', '')}" if is_torch_s(module) else None


def is_torch_s(module: object) -> bool:
    """Return whether a module's name is torch or begins with "torch."."""
    return isinstance(module, str) and module.split(".")[0] == "torch"


def torch_activation(name: str) -> str | None:
    """Return the name in ACTIVATIONS of a torch class, whose full name is given; else None.

    "torch.nn.modules.activation.Tanh" and "torch.nn.Tanh" are "tanh".
    """
    package, _, kind = name.rpartition(".")
    return TORCH_CLASSES.get(kind) if package.split(".")[:2] == ["torch", "nn"] else None
