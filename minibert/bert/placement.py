"""A model's tensors, and a pack's tokens, on the device that computes.

Computes nothing, and reads no files. Start at parameters_to_device.
"""

from __future__ import annotations

from typing import NamedTuple

from minibert.bert.packs import Pack
from minibert.bert.parameters import Parameters
from minibert.common.arrays import Array
from minibert.kernels.devices import Device

__all__ = ["pack_to_device", "parameters_to_device"]


class Pooler(NamedTuple):
    """The tensors of a model that its layers do not use."""

    pooler_weight: Array | None  # (D, D)
    pooler_bias: Array | None  # (D,)


def parameters_to_device(parameters: Parameters, device: Device) -> Parameters:
    """Put every tensor on the device, in its dtype.

    The pooler stays in float32, as every head does. Raises DeviceError for a tensor that holds a
    number too large for float16.
    """
    pooler = device.tensors_to_device(Pooler(parameters.pooler_weight, parameters.pooler_bias))
    once = {id(layer): layer for layer in parameters.layers}  # ALBERT uses one again
    moved = {key: device.tensors_to_device(layer, device.dtype) for key, layer in once.items()}
    layers = tuple(moved[id(layer)] for layer in parameters.layers)
    layered = parameters._replace(pooler_weight=None, pooler_bias=None)
    on_device = device.tensors_to_device(layered, device.dtype)
    return on_device._replace(layers=layers, **pooler._asdict())


def pack_to_device(pack: Pack, device: Device) -> Pack:
    """Put a pack's tokens on the device; its lengths and order stay, as they are for loops."""
    return pack._replace(
        ids=device.to_device(pack.ids),
        positions=device.to_device(pack.positions),
        token_types=device.to_device(pack.token_types),
    )
