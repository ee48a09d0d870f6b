"""Gradients of activations, in NumPy, for float32 and float64.

Each function gets x, an activation's input with its bias, and `gradient`, that of a loss by the
result. In place, x becomes the result, with the bits of the activation's kernel in cpu.py, and
`gradient` that by x. A derivative at a kink is torch's. All go over rows in blocks that stay in the
cache.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from minibert.common.arrays import Array
from minibert.kernels import cpu

__all__ = [
    "clip_gradient_",
    "elu_gradient_",
    "gelu_gradient_",
    "gelu_tanh_gradient_",
    "leaky_relu_gradient_",
    "mish_gradient_",
    "relu_gradient_",
    "sigmoid_gradient_",
    "silu_gradient_",
    "softplus_gradient_",
    "tanh_gradient_",
]

# Beyond the root of this, x is so far out that gelu_tanh's derivative is 0 or 1 in float64, too.
FAR_SQUARE = 1e4


def blocks_of(x: Array, gradient: Array) -> Iterator[tuple[Array, Array]]:
    """Views of the rows of x, and of the same rows of the gradient, a block at a time."""
    for place in cpu.row_slices(x):
        yield x[place], gradient[place]


def gelu_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by Phi(x) + x phi(x), phi the normal distribution's density; x becomes x Phi(x)."""
    with np.errstate(over="ignore"):  # x^2 is infinite beyond 1.8e19, and the density still 0
        for rows, gradients in blocks_of(x, gradient):
            gate = cpu.normal_function(rows)
            derivative = rows * rows
            derivative *= -0.5
            np.exp(derivative, out=derivative)
            derivative *= (2 * np.pi) ** -0.5
            derivative *= rows
            derivative += gate
            rows *= gate
            gradients *= derivative


def gelu_tanh_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by g + x g'(x); x becomes x g(x).

    g(x) = sigmoid(2 c (x + 0.044715 x^3)) with c = sqrt(2/pi), and so
    g'(x) = g (1 - g) 2 c (1 + 3 * 0.044715 x^2).
    """
    with np.errstate(over="ignore"):  # x^2 is infinite beyond 1.8e19, and limited after
        for rows, gradients in blocks_of(x, gradient):
            gate = cpu.gelu_tanh_gate(rows)
            derivative = rows * rows
            np.minimum(derivative, FAR_SQUARE, out=derivative)  # 0 times infinity would be NaN
            derivative *= 6 * 0.044715 * cpu.ROOT_2_BY_PI
            derivative += 2 * cpu.ROOT_2_BY_PI
            gated_(rows, gate, derivative, gradients)


def silu_gradient_(x: Array, slope: float, gradient: Array) -> None:
    """Multiply by g + x slope g (1 - g), g = sigmoid(slope x); x becomes x g."""
    for rows, gradients in blocks_of(x, gradient):
        gated_(rows, cpu.silu_gate(rows, slope), slope, gradients)


def gated_(x: Array, gate: Array, slope: Array | float, gradient: Array) -> None:
    """Multiply by g + x g', where g' = g (1 - g) slope and g is the gate; x becomes x g."""
    derivative = 1.0 - gate
    derivative *= gate
    derivative *= x  # before the slope: where x is large, this is 0
    derivative *= slope
    derivative += gate
    x *= gate
    gradient *= derivative


def relu_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by 1 above 0, else by 0; x becomes max(x, 0)."""
    for rows, gradients in blocks_of(x, gradient):
        gradients *= rows > 0.0  # thirty times faster than `where=`
        cpu.relu_(rows)


def leaky_relu_gradient_(x: Array, slope: float, gradient: Array) -> None:
    """Multiply by 1 above 0, else by `slope`; x becomes the larger of x and slope x."""
    for rows, gradients in blocks_of(x, gradient):
        above = (rows > 0.0).astype(gradients.dtype)
        gradients *= np.maximum(above, slope, out=above)
        cpu.leaky_relu_(rows, slope)


def clip_gradient_(x: Array, low: float, high: float, gradient: Array) -> None:
    """Multiply by 1 between `low` and `high`, else by 0; x is limited to them."""
    for rows, gradients in blocks_of(x, gradient):
        gradients *= rows > low
        gradients *= rows < high
        cpu.clip_(rows, low, high)


def sigmoid_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by s (1 - s); x becomes s = sigmoid(x)."""
    for rows, gradients in blocks_of(x, gradient):
        cpu.sigmoid_(rows)
        gradients *= rows
        gradients *= 1.0 - rows


def elu_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by exp(x) below 0, else by 1; x becomes exp(x) - 1 below 0, else x."""
    for rows, gradients in blocks_of(x, gradient):
        cpu.elu_(rows)
        gradients *= np.minimum(rows, 0.0) + 1.0


def softplus_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by sigmoid(x); x becomes log(1 + exp(x))."""
    for rows, gradients in blocks_of(x, gradient):
        gradients *= cpu.silu_gate(rows, 1.0)
        cpu.softplus_(rows)


def mish_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by g + x g', g = tanh(s) and g' = (1 - g^2) sigmoid(x); x becomes x g.

    s = log(1 + exp(x)), whose derivative is sigmoid(x).
    """
    for rows, gradients in blocks_of(x, gradient):
        gate = cpu.mish_gate(rows)
        derivative = 1.0 - gate * gate
        derivative *= cpu.silu_gate(rows, 1.0)
        derivative *= rows
        derivative += gate
        rows *= gate
        gradients *= derivative


def tanh_gradient_(x: Array, gradient: Array) -> None:
    """Multiply by 1 - t^2; x becomes t = tanh(x)."""
    for rows, gradients in blocks_of(x, gradient):
        cpu.tanh_(rows)
        derivative = rows * rows
        np.subtract(1.0, derivative, out=derivative)
        gradients *= derivative
