"""Activations by their names in config.json and in modules of torch.

Each works in place on rows of a device's array, through that device's kernels.
"""

from __future__ import annotations

from functools import partial
from typing import Protocol

from minibert.common.arrays import Array
from minibert.kernels.protocol import Kernels

__all__ = [
    "ACTIVATIONS",
    "TORCH_CLASSES",
    "TORCH_SETTINGS",
    "Activation",
    "name_in_torch",
    "torch_activation",
]


class Activation(Protocol):
    """A function that works on rows (N, F) in place; a bias (F,) is added first."""

    def __call__(self, kernels: Kernels, x: Array, bias: Array | None = None) -> None: ...


# hidden_act in config.json -> the kernel that computes it, in place.
ACTIVATIONS: dict[str, Activation] = {
    "gelu": lambda kernels, x, bias=None: kernels.gelu_(x, bias),
    "gelu_python": lambda kernels, x, bias=None: kernels.gelu_(x, bias),
    # Five names of one formula; they differ by 1e-12.
    "gelu_new": lambda kernels, x, bias=None: kernels.gelu_tanh_(x, bias),
    "gelu_accurate": lambda kernels, x, bias=None: kernels.gelu_tanh_(x, bias),
    "gelu_fast": lambda kernels, x, bias=None: kernels.gelu_tanh_(x, bias),
    "gelu_python_tanh": lambda kernels, x, bias=None: kernels.gelu_tanh_(x, bias),
    "gelu_pytorch_tanh": lambda kernels, x, bias=None: kernels.gelu_tanh_(x, bias),
    "quick_gelu": lambda kernels, x, bias=None: kernels.silu_(x, 1.702, bias),
    "linear": lambda kernels, x, bias=None: kernels.add_(x, bias),
    "relu": lambda kernels, x, bias=None: kernels.relu_(x, bias),
    "sigmoid": lambda kernels, x, bias=None: kernels.sigmoid_(x, bias),
    "silu": lambda kernels, x, bias=None: kernels.silu_(x, bias=bias),
    "swish": lambda kernels, x, bias=None: kernels.silu_(x, bias=bias),
    "tanh": lambda kernels, x, bias=None: kernels.tanh_(x, bias),
    "leaky_relu": lambda kernels, x, bias=None: kernels.leaky_relu_(x, 0.01, bias),
    "relu6": lambda kernels, x, bias=None: kernels.clip_(x, 0.0, 6.0, bias),
    "hardtanh": lambda kernels, x, bias=None: kernels.clip_(x, -1.0, 1.0, bias),
}

# The last part of the name of a class of torch, made without arguments -> our name for it.
TORCH_CLASSES = {
    "GELU": "gelu",
    "Hardtanh": "hardtanh",
    "Identity": "linear",
    "LeakyReLU": "leaky_relu",
    "ReLU": "relu",
    "ReLU6": "relu6",
    "SiLU": "silu",
    "Sigmoid": "sigmoid",
    "Tanh": "tanh",
}


# The settings that change what a class of torch computes -> their values in torch's default.
TORCH_SETTINGS: dict[str, dict[str, object]] = {
    "GELU": {"approximate": "none"},
    "Hardtanh": {"min_val": -1.0, "max_val": 1.0},
    "LeakyReLU": {"negative_slope": 0.01},
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
