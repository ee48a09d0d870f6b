"""The names of activations, as config.json and modules have them -> what computes them.

Each works in place on rows of a device's array, through that device's kernels.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from minibert.arrays import Array, Kernels

__all__ = ["ACTIVATIONS", "TORCH_CLASSES", "Activation", "torch_activation"]

Activation: TypeAlias = Callable[[Kernels, Array], None]

# hidden_act in config.json -> the kernel that computes it, in place.
ACTIVATIONS: dict[str, Activation] = {
    "gelu": lambda kernels, x: kernels.gelu_(x),
    "gelu_python": lambda kernels, x: kernels.gelu_(x),
    # Five names of one formula; they differ by 1e-12.
    "gelu_new": lambda kernels, x: kernels.gelu_tanh_(x),
    "gelu_accurate": lambda kernels, x: kernels.gelu_tanh_(x),
    "gelu_fast": lambda kernels, x: kernels.gelu_tanh_(x),
    "gelu_python_tanh": lambda kernels, x: kernels.gelu_tanh_(x),
    "gelu_pytorch_tanh": lambda kernels, x: kernels.gelu_tanh_(x),
    "quick_gelu": lambda kernels, x: kernels.silu_(x, 1.702),
    "linear": lambda kernels, x: None,
    "relu": lambda kernels, x: kernels.relu_(x),
    "sigmoid": lambda kernels, x: kernels.sigmoid_(x),
    "silu": lambda kernels, x: kernels.silu_(x),
    "swish": lambda kernels, x: kernels.silu_(x),
    "tanh": lambda kernels, x: kernels.tanh_(x),
    "leaky_relu": lambda kernels, x: kernels.leaky_relu_(x, 0.01),
    "relu6": lambda kernels, x: kernels.clip_(x, 0.0, 6.0),
    "hardtanh": lambda kernels, x: kernels.clip_(x, -1.0, 1.0),
}

# The last part of a class's name in torch, made without arguments -> the same under our name.
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


def torch_activation(name: str) -> str | None:
    """The name in ACTIVATIONS of a torch class, given in full: None for all others.

    "torch.nn.modules.activation.Tanh" and "torch.nn.Tanh" are "tanh".
    """
    package, _, kind = name.rpartition(".")
    return TORCH_CLASSES.get(kind) if package.split(".")[:2] == ["torch", "nn"] else None
