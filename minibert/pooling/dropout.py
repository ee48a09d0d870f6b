"""Dropout: it changes numbers in training alone, so nothing is computed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Dropout", "read_dropout"]


class Dropout(NamedTuple):
    """Nothing, but in training."""

    module_input_name: str = "sentence_embedding"  # which rows it would change


def read_dropout(folder: Path, settings: dict[str, Any]) -> Dropout:
    """A Dropout has one setting, for training."""
    return Dropout()
