"""Copy a model's tensors and a pack's tokens to a device, and tensors back.

Computes nothing, and reads no files. Start at parameters_to_device.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from minibert.bert.packs import Pack
from minibert.bert.parameters import Parameters
from minibert.common.arrays import Array
from minibert.kernels.devices import Device, tensors_to_host, to_host

__all__ = ["OnHost", "pack_to_device", "parameters_to_device", "parameters_to_host"]


class Pooler(NamedTuple):
    """Tensors that the layers do not use: they stay in float32."""

    pooler_weight: Array | None  # (D, D)
    pooler_bias: Array | None  # (D,)


def parameters_to_device(parameters: Parameters, device: Device) -> Parameters:
    """Copy every tensor to the device, in the device's dtype.

    The pooler stays in float32, as every head does.

    Raises DeviceError for a tensor that holds a number too large for float16.
    """
    pooler = device.tensors_to_device(Pooler(parameters.pooler_weight, parameters.pooler_bias))
    once = {id(layer): layer for layer in parameters.layers}  # ALBERT uses one again
    moved = {key: device.tensors_to_device(layer, device.dtype) for key, layer in once.items()}
    layers = tuple(moved[id(layer)] for layer in parameters.layers)
    layered = parameters._replace(pooler_weight=None, pooler_bias=None)
    on_device = device.tensors_to_device(layered, device.dtype)
    return on_device._replace(layers=layers, **pooler._asdict())


def parameters_to_host(parameters: Parameters) -> Parameters:
    """Copy every tensor to the host that is on a GPU; the others stay as they are."""
    once = {id(layer): layer for layer in parameters.layers}
    moved = {key: tensors_to_host(layer) for key, layer in once.items()}
    layers = tuple(moved[id(layer)] for layer in parameters.layers)
    on_host: Parameters = tensors_to_host(parameters._replace(layers=layers))
    return on_host


class OnHost(Mapping[str, Array]):
    """Tensors by key, each copied from a GPU when it is asked for; those of the CPU as they are."""

    def __init__(self, values: Mapping[str, Array]) -> None:
        """Take the tensors of a device."""
        self._values = values

    def __getitem__(self, key: str) -> Array:
        return to_host(self._values[key])

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)


def pack_to_device(pack: Pack, device: Device) -> Pack:
    """Copy a pack's tokens to the device; `lengths` and `order` stay on the host, for loops."""
    return pack._replace(
        ids=device.to_device(pack.ids),
        positions=device.to_device(pack.positions),
        token_types=device.to_device(pack.token_types),
    )
