"""Find the first step of the model whose result holds NaN or infinity."""

from __future__ import annotations

from collections.abc import Callable

from minibert.common.arrays import Array
from minibert.common.safetensors_files import is_finite
from minibert.errors import CheckpointError

__all__ = ["OTHER_ORDER", "FirstNotFinite"]

# Name of the step where a second pass, which sums in another order, has only finite numbers.
OTHER_ORDER = "the sum of several threads"


class FirstNotFinite:
    """A hook that remembers the name of the first array with NaN or infinity in it."""

    def __init__(self, to_host: Callable[[Array], Array]) -> None:
        self._to_host = to_host  # from the device to NumPy
        self.step = ""  # the name of that array; "" while all were finite

    def __call__(self, name: str, array: Array) -> None:
        """Check one array of a forward pass; `name` is its name for hooks."""
        if not self.step and not is_finite(self._to_host(array)):
            self.step = name

    def error(self, model: object, dtype: str = "float32") -> CheckpointError:
        """Make the error to raise; `model` is the folder of the weights, or a name."""
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
