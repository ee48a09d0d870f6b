"""Dense: act(x W + b) on rows, with or without a bias and a residual."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from minibert.common.arrays import Array
from minibert.common.json_files import required_count, setting
from minibert.common.safetensors_files import NamedTensors
from minibert.errors import CheckpointError
from minibert.kernels.activations import ACTIVATIONS, TORCH_CLASSES, torch_activation
from minibert.kernels.protocol import GradientKernels, Kernels
from minibert.pooling.module import Give, NotLinearError, check_dimension, input_name

__all__ = ["Dense", "Projection", "load_dense", "read_dense"]


class Dense(NamedTuple):
    """Settings of act(x W + b), with or without a bias and a residual."""

    path: Path  # the module's folder
    in_features: int  # D
    out_features: int  # E
    activation_function: str  # a name in ACTIVATIONS
    bias: bool = True  # whether there is a b
    use_residual: bool = False  # whether the input is added to the result
    module_input_name: str = "sentence_embedding"  # or "token_embeddings"


def read_dense(folder: Path, settings: dict[str, Any]) -> Dense:
    """Read the settings of a Dense; a missing activation is Tanh, as in the reference."""
    path = folder / "config.json"
    written = settings.get("activation_function", "torch.nn.modules.activation.Tanh")
    activation = torch_activation(written) if isinstance(written, str) else None
    if activation is None:
        raise CheckpointError(
            f"{path}: activation_function is {written!r:.80}; minibert computes torch.nn's "
            f"{', '.join(TORCH_CLASSES)}."
        )
    return Dense(
        path=folder,
        in_features=required_count(path, settings, "in_features"),
        out_features=required_count(path, settings, "out_features"),
        activation_function=activation,
        bias=setting(path, settings, "bias", bool, True),
        use_residual=setting(path, settings, "use_residual", bool, False),
        module_input_name=input_name(path, settings),
    )


class Projection(NamedTuple):
    """act(x W + b), plus a residual if there is one: x, or x R where the dimensions differ."""

    weight: Array  # (D, E)
    bias: Array  # (E,)
    activation: str  # a name in ACTIVATIONS
    has_residual: bool = False  # whether x, or x R, is added
    residual: Array | None = None  # R, (D, E)
    has_bias: bool = True  # whether b is a tensor; else it is zeros

    def __call__(self, rows: Array, kernels: Kernels) -> Array:
        """Project rows: (R, D) -> (R, E)."""
        projected = kernels.linear(rows, self.weight, self.bias)
        ACTIVATIONS[self.activation](kernels, projected)
        if self.has_residual:
            projected += rows if self.residual is None else rows @ self.residual
        return projected

    def split(self, parts: Array, portion: Array) -> Array:
        """Project each part, and add its portion of the bias: (T, D) -> (T, E)."""
        if self.activation != "linear":
            raise NotLinearError(self.activation)
        projected: Array = parts @ self.weight + portion * self.bias
        if self.has_residual:
            projected += parts if self.residual is None else parts @ self.residual
        return projected

    def backward(
        self,
        rows: Array,
        gradient: Array,
        kernels: Kernels,
        gradients: GradientKernels,
        give: Give,
    ) -> Array:
        """Go back through the projection: (R, D), (R, E) -> (R, D)."""
        of_residual = gradient.copy() if self.has_residual else None
        projected = kernels.linear(rows, self.weight, self.bias)
        ACTIVATIONS[self.activation].gradient(gradients, projected, gradient)
        give("linear.weight", gradients.weight_gradient(rows, gradient).T)
        if self.has_bias:
            give("linear.bias", gradients.column_sums(gradient))
        by_rows: Array = gradient @ self.weight.T
        if of_residual is not None and self.residual is not None:
            give("residual.weight", gradients.weight_gradient(rows, of_residual).T)
            of_residual = of_residual @ self.residual.T
        if of_residual is not None:
            by_rows += of_residual
        return by_rows


def load_dense(module: Dense, tensors: NamedTensors, dimension: int) -> tuple[Projection, int]:
    """Read the tensors of a Dense: -> the module that computes, the dimension of its results."""
    check_dimension(module.path, "in_features", module.in_features, dimension)
    shape = module.out_features, module.in_features
    projects = module.use_residual and module.out_features != module.in_features
    projection = Projection(
        # Stored as (out, in); the transposed view copies nothing.
        weight=tensors.take("linear.weight", *shape).T,
        bias=(
            tensors.take("linear.bias", module.out_features)
            if module.bias
            else np.zeros(module.out_features, dtype=tensors.dtype)
        ),
        activation=module.activation_function,
        has_residual=module.use_residual,
        residual=tensors.take("residual.weight", *shape).T if projects else None,
        has_bias=module.bias,
    )
    return projection, module.out_features
