"""Which metric a model's vectors are scored by, and why. docs/metrics.md tells it to users."""

from __future__ import annotations

import logging
from enum import Enum

from minibert.common.arguments import check_choice
from minibert.errors import CheckpointError
from minibert.scoring.metrics import METRICS

__all__ = ["DOT_PRODUCT_MODELS", "check_metric", "metric_of"]

logger = logging.getLogger(__name__)

# Published models that were trained for the dot product and whose folders do not say so.
# docs/metrics.md names the source of each.
DOT_PRODUCT_MODELS = {
    "sentence-transformers/msmarco-bert-base-dot-v5",
    "sentence-transformers/msmarco-distilbert-dot-v5",
    "sentence-transformers/msmarco-distilbert-base-tas-b",
    "sentence-transformers/multi-qa-mpnet-base-dot-v1",
    "sentence-transformers/multi-qa-distilbert-dot-v1",
    "sentence-transformers/multi-qa-MiniLM-L6-dot-v1",
}

# Other names of the metrics that folders use, and that the reference takes for cosine, unsaid.
METRIC_NAMES = {"dot_score": "dot", "dot_product": "dot", "cos_sim": "cosine"}


def check_metric(given: object) -> str:
    """The name of a metric, which a member of an enumeration may hold, as the reference's does.

    Raises ValueError for a name that is none of METRICS'.
    """
    name = given.value if isinstance(given, Enum) else given
    check_choice("similarity_fn_name", name, METRICS)
    return str(name)


def metric_of(asked: str | None, written: str | None, name: str | None) -> tuple[str, str]:
    """The name of a model's metric, and why it is that one.

    `asked` is the caller's word, `written` the folder's, `name` the model's name on the hub.
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
