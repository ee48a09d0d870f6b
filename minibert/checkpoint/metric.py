"""Metric of a model's vectors, and the reason for it. docs/metrics.md is the page for users."""

from __future__ import annotations

import logging
from enum import Enum

from minibert.common.arguments import check_choice
from minibert.errors import CheckpointError
from minibert.scoring.metrics import METRICS

__all__ = ["DOT_PRODUCT_MODELS", "check_metric", "metric_of"]

logger = logging.getLogger(__name__)

# Published models that were trained for the dot product; their folders do not say so.
# docs/metrics.md names a source for each.
DOT_PRODUCT_MODELS = {
    "sentence-transformers/msmarco-bert-base-dot-v5",
    "sentence-transformers/msmarco-distilbert-dot-v5",
    "sentence-transformers/msmarco-distilbert-base-tas-b",
    "sentence-transformers/multi-qa-mpnet-base-dot-v1",
    "sentence-transformers/multi-qa-distilbert-dot-v1",
    "sentence-transformers/multi-qa-MiniLM-L6-dot-v1",
}

# Other names in folders -> the metric. The reference silently takes them for cosine.
METRIC_NAMES = {"dot_score": "dot", "dot_product": "dot", "cos_sim": "cosine"}


def check_metric(given: object) -> str:
    """Name of a metric that is given as a text, or as a member of an enumeration.

    Raises ValueError for a name that METRICS lacks.
    """
    name = given.value if isinstance(given, Enum) else given
    check_choice("similarity_fn_name", name, METRICS)
    return str(name)


def metric_of(asked: str | None, written: str | None, name: str | None) -> tuple[str, str]:
    """Choose a model's metric: -> its name, the reason.

    `asked` is the caller's choice, `written` the folder's, `name` the model's name on the hub.
    Raises ValueError or CheckpointError for an unknown metric.
    """
    if asked is not None:
        return check_metric(asked), "asked for"
    if written is not None:
        metric = METRIC_NAMES.get(written, written)
        if metric not in METRICS:
            raise CheckpointError(
                f"config_sentence_transformers.json: similarity_fn_name is {written!r:.80}; "
                f"minibert computes {', '.join(METRICS)}."
            )
        if metric != written:
            logger.warning("The folder's metric %r is taken as %r.", written, metric)
        return metric, f"config_sentence_transformers.json says {written}"
    if name in DOT_PRODUCT_MODELS:
        return "dot", f"{name} was trained for it; its folder does not say"
    return "cosine", "the default; the folder does not say"
