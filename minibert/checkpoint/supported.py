"""What runs: the families, and a table of models that many use, with where each value was read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from minibert.bert.families import FAMILIES

__all__ = ["supported"]


def supported() -> dict[str, Any]:
    """The families that run, and much used models: {"families": [...], "models": [{...}]}.

    A model has its kind, model_type, dimensions, max_seq_length, metric, pooling, normalize and
    prompts, None where no source had the value; whether it `runs`, a `remark`, and its `sources`.
    """
    table = Path(__file__).with_name("supported.json").read_text(encoding="utf-8")
    return {"families": list(FAMILIES), "models": json.loads(table)}
