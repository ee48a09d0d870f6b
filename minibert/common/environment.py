"""Variables of the environment that stand for options: their names and their values."""

from __future__ import annotations

__all__ = ["is_on", "listed", "variable_of"]

# Values of an option that is on or off.
ON, OFF = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


def variable_of(option: str) -> str:
    """Return the variable of an option: --max-body, or max_body -> MINIBERT_MAX_BODY."""
    return f"MINIBERT_{option.lstrip('-').upper().replace('-', '_')}"


def listed(text: str) -> list[str]:
    """Split a value at its commas, without blanks around the parts."""
    return [part.strip() for part in text.split(",") if part.strip()]


def is_on(text: str) -> bool:
    """Return whether a value says on. Raises ValueError for one that says neither on nor off."""
    if text.lower() not in (*ON, *OFF):
        raise ValueError(f"{text!r} is none of {', '.join((*ON, *OFF))}")
    return text.lower() in ON
