"""Room for training on a device: sizes of the packs, and of what waits for the loss."""

from __future__ import annotations

from typing import NamedTuple

from minibert.bert.parameters import Config

__all__ = ["ON_CPU", "ON_GPU", "Room", "pack_tokens_of"]


class Room(NamedTuple):
    """Largest sizes of what is computed at once on a device. None depends on its free memory."""

    pack_bytes: int  # of the arrays kept of one pack's forward pass
    pack_tokens: int
    # Of all that wait for the loss; a pack that is not kept is computed again, which costs a
    # quarter of the step's time.
    kept_bytes: int


ON_CPU = Room(160 << 20, 1024, 256 << 20)
# For GPUs from 8 GiB on. They are fast with many rows a product; the numbers are not measured yet.
ON_GPU = Room(2 << 30, 16384, 3 << 30)


def pack_tokens_of(config: Config, room: Room = ON_CPU) -> int:
    """Return the tokens of a pack whose kept arrays fill the room on a device.

    Kept of each token and layer are queries, keys, values, context, two norms and the
    feed-forward's input. The number depends on the model and the kind of device alone, as sums do
    on it.
    """
    of_layer = 6 * config.hidden_size + config.intermediate_size
    of_token = 4 * config.num_hidden_layers * of_layer
    return min(room.pack_tokens, max(1, room.pack_bytes // of_token))
