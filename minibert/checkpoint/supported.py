"""Families that run, and a table of much used models with the sources of its values."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minibert.bert.families import FAMILIES

__all__ = ["supported"]


def supported() -> dict[str, Any]:
    """Return the families that run, and much used models: {"families": [...], "models": [{...}]}.

    A model has its kind, model_type, dimensions, max_seq_length, metric, pooling, normalize and
    prompts; a value is None if no source has it. `runs` is True for a model that runs. A `remark`
    and the `sources` follow.
    """
    table = Path(__file__).with_name("supported.json").read_text(encoding="utf-8")
    return {"families": list(FAMILIES), "models": json.loads(table)}
