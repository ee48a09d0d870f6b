"""Which forward pass a family has: bert.py's, or that of rotary.py."""

from __future__ import annotations

import numpy as np

from minibert.bert import forward as bert
from minibert.bert import rotary
from minibert.bert.families import FAMILIES
from minibert.bert.hook import Together, Watch
from minibert.bert.packs import Pack
from minibert.bert.parameters import Config, Parameters
from minibert.common.arrays import Array, IntArray
from minibert.errors import DeviceError
from minibert.kernels.protocol import Kernels

__all__ = ["check_device", "hidden_states"]


def hidden_states(
    pack: Pack,
    parameters: Parameters,
    config: Config,
    kernels: Kernels,
    watch: Watch | None = None,
    chosen: IntArray | None = None,
    together: Together | None = None,
) -> Array:
    """The states of the last layer, by the model's family: see bert.hidden_states.

    Numbers that are too large become infinity or NaN without a word of NumPy's: whoever uses the
    states looks at them, and huge ones on the way may still end well.
    """
    is_rotary = FAMILIES[config.model_type].is_rotary
    forward = rotary.hidden_states if is_rotary else bert.hidden_states
    with np.errstate(over="ignore", invalid="ignore"):
        return forward(pack, parameters, config, kernels, watch, chosen, together)


def check_device(config: Config, name: str) -> None:
    """Raise DeviceError for a family whose forward pass is not written for a device."""
    if name != "cpu" and FAMILIES[config.model_type].is_rotary:
        raise DeviceError(f"{config.model_type} runs on the CPU alone, not on {name!r}.")
