"""A model's tensors, and a pack's tokens, on the device that computes.

Computes nothing, and reads no files. Start at put_parameters.
"""

from __future__ import annotations

from typing import NamedTuple

from minibert.bert.packs import Pack
from minibert.bert.parameters import Parameters
from minibert.common.arrays import Array
from minibert.kernels.devices import Device

__all__ = ["put_pack", "put_parameters"]


class Pooler(NamedTuple):
    """The tensors of a model that its layers do not use."""

    pooler_weight: Array | None  # (D, D)
    pooler_bias: Array | None  # (D,)


def put_parameters(parameters: Parameters, device: Device) -> Parameters:
    """Put every tensor on the device, in its dtype.

    The pooler stays in float32, as every head does. Raises DeviceError for a tensor that holds a
    number too large for float16.
    """
    pooler = device.put_tensors(Pooler(parameters.pooler_weight, parameters.pooler_bias))
    once = {id(layer): layer for layer in parameters.layers}  # ALBERT uses one again
    put = {key: device.put_tensors(layer, device.dtype) for key, layer in once.items()}
    layers = tuple(put[id(layer)] for layer in parameters.layers)
    layered = parameters._replace(pooler_weight=None, pooler_bias=None)
    on_device = device.put_tensors(layered, device.dtype)
    return on_device._replace(layers=layers, **pooler._asdict())


def put_pack(pack: Pack, device: Device) -> Pack:
    """Put a pack's tokens on the device; its lengths and order stay, as they are for loops."""
    return pack._replace(
        ids=device.put(pack.ids),
        positions=device.put(pack.positions),
        token_types=device.put(pack.token_types),
    )
