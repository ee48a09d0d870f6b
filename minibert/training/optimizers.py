"""AdamW in the forms of torch and of transformers, weight decay and clipping, all in place.

Loshchilov and Hutter, Decoupled Weight Decay Regularization (2019), algorithm 2. The arithmetic on
tensors is that of their device, in kernels/cpu_updates.py and cuda_updates.py. Start at AdamW.step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Protocol

import numpy as np

from minibert.common.arguments import check_choice, is_number
from minibert.common.arrays import Array
from minibert.errors import TrainingError
from minibert.kernels.cores import thread_count
from minibert.kernels.devices import to_host, update_kernels
from minibert.kernels.protocol import Adam

__all__ = [
    "OPTIMIZERS",
    "AdamW",
    "Optimizer",
    "TransformersAdamW",
    "clip_",
    "decays",
    "decays_all",
    "find_optimizer",
]


class Optimizer(Protocol):
    """An optimizer of tensors, by their keys. OPTIMIZERS has one by its name."""

    @property
    def state(self) -> dict[str, Array]:
        """All that the next step depends on, besides the tensors."""
        ...

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Go on from the `state` of a run before."""
        ...

    def step(self, gradients: Mapping[str, Array], lr: float) -> None:
        """Change the tensors in place, by their gradients."""
        ...


def decays(key: str, tensor: Array) -> bool:
    """Return whether the tensor gets weight decay: all but biases and layer norms do.

    For a BERT these are the same tensors as in sentence-transformers.
    """
    return tensor.ndim > 1 and "bias" not in key.lower()


def decays_all(key: str, tensor: Array) -> bool:
    """Return True: weight decay for every tensor, as torch.optim.AdamW has it without groups."""
    return True


def new_state(key: str, value: Array) -> dict[str, Array]:
    """Return the state of a tensor before its first gradient. The names are torch's."""
    zeros_like = update_kernels([value]).zeros_like
    return {
        f"exp_avg.{key}": zeros_like(value),
        f"exp_avg_sq.{key}": zeros_like(value),
        f"step.{key}": np.zeros((), dtype=np.float64),
    }


class AdamW:
    """Adam with decoupled weight decay, as torch.optim.AdamW computes it.

    With t the number of gradients of a tensor so far, g its gradient, b1 and b2 the `betas`:

        value     *= 1 - lr * weight_decay
        exp_avg    = b1 * exp_avg    + (1 - b1) * g
        exp_avg_sq = b2 * exp_avg_sq + (1 - b2) * g * g
        value     -= lr / (1 - b1^t) * exp_avg / (sqrt(exp_avg_sq) / sqrt(1 - b2^t) + eps)
    """

    default_eps = 1e-8  # where no eps is given

    def __init__(
        self,
        values: Mapping[str, Array],
        *,
        weight_decay: float = 0.01,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float | None = None,
        decays: Callable[[str, Array], bool] = decays,
        threads: int | None = None,
    ) -> None:
        """Prepare to change `values`, tensors by their keys, in place.

        `eps` keeps the division finite; None is the optimizer's own. `decays` says of a key and
        its tensor whether it gets the weight decay. `threads` is None for all cores.

        Raises ValueError for a setting out of its range.
        """
        eps = self.default_eps if eps is None else eps
        check_number("weight_decay", weight_decay, lambda x: 0 <= x < math.inf, "0 or above")
        # With eps 0, rows of words that no text has would become 0 / 0.
        check_number("eps", eps, lambda x: 0 < x < math.inf, "above 0")
        if len(betas) != 2:
            raise ValueError(f"betas is {betas!r}; expected two numbers, as (0.9, 0.999).")
        for beta in betas:
            check_number("A number of betas", beta, lambda x: 0 <= x < 1, "from 0 to below 1")
        self._values = values
        self._eps = float(eps)
        self._betas = float(betas[0]), float(betas[1])
        self._weight_decay = {
            key: float(weight_decay) if decays(key, tensor) else 0.0
            for key, tensor in values.items()
        }
        self._threads = thread_count(threads)
        self._state: dict[str, Array] = {}

    def step(self, gradients: Mapping[str, Array], lr: float) -> None:
        """Change the tensors that have a gradient, in place; the others stay as they are.

        `lr` is the learning rate of this step. Gradients have the shapes and dtypes of `values`.

        Raises TrainingError for a gradient of an unknown tensor, or of another shape or dtype;
        then nothing is changed.
        """
        for key, gradient in gradients.items():
            check_tensor(f"The gradient of {key!r}", gradient, self._values.get(key))
        for key in gradients:
            if f"step.{key}" not in self._state:
                self._state |= new_state(key, self._values[key])
            self._state[f"step.{key}"] += 1
        steps = [
            Adam(self._values[key], gradient, *self._averages(key), self._betas,
                 *self._factors(key, float(lr)))
            for key, gradient in gradients.items()
        ]  # fmt: skip
        update_kernels(gradients.values()).adam_(steps, self._threads)

    def _averages(self, key: str) -> tuple[Array, Array]:
        return self._state[f"exp_avg.{key}"], self._state[f"exp_avg_sq.{key}"]

    def _factors(self, key: str, lr: float) -> tuple[float, float, float]:
        """Return the size, the eps and the decay of a step, for all numbers of a tensor."""
        # The second correction is taken out of the fraction, which saves a pass. The decay is of
        # the value before the step, and so may be added to it. Rounding 1 - lr * weight_decay to
        # float32 would lose a decay below 3e-8.
        first, second = self._corrections(key)
        return lr * second / first, self._eps * second, lr * self._weight_decay[key]

    def _corrections(self, key: str) -> tuple[float, float]:
        """Return 1 - b1^t, and the square root of 1 - b2^t."""
        t = float(self._state[f"step.{key}"])
        first, second = (1 - beta**t for beta in self._betas)
        return first, math.sqrt(second)

    @property
    def state(self) -> dict[str, Array]:
        """Arrays by name: `exp_avg.KEY`, `exp_avg_sq.KEY`, and `step.KEY`, of the shape ().

        Only tensors that have had a gradient are in it. They are the optimizer's own arrays, which
        the next step changes; of a GPU they are copies.
        """
        return {name: to_host(array) for name, array in self._state.items()}

    def load_state(self, state: Mapping[str, Array]) -> None:
        """Go on from the `state` of a run before, which is copied.

        Raises TrainingError for a missing or unknown array, or one of another shape or dtype; then
        nothing is changed.
        """
        expected: dict[str, Array] = {}
        for name in state:
            key = name.partition(".")[2]
            if key in self._values and name not in expected:
                expected |= new_state(key, self._values[key])
            if name not in expected:
                raise TrainingError(
                    f"The state of the optimizer has {name!r}, which this model does not have. "
                    "Resume with the model that the state was saved with."
                )
        for name, array in expected.items():
            if name not in state:
                raise TrainingError(
                    f"The state of the optimizer lacks {name!r}. Its file is not complete: resume "
                    "from another checkpoint."
                )
            check_tensor(f"{name!r} in the state of the optimizer", state[name], array)
        for name, array in expected.items():
            update_kernels([array]).copy_(array, state[name])
        self._state = {name: expected[name] for name in state}


class TransformersAdamW(AdamW):
    """AdamW as transformers computed it until version 4; its class has been removed since.

    It differs from torch's in the place of `eps`, and in the decay, which comes after the step:

        value -= lr * sqrt(1 - b2^t) / (1 - b1^t) * exp_avg / (sqrt(exp_avg_sq) + eps)
        value -= lr * weight_decay * value
    """

    default_eps = 1e-6  # where no eps is given

    def _factors(self, key: str, lr: float) -> tuple[float, float, float]:
        # The decay of the changed value is that of the value before, and of the step.
        first, second = self._corrections(key)
        decay = lr * self._weight_decay[key]
        return lr * second / first * (1 - decay), self._eps, decay


OPTIMIZERS: dict[str, Callable[..., Optimizer]] = {
    "adamw": AdamW,
    "adamw_hf": TransformersAdamW,
}


def find_optimizer(name: str) -> Callable[..., Optimizer]:
    """Return the class of an optimizer. Raises ValueError for an unknown name; it lists all."""
    check_choice("optimizer", name, OPTIMIZERS)
    return OPTIMIZERS[name]


def clip_(gradients: Mapping[str, Array], max_norm: float, threads: int | None = None) -> float:
    """Scale the gradients in place, so that their norm is at most `max_norm`: -> the norm before.

    The norm is the Euclidean length of all gradients as one vector, summed in float64; on a GPU,
    the squares of each 4,096 numbers are summed in float32 before that. The factor is torch's,
    max_norm / (norm + 1e-6), if that is below 1. With `max_norm` infinite, nothing is scaled, and
    the gradients are only checked.

    Raises TrainingError if a gradient holds NaN or infinity; then nothing is changed. Raises
    ValueError for a `max_norm` that is not above 0.
    """
    check_number("max_norm", max_norm, lambda x: x > 0, "above 0; math.inf clips nothing")
    kernels, arrays = update_kernels(gradients.values()), list(gradients.values())
    norm = math.sqrt(math.fsum(kernels.square_sums(arrays, threads)))  # exact for any order
    if not math.isfinite(norm):
        raise not_finite(gradients)
    factor = float(max_norm) / (norm + 1e-6)
    if factor < 1:
        kernels.scale_(arrays, factor, threads)
    return norm


def not_finite(gradients: Mapping[str, Array]) -> TrainingError:
    """Return an error that names the gradients with NaN or infinity."""
    names = [key for key, x in gradients.items() if not np.isfinite(to_host(x)).all()]
    found = (
        f"{len(names)} of {len(gradients)} gradients, the first of {names[0]!r}" if names else ""
    )
    return TrainingError(
        f"NaN or infinity is in {found or 'the sum of squares of the gradients'}. Nothing was "
        "changed. A smaller learning rate or a longer warm-up may keep the weights finite."
    )


def check_tensor(what: str, found: Array, expected: Array | None) -> None:
    """Raise TrainingError for an array that has not the shape and dtype of the expected one."""
    if expected is None:
        raise TrainingError(f"{what} is of a tensor that is not trained.")
    if (found.shape, found.dtype) != (expected.shape, expected.dtype):
        raise TrainingError(
            f"{what} has the shape {found.shape} and dtype {found.dtype}; expected "
            f"{expected.shape} and {expected.dtype}."
        )


def check_number(
    name: str, value: object, is_within: Callable[[float], bool], expected: str
) -> None:
    """Raise ValueError for a setting that is no number, or not within its range."""
    if not is_number(value) or not is_within(value):
        raise ValueError(f"{name} is {value!r}; expected a number {expected}.")
