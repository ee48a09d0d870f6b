"""Results that hold NaN or infinity: which step of the model was the first to make one."""

from __future__ import annotations

from collections.abc import Callable

from minibert.common.arrays import Array
from minibert.common.safetensors_files import is_finite
from minibert.errors import CheckpointError

__all__ = ["OTHER_ORDER", "FirstNotFinite"]

# The step to name where a second look, which adds up in another order, finds all numbers finite.
OTHER_ORDER = "the sum of several threads"


class FirstNotFinite:
    """An observer of a forward pass that remembers the first array with NaN or infinity in it."""

    def __init__(self, to_host: Callable[[Array], Array]) -> None:
        self._to_host = to_host  # from the device to NumPy
        self.step = ""

    def __call__(self, name: str, array: Array) -> None:
        """Look at one array, under the name by which it is shown."""
        if not self.step and not is_finite(self._to_host(array)):
            self.step = name

    def error(self, model: object, dtype: str = "float32") -> CheckpointError:
        """The error to raise; `model` is the folder of the weights, or a word for the model."""
        place, _, detail = self.step.rpartition(".")
        where = {"": detail, "embeddings": f"the embeddings ({detail})"}.get(
            place, f"{place.replace('.', ' ')} ({detail})"
        )
        cause = (
            'float16 ends at 65504: load the model with dtype="float32".'
            if dtype == "float16"
            else "The weights are too large to compute with, or damaged: fetch the model again."
        )
        return CheckpointError(
            f"{model}: a result holds NaN or infinity; {where} was the first to make one. {cause}"
        )
