"""A bar on stderr for work that takes long."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress", "wanted"]


def wanted(asked: bool | None) -> bool:
    """Whether there is to be a bar: unasked, like the reference's, where INFO is logged."""
    if asked is None:
        return logging.getLogger("minibert").getEffectiveLevel() in (logging.INFO, logging.DEBUG)
    return asked


@contextmanager
def progress(
    total: int | None, shown: bool, unit: str = "text"
) -> Iterator[Callable[[int], object]]:
    """A bar for the block, which calls what it is given with how much more is done."""
    if not shown:
        yield lambda done: None
        return
    # huggingface_hub brings tqdm, and honours the switches that its users know.
    from huggingface_hub.utils import tqdm  # type: ignore[attr-defined]

    with tqdm(total=total, unit=unit) as bar:  # type: ignore[no-untyped-call]
        yield bar.update
