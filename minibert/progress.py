"""A bar on stderr for work that takes long."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["progress"]


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
