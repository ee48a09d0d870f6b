"""Dropout: it acts only in training, so nothing is computed here."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Dropout", "read_dropout"]


class Dropout(NamedTuple):
    """Settings of a module that changes nothing outside training."""

    module_input_name: str = "sentence_embedding"  # or "token_embeddings"


def read_dropout(folder: Path, settings: dict[str, Any]) -> Dropout:
    """Return the settings of a Dropout; config.json is not read, its rate is for training."""
    return Dropout()
