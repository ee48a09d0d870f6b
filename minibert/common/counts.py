"""Numbers of things in words, for messages and pages."""

from __future__ import annotations

__all__ = ["counted"]


def counted(count: int, one: str, several: str | None = None) -> str:
    """Return a number with its noun, as "1 row" or "1,069 rows"; `several` is an odd plural."""
    return f"{count:,} {one if count == 1 else several or one + 's'}"
