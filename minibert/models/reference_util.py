"""Small functions of sentence-transformers' `util`, for programs that call them."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from minibert.common.arrays import Array
from minibert.kernels.devices import device_name

__all__ = ["disable_logging", "get_device_name", "truncate_embeddings"]


def truncate_embeddings(embeddings: Array, truncate_dim: int | None) -> Array:
    """Return the first `truncate_dim` numbers of each vector, not made unit vectors again.

    `embeddings` is (..., D); None keeps all D. The result is a view.
    """
    return embeddings[..., :truncate_dim]


def get_device_name() -> str:
    """Return the device of a model that is loaded without `device`: "cpu"."""
    return device_name(None)


@contextmanager
def disable_logging(highest_level: int = logging.CRITICAL) -> Iterator[None]:
    """Drop log messages up to a level in the block, of all loggers."""
    before = logging.root.manager.disable
    logging.disable(highest_level)
    try:
        yield
    finally:
        logging.disable(before)
