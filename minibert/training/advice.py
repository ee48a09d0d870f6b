"""Warnings of what a run does that is seldom meant."""

from __future__ import annotations

import logging

from minibert.training.columns import Batch
from minibert.training.losses.ranking import false_negatives
from minibert.training.recipe import Recipe

__all__ = ["tell_long_warmup", "tell_repeats", "tell_worse"]

logger = logging.getLogger(__name__)


def tell_long_warmup(recipe: Recipe, total: int) -> None:
    """Log a warning if a run of `total` steps ends in the warm-up; its last rate is the highest."""
    warmup, highest = recipe.warmup_steps, recipe.rate(total - 1, total)
    if warmup > total and highest < recipe.lr:
        logger.warning(
            "The warm-up has %d steps, and the run has %d: the learning rate never exceeds %.3g. "
            "Lower warmup_steps (--warmup-steps).",
            warmup,
            total,
            highest,
        )


def tell_repeats(batch: Batch) -> bool:
    """Log a warning if a batch has a text twice that makes a false negative; return if it has."""
    for text, (first, second, *_) in false_negatives(batch.texts).items():
        logger.warning(
            "%s and %s have the same text %r in one batch, so the loss takes a document of one for "
            "a negative of the other. A few of these do little harm. If the data has many, use "
            "smaller batches, or leave out rows. This is said only once.",
            batch.origins[first],
            batch.origins[second],
            text if len(text) <= 60 else f"{text[:60]}...",
        )
        return True
    return False


def tell_worse(first_score: float | None, score: float | None) -> None:
    """Log a warning that the result of a run has a worse score than the model before training."""
    logger.warning(
        "The model had the score %.4f before training, and the result has %s: training made it "
        "worse. Try a lower learning rate (--lr), fewer steps, or other examples.",
        first_score,
        "none" if score is None else f"{score:.4f}",
    )
